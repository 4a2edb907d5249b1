package clientauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A bench is an assertion verifier with a client that has two certificates, and another
// application that has a third. Nothing else of the authority takes part.
type bench struct {
	t      testing.TB
	v      *assertionVerifier
	clock  *fixture.Clock
	tenant *directory.Tenant
	app    *directory.Application
	other  *directory.Application
	keys   []*rsa.PrivateKey
	urls   []string
	origin origin.Origin
}

// assertionAudience is the token endpoint that the bench's assertions are for.
const assertionAudience = testids.BaseURL + "/" + testids.Tenant + "/oauth2/v2.0/token"

func newBench(t testing.TB) *bench {
	t.Helper()
	next, keys := fixture.NewKeys(), make([]*rsa.PrivateKey, 2)
	for i := range keys {
		key, err := next()
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	b := &bench{
		t: t, clock: fixture.NewClock(testids.Start()), keys: keys,
		tenant: &directory.Tenant{ID: testids.Tenant, Name: "contoso", Enabled: true},
		urls:   []string{assertionAudience, assertionAudience + "?api-version=1.0", testids.BaseURL + "/" + testids.Tenant + "/v2.0"},
	}
	var err error
	if b.origin, err = origin.New(testids.BaseURL, ""); err != nil {
		t.Fatal(err)
	}
	state, err := coordination.InMemory(coordination.ThrottleConfig{}, b.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	b.v = newAssertionVerifier(Config{Now: b.clock.Now, State: state})
	b.app = &directory.Application{AppID: testids.Client, Certificates: []directory.Certificate{
		b.certificate("current", keys[0], time.Hour), b.certificate("expired", keys[0], -time.Minute),
	}}
	b.other = &directory.Application{AppID: testids.Nobody, Certificates: []directory.Certificate{b.certificate("foreign", keys[1], time.Hour)}}
	return b
}

// certificate makes a self-signed certificate that ends after a while.
func (b *bench) certificate(name string, key *rsa.PrivateKey, lasts time.Duration) directory.Certificate {
	b.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: b.clock.Now().Add(-24 * time.Hour), NotAfter: b.clock.Now().Add(lasts),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	one, two := sha1.Sum(der), sha256.Sum256(der)
	return directory.Certificate{
		ID: name, DER: der,
		SHA1: base64.RawURLEncoding.EncodeToString(one[:]), SHA256: base64.RawURLEncoding.EncodeToString(two[:]),
		ValidFrom: template.NotBefore, ValidUntil: template.NotAfter,
	}
}

// lookup knows the bench's client and the other application.
func (b *bench) lookup(_ context.Context, id directory.AppID) (*directory.Instance, error) {
	for _, app := range []*directory.Application{b.app, b.other} {
		if app.AppID == id {
			return &directory.Instance{Application: app, Principal: &directory.ServicePrincipal{AppID: id, Enabled: true}}, nil
		}
	}
	return nil, aadsts.ClientUnknown(string(id), "contoso")
}

// verify judges an assertion that came with the client id.
func (b *bench) verify(raw, clientID string) (Proof, *aadsts.Problem) {
	proven, err := b.v.verify(context.Background(), assertionInput{
		Assertion: raw, ClientID: clientID, Tenant: b.tenant, Origin: b.origin, Audiences: b.urls, Lookup: b.lookup,
	})
	if err != nil {
		return proven, aadsts.Of(err)
	}
	return proven, nil
}

// object is a JSON object of a test. Setting a member to nil removes it.
type object map[string]any

func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
		} else {
			o[name] = value
		}
	}
	return o
}

// header is that of MSAL for Go.
func (b *bench) header() object {
	sum, err := base64.RawURLEncoding.DecodeString(b.app.Certificates[0].SHA256)
	if err != nil {
		b.t.Fatal(err)
	}
	return object{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.StdEncoding.EncodeToString(sum)}
}

// claims are those of MSAL for Go.
func (b *bench) claims() object {
	now := b.clock.Now()
	return object{
		"aud": assertionAudience, "iss": testids.Client, "sub": testids.Client, "jti": guid.New(),
		"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// good is a fresh assertion that must be accepted.
func (b *bench) good() string { return b.sign(b.header(), b.claims(), b.keys[0]) }

// sign makes a compact JWS as the header's alg says, whatever else the header says. Header
// and claims are objects, or JSON text to be taken as it is.
func (b *bench) sign(header, claims any, key crypto.PrivateKey) string {
	b.t.Helper()
	signed := segment(b.t, header) + "." + segment(b.t, claims)
	alg := "RS256"
	if o, ok := header.(object); ok {
		alg, _ = o["alg"].(string)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature(b.t, alg, signed, key))
}

func segment(t testing.TB, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func signature(t testing.TB, alg, signed string, key crypto.PrivateKey) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(signed))
	var out []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if alg == "PS256" {
			out, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			out, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		out, err = ecdsa.SignASN1(rand.Reader, key, sum[:])
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		out = mac.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantRefused checks that an assertion is refused with one of the codes.
func (b *bench) wantRefused(t *testing.T, raw, clientID string, codes ...int) {
	t.Helper()
	proven, p := b.verify(raw, clientID)
	switch {
	case p == nil:
		t.Errorf("accepted, as %s %s", proven.Credential, proven.CredentialID)
	case !slices.Contains(codes, p.Code):
		t.Errorf("refused with %d (%v), want %v", p.Code, p, codes)
	}
}

// selfSigned returns the certificate of an elliptic-curve key.
func selfSigned(t testing.TB, key *ecdsa.PrivateKey, now time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// codeOf is a problem's number, 0 for none.
func codeOf(p *aadsts.Problem) int {
	if p == nil {
		return 0
	}
	return p.Code
}
