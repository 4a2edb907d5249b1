package token

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vector returns a file of public test data, which lies beside the project's
// folder where it is present, as it is in CI.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "..", "shared", "vectors", name))
	if err != nil {
		t.Skipf("public test data %s is not here: %v", name, err)
	}
	return b
}

// TestWycheproofSignatures judges signatures and keys. The payloads of these
// vectors are not claims, so the test leaves out the reading of claims, which
// would refuse all of them.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"wycheproof_json_web_signature_test.json", "wycheproof_json_web_key_test.json"} {
		t.Run(file, func(t *testing.T) {
			var suite struct {
				TestGroups []struct {
					Comment         string
					Public, Private json.RawMessage
					Tests           []struct {
						TcID    int
						Comment string
						JWS     string
						Result  string
					}
				}
			}
			if err := json.Unmarshal(vector(t, file), &suite); err != nil {
				t.Fatal(err)
			}
			accepted, refused := 0, 0
			for _, group := range suite.TestGroups {
				published := group.Public
				if published == nil {
					published = group.Private // symmetric, or a set with private keys
				}
				if !strings.Contains(string(published), `"keys"`) {
					published = json.RawMessage(`{"keys":[` + string(published) + `]}`)
				}
				keys, _, err := ParseKeys(published)
				if err != nil {
					keys = nil
				}
				for _, test := range group.Tests {
					verified := verifyVector(test.JWS, keys)
					if verified && test.Result != "valid" {
						t.Errorf("%s %d %s: a signature that is %s was taken", group.Comment, test.TcID, test.Comment, test.Result)
					}
					if verified {
						accepted++
					} else {
						refused++
					}
				}
			}
			t.Logf("%d accepted, %d refused", accepted, refused)
			if strings.Contains(file, "signature") && accepted < 20 {
				t.Errorf("only %d valid signatures were accepted", accepted)
			}
		})
	}
}

// verifyVector verifies with the one key that suits, as a guard does.
func verifyVector(jws string, keys []Key) bool {
	header, payload, err := split(jws)
	if err != nil {
		return false
	}
	raw := []byte(jws)
	t := &Token{signed: raw[:header+1+payload]}
	if t.Header, err = readPart(raw[:header], DefaultHeaderSize, DefaultHeaderDepth, DefaultMembers, headerPart); err != nil {
		return false
	}
	if _, err = decode(t.signed[header+1:]); err != nil {
		return false
	}
	if t.signature, err = decode(raw[len(t.signed)+1:]); err != nil {
		return false
	}
	if _, critical := t.Header.Get("crit"); critical {
		return false
	}
	v, _ := t.Header.Get("alg")
	alg, _ := v.String()
	for _, key := range keys {
		if key.Verifies(alg) && t.Verify(alg, key.Public) == nil {
			return true
		}
	}
	return false
}

// TestJSONTestSuite wraps every text into an object, since only objects are
// read, and reads it.
func TestJSONTestSuite(t *testing.T) {
	t.Parallel()
	var texts map[string][]byte // encoding/json decodes the base64
	if err := json.Unmarshal(vector(t, "json_parsing.json"), &texts); err != nil {
		t.Fatal(err)
	}
	stricter := map[string]bool{ // duplicates are legal JSON, and refused here
		"y_object_duplicated_key.json": true, "y_object_duplicated_key_and_value.json": true,
	}
	for name, text := range texts {
		wrapped := append(append([]byte(`{"a":`), text...), '}')
		_, err := ParseObject(wrapped, 1000, 1000)
		switch name[0] {
		case 'y':
			if (err != nil) != stricter[name] {
				t.Errorf("%s: %v", name, err)
			}
		case 'n':
			if err == nil {
				t.Errorf("%s was taken for JSON", name)
			}
		default: // either is right, but never more than encoding/json takes
			if err == nil && !json.Valid(wrapped) {
				t.Errorf("%s was taken for JSON, and encoding/json does not", name)
			}
		}
		if len(text) > 0 && text[0] == '{' {
			if _, err := ParseObject(text, 1000, 1000); name[0] == 'y' && (err != nil) != stricter[name] || name[0] == 'n' && err == nil {
				t.Errorf("%s, not wrapped: %v", name, err)
			}
		}
	}
	t.Logf("%d texts", len(texts))
}

func TestNaughtyStrings(t *testing.T) {
	t.Parallel()
	var texts []string
	if err := json.Unmarshal(vector(t, "naughty_strings.json"), &texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		b, err := json.Marshal(map[string]string{"value": text})
		if err != nil {
			t.Fatal(err)
		}
		o, err := ParseObject(b, 4, 4)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		v, _ := o.Get("value")
		if got, ok := v.String(); !ok || got != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestRFC7515 has the examples of appendix A.
func TestRFC7515(t *testing.T) {
	t.Parallel()
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	keys, ignored, err := ParseKeys([]byte(`{"keys":[{"kty":"EC","crv":"P-256",` +
		`"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil || len(ignored) > 0 {
		t.Fatal(err, ignored)
	}
	es256, err := Parse("eyJhbGciOiJFUzI1NiJ9."+payload+".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := es256.Verify("ES256", keys[0].Public); err != nil {
		t.Error(err)
	}
	if iss, _ := es256.Claims.Get("iss"); iss.Raw() != `"joe"` {
		t.Errorf("iss %s", iss.Raw())
	}
	if _, err := Parse("eyJhbGciOiJub25lIn0."+payload+".", Limits{}); err == nil {
		t.Error("the unsecured example was read")
	}
}

func TestSmallOrderPoints(t *testing.T) {
	t.Parallel()
	entry := func(x []byte) []byte {
		return []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + base64.RawURLEncoding.EncodeToString(x) + `"}]}`)
	}
	for first := range 256 {
		x := make([]byte, 32)
		x[0] = byte(first)
		keys, ignored, err := ParseKeys(entry(x))
		if err != nil || len(keys)+len(ignored) != 1 || (len(keys) == 0) != (first <= 1) {
			t.Errorf("first byte %d: %d keys, %v %v", first, len(keys), ignored, err)
		}
	}
}
