package aadsts

import (
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// This file holds the problems of client assertions: what is wrong with one that a
// certificate's key signed, and with one of a federated issuer. Each row has one
// constructor. Texts name what was presented, never the assertion.

// assertionProblems gives each problem of this file once, with placeholders.
func assertionProblems() []*Problem {
	var at time.Time
	return []*Problem{
		AssertionUnreadable("{reason}"),
		AssertionSubject("{sub}", "{iss}"),
		AssertionIssuer("{iss}", "{client_id}"),
		AssertionAudience("{aud}", []string{"{token endpoint}"}),
		AssertionTime(at, at, at),
		AssertionLife(at),
		FederatedLife(at, at),
		AssertionKeyUnknown("{thumbprint}", "{client_id}"),
		AssertionKeyUnfit("{thumbprint}"),
		AssertionCertificateTime("{thumbprint}", at, at),
		AssertionSignature("{thumbprint}"),
		AssertionReplayed("{jti}"),
		FederatedIssuer("{iss}", "{client_id}"),
		FederatedAudience("{aud}"),
		FederatedSubject("{sub}", "{iss}"),
		FederatedCase("{sub}"),
		FederatedSignature("{iss}", "{kid}"),
		FederatedUnreachable("{iss}", 1),
		FederatedExchange("{audience}"),
		FederatedTwice("{sub}"),
		FederatedCloud("{iss}"),
		FederatedTenant("{iss}"),
		FederatedGone("{sub}"),
		FederatedUser(),
		FederatedBound(),
	}
}

// refusedAssertion is the frame that all these problems share.
func refusedAssertion(code int, what, fix string) *Problem {
	return &Problem{Code: code, OAuth: InvalidClient, Status: http.StatusUnauthorized, What: what, Advice: fix}
}

// stamp writes a time for a text; the zero time is one that was not given.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "(none)"
	}
	return t.UTC().Format(time.RFC3339)
}

// AssertionUnreadable refuses a client assertion that is not a valid JWT.
func AssertionUnreadable(reason string) *Problem {
	return refusedAssertion(50027,
		"The client assertion is not a valid JWT: "+reason+".",
		"Let a client library make it: a JWT signed with RS256 or PS256, with iss, sub, aud, exp and jti, whose header names the certificate by x5t, x5t#S256 or kid.")
}

// AssertionSubject refuses an assertion whose subject is not its issuer.
func AssertionSubject(subject, issuer string) *Problem {
	return refusedAssertion(50048,
		"The subject "+text.Quote(subject)+" of the client assertion is not its issuer "+text.Quote(issuer)+".",
		"Set both iss and sub to the client id.")
}

// AssertionIssuer refuses an assertion of another client.
func AssertionIssuer(issuer, client string) *Problem {
	return refusedAssertion(700021,
		"The client assertion was issued by "+text.Quote(issuer)+", but the request is from the application "+text.Quote(client)+".",
		"Set iss and sub of the assertion to the client_id of the request.")
}

// AssertionAudience refuses an assertion that was made for somebody else.
func AssertionAudience(audience string, accepted []string) *Problem {
	example := "the token endpoint"
	if len(accepted) > 0 {
		example = text.Quote(accepted[len(accepted)-1])
	}
	return refusedAssertion(700023,
		"The client assertion is for the audience "+text.Quote(audience)+", not for this token endpoint.",
		"Set aud to "+example+".")
}

// AssertionTime refuses an assertion that has expired or is not valid yet.
func AssertionTime(now, from, until time.Time) *Problem {
	return refusedAssertion(700024,
		"The client assertion is not within its valid time range. Current time: "+stamp(now)+", valid from: "+stamp(from)+", expires: "+stamp(until)+".",
		"Make a new assertion for each request, and check the clock of the client.")
}

// AssertionLife refuses an assertion that would be valid for too long.
func AssertionLife(until time.Time) *Problem {
	return refusedAssertion(700024,
		"The client assertion is made to be valid for longer than 24 hours. It expires: "+stamp(until)+".",
		"Set exp to ten minutes from now.")
}

// FederatedLife refuses a federated token that lives too long.
func FederatedLife(from, until time.Time) *Problem {
	return &Problem{
		Code: 70023, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The presented token is made to be valid for longer than 25 hours. Issued at: " + stamp(from) + ", expires: " + stamp(until) + ".",
		Advice: "Let the issuer make tokens that last at most 25 hours; in Kubernetes set expirationSeconds of the projected token.",
	}
}

// AssertionKeyUnknown refuses an assertion whose certificate is not registered.
func AssertionKeyUnknown(thumbprint, client string) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+text.Quote(thumbprint)+", which the client assertion names, is not registered for the application "+text.Quote(client)+".",
		"Add the certificate to the application, or let the client use one that is registered.")
}

// AssertionKeyUnfit refuses a certificate whose key cannot verify signatures.
func AssertionKeyUnfit(thumbprint string) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+text.Quote(thumbprint)+" has a key that cannot sign client assertions.",
		"Register a certificate with an RSA key of 2048 to 8192 bits.")
}

// AssertionCertificateTime refuses an expired certificate, or one that is not valid yet.
func AssertionCertificateTime(thumbprint string, from, until time.Time) *Problem {
	return refusedAssertion(700027,
		"The certificate with the thumbprint "+text.Quote(thumbprint)+" is not valid now. Valid from: "+stamp(from)+", expires: "+stamp(until)+".",
		"Register a new certificate and give it to the client.")
}

