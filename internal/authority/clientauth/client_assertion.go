package clientauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// An assertionVerifier checks client assertions (RFC 7523 section 3): JWTs signed by a
// certificate's key of the client, or by an issuer that the client's registration trusts.
type assertionVerifier struct {
	now       func() time.Time
	strict    coordination.Replays // uses for applications that want replays refused
	tolerant  coordination.Replays // uses for applications that only want them noted
	workloads coordination.Workloads
	own       OwnKeys
	foreign   *foreignIssuers
}

func newAssertionVerifier(cfg Config) *assertionVerifier {
	v := &assertionVerifier{
		now:    cfg.Now,
		strict: cfg.State.Strict, tolerant: cfg.State.Tolerant, workloads: cfg.State.Workloads,
		own:     OwnKeys{cfg.Directory, cfg.Keys},
		foreign: newForeignIssuers(nil, cfg.Now),
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
	Origin    origin.Origin     // that was asked
	Audiences []string          // what a certificate assertion may name as its audience
	// Lookup finds the client in the tenant, if it may ask for tokens at all.
	Lookup func(context.Context, directory.AppID) (*directory.Instance, error)
}

// assertionLimits leave room for a certificate chain in the header: ADAL for Go always
// sends one. The asynchronous client of azure-identity for Python pads all three parts.
var assertionLimits = token.Limits{Header: 12 << 10, Padding: true}

// verify reads an assertion once and judges it as the kind that its issuer makes it: an
// application that speaks for itself, or someone who speaks for an application.
func (v *assertionVerifier) verify(ctx context.Context, in assertionInput) (Proof, error) {
	parsed, err := token.Parse(in.Assertion, assertionLimits)
	if err != nil {
		return Proof{}, aadsts.AssertionUnreadable(detailOf(err)).Because(err)
	}
	if p := checkHeader(parsed.Header); p != nil {
		return Proof{}, p
	}
	a, p := readAssertionClaims(parsed.Claims)
	if p != nil {
		return Proof{}, p
	}
	if guid.Is(a.issuer) {
		return v.verifyCertificate(ctx, in, parsed, a)
	}
	if in.ClientID == "" {
		return Proof{}, aadsts.Missing("client_id")
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
