package clientauth

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// verifyCertificate checks an assertion that an application signed for itself. The order
// of the checks is the order in which their problems are reported.
func (v *assertionVerifier) verifyCertificate(ctx context.Context, in assertionInput, parsed *token.Token, a assertionClaims) (Proof, error) {
	alg, p := algorithm(parsed.Header, "PS256", "RS256")
	if p != nil {
		return Proof{}, p
	}
	switch {
	case !strings.EqualFold(a.subject, a.issuer):
		return Proof{}, aadsts.AssertionSubject(a.subject, a.issuer)
	case in.ClientID != "" && !strings.EqualFold(a.issuer, in.ClientID):
		return Proof{}, aadsts.AssertionIssuer(a.issuer, in.ClientID)
	case a.jti == "":
		return Proof{}, aadsts.AssertionUnreadable("it has no claim 'jti'")
	}
	prints, p := readThumbprints(parsed.Header)
	if p != nil {
		return Proof{}, p
	}
	client, p := in.Lookup(ctx, directory.AppID(strings.ToLower(a.issuer)))
	if p != nil {
		return Proof{}, p
	}
	if client.Application == nil { // a managed identity has no certificate of its own
		return Proof{}, aadsts.AssertionKeyUnknown(prints.String(), string(client.Principal.AppID))
	}
	now := v.now()
	certificate, p := verifySignature(parsed, alg, client.Application, prints, now)
	if p != nil {
		return Proof{}, p
	}
	if len(a.audience) != 1 || !slices.Contains(in.Audiences, a.audience[0]) {
		return Proof{}, aadsts.AssertionAudience(strings.Join(a.audience, " "), in.Audiences)
	}
	if p := a.checkTimes(now, true); p != nil {
		return Proof{}, p
	}
	proven := Proof{Client: client, Credential: ByCertificate, CredentialID: certificate.ID, jti: a.jti}
	proven.replayed, p = v.checkReplay(ctx, in, client.Application, a, now)
	return proven, p
}

// checkReplay reports whether the assertion was presented before. Client libraries use
// one assertion for its whole life, so that is a refusal only where the application asks
// for it.
func (v *assertionVerifier) checkReplay(ctx context.Context, in assertionInput, app *directory.Application, a assertionClaims, now time.Time) (replayed bool, p error) {
	use := coordination.NewUse(in.Tenant.ID, app.AppID, a.jti, in.Assertion, a.expires.Add(assertionSkew))
	if !app.StrictAssertions {
		return v.tolerant.NoteAnyway(ctx, use, now), nil
	}
	switch v.strict.Note(ctx, use, now) {
	case coordination.Again:
		return true, aadsts.AssertionReplayed(a.jti)
	case coordination.Full:
		return false, errReplaysFull
	case coordination.Retried:
		return true, nil
	default:
		return false, nil
	}
}

var errReplaysFull = errors.New("the memory of used client assertions is full, or the store that keeps them does not answer")

// thumbprints name a certificate: base64url without padding; empty where not sent.
type thumbprints struct {
	sha1, sha256 string
	kid          string // sent in place of both, and no thumbprint
}

// String gives the thumbprints for a message, in capital hexadecimal digits as certificate
// stores, openssl and Microsoft's portal show them.
func (t thumbprints) String() string {
	switch {
	case t.kid != "":
		return t.kid
	case t.sha256 == "":
		return hexadecimal(t.sha1)
	case t.sha1 == "":
		return "SHA-256 " + hexadecimal(t.sha256)
	}
	return hexadecimal(t.sha1) + ", SHA-256 " + hexadecimal(t.sha256)
}

// of completes the thumbprints of a certificate that they name: people know it by its SHA-1.
func (t thumbprints) of(c *directory.Certificate) thumbprints {
	t.sha1 = c.SHA1
	return t
}

func hexadecimal(thumbprint string) string {
	raw, err := base64.RawURLEncoding.DecodeString(thumbprint)
	if err != nil {
		return thumbprint
	}
	return strings.ToUpper(hex.EncodeToString(raw))
}