// AssertionSignature refuses an assertion whose signature is wrong.
func AssertionSignature(thumbprint string) *Problem {
	return refusedAssertion(700027,
		"The signature of the client assertion does not verify with the certificate that has the thumbprint "+text.Quote(thumbprint)+".",
		"Check that the client signs with the private key of that certificate.")
}

// AssertionReplayed refuses an assertion that was used before.
func AssertionReplayed(jti string) *Problem {
	return refusedAssertion(50012,
		"A client assertion with the jti "+text.Quote(jti)+" was presented before, and the application accepts each one only once.",
		"Make a new assertion with a new jti for each request.")
}

// FederatedIssuer refuses a token of an issuer that the application does not trust.
func FederatedIssuer(issuer, client string) *Problem {
	return refusedAssertion(700211,
		"No federated credential of the application "+text.Quote(client)+" has the issuer of the presented token: "+text.Quote(issuer)+".",
		"Add a federated credential with exactly that issuer, trailing slash included.")
}

// FederatedAudience refuses a federated token with another audience.
func FederatedAudience(audience string) *Problem {
	return refusedAssertion(700212,
		"No federated credential of the application has the audience of the presented token: "+text.Quote(audience)+".",
		"Ask the issuer for a token with the audience of the credential, usually "+directory.ExchangeAudience+".")
}

// FederatedSubject refuses a federated token that is for no credential of the application: none
// has its subject, and none has an expression that its claims match.
func FederatedSubject(subject, issuer string) *Problem {
	return refusedAssertion(700213,
		"No federated credential of the application for the issuer "+text.Quote(issuer)+" has the subject of the presented token, "+text.Quote(subject)+", or an expression that matches its claims.",
		"Add a federated credential with exactly that subject, or with a claimsMatchingExpression that matches.")
}

// FederatedCase refuses a federated token whose subject differs by case alone.
func FederatedCase(subject string) *Problem {
	return refusedAssertion(7002138,
		"The subject of the presented token, "+text.Quote(subject)+", differs only by case from that of a federated credential.",
		"Write the credential's subject exactly as the issuer does.")
}

// FederatedSignature refuses a federated token whose signature is wrong.
func FederatedSignature(issuer, kid string) *Problem {
	return refusedAssertion(700027,
		"The signature of the presented token does not verify: the issuer "+text.Quote(issuer)+" and its key "+text.Quote(kid)+".",
		"Check that the token is complete and unchanged; if the issuer has just published a new key, try again in five minutes.")
}

// FederatedUnreachable says that the keys of a federated issuer cannot be read. The credential
// may be right: the caller may try again.
func FederatedUnreachable(issuer string, seconds int) *Problem {
	return &Problem{
		Code: 50166, OAuth: temporarilyUnavailable, Status: http.StatusServiceUnavailable,
		RetryAfter: seconds,
		What:       "The keys of the issuer " + text.Quote(issuer) + " cannot be read, so its tokens cannot be verified.",
		Advice:     "Check that its /.well-known/openid-configuration and keys can be reached from the authority, and try again.",
	}
}

// FederatedExchange refuses a credential for a token of this authority whose audience is not
// that of the token exchange.
func FederatedExchange(audience string) *Problem {
	return refusedAssertion(700214,
		"The federated credential for the presented token has the audience "+text.Quote(audience)+", and for tokens of this authority there is only one.",
		"Set the credential's audience to "+directory.ExchangeAudience+".")
}

// FederatedTwice refuses a token for whose subject there are two credentials.
func FederatedTwice(subject string) *Problem {
	return refusedAssertion(700263,
		"More than one federated credential of the application is for the subject "+text.Quote(subject)+" of this tenant.",
		"Keep one, with the version 2.0 issuer, and remove the others.")
}

// FederatedCloud refuses a token that another of Microsoft's clouds issued.
func FederatedCloud(issuer string) *Problem {
	return refusedAssertion(700238,
		"The presented token was issued by another cloud, "+text.Quote(issuer)+", and its tokens cannot stand in for a credential of an application of this one.",
		"Use an identity of the cloud that the application is registered in, or give the application a certificate.")
}

// FederatedTenant refuses a token of a tenant in which the application is not registered.
func FederatedTenant(issuer string) *Problem {
	return refusedAssertion(700236,
		"The presented token was issued by another tenant, "+text.Quote(issuer)+", in which the application is not registered.",
		"Register the application in the tenant of the identity too, by the same app id, or use an identity of this tenant.")
}

// FederatedGone refuses a token of an application or managed identity that may not ask for
// tokens any more.
func FederatedGone(subject string) *Problem {
	return refusedAssertion(700213,
		"The subject of the presented token, "+text.Quote(subject)+", is disabled, or is no longer the application or managed identity that the token was issued to.",
		"Enable or create it, and get a new token for it.")
}

// FederatedUser refuses a user's token in place of a credential.
func FederatedUser() *Problem {
	return refusedAssertion(700229,
		"The presented token was issued to a user; only tokens issued to applications can stand in for a credential.",
		"Present a token of an application or a managed identity.")
}

// FederatedBound refuses a token in place of a credential that only the holder of a key may use.
func FederatedBound() *Problem {
	return refusedAssertion(50027,
		"The presented token is bound to a key ('cnf'), and a client assertion cannot prove that its sender has the key.",
		"Present a bearer token: one that was asked for without token_type and req_cnf.")
}
