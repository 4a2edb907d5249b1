package guardserver

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/rolecall-auth/rolecall/guard"
)

// Whatever claims a token has: headers that can be sent, a principal that can be read, and every
// role in it as it is.
func FuzzPrincipalHeaders(f *testing.F) {
	for _, payload := range []string{
		`{"oid":"o","sub":"o","roles":["Orders.Read","a,b"],"exp":1795442243}`, `{"roles":"one","preferred_username":"d\u00e9v","scp":"a b"}`, `{"app_displayname":"x\r\nY: 1","a":{"b":[1,null,true]}}`,
		`{"name":"\ud800"}`, `{"roles":[["a"],{"b":1}]}`, `{}`, `{"\u0000":"\u0000"}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(payload) + ".AA"
		claims := claimsOf(raw)
		if claims == nil {
			return // no token that a guard lets in
		}
		for _, kind := range []guard.CallerKind{guard.CallerApplication, guard.CallerUser} {
			made := map[string]string{}
			for _, t := range newEasyAuth(true).caller(guard.Caller{Kind: kind, ObjectID: "o"}, raw) {
				made[t.name] = t.lines[0]
			}
			for name, value := range made {
				if !httpguts.ValidHeaderFieldValue(value) || strings.ContainsFunc(value, func(r rune) bool { return r > '~' }) {
					t.Fatalf("%s: %q", name, value)
				}
			}
			text, err := base64.StdEncoding.DecodeString(made[headerPrincipal])
			if err != nil || !utf8.Valid(text) {
				t.Fatalf("%q: %v", made[headerPrincipal], err)
			}
			var p principal
			if err := json.Unmarshal(text, &p); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			roles, _ := claims.Get("roles")
			want, _ := roles.Strings()
			var got []string
			for _, claim := range p.Claims {
				if claim.Type == roleType {
					got = append(got, claim.Value)
				}
			}
			if len(want) > 0 && len(claims.Names()) == 1 && strings.Join(got, "\x00") != strings.ToValidUTF8(strings.Join(want, "\x00"), "\ufffd") {
				t.Fatalf("roles %q, want %q", got, want)
			}
		}
	})
}

// Names that a server takes for the same are the same here.
func FuzzPlainName(f *testing.F) {
	f.Add("X_Forwarded.For")
	f.Add("x-forwarded-for")
	f.Fuzz(func(t *testing.T, name string) {
		plain := plainName(name)
		if plainName(plain) != plain || strings.ContainsFunc(plain, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			t.Fatalf("%q is %q", name, plain)
		}
		if plainName(strings.ReplaceAll(name, "-", "_")) != plain || plainName(strings.ToUpper(plain)) != plain {
			t.Fatalf("%q is another in another spelling", name)
		}
	})
}
