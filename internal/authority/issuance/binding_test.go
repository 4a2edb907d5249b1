package issuance

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// keyID is the thumbprint of the key in RFC 7638 section 3.1.
const keyID = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

func TestParseBinding(t *testing.T) {
	t.Parallel()
	cnf := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	good := cnf(`{"kid":"` + keyID + `"}`)
	for _, tt := range []struct {
		name, tokenType, confirmation string
		want                          Binding
		code                          int
	}{
		{"nothing", "", "", Binding{}, 0},
		{"a bearer token by its name", "Bearer", "", Binding{}, 0},
		{"in lower case", "bearer", "", Binding{}, 0},
		{"MSAL", "pop", good, Binding{typePoP, memberKey, keyID}, 0},
		{"in capitals", "PoP", good, Binding{typePoP, memberKey, keyID}, 0},
		{"with padding", "pop", base64.URLEncoding.EncodeToString([]byte(`{"kid":"` + keyID + `"} `)), Binding{typePoP, memberKey, keyID}, 0},
		{"a padded thumbprint", "pop", cnf(`{"kid":"` + keyID + `="}`), Binding{typePoP, memberKey, keyID}, 0},
		{"MSAL for JavaScript", "pop", cnf(`{"kid":"` + keyID + `","xms_ksl":"sw"}`), Binding{typePoP, memberKey, keyID}, 0},
		{"no key", "pop", "", Binding{}, 900144},
		{"a key and no type", "", good, Binding{}, 9002313},
		{"a key and a bearer token", "Bearer", good, Binding{}, 9002313},
		{"bound to a certificate", "mtls_pop", "", Binding{}, 9002313},
		{"a certificate for SSH", "ssh-cert", good, Binding{}, 9002313},
		{"DPoP", "DPoP", good, Binding{}, 9002313},
		{"a blank", " pop", good, Binding{}, 9002313},
		{"no base64url", "pop", "{}", Binding{}, 9002313},
		{"other base64", "pop", "e30+", Binding{}, 9002313},
		{"too much padding", "pop", good + "====", Binding{}, 9002313},
		{"a line break", "pop", good[:8] + "\n" + good[8:], Binding{}, 9002313},
		{"no JSON", "pop", cnf(keyID), Binding{}, 9002313},
		{"an array", "pop", cnf(`["` + keyID + `"]`), Binding{}, 9002313},
		{"two objects", "pop", cnf(`{"kid":"` + keyID + `"}{}`), Binding{}, 9002313},
		{"empty", "pop", cnf(`{}`), Binding{}, 9002313},
		{"the key twice", "pop", cnf(`{"kid":"` + keyID + `","kid":"` + keyID + `"}`), Binding{}, 9002313},
		{"the name in capitals", "pop", cnf(`{"KID":"` + keyID + `"}`), Binding{}, 9002313},
		{"the key itself", "pop", cnf(`{"jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`), Binding{}, 9002313},
		{"the key itself besides", "pop", cnf(`{"kid":"` + keyID + `","jwk":{}}`), Binding{}, 9002313},
		{"a certificate's thumbprint", "pop", cnf(`{"x5t#S256":"` + keyID + `"}`), Binding{}, 9002313},
		{"a name for a key", "pop", cnf(`{"kid":"k1"}`), Binding{}, 9002313},
		{"a SHA-1 thumbprint", "pop", cnf(`{"kid":"` + strings.Repeat("A", 27) + `"}`), Binding{}, 9002313},
		{"a thumbprint in hexadecimal", "pop", cnf(`{"kid":"` + strings.Repeat("ab", 32) + `"}`), Binding{}, 9002313},
		{"a thumbprint that another text stands for too", "pop", cnf(`{"kid":"` + keyID[:42] + `t"}`), Binding{}, 9002313},
		{"a number", "pop", cnf(`{"kid":1}`), Binding{}, 9002313},
		{"null", "pop", cnf(`{"kid":null}`), Binding{}, 9002313},
		{"large", "pop", cnf(`{"kid":"` + keyID + `","xms_ksl":"` + strings.Repeat("x", 1<<10) + `"}`), Binding{}, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ParseBinding(BindingRequest{TokenType: tt.tokenType, Confirmation: tt.confirmation})
			if got != tt.want || aadsts.Code(err) != tt.code {
				t.Errorf("got %+v, %v; want %+v, code %d", got, err, tt.want, tt.code)
			}
			if bound := tt.want != (Binding{}); err == nil && bound != (got.TokenType() == "pop") {
				t.Errorf("the answer would call it %s", got.TokenType())
			}
		})
	}
}

// FuzzConfirmation holds the reader of req_cnf to what a plain reading of it says.
func FuzzConfirmation(f *testing.F) {
	for _, text := range []string{
		`{"kid":"` + keyID + `"}`, `{"kid":"` + keyID + `","xms_ksl":"sw"}`, `{"kid":"` + keyID + `="}`, `{}`, `[]`, `{"kid":""}`,
		`{"jwk":{"kty":"RSA"}}`, `{"kid":1}`, `{"KID":"x"}`, `{"kid":"a","kid":"b"}`, "\x00", `{"k\u0069d":"` + keyID + `"}`,
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(text)))
		f.Add(base64.StdEncoding.EncodeToString([]byte(text)))
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, raw string) {
		got, _, err := ParseBinding(BindingRequest{TokenType: "pop", Confirmation: raw})
		if err != nil {
			if p := aadsts.Of(err); p.Status != 400 || p.Code != 9002313 && p.Code != 900144 || got != (Binding{}) {
				t.Fatalf("refused with %+v, and bound to %+v", p, got)
			}
			return
		}
		sum, err := base64.RawURLEncoding.Strict().DecodeString(got.thumbprint)
		if err != nil || len(sum) != 32 || len(raw) > maxConfirmation {
			t.Fatalf("bound to %q (%v)", got.thumbprint, err)
		}
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(raw, "="))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\\u", ""), "\"") {
			t.Fatalf("accepted %q (%v)", text, err)
		}
	})
}
