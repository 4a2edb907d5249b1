package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/token"
)

func TestParseKeysLeavesOutWhatItCannotUse(t *testing.T) {
	t.Parallel()
	const good = `{"kty":"EC","kid":"good","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	n := strings.Repeat("q", 341) + "Q" // some odd number of 2048 bits
	rsa := func(n, e string) string { return `{"kid":"bad","kty":"RSA","n":"` + n + `","e":"` + e + `"}` }
	for name, entry := range map[string]string{
		"symmetric":             `{"kid":"bad","kty":"oct","k":"c2VjcmV0"}`,
		"unknown kty":           `{"kid":"bad","kty":"XYZ"}`,
		"no kty":                `{"kid":"bad"}`,
		"kid is a number":       `{"kid":7,"kty":"RSA"}`,
		"not an object":         `"bad"`,
		"a private RSA key":     strings.Replace(rsa(n, "AQAB"), `"kty"`, `"d":"AQ","kty"`, 1),
		"an unknown alg":        strings.Replace(rsa(n, "AQAB"), `"kty"`, `"alg":"HS256","kty"`, 1),
		"a short RSA key":       rsa(n[:100], "AQAB"),
		"a long RSA key":        rsa(strings.Repeat("q", 2000), "AQAB"),
		"an even modulus":       rsa(n[:340]+"qg", "AQAB"),
		"exponent one":          rsa(n, "AQ"),
		"an even exponent":      rsa(n, "AQAA"),
		"exponent of 33 bits":   rsa(n, "AQAAAAE"),
		"no exponent":           `{"kid":"bad","kty":"RSA","n":"` + n + `"}`,
		"padding":               rsa(n+"==", "AQAB"),
		"a point off the curve": strings.Replace(strings.Replace(good, "f83O", "f83P", 1), "good", "bad", 1),
		"a short coordinate":    `{"kid":"bad","kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`,
		"another curve":         strings.Replace(strings.Replace(good, "P-256", "P-384", 1), "good", "bad", 1),
		"an unknown curve":      strings.Replace(strings.Replace(good, "P-256", "secp256k1", 1), "good", "bad", 1),
		"Ed448":                 `{"kid":"bad","kty":"OKP","crv":"Ed448","x":"AQ"}`,
		"a short Ed25519 key":   `{"kid":"bad","kty":"OKP","crv":"Ed25519","x":"AQ"}`,
		"bad x5c":               strings.Replace(strings.Replace(good, `"kid"`, `"x5c":["!"],"kid"`, 1), "good", "bad", 1),
		"x5c is a string":       strings.Replace(strings.Replace(good, `"kid"`, `"x5c":"AA","kid"`, 1), "good", "bad", 1),
		"x5t is a number":       strings.Replace(strings.Replace(good, `"kid"`, `"x5t":1,"kid"`, 1), "good", "bad", 1),
		"x5t#S256 is null":      strings.Replace(strings.Replace(good, `"kid"`, `"x5t#S256":null,"kid"`, 1), "good", "bad", 1),
		"x5c is no certificate": strings.Replace(strings.Replace(good, `"kid"`, `"x5c":["AAAA"],"kid"`, 1), "good", "bad", 1),
		"x5c is for another":    strings.Replace(strings.Replace(good, `"kid"`, `"x5c":["`+someCertificate(t)+`"],"kid"`, 1), "good", "bad", 1),
		"key_ops is a string":   strings.Replace(strings.Replace(good, `"kid"`, `"key_ops":"verify","kid"`, 1), "good", "bad", 1),
	} {
		t.Run(name, func(t *testing.T) {
			keys, ignored, err := token.ParseKeys([]byte(`{"keys":[` + entry + `,` + good + `]}`))
			if err != nil || len(keys) != 1 || keys[0].ID != "good" || len(ignored) != 1 {
				t.Fatalf("%d keys, ignored %v, error %v", len(keys), ignored, err)
			}
			var key *token.IgnoredKey
			if !errors.As(ignored[0], &key) || errors.Unwrap(key) == nil || strings.Contains(entry, `"kid":"bad"`) && key.ID != "bad" {
				t.Errorf("ignored %v", ignored[0])
			}
		})
	}
	if keys, ignored, err := token.ParseKeys([]byte(`{"keys":[` + rsa(n, "AQAB") + `]}`)); err != nil || len(keys) != 1 {
		t.Errorf("the good RSA key: ignored %v, error %v", ignored, err)
	}
}

func TestParseKeysRefusesWhatIsNoKeysDocument(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"nothing": "", "an array": "[]", "no keys": "{}", "keys null": `{"keys":null}`, "keys as object": `{"keys":{}}`, "HTML": "<html>",
		"keys twice": `{"keys":[],"keys":[]}`, "201 keys": `{"keys":[{}` + strings.Repeat(",{}", 200) + `]}`,
		"two megabytes": `{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`, "deep": `{"keys":[` + strings.Repeat("[", 100),
	} {
		if _, _, err := token.ParseKeys([]byte(document)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// someCertificate is one of a key that is in no document.
func someCertificate(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// A key that may do nothing cannot verify; one of which nothing is said can.
func TestOperationsOfAKey(t *testing.T) {
	const entry = `{"kty":"EC","kid":"k","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	for members, want := range map[string]bool{
		"": true, `,"key_ops":["verify"]`: true, `,"key_ops":["sign","verify"]`: true,
		`,"key_ops":[]`: false, `,"key_ops":["encrypt"]`: false, `,"key_ops":["Verify"]`: false,
	} {
		keys, _, err := token.ParseKeys([]byte(`{"keys":[` + entry + members + `}]}`))
		if err != nil || len(keys) != 1 {
			t.Fatal(members, err)
		}
		if got := keys[0].Verifies("ES256"); got != want {
			t.Errorf("%s: %t, want %t", members, got, want)
		}
	}
}
