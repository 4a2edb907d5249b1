package token

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// FuzzParse holds the reader to its promise: what it reads, others read too,
// and the same way.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2ln", "eyJhbGciOiJub25lIn0.e30.", "..", "....", "e30.e30.AA", "e30.e30.AB", "e30.e30.A\n",
		"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJyb2xlcyI6WyJhIl19.AAAA", "e30=.e30.AA", "W10.e30.AA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := Parse(raw, Limits{})
		if err != nil {
			return
		}
		sameAsJSON(t, tok.Header)
		sameAsJSON(t, tok.Claims)
		alg, _ := tok.Header.Get("alg")
		if name, ok := alg.String(); ok && Supported(name) {
			if _, present := tok.Header.Get("jwk"); present {
				return // go-jose reads embedded keys, which nobody here does
			}
			if _, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(name)}); err != nil && plainHeader(tok.Header) {
				t.Errorf("go-jose does not read it: %v", err)
			}
		}
	})
}

// FuzzPadded holds the reader to what padding means: it reads a padded text as the text without
// it, and only what is padded as its length calls for.
func FuzzPadded(f *testing.F) {
	for _, seed := range []string{
		"e30=.e30.AA", "e30=.e30=.AA==", "e30.e30.AA=", "e30.e30.AAA=", "e30====.e30.AA", "e30=.e30.====", "=.=.=", "e3=0.e30.AA", "e30.e30.AAAA====", "e30=.e30=.AB==", "e30=\n.e30=.AA==",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		padded, err := Parse(raw, Limits{Padding: true})
		if err != nil {
			if _, plain := Parse(raw, Limits{}); plain == nil {
				t.Fatal("refused with padding allowed, and not without")
			}
			return
		}
		bare := strings.ReplaceAll(raw, "=", "")
		plain, err := Parse(bare, Limits{})
		if err != nil || plain.Header.Raw() != padded.Header.Raw() || plain.Claims.Raw() != padded.Claims.Raw() || !bytes.Equal(plain.signature, padded.signature) {
			t.Fatalf("reads %q in another way than %q (%v)", raw, bare, err)
		}
		if !strings.HasPrefix(raw, string(padded.signed)+".") {
			t.Fatalf("%q is not what was sent", padded.signed)
		}
		for _, part := range strings.Split(raw, ".") {
			if strings.HasSuffix(part, "=") && len(part)%4 != 0 || strings.HasSuffix(part, "===") {
				t.Fatalf("took the part %q", part)
			}
		}
	})
}

// plainHeader reports whether go-jose has no opinion of its own about the
// types of the header's members.
func plainHeader(header Object) bool {
	for _, name := range header.Names() {
		v, _ := header.Get(name)
		if v.Kind() != String {
			return false
		}
	}
	_, critical := header.Get("crit")
	_, chain := header.Get("x5c")
	return !critical && !chain
}

// FuzzParseObject compares the strict reader with encoding/json.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":[1,2,{"b":null}],"c":"\u00e9\ud83d\ude00"}`, `{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, "{\"a\":\"\xff\"}", `{"ISS":1}`,
		`{"n":-0.1e+10,"m":1E400}`, ` { "a" : true , "b" : false } `, `{"a":"\ud800"}`, `{"a":{"b":{"c":{}}}}`, `{`, `[]`, `{"a":01}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseObject(b, 8, 256)
		if err != nil {
			return
		}
		sameAsJSON(t, o)
	})
}

// sameAsJSON compares an object with what encoding/json makes of its text.
func sameAsJSON(t *testing.T, o Object) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(o.Raw()), &want); err != nil {
		t.Fatalf("encoding/json does not read it: %v", err)
	}
	if len(want) != o.Len() {
		t.Fatalf("%d members, encoding/json has %d", o.Len(), len(want))
	}
	for _, name := range o.Names() {
		v, _ := o.Get(name)
		if string(want[name]) != v.Raw() {
			t.Fatalf("a member differs: %q and %q", v.Raw(), want[name])
		}
		var text string
		if got, ok := v.String(); ok && (json.Unmarshal(want[name], &text) != nil || text != got) {
			t.Fatalf("a string differs: %q and %q", got, text)
		}
		var list []json.RawMessage
		if got, ok := v.Elements(); ok && (json.Unmarshal(want[name], &list) != nil || len(list) != len(got)) {
			t.Fatalf("an array differs: %d and %d elements", len(got), len(list))
		}
		var number int64
		if got, ok := v.Integer(); ok && (json.Unmarshal(want[name], &number) != nil || number != got) {
			t.Fatalf("a number differs: %d and %d", got, number)
		}
	}
}

// FuzzParseKeys demands that a key that was read can be published and read
// again.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":null}`, `[]`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _, err := ParseKeys(b)
		if err != nil {
			return
		}
		document, err := KeysDocument(keys)
		if err != nil {
			t.Fatal(err)
		}
		again, ignored, err := ParseKeys(document)
		if err != nil || len(ignored) != 0 || len(again) != len(keys) {
			t.Fatalf("%d keys became %d, ignored %v, error %v", len(keys), len(again), ignored, err)
		}
	})
}
