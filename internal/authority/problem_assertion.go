package authority

import (
	"net/http"
	"time"
)

// This file holds the problems of client assertions: what is wrong with one that a
// certificate's key signed, and with one of a federated issuer. Each row has one
// constructor. Texts name what was presented, never the assertion.

// assertionProblems gives each problem of this file once, with placeholders.
func assertionProblems() []*Problem {
	var at time.Time
	return []*Problem{
		problemAssertionUnreadable("{reason}"),
		problemAssertionSubject("{sub}", "{iss}"),
		problemAssertionIssuer("{iss}", "{client_id}"),
		problemAssertionAudience("{aud}", []string{"{token endpoint}"}),
		problemAssertionTime(at, at, at),
		problemAssertionLife(at),
		problemAssertionKeyUnknown("{thumbprint}", "{client_id}"),
		problemAssertionKeyUnfit("{thumbprint}"),
		problemAssertionCertificateTime("{thumbprint}", at, at),
		problemAssertionSignature("{thumbprint}"),
		problemAssertionReplayed("{jti}"),
		problemFederatedIssuer("{iss}", "{client_id}"),
		problemFederatedAudience("{aud}"),
		problemFederatedSubject("{sub}", "{iss}"),
		problemFederatedCase("{sub}"),
		problemFederatedSignature("{iss}", "{kid}"),
		problemFederatedUnreachable("{iss}"),
		problemFederatedUser(),
	}
}

// refusedAssertion is the frame that all these problems share.
func refusedAssertion(code int, what, fix string) *Problem {
	return &Problem{Code: code, OAuth: invalidClient, Status: http.StatusUnauthorized, What: what, Fix: fix}
}

// stamp writes a time for a text; the zero time is one that was not given.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "(none)"
	}
	return t.UTC().Format(time.RFC3339)
}

func problemAssertionUnreadable(reason string) *Problem {
	return refusedAssertion(50027,
		"The client assertion is not a valid JWT: "+reason+".",
		"Let a client library make it: a JWT signed with RS256 or PS256, with iss, sub, aud, exp and jti, whose header names the certificate by x5t or x5t#S256.")
}

func problemAssertionSubject(subject, issuer string) *Problem {
	return refusedAssertion(50048,
		"The subject "+quoted(subject)+" of the client assertion is not its issuer "+quoted(issuer)+".",
		"Set both iss and sub to the client id.")
}

func problemAssertionIssuer(issuer, client string) *Problem {
	return refusedAssertion(700021,
		"The client assertion was issued by "+quoted(issuer)+", but the request is from the application "+quoted(client)+".",
		"Set iss and sub of the assertion to the client_id of the request.")
}

func problemAssertionAudience(audience string, accepted []string) *Problem {
	example := "the token endpoint"
	if len(accepted) > 0 {
		example = quoted(accepted[len(accepted)-1])
	}
	return refusedAssertion(700023,
		"The client assertion is for the audience "+quoted(audience)+", not for this token endpoint.",
		"Set aud to "+example+".")
}

func problemAssertionTime(now, from, until time.Time) *Problem {
	return refusedAssertion(700024,
		"The client assertion is not within its valid time range. Current time: "+stamp(now)+", valid from: "+stamp(from)+", expires: "+stamp(until)+".",
		"Make a new assertion for each request, and check the clock of the client.")
}

func problemAssertionLife(until time.Time) *Problem {
	return refusedAssertion(700024,
		"The client assertion is made to be valid for longer than 24 hours. It expires: "+stamp(until)+".",
		"Set exp to ten minutes from now.")
}

func problemAssertionKeyUnknown(thumbprint, client string) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+quoted(thumbprint)+", which the client assertion names, is not registered for the application "+quoted(client)+".",
		"Add the certificate to the application, or let the client use one that is registered.")
}

func problemAssertionKeyUnfit(thumbprint string) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+quoted(thumbprint)+" has a key that cannot sign client assertions.",
		"Register a certificate with an RSA key of 2048 to 8192 bits.")
}

func problemAssertionCertificateTime(thumbprint string, from, until time.Time) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+quoted(thumbprint)+" is not valid now. Valid from: "+stamp(from)+", expires: "+stamp(until)+".",
		"Register a new certificate and give it to the client.")
}

func problemAssertionSignature(thumbprint string) *Problem {
	return refusedAssertion(700027,
		"The signature of the client assertion does not verify with the certificate that has the thumbprint "+quoted(thumbprint)+".",
		"Check that the client signs with the private key of that certificate.")
}

func problemAssertionReplayed(jti string) *Problem {
	return refusedAssertion(50012,
		"A client assertion with the jti "+quoted(jti)+" was presented before, and the application accepts each only once.",
		"Make a new assertion with a new jti for each request.")
}

func problemFederatedIssuer(issuer, client string) *Problem {
	return refusedAssertion(700211,
		"No federated credential of the application "+quoted(client)+" has the issuer of the presented token: "+quoted(issuer)+".",
		"Add a federated credential with exactly that issuer, trailing slash included.")
}

func problemFederatedAudience(audience string) *Problem {
	return refusedAssertion(700212,
		"No federated credential of the application has the audience of the presented token: "+quoted(audience)+".",
		"Ask the issuer for a token with the audience of the credential, usually api://AzureADTokenExchange.")
}

func problemFederatedSubject(subject, issuer string) *Problem {
	return refusedAssertion(700213,
		"No federated credential of the application for the issuer "+quoted(issuer)+" has the subject of the presented token: "+quoted(subject)+".",
		"Add a federated credential with exactly that subject.")
}

func problemFederatedCase(subject string) *Problem {
	return refusedAssertion(7002138,
		"The subject of the presented token, "+quoted(subject)+", differs only by case from that of a federated credential.",
		"Write the credential's subject exactly as the issuer does.")
}

func problemFederatedSignature(issuer, kid string) *Problem {
	return refusedAssertion(700027,
		"The signature of the presented token does not verify: the issuer "+quoted(issuer)+" and its key "+quoted(kid)+".",
		"Check that the token is complete and unchanged; if the issuer has just published a new key, try again in five minutes.")
}

// problemFederatedUnreachable is nobody's wrong credential: the caller may try again.
func problemFederatedUnreachable(issuer string) *Problem {
	return &Problem{
		Code: 50166, OAuth: temporarilyUnavailable, Status: http.StatusServiceUnavailable,
		RetryAfter: int(failedEvery / time.Second),
		What:       "The keys of the issuer " + quoted(issuer) + " cannot be read, so its tokens cannot be verified.",
		Fix:        "Check that its /.well-known/openid-configuration and keys can be reached from the authority, and try again.",
	}
}

func problemFederatedUser() *Problem {
	return refusedAssertion(700229,
		"The presented token was issued to a user; only tokens issued to applications can stand in for a credential.",
		"Present a token of an application or a managed identity.")
}
