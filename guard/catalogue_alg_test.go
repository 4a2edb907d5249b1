package guard_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	payload := text(t, a.claims())
	good := a.token(t)
	signature, err := base64.RawURLEncoding.DecodeString(good[strings.LastIndexByte(good, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	cases := []bearerCase{
		{"the base token", good, allowed},
		{"A01 none without signature", compact(`{"alg":"none","typ":"JWT"}`, payload, nil), badToken(guard.TokenMalformed)},
		{"A01 none with any signature", compact(`{"alg":"none","typ":"JWT"}`, payload, []byte("x")), badToken(guard.AlgNotAllowed)},
		{"A03 none with the old signature", compact(`{"alg":"none","kid":"trusted"}`, payload, signature), badToken(guard.AlgNotAllowed)},
		{"A09 PS256 by a stranger", pss(t, strangerKey(), "trusted", payload), badToken(guard.AlgNotAllowed)},
		{"A10 RS512 by the true key", rs(t, trustedKey(), crypto.SHA512, "RS512", payload), badToken(guard.AlgNotAllowed)},
	}
	for _, alg := range []string{
		`"None"`, `"NONE"`, `"nOnE"`, `"none "`, `" RS256"`, `"rs256"`, // A02
		`null`, `""`, `256`, `["RS256"]`, `{"alg":"RS256"}`, `true`, // A04
		`"HS384"`, `"HS512"`, `"ES256K"`, `"RS1"`, `"RSA-OAEP"`, `"dir"`, `"A128KW"`, `"RS384"`, `"PS256"`, `"ES256"`, `"EdDSA"`, // A08
	} {
		cases = append(cases, bearerCase{"A02 A04 A08 alg " + alg,
			signHeader(t, trustedKey(), `{"typ":"JWT","kid":"trusted","alg":`+alg+`}`, payload), badToken(guard.AlgNotAllowed)})
	}
	cases = append(cases, bearerCase{"A04 no alg",
		signHeader(t, trustedKey(), `{"typ":"JWT","kid":"trusted"}`, payload), badToken(guard.AlgNotAllowed)})
	for name, key := range publicKeyTexts(t) {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			cases = append(cases, bearerCase{"A05 A06 A07 " + alg + " keyed with " + name,
				mac(alg, key, `{"typ":"JWT","kid":"trusted","alg":"`+alg+`"}`, payload), badToken(guard.AlgNotAllowed)})
			cases = append(cases, bearerCase{"A05 A06 A07 RS256 that is " + alg + " keyed with " + name,
				mac(alg, key, `{"typ":"JWT","kid":"trusted","alg":"RS256"}`, payload), badToken(guard.SignatureInvalid)})
		}
	}
	run(t, g, cases)
}

// publicKeyTexts returns what a confused server may take for an HMAC key.
func publicKeyTexts(t *testing.T) map[string][]byte {
	t.Helper()
	public := &trustedKey().PublicKey
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(token.Key{ID: "trusted", Use: "sig", Public: public}.JWK())
	if err != nil {
		t.Fatal(err)
	}
	armored := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	return map[string][]byte{
		"PEM":                         armored,
		"PEM without a final newline": bytes.TrimRight(armored, "\n"),
		"PEM after a space":           append([]byte(" "), armored...),
		"SPKI":                        spki,
		"PKCS#1":                      x509.MarshalPKCS1PublicKey(public),
		"the modulus":                 public.N.Bytes(),
		"the JWK":                     jwk,
		"base64 text":                 []byte(base64.StdEncoding.EncodeToString(spki)),
		"OpenSSH text":                []byte("ssh-rsa " + base64.StdEncoding.EncodeToString(public.N.Bytes())),
		"nothing":                     {},
		"its kid":                     []byte("trusted"),
		"a word":                      []byte("secret"),
	}
}

func pss(t *testing.T, key *rsa.PrivateKey, kid, payload string) string {
	t.Helper()
	raw, err := token.Sign("PS256", kid, nil, []byte(payload), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// rs signs with RSASSA-PKCS1-v1_5 and any hash.
func rs(t *testing.T, key *rsa.PrivateKey, hash crypto.Hash, alg, payload string) string {
	t.Helper()
	signed := b64([]byte(`{"typ":"JWT","kid":"trusted","alg":"`+alg+`"}`)) + "." + b64([]byte(payload))
	h := hash.New()
	h.Write([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

func TestOtherAlgorithmsAreChosenByConfigurationAlone(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.Algorithms = []string{"RS256", "RS384", "PS256"}
	payload := text(t, a.claims())
	run(t, newGuard(t, cfg), []bearerCase{
		{"PS256 by the true key", pss(t, trustedKey(), "trusted", payload), allowed},
		{"RS384 by the true key", rs(t, trustedKey(), crypto.SHA384, "RS384", payload), allowed},
		{"A09 PS256 by a stranger", pss(t, strangerKey(), "trusted", payload), badToken(guard.SignatureInvalid)},
		{"A09 RS256 said, PS256 done", strings.Replace(pss(t, trustedKey(), "trusted", payload), b64([]byte(`{"alg":"PS256"`))[:18],
			b64([]byte(`{"alg":"RS256"`))[:18], 1), badToken(guard.SignatureInvalid)},
	})
	jwk := token.Key{ID: "trusted", Use: "sig", Public: trustedKey().Public()}.JWK()
	a.publishText(`{"keys":[{"alg":"RS256",` + text(t, jwk)[1:] + `]}`)
	run(t, newGuard(t, cfg), []bearerCase{
		{"RS256 for an RS256 key", a.token(t), allowed},
		{"A11 RS384 for an RS256 key", rs(t, trustedKey(), crypto.SHA384, "RS384", payload), badToken(guard.KeyMismatch)},
	})
}

func TestHeaderBringsNoKeyAlong(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	g := newGuard(t, cfg)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := a.fetches.Load()
	jwk := token.Key{ID: "evil", Use: "sig", Public: strangerKey().Public()}.JWK()
	var cases []bearerCase
	for name, value := range map[string]any{
		"A12 jwk":                       jwk,
		"A13 jku":                       "https://evil.test/keys",
		"A13 jku of the trusted host":   a.url + "@evil.test/keys",
		"A13 jku by way of a redirect":  a.url + "/redirect?to=https://evil.test/keys",
		"A14 x5u":                       "https://evil.test/cert.pem",
		"A14 x5c":                       []string{base64.StdEncoding.EncodeToString([]byte("certificate"))},
		"B09 b64 without crit":          false,
		"B11 zip":                       "DEF",
		"B14 cty of a nested token":     "JWT",
		"enc on a token that is signed": "A256GCM",
	} {
		parameter := strings.Fields(name)[1]
		if name[0] == 'e' {
			parameter = "enc"
		}
		header := map[string]any{parameter: value}
		cases = append(cases,
			bearerCase{name + ", signed by the stranger", signWith(t, strangerKey(), "trusted", header, a.claims()), badToken(guard.HeaderForbidden)},
			bearerCase{name + ", signed by the true key", signWith(t, trustedKey(), "trusted", header, a.claims()), badToken(guard.HeaderForbidden)})
	}
	cases = append(cases, bearerCase{"A14 x5t of the stranger",
		signWith(t, strangerKey(), "trusted", map[string]any{"x5t": token.Thumbprint([]byte("evil"))}, a.claims()), badToken(guard.SignatureInvalid)})
	run(t, g, cases)
	if after := a.fetches.Load(); after != before {
		t.Errorf("the tokens caused %d fetches", after-before)
	}
}

func TestKeyIDs(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	enc := token.Key{ID: "encryption", Use: "enc", Public: spareKey().Public()}
	a.publish(token.Key{ID: "trusted", Use: "sig", Public: trustedKey().Public()}, enc)
	var cases []bearerCase
	sign := func(kid any) string {
		return signWith(t, trustedKey(), "", map[string]any{"kid": kid}, a.claims())
	}
	for _, kid := range []any{
		"../../../../dev/null", "' UNION SELECT 'x", "k\r\nX-Evil: 1", "k\x00", strings.Repeat("k", 257), "", "ключ", // A15 A16
		map[string]any{}, 7, []string{"trusted"}, nil, true,
	} {
		cases = append(cases, bearerCase{fmt.Sprintf("A15 A16 kid %.20q", text(t, kid)), sign(kid), badToken(guard.KidInvalid)})
	}
	cases = append(cases,
		bearerCase{"A15 an absolute path", sign("/proc/self/environ"), badToken(guard.KeyUnknown)},
		bearerCase{"A16 a kid beyond the header's size", sign(strings.Repeat("k", 10<<10)), badToken(guard.HeaderInvalid)},
		bearerCase{"A17 no kid", signHeader(t, trustedKey(), `{"typ":"JWT","alg":"RS256"}`, text(t, a.claims())), badToken(guard.KeyUnknown)},
		bearerCase{"A18 the kid of an encryption key", signWith(t, spareKey(), "encryption", nil, a.claims()), badToken(guard.KeyMismatch)},
		bearerCase{"a kid that differs in case", sign("Trusted"), badToken(guard.KeyUnknown)},
	)
	run(t, newGuard(t, a.config()), cases)
}

func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(kid string, n *big.Int, e int64) string {
		return text(t, map[string]string{"kty": "RSA", "use": "sig", "kid": kid, "n": b64(n.Bytes()), "e": b64(big.NewInt(e).Bytes())})
	}
	n := trustedKey().N
	a.publishText(`{"keys":[` + strings.Join([]string{
		entry("trusted", n, 65537), entry("small", small.N, 65537), entry("one", n, 1), entry("even", new(big.Int).Sub(n, big.NewInt(1)), 65537),
		`{"kty":"oct","kid":"oct","k":"c2VjcmV0"}`, `{"kty":"RSA","kid":"ops","key_ops":["encrypt"],"n":"` + b64(n.Bytes()) + `","e":"AQAB"}`,
		entry("twice", n, 65537), entry("twice", strangerKey().N, 65537), entry("same", n, 65537), entry("same", n, 65537),
	}, ",") + `]}`)
	payload := text(t, a.claims())
	sign := func(key *rsa.PrivateKey, kid string) string { return signText(t, key, kid, nil, payload) }
	run(t, newGuard(t, a.config()), []bearerCase{
		{"the good key among bad ones", sign(trustedKey(), "trusted"), allowed},
		{"A27 a key of 1024 bits", sign(small, "small"), badToken(guard.KeyMismatch)},
		{"A27 exponent one", sign(trustedKey(), "one"), badToken(guard.KeyMismatch)},
		{"A27 even modulus", sign(trustedKey(), "even"), badToken(guard.KeyMismatch)},
		{"A18 a symmetric key", mac("HS256", []byte("secret"), `{"alg":"RS256","kid":"oct"}`, payload), badToken(guard.KeyMismatch)},
		{"a key for another operation", sign(trustedKey(), "ops"), badToken(guard.KeyMismatch)},
		{"two keys of one kid", sign(trustedKey(), "twice"), badToken(guard.KeyMismatch)},
		{"one key published twice", sign(trustedKey(), "same"), allowed},
	})
}

// TestKeysOfIssuersNeverMix has two trusted issuers, each with a key that the
// other one does not have and a kid that both use.
func TestKeysOfIssuersNeverMix(t *testing.T) {
	t.Parallel()
	a, b := newAuthority("https://a.test"), newAuthority("https://b.test")
	b.publish(token.Key{ID: "trusted", Use: "sig", Public: spareKey().Public()}, token.Key{ID: "only-b", Use: "sig", Public: spareKey().Public()})
	cfg := a.config()
	cfg.HTTPClient = client(a, b)
	cfg.Issuers = []guard.Issuer{{Issuer: b.v2}}
	run(t, newGuard(t, cfg), []bearerCase{
		{"a token of A", a.token(t), allowed},
		{"a token of B", signWith(t, spareKey(), "only-b", nil, b.claims()), allowed},
		{"A19 a kid of B in a token of A", signWith(t, spareKey(), "only-b", nil, a.claims()), badToken(guard.KeyUnknown)},
		{"A20 a kid of both, signed by B for A", signWith(t, spareKey(), "trusted", nil, a.claims()), badToken(guard.SignatureInvalid)},
		{"a v1 issuer of B, which is not trusted", signWith(t, spareKey(), "only-b", nil, b.claims(b.v1Claims())), badToken(guard.IssuerUnknown)},
	})
}

func TestKeyThatNamesItsIssuer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, issuer string
		want         verdict
	}{
		{"the issuer", "https://authority.test/" + tenant + "/v2.0", allowed},
		{"a template", "https://authority.test/{tenantid}/v2.0", allowed},
		{"A21 another tenant", "https://authority.test/" + otherTenant + "/v2.0", badToken(guard.KeyMismatch)},
		{"another host", "https://other.test/{tenantid}/v2.0", badToken(guard.KeyMismatch)},
	} {
		a := newAuthority("https://authority.test")
		a.publish(token.Key{ID: "trusted", Use: "sig", Issuer: tt.issuer, Public: trustedKey().Public()})
		run(t, newGuard(t, a.config()), []bearerCase{
			{tt.name + ", v2.0", a.token(t), tt.want},
			{tt.name + ", v1.0", a.token(t, a.v1Claims()), tt.want},
		})
	}
}

func TestEllipticCurves(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority("https://authority.test")
	a.publish(token.Key{ID: "p256", Public: p256.Public()}, token.Key{ID: "p384", Public: p384.Public()},
		token.Key{ID: "ed", Public: edPublic}, token.Key{ID: "identity", Public: ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...))})
	cfg := a.config()
	cfg.Algorithms = []string{"ES256", "ES384", "EdDSA"}
	signed := func(alg, kid string) string {
		return b64([]byte(`{"alg":"`+alg+`","kid":"`+kid+`"}`)) + "." + b64([]byte(text(t, a.claims())))
	}
	body := signed("ES256", "p256")
	digest := sha256.Sum256([]byte(body))
	r, s, err := ecdsa.Sign(rand.Reader, p256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	order, zero := elliptic.P256().Params().N, new(big.Int)
	der, err := ecdsa.SignASN1(rand.Reader, p256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	es256 := func(r, s *big.Int) string { return body + "." + b64(append(fill(r, 32), fill(s, 32)...)) }
	good := append(fill(r, 32), fill(s, 32)...)
	body384 := signed("ES384", "p384")
	digest384 := sha512.Sum384([]byte(body384))
	r384, s384, err := ecdsa.Sign(rand.Reader, p384, digest384[:])
	if err != nil {
		t.Fatal(err)
	}
	edBody := signed("EdDSA", "ed")
	small := append([]byte{1}, make([]byte, 63)...) // R the identity, S zero
	run(t, newGuard(t, cfg), []bearerCase{
		{"ES256", es256(r, s), allowed},
		{"ES384", body384 + "." + b64(append(fill(r384, 48), fill(s384, 48)...)), allowed},
		{"EdDSA", edBody + "." + b64(ed25519.Sign(edPrivate, []byte(edBody))), allowed},
		{"A22 zeros", es256(zero, zero), badToken(guard.SignatureInvalid)},
		{"A22 r = 0", es256(zero, s), badToken(guard.SignatureInvalid)},
		{"A22 s = 0", es256(r, zero), badToken(guard.SignatureInvalid)},
		{"A22 r = n", es256(order, s), badToken(guard.SignatureInvalid)},
		{"A22 s = n", es256(r, order), badToken(guard.SignatureInvalid)},
		{"A23 DER", body + "." + b64(der), badToken(guard.SignatureInvalid)},
		{"A23 63 bytes", body + "." + b64(good[:63]), badToken(guard.SignatureInvalid)},
		{"A23 65 bytes", body + "." + b64(append(good[:64:64], 0)), badToken(guard.SignatureInvalid)},
		{"A24 ES256 with a P-384 key", signed("ES256", "p384") + "." + b64(good), badToken(guard.KeyMismatch)},
		{"A24 ES512", signed("ES512", "p256") + "." + b64(make([]byte, 132)), badToken(guard.AlgNotAllowed)},
		{"A25 the other s", es256(r, new(big.Int).Sub(order, s)), allowed},
		{"A26 a point of small order", signed("EdDSA", "identity") + "." + b64(small), badToken(guard.KeyMismatch)},
		{"A26 Ed448", signed("Ed448", "ed") + "." + b64(make([]byte, 114)), badToken(guard.AlgNotAllowed)},
	}, p256.Public(), p384.Public(), edPublic)
}

func fill(n *big.Int, size int) []byte { return n.FillBytes(make([]byte, size)) }

// TestChangedTokens flips a bit of every byte and cuts and adds bytes.
func TestChangedTokens(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	good := a.token(t)
	if d := g.Check(t.Context(), good, ordersRule); !d.Allowed() {
		t.Fatal(d.Reason)
	}
	changed := map[string]string{
		"A29 a byte more": good + "A", "A29 a byte less": good[:len(good)-1], "A29 no signature": good[:strings.LastIndexByte(good, '.')+1],
		"B05 a part more": good + ".e30", "a space before": " " + good, "a line feed after": good + "\n", "padding": good + "==",
	}
	for i := range good {
		for _, bit := range []byte{1, 2, 4, 8, 16, 32, 64} {
			b := []byte(good)
			b[i] ^= bit
			changed[fmt.Sprintf("A28 bit %d of byte %d", bit, i)] = string(b)
		}
	}
	for name, raw := range changed {
		if d := g.Check(t.Context(), raw, ordersRule); d.Allowed() || d.Outcome != guard.Unauthenticated {
			t.Errorf("%s: %s %s", name, d.Outcome, d.Reason)
		}
	}
}

func TestKeyGoneAfterRollover(t *testing.T) { // A30
	t.Parallel()
	a := newAuthority("https://authority.test")
	a.publish(token.Key{ID: "new", Use: "sig", Public: spareKey().Public()})
	cfg := a.config()
	cfg.Now = func() time.Time { return now }
	run(t, newGuard(t, cfg), []bearerCase{
		{"A30 the old key", a.token(t), badToken(guard.KeyUnknown)},
		{"the new key", signWith(t, spareKey(), "new", nil, a.claims()), allowed},
	})
}
