package authority

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The kinds of assertions by which a client proves itself.
const (
	credentialCertificate = "certificate"
	credentialFederated   = "federated"
)

// An assertionVerifier checks client assertions (RFC 7523 section 3): JWTs signed by a
// certificate's key of the client, or by an issuer that the client's registration trusts.
type assertionVerifier struct {
	now      func() time.Time
	tolerant *replays // uses for applications that only want replays noted
	strict   *replays // uses for applications that want them refused
	own      ownIssuers
	foreign  *foreignIssuers

	workloads workloads
}

// newAssertionVerifier returns a verifier for an authority at the base URL.
func newAssertionVerifier(cfg Config, base string) *assertionVerifier {
	v := &assertionVerifier{
		now:      cfg.Now,
		tolerant: newReplays(maxTolerant, maxTolerant),
		strict:   newReplays(maxStrict, maxStrictByApp),
		own:      ownIssuers{cfg.Directory, cfg.Keys, base, cfg.V1Issuer},
		foreign:  newForeignIssuers(nil, cfg.Now),
	}
	if cfg.Fetch != nil {
		v.foreign.documents = cfg.Fetch
	}
	return v
}

// An assertionInput is a client assertion and what it is judged by.
type assertionInput struct {
	Assertion string
	ClientID  string            // as sent; empty when the assertion alone names the client
	Tenant    *directory.Tenant // that was asked
	TokenURLs []string          // what a certificate assertion may name as its audience
	// Lookup finds the client in the tenant, if it may ask for tokens at all.
	Lookup func(context.Context, directory.AppID) (*directory.Instance, error)
}

// A proof says which client asks and how it proved that.
type proof struct {
	client       *directory.Instance
	credential   string // its kind
	credentialID string
	jti          string // of a certificate assertion
	replayed     bool   // the assertion, or its jti, was presented before
}

// assertionLimits leave room for a certificate chain in the header: ADAL for Go always
// sends one.
var assertionLimits = token.Limits{Header: 12 << 10}

// verify reads an assertion once and judges it as the kind that its issuer makes it: an
// application that speaks for itself, or someone who speaks for an application.
func (v *assertionVerifier) verify(ctx context.Context, in assertionInput) (proof, error) {
	parsed, err := token.Parse(in.Assertion, assertionLimits)
	if err != nil {
		return proof{}, aadsts.AssertionUnreadable(detailOf(err)).Because(err)
	}
	if p := checkHeader(parsed.Header); p != nil {
		return proof{}, p
	}
	a, p := readAssertionClaims(parsed.Claims)
	if p != nil {
		return proof{}, p
	}
	if guid.Is(a.issuer) {
		return v.verifyCertificate(ctx, in, parsed, a)
	}
	if in.ClientID == "" {
		return proof{}, aadsts.Missing("client_id")
	}
	return v.verifyFederated(ctx, in, parsed, a)
}

// detailOf is the rule of the token format that was broken.
func detailOf(err error) string {
	if e, ok := errors.AsType[*token.Error](err); ok {
		return e.Detail
	}
	return "it does not follow RFC 7515"
}

// forbiddenHeaders offer a key, or change what the rest means. Where the key comes from
// is the registration's business alone.
var forbiddenHeaders = []string{"jwk", "jku", "x5u", "crit", "b64", "zip", "enc"}

func checkHeader(header token.Object) error {
	for _, name := range forbiddenHeaders {
		if _, present := header.Get(name); present {
			return aadsts.AssertionUnreadable("its header holds '" + name + "', which no assertion may")
		}
	}
	if typ, present := header.Get("typ"); present {
		if _, ok := typ.String(); !ok {
			return aadsts.AssertionUnreadable("its header's 'typ' is not a string")
		}
	}
	return nil
}

// algorithm gives the header's alg if it is one of those allowed.
func algorithm(header token.Object, allowed ...string) (string, error) {
	value, _ := header.Get("alg")
	alg, _ := value.String()
	if !slices.Contains(allowed, alg) {
		return "", aadsts.AssertionUnreadable("its 'alg' is " + text.Quote(alg) + ", want " + strings.Join(allowed, " or "))
	}
	return alg, nil
}
