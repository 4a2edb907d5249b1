package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// reason returns the reason of err, or the error's text where it has none.
func reason(err error) string {
	var refusal *token.Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseRefusesEveryOtherReading(t *testing.T) {
	t.Parallel()
	header, payload, signature := b64(`{"alg":"RS256","kid":"k"}`), b64(`{"iss":"i"}`), b64("signature")
	with := func(header, payload string) string { return b64(header) + "." + b64(payload) + "." + signature }
	for _, tt := range []struct{ name, raw, want string }{
		{"a well-formed token", header + "." + payload + "." + signature, ""},
		{"nothing", "", token.ReasonMalformed},
		{"one part", header, token.ReasonMalformed},
		{"two parts", header + "." + payload, token.ReasonMalformed},
		{"four parts", header + "." + payload + "." + signature + ".", token.ReasonMalformed},
		{"five parts, which is encryption", "a.b.c.d.e", token.ReasonEncrypted},
		{"only dots", "..", token.ReasonMalformed},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), token.ReasonTooLarge},
		{"no signature", header + "." + payload + ".", token.ReasonMalformed},
		{"no payload", header + ".." + signature, token.ReasonMalformed},
		{"padding", header + "=." + payload + "." + signature, token.ReasonMalformed},
		{"a line feed in the signature", header + "." + payload + ".c2ln\nbmF0dXJl", token.ReasonMalformed},
		{"a carriage return in the payload", header + ".\r" + payload + "." + signature, token.ReasonMalformed},
		{"a space", header + "." + payload + ". " + signature, token.ReasonMalformed},
		{"the standard alphabet", header + "." + payload + ".ab+/", token.ReasonMalformed},
		{"non-zero trailing bits", header + "." + payload + ".c2lnbmF0dXJlvR", token.ReasonMalformed},
		{"a header that is no object", with(`[]`, `{}`), token.ReasonHeader},
		{"a header that is nested too deep", with(`{"a":[[[[1]]]]}`, `{}`), token.ReasonHeader},
		{"a header beyond its size", with(`{"a":"`+strings.Repeat("x", 4<<10)+`"}`, `{}`), token.ReasonHeader},
		{"alg twice", with(`{"alg":"none","alg":"RS256"}`, `{}`), token.ReasonHeader},
		{"alg twice, once escaped", with(`{"alg":"none","\u0061lg":"RS256"}`, `{}`), token.ReasonHeader},
		{"ALG for alg", with(`{"ALG":"RS256"}`, `{}`), token.ReasonHeader},
		{"kid with a Kelvin sign", with(`{"alg":"RS256","\u212aid":"k"}`, `{}`), token.ReasonHeader},
		{"a payload that is no object", with(`{}`, `"x"`), token.ReasonClaims},
		{"iss with a long s", with(`{}`, `{"i\u017fs":"x"}`), token.ReasonClaims},
		{"ROLES", with(`{}`, `{"ROLES":[]}`), token.ReasonClaims},
		{"a claim twice", with(`{}`, `{"roles":[],"roles":["a"]}`), token.ReasonClaims},
		{"a name twice further in", with(`{}`, `{"a":{"b":1,"b":2}}`), token.ReasonClaims},
		{"text after the payload", with(`{}`, `{}{}`), token.ReasonClaims},
		{"a byte order mark", with(`{}`, "\ufeff{}"), token.ReasonClaims},
		{"invalid UTF-8", with(`{}`, "{\"a\":\"\xff\"}"), token.ReasonClaims},
		{"a lone surrogate", with(`{}`, `{"a":"\ud800"}`), token.ReasonClaims},
		{"a comment", with(`{}`, `{/**/}`), token.ReasonClaims},
		{"NaN", with(`{}`, `{"a":NaN}`), token.ReasonClaims},
		{"nesting of ten thousand", with(`{}`, `{"a":`+strings.Repeat("[", 10000)), token.ReasonClaims},
		{"257 members", with(`{}`, `{`+manyMembers(257)+`}`), token.ReasonClaims},
		{"256 members", with(`{}`, `{`+manyMembers(256)+`}`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := token.Parse(tt.raw, token.Limits{})
			if got := reason(err); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}

func manyMembers(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return strings.Join(names, ",")
}

func TestSignedTokensVerify(t *testing.T) {
	t.Parallel()
	key := newRSA(t)
	for _, alg := range []string{"RS256", "PS256"} {
		raw, err := token.Sign(alg, "k1", map[string]any{"extra": "e"}, []byte(`{"sub":"s"}`), key)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := token.Parse(raw, token.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := tok.Verify(alg, key.Public()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if got := reason(tok.Verify("RS384", key.Public())); got != token.ReasonAlgorithm {
			t.Errorf("%s verified as RS384: %q", alg, got)
		}
		if got := reason(tok.Verify(alg, newRSA(t).Public())); got != token.ReasonSignature {
			t.Errorf("%s with another key: %q", alg, got)
		}
		if extra, _ := tok.Header.Get("extra"); extra.Raw() != `"e"` {
			t.Errorf("extra header %s", extra.Raw())
		}
	}
}

func TestShortKeysFitNoAlgorithm(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"RS256", "PS256"} {
		if token.Fits(alg, short.Public()) || !token.Fits(alg, newRSA(t).Public()) {
			t.Errorf("%s: a key of 1024 bits fits, or one of 2048 does not", alg)
		}
	}
}

func TestSignerNamesItsKey(t *testing.T) {
	t.Parallel()
	key := newRSA(t)
	signer := token.NewSigner("kid-1", "x5t-1", key)
	for _, tt := range []struct {
		withX5t bool
		want    string
	}{{false, ""}, {true, `"x5t-1"`}} {
		raw, err := signer.Sign([]byte(`{"ver":"1.0"}`), tt.withX5t)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := token.Parse(raw, token.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if x5t, _ := tok.Header.Get("x5t"); x5t.Raw() != tt.want {
			t.Errorf("x5t %s, want %s", x5t.Raw(), tt.want)
		}
		if err := tok.Verify("RS256", key.Public()); err != nil {
			t.Error(err)
		}
	}
	if signer.KeyID() != "kid-1" {
		t.Errorf("KeyID %q", signer.KeyID())
	}
}

func TestES256Verifies(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := token.SignES256("k", []byte(`{"a":1}`), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify("ES256", key.Public()); err != nil || parsed.Claims.Raw() != `{"a":1}` {
		t.Errorf("reads %s, %v", parsed.Claims.Raw(), err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.SignES256("k", nil, other); err == nil {
		t.Error("a key of another curve signs")
	}
}

func TestSigningRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.NewSigner("k", "", ed).Sign([]byte(`{}`), false); err == nil {
		t.Error("a Signer took an Ed25519 key")
	}
	if _, err := token.Sign("RS256", "k", nil, []byte(`{}`), ed); err == nil {
		t.Error("Sign took an Ed25519 key")
	}
	if _, err := token.Sign("HS256", "k", nil, []byte(`{}`), newRSA(t)); err == nil {
		t.Error("Sign took HS256")
	}
	if _, err := token.Sign("RS256", "k", map[string]any{"f": func() {}}, []byte(`{}`), newRSA(t)); err == nil {
		t.Error("Sign took a header that JSON cannot say")
	}
}

// TestVerifyBindsTheCurve builds ES and EdDSA tokens by hand, since this
// package signs with RSA alone.
func TestVerifyBindsTheCurve(t *testing.T) {
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
	signing := b64(`{"alg":"ES256"}`) + "." + b64(`{}`)
	digest := crypto.SHA256.New()
	digest.Write([]byte(signing))
	r, s, err := ecdsa.Sign(rand.Reader, p256, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	good := make([]byte, 64)
	r.FillBytes(good[:32])
	s.FillBytes(good[32:])
	der, err := ecdsa.SignASN1(rand.Reader, p256, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	order := elliptic.P256().Params().N.Bytes()
	edSigning := b64(`{"alg":"EdDSA"}`) + "." + b64(`{}`)
	for _, tt := range []struct {
		name      string
		signing   string
		signature []byte
		alg       string
		key       crypto.PublicKey
		want      string
	}{
		{"ES256", signing, good, "ES256", p256.Public(), ""},
		{"ES256 with a P-384 key", signing, good, "ES256", p384.Public(), token.ReasonKey},
		{"ES256 with a zero between", signing, slices.Concat(good[:32], []byte{0}, good[32:]), "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 with DER", signing, der, "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 one byte short", signing, good[:63], "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 one byte long", signing, append(good[:64:64], 0), "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 of zeros", signing, make([]byte, 64), "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 with r = n", signing, append(order[:32:32], good[32:]...), "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 with s = n", signing, append(good[:32:32], order...), "ES256", p256.Public(), token.ReasonSignature},
		{"ES256 with s = 0", signing, append(good[:32:32], make([]byte, 32)...), "ES256", p256.Public(), token.ReasonSignature},
		{"EdDSA", edSigning, ed25519.Sign(edPrivate, []byte(edSigning)), "EdDSA", edPublic, ""},
		{"EdDSA with an RSA key", edSigning, good, "EdDSA", newRSA(t).Public(), token.ReasonKey},
		{"EdDSA with a pointer to a key", edSigning, good, "EdDSA", &edPublic, token.ReasonKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok, err := token.Parse(tt.signing+"."+base64.RawURLEncoding.EncodeToString(tt.signature), token.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := reason(tok.Verify(tt.alg, tt.key)); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	t.Parallel()
	const canary = "canary"
	raw := b64(`{"alg":"`+canary+`","`+canary+`":1,"`+canary+`":2}`) + "." + b64(`{}`) + "." + b64("s")
	_, err := token.Parse(raw, token.Limits{})
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("error %v", err)
	}
}

func TestKeysDocumentIsReadBack(t *testing.T) {
	t.Parallel()
	rsaKey := newRSA(t)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []token.Key{
		{ID: "r", Use: "sig", KeyType: "RSA", Issuer: "https://i/{tenantid}/v2.0", CloudInstance: "c", Public: rsaKey.Public(), Certificates: [][]byte{certificate}},
		{ID: "e", KeyType: "EC", Public: ec.Public()},
		{ID: "o", KeyType: "OKP", Public: ed},
	}
	document, err := token.KeysDocument(want)
	if err != nil {
		t.Fatal(err)
	}
	got, ignored, err := token.ParseKeys(document)
	if err != nil || len(ignored) != 0 || len(got) != len(want) {
		t.Fatalf("got %d keys, ignored %v, error %v", len(got), ignored, err)
	}
	for i := range want {
		if !got[i].Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(want[i].Public) {
			t.Errorf("key %q differs", want[i].ID)
		}
		if got[i].JWK().Issuer != want[i].Issuer || got[i].ID != want[i].ID || got[i].KeyType != want[i].KeyType {
			t.Errorf("key %q: %+v", want[i].ID, got[i].JWK())
		}
	}
	if strings.Contains(string(document), `"alg"`) || strings.Contains(string(document), `"d"`) {
		t.Error("the document says more than Entra's does")
	}
	if _, err := token.KeysDocument([]token.Key{{ID: "private", Public: rsaKey}}); err == nil {
		t.Error("a private key was published")
	}
}

func TestObjectTellsValuesApart(t *testing.T) {
	t.Parallel()
	o, err := token.ParseObject([]byte(` {"s":"a\"\u00e9\ud83d\ude00","n":7,"f":1.5,"neg":-1,"zero":0,"lead":{"a":[1]},"b":true,"z":null,"l":["x","y"],"mixed":["x",1],"big":9007199254740992} `), 8, 16)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(o.Names(), " "); got != "s n f neg zero lead b z l mixed big" || o.Len() != 11 {
		t.Errorf("names %q", got)
	}
	get := func(name string) token.Value { v, _ := o.Get(name); return v }
	if s, ok := get("s").String(); !ok || s != "a\"é😀" {
		t.Errorf("string %q %v", s, ok)
	}
	for name, want := range map[string]bool{"n": true, "zero": true, "f": false, "neg": false, "s": false, "z": false, "big": false, "absent": false} {
		if _, ok := get(name).Integer(); ok != want {
			t.Errorf("Integer of %s: %v", name, ok)
		}
	}
	if l, ok := get("l").Strings(); !ok || len(l) != 2 {
		t.Errorf("strings %q %v", l, ok)
	}
	if _, ok := get("mixed").Strings(); ok {
		t.Error("a mixed array passed for strings")
	}
	if b, ok := get("b").Bool(); !b || !ok {
		t.Error("true is not true")
	}
	inner, ok := get("lead").Object()
	if _, has := inner.Get("a"); !ok || !has {
		t.Error("the inner object is lost")
	}
	for name, want := range map[string]token.Kind{
		"s": token.String, "n": token.Number, "b": token.Bool, "z": token.Null, "l": token.Array, "lead": token.ObjectKind, "absent": token.Invalid,
	} {
		if got := get(name).Kind(); got != want {
			t.Errorf("kind of %s: %v", name, got)
		}
	}
	if !json.Valid([]byte(o.Raw())) {
		t.Error("Raw is not the text")
	}
}