func readThumbprints(header token.Object) (thumbprints, error) {
	var t thumbprints
	for _, field := range []struct {
		name string
		size int
		to   *string
	}{{"x5t", 20, &t.sha1}, {"x5t#S256", 32, &t.sha256}} {
		value, present := header.Get(field.name)
		if !present {
			continue
		}
		text, _ := value.String()
		normal, ok := normalThumbprint(text, field.size)
		if !ok {
			return thumbprints{}, aadsts.AssertionUnreadable("its header's '" + field.name + "' is not a thumbprint in base64url")
		}
		*field.to = normal
	}
	if t == (thumbprints{}) {
		return thumbprintInKeyID(header)
	}
	return t, nil
}

// thumbprintInKeyID reads a header without x5t: its kid is the SHA-1 thumbprint (HashiCorp's
// SDK, openid-client). Beside x5t a kid means nothing, whatever it holds.
func thumbprintInKeyID(header token.Object) (thumbprints, error) {
	value, _ := header.Get("kid")
	kid, _ := value.String()
	if kid == "" {
		return thumbprints{}, aadsts.AssertionUnreadable("its header names no certificate by 'x5t', 'x5t#S256' or 'kid'")
	}
	if normal, ok := normalThumbprint(kid, 20); ok {
		return thumbprints{sha1: normal}, nil
	}
	return thumbprints{kid: kid}, nil
}

// normalThumbprint rewrites a thumbprint of that many bytes as base64url without padding.
// MSAL for Go and Java send standard base64, ADAL and MSAL for Python base64url with padding.
func normalThumbprint(text string, size int) (string, bool) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	if bare := strings.TrimRight(text, "="); len(text) == len(bare) || len(text)%4 == 0 {
		text = bare
	}
	if len(text) != base64.RawURLEncoding.EncodedLen(size) || strings.ContainsAny(text, "\r\n") {
		return "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return text, err == nil && len(raw) == size
}

// names reports whether every thumbprint that was sent is the certificate's, and that one is
// there to verify what the client signs.
func (t thumbprints) names(c *directory.Certificate) bool {
	return c.Usage != directory.CertificateSign && t.kid == "" && (t.sha1 == "" || t.sha1 == c.SHA1) && (t.sha256 == "" || t.sha256 == c.SHA256)
}

// verifySignature finds the application's certificate that the thumbprints name and
// verifies the signature with its key.
func verifySignature(parsed *token.Token, alg string, app *directory.Application, prints thumbprints, now time.Time) (*directory.Certificate, error) {
	index := slices.IndexFunc(app.Certificates, func(c directory.Certificate) bool { return prints.names(&c) })
	if index < 0 {
		return nil, aadsts.AssertionKeyUnknown(prints.String(), string(app.AppID))
	}
	certificate := &app.Certificates[index]
	prints = prints.of(certificate)
	parsedCert, err := x509.ParseCertificate(certificate.DER)
	if err != nil {
		return nil, aadsts.AssertionSignature(prints.String()).Because(err)
	}
	key, ok := parsedCert.PublicKey.(*rsa.PublicKey)
	if !ok || key.E < 3 || key.E%2 == 0 {
		return nil, aadsts.AssertionKeyUnfit(prints.String())
	}
	if err := parsed.Verify(alg, key); err != nil {
		return nil, aadsts.AssertionSignature(prints.String()).Because(err)
	}
	return certificate, checkPeriod(certificate, parsedCert, prints, now)
}

// checkPeriod requires that a certificate of an application is valid now.
func checkPeriod(certificate *directory.Certificate, parsed *x509.Certificate, prints thumbprints, now time.Time) error {
	from, until := parsed.NotBefore, parsed.NotAfter
	if !certificate.ValidUntil.IsZero() && certificate.ValidUntil.Before(until) {
		until = certificate.ValidUntil
	}
	if certificate.ValidFrom.After(from) {
		from = certificate.ValidFrom
	}
	if now.After(until) || now.Add(assertionSkew).Before(from) {
		return aadsts.AssertionCertificateTime(prints.String(), from, until)
	}
	return nil
}
