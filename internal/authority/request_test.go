package authority

import (
	"encoding/base64"
	"net/http"
	"testing"
)

func basic(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func TestParse(t *testing.T) {
	const id, jwt = "c11e0001-5a5a-4c4c-8d8d-000000000001", assertionTypeJWT
	with := func(pairs ...string) form {
		f := form{"grant_type": grantClientCredentials}
		for i := 0; i < len(pairs); i += 2 {
			f[pairs[i]] = pairs[i+1]
		}
		return f
	}
	for _, tt := range []struct {
		name          string
		form          form
		authorization []string
		origin        string
		want          request // its credential
		code          int
	}{
		{"a secret in the body", with("client_id", id, "client_secret", "s"), nil, "", request{clientID: id, secret: "s"}, 0},
		{"no credential", with("client_id", id), nil, "", request{clientID: id}, 0},
		{"Basic", with(), []string{basic(id + ":s")}, "", request{clientID: id, secret: "s"}, 0},
		{"Basic, form-encoded", with(), []string{basic(id + ":a%2Bb+c%3A")}, "", request{clientID: id, secret: "a+b c:"}, 0},
		{"Basic, a colon in the secret", with(), []string{basic(id + ":a:b")}, "", request{clientID: id, secret: "a:b"}, 0},
		{"Basic in lower case", with(), []string{"basic " + basic(id + ":s")[6:]}, "", request{clientID: id, secret: "s"}, 0},
		{"Basic and the same id in the body", with("client_id", id), []string{basic(id + ":s")}, "", request{clientID: id, secret: "s"}, 0},
		{"Basic without a secret", with(), []string{basic(id + ":")}, "", request{clientID: id}, 0},
		{"an assertion", with("client_id", id, "client_assertion", "j", "client_assertion_type", jwt), nil, "", request{clientID: id, assertion: "j"}, 0},
		{"an assertion names the client", with("client_assertion", "j", "client_assertion_type", jwt), nil, "", request{assertion: "j"}, 0},
		{"a page without a credential", with("client_id", id), nil, "https://a.test", request{clientID: id}, 0},

		{"no grant type", form{"client_id": id}, nil, "", request{}, 900144},
		{"another grant", form{"grant_type": "magic"}, nil, "", request{}, 70003},
		{"the grant in capitals", form{"grant_type": "CLIENT_CREDENTIALS"}, nil, "", request{}, 70003},
		{"no client id", with("client_secret", "s"), nil, "", request{}, 900144},
		{"an assertion without its type", with("client_id", id, "client_assertion", "j"), nil, "", request{}, 900144},
		{"the type without an assertion", with("client_id", id, "client_assertion_type", jwt), nil, "", request{}, 900144},
		{"another type", with("client_id", id, "client_assertion", "j", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), nil, "", request{}, 9002313},
		{"secret and assertion", with("client_id", id, "client_secret", "s", "client_assertion", "j", "client_assertion_type", jwt), nil, "", request{}, 9002313},
		{"secret and type", with("client_id", id, "client_secret", "s", "client_assertion_type", jwt), nil, "", request{}, 900144},
		{"secret and Basic", with("client_id", id, "client_secret", "s"), []string{basic(id + ":s")}, "", request{}, 9002313},
		{"assertion and Basic", with("client_assertion", "j", "client_assertion_type", jwt), []string{basic(id + ":s")}, "", request{}, 9002313},
		{"Basic twice", with(), []string{basic(id + ":s"), basic(id + ":s")}, "", request{}, 9002313},
		{"Basic and another id", with("client_id", "other"), []string{basic(id + ":s")}, "", request{}, 9002313},
		{"Bearer", with("client_id", id), []string{"Bearer x"}, "", request{}, 9002313},
		{"secret and Bearer", with("client_id", id, "client_secret", "s"), []string{"Bearer x"}, "", request{}, 9002313},
		{"Basic, not base64", with(), []string{"Basic !!"}, "", request{}, 9002313},
		{"Basic without a colon", with(), []string{basic(id)}, "", request{}, 9002313},
		{"Basic without an id", with(), []string{basic(":s")}, "", request{}, 9002313},
		{"Basic with a bad escape", with(), []string{basic(id + ":%zz")}, "", request{}, 9002313},
		{"Basic with a NUL", with(), []string{basic(id + ":a\x00b")}, "", request{}, 9002313},
		{"Basic, nothing", with(), []string{"Basic"}, "", request{}, 9002313},
		{"a secret from a page", with("client_id", id, "client_secret", "s"), nil, "https://a.test", request{}, 9002326},
		{"an assertion from a page", with("client_assertion", "j", "client_assertion_type", jwt), nil, "null", request{}, 9002326},
		{"Basic from a page", with(), []string{basic(id + ":s")}, "https://a.test", request{}, 9002326},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			for _, value := range tt.authorization {
				header.Add("Authorization", value)
			}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			got, problem := parse(tt.form, header, 2)
			if codeOf(problem) != tt.code {
				t.Fatalf("got %v, want code %d", problem, tt.code)
			}
			if problem != nil {
				return
			}
			if got.clientID != tt.want.clientID || got.secret != tt.want.secret || got.assertion != tt.want.assertion {
				t.Errorf("got id %q, secret %q, assertion %q", got.clientID, got.secret, got.assertion)
			}
		})
	}
}

func TestLibrary(t *testing.T) {
	for _, tt := range []struct {
		name   string
		form   form
		header http.Header
		want   string
	}{
		{"in headers", nil, http.Header{"X-Client-Sku": {"MSAL.Go"}, "X-Client-Ver": {"1.10.1"}}, "MSAL.Go 1.10.1"},
		{"in the form", form{"x-client-SKU": "msal.js.node", "x-client-VER": "7.2.3"}, nil, "msal.js.node 7.2.3"},
		{"as a user agent", nil, http.Header{"User-Agent": {"curl/8"}}, "curl/8"},
		{"forged", form{"x-client-SKU": "a\r\nb\x1b[31m\u202e\u2028z"}, nil, "a??b?[31m??z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := library(tt.form, tt.header); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
