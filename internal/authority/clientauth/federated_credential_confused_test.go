package clientauth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// What the client of a confusion trusts: three credentials, each with a subject and an
// audience of its own, two of the same issuer. Each of the parts is right somewhere.
var confusedCredentials = []directory.FederatedCredential{
	{ID: "exchange", Issuer: clusterIssuer, Subject: workload, Audience: exchangeAudience},
	{ID: "batch", Issuer: clusterIssuer, Subject: "batch", Audience: "api://batch"},
	{ID: "other", Issuer: otherIssuer, Subject: "orders", Audience: "api://orders"},
}

// strangeIssuer publishes keys as the others do, and testids.Nobody trusts it.
const strangeIssuer = "https://oidc.strange.test"

// A confusion is a platform's token put together of parts that are right each on its own.
type confusion struct {
	issuer, subject, audience string
	signer                    int
}

func (c confusion) String() string {
	return fmt.Sprintf("iss %s, sub %s, aud %s, key %d", c.issuer, c.subject, c.audience, c.signer)
}

// wants is the credential that the token is good for, if any.
func (c confusion) wants() string {
	for _, credential := range confusedCredentials {
		signer := map[string]int{clusterIssuer: 0, otherIssuer: 1}[credential.Issuer]
		if c == (confusion{credential.Issuer, credential.Subject, credential.Audience, signer}) {
			return credential.ID
		}
	}
	return ""
}

func confusions() (all []confusion) {
	for _, issuer := range []string{clusterIssuer, otherIssuer, strangeIssuer} {
		for _, subject := range []string{workload, "batch", "orders", testids.Client} {
			for _, audience := range []string{exchangeAudience, "api://batch", "api://orders", assertionAudience} {
				for signer := range 2 {
					all = append(all, confusion{issuer, subject, audience, signer})
				}
			}
		}
	}
	return all
}

func confusedBench(t *testing.T) (*bench, *web) {
	t.Helper()
	b, w := federatedBench(t)
	b.app.Federated = slices.Clone(confusedCredentials)
	w.publish(t, strangeIssuer, b.key("k1", 0))
	return b, w
}

// Issuer, subject, audience and key belong together: a token that has each of them from
// some credential is good for none (A10).
func TestFederatedCombinationsAreRefused(t *testing.T) {
	t.Parallel()
	refused, accepted := 0, 0
	for _, c := range confusions() {
		for _, form := range []string{"text", "array", "array with another"} {
			t.Run(c.String()+", audience as "+form, func(t *testing.T) {
				b, _ := confusedBench(t)
				audience := map[string]any{"text": c.audience, "array": []string{c.audience}, "array with another": []string{"https://sts.other.test", c.audience}}[form]
				raw := b.sign(b.federatedHeader(), b.federatedClaims().with(object{"iss": c.issuer, "sub": c.subject, "aud": audience}), b.keys[c.signer])
				proven, p := b.verify(raw, testids.Client)
				if c.wants() == "" {
					refused++
					switch {
					case p == nil:
						t.Errorf("accepted, as %s", proven.CredentialID)
					case p.Status < 400 || p.Status >= 500:
						t.Errorf("refused with %d, %v", p.Status, p)
					}
					return
				}
				accepted++
				if p != nil || proven.CredentialID != c.wants() {
					t.Errorf("refused: %v; got %q, want %s", p, proven.CredentialID, c.wants())
				}
			})
		}
	}
	if refused < 200 || accepted != 9 {
		t.Errorf("%d were refused and %d accepted, want at least 200 and 9", refused, accepted)
	}
}

// What ends on either side ends the trust, in either key's name, although the token itself
// is good and the issuer's keys are in memory (A10).
func TestFederatedTrustEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		act  func(*testing.T, *bench, *web)
		code int
	}{
		"credential removed":            {func(_ *testing.T, b *bench, _ *web) { b.app.Federated = b.app.Federated[1:] }, 700212},
		"all credentials removed":       {func(_ *testing.T, b *bench, _ *web) { b.app.Federated = nil }, 700211},
		"another subject":               {func(_ *testing.T, b *bench, _ *web) { b.app.Federated[0].Subject += "-2" }, 700213},
		"another audience":              {func(_ *testing.T, b *bench, _ *web) { b.app.Federated[0].Audience = "api://x" }, 700212},
		"another issuer":                {func(_ *testing.T, b *bench, _ *web) { b.app.Federated[0].Issuer += "/x" }, 700212},
		"moved to another application":  {func(_ *testing.T, b *bench, _ *web) { b.app.Federated, b.other.Federated = nil, b.app.Federated }, 700211},
		"application removed":           {func(_ *testing.T, b *bench, _ *web) { b.app.AppID = testids.API }, 700016},
		"certificate in its place":      {func(_ *testing.T, b *bench, _ *web) { b.app.Federated, b.app.Certificates = nil, b.other.Certificates }, 700211},
		"token ended":                   {func(_ *testing.T, b *bench, _ *web) { b.clock.Advance(3600e9 + assertionSkew) }, 700024},
		"token not begun, by our clock": {func(_ *testing.T, b *bench, _ *web) { b.clock.Advance(-assertionSkew - 1e9) }, 700024},
	} {
		t.Run(name, func(t *testing.T) {
			b, w := confusedBench(t)
			raw := b.federated()
			if _, p := b.verify(raw, testids.Client); p != nil {
				t.Fatalf("before: %v", p)
			}
			end.act(t, b, w)
			b.wantRefused(t, raw, testids.Client, end.code)
		})
	}
}

// Keys go by the issuer and by their id: no other key of either issuer will do, whatever
// the header calls it.
func TestFederatedKeyIDs(t *testing.T) {
	t.Parallel()
	ids := map[string]any{
		"its own": "k1", "the other's": "k2", "in capitals": "K1", "empty": "", "left out": nil, "a number": 1, "null": jsonNull{}, "an array": []string{"k1"},
		"with a blank": "k1 ", "with a NUL": "k1\x00", "a path": "../k1", "a query": "k1?x", "a list": "k1,k2", "a wildcard": "*", "for SQL": "k1' OR '1'='1",
		"the other issuer's address": keysURL(otherIssuer) + "#k1", "its own address": keysURL(clusterIssuer) + "#k1", "long": strings.Repeat("k1", 2000),
	}
	accepted := map[string]bool{"its own": true, "left out": true, "empty": true}
	refused := 0
	for name, id := range ids {
		for signer, whose := range []string{"its own", "the other's"} {
			t.Run("key id "+name+", signed with "+whose, func(t *testing.T) {
				b, w := confusedBench(t)
				w.publish(t, otherIssuer, b.key("k2", 1)) // under a name of its own
				raw := b.sign(b.federatedHeader().with(object{"kid": id}), b.federatedClaims(), b.keys[signer])
				_, p := b.verify(raw, testids.Client)
				if ok := accepted[name] && signer == 0; ok != (p == nil) {
					t.Errorf("got %v, want accepted: %v", p, ok)
				} else if !ok {
					refused++
				}
			})
		}
	}
	if want := 2*len(ids) - len(accepted); refused != want {
		t.Errorf("%d were refused, want %d", refused, want)
	}
}
