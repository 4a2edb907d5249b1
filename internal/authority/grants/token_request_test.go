package grants

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

func basic(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func TestParse(t *testing.T) {
	t.Parallel()
	const id, jwt = "c11e0001-5a5a-4c4c-8d8d-000000000001", assertionTypeJWT
	with := func(pairs ...string) exchange.Form {
		f := exchange.Form{"grant_type": grantClientCredentials}
		for i := 0; i < len(pairs); i += 2 {
			f[pairs[i]] = pairs[i+1]
		}
		return f
	}
	for _, tt := range []struct {
		name          string
		form          exchange.Form
		authorization []string
		origin        string
		want          clientauth.Credential
		code          int
	}{
		{"a secret in the body", with("client_id", id, "client_secret", "s"), nil, "", clientauth.Credential{ClientID: id, Secret: "s"}, 0},
		{"no credential", with("client_id", id), nil, "", clientauth.Credential{ClientID: id}, 0},
		{"Basic", with(), []string{basic(id + ":s")}, "", clientauth.Credential{ClientID: id, Secret: "s"}, 0},
		{"Basic, form-encoded", with(), []string{basic(id + ":a%2Bb+c%3A")}, "", clientauth.Credential{ClientID: id, Secret: "a+b c:"}, 0},
		{"Basic, a colon in the secret", with(), []string{basic(id + ":a:b")}, "", clientauth.Credential{ClientID: id, Secret: "a:b"}, 0},
		{"Basic in lower case", with(), []string{"basic " + basic(id + ":s")[6:]}, "", clientauth.Credential{ClientID: id, Secret: "s"}, 0},
		{"Basic and the same id in the body", with("client_id", id), []string{basic(id + ":s")}, "", clientauth.Credential{ClientID: id, Secret: "s"}, 0},
		{"Basic without a secret", with(), []string{basic(id + ":")}, "", clientauth.Credential{ClientID: id}, 0},
		{"an assertion", with("client_id", id, "client_assertion", "j", "client_assertion_type", jwt), nil, "", clientauth.Credential{ClientID: id, Assertion: "j"}, 0},
		{"an assertion names the client", with("client_assertion", "j", "client_assertion_type", jwt), nil, "", clientauth.Credential{Assertion: "j"}, 0},
		{"a page without a credential", with("client_id", id), nil, "https://a.test", clientauth.Credential{ClientID: id}, 0},

		{"no grant type", exchange.Form{"client_id": id}, nil, "", clientauth.Credential{}, 900144},
		{"another grant", exchange.Form{"grant_type": "magic"}, nil, "", clientauth.Credential{}, 70003},
		{"the grant in capitals", exchange.Form{"grant_type": "CLIENT_CREDENTIALS"}, nil, "", clientauth.Credential{}, 70003},
		{"no client id", with("client_secret", "s"), nil, "", clientauth.Credential{}, 900144},
		{"an assertion without its type", with("client_id", id, "client_assertion", "j"), nil, "", clientauth.Credential{}, 900144},
		{"the type without an assertion", with("client_id", id, "client_assertion_type", jwt), nil, "", clientauth.Credential{}, 900144},
		{"another type", with("client_id", id, "client_assertion", "j", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), nil, "", clientauth.Credential{}, 9002313},
		{"secret and assertion", with("client_id", id, "client_secret", "s", "client_assertion", "j", "client_assertion_type", jwt), nil, "", clientauth.Credential{}, 9002313},
		{"secret and type", with("client_id", id, "client_secret", "s", "client_assertion_type", jwt), nil, "", clientauth.Credential{}, 900144},
		{"secret and Basic", with("client_id", id, "client_secret", "s"), []string{basic(id + ":s")}, "", clientauth.Credential{}, 9002313},
		{"assertion and Basic", with("client_assertion", "j", "client_assertion_type", jwt), []string{basic(id + ":s")}, "", clientauth.Credential{}, 9002313},
		{"Basic twice", with(), []string{basic(id + ":s"), basic(id + ":s")}, "", clientauth.Credential{}, 9002313},
		{"Basic and another id", with("client_id", "other"), []string{basic(id + ":s")}, "", clientauth.Credential{}, 9002313},
		{"Bearer", with("client_id", id), []string{"Bearer x"}, "", clientauth.Credential{}, 9002313},
		{"secret and Bearer", with("client_id", id, "client_secret", "s"), []string{"Bearer x"}, "", clientauth.Credential{}, 9002313},
		{"Basic, not base64", with(), []string{"Basic !!"}, "", clientauth.Credential{}, 9002313},
		{"Basic without a colon", with(), []string{basic(id)}, "", clientauth.Credential{}, 9002313},
		{"Basic without an id", with(), []string{basic(":s")}, "", clientauth.Credential{}, 9002313},
		{"Basic with a bad escape", with(), []string{basic(id + ":%zz")}, "", clientauth.Credential{}, 9002313},
		{"Basic with a NUL", with(), []string{basic(id + ":a\x00b")}, "", clientauth.Credential{}, 9002313},
		{"Basic, nothing", with(), []string{"Basic"}, "", clientauth.Credential{}, 9002313},
		{"a secret from a page", with("client_id", id, "client_secret", "s"), nil, "https://a.test", clientauth.Credential{}, 9002326},
		{"an assertion from a page", with("client_assertion", "j", "client_assertion_type", jwt), nil, "null", clientauth.Credential{}, 9002326},
		{"Basic from a page", with(), []string{basic(id + ":s")}, "https://a.test", clientauth.Credential{}, 9002326},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			for _, value := range tt.authorization {
				header.Add("Authorization", value)
			}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			got, problem := parse(tt.form, header, nil, 2)
			if aadsts.Code(problem) != tt.code {
				t.Fatalf("got %v, want code %d", problem, tt.code)
			}
			if problem != nil {
				return
			}
			if got.credential != tt.want {
				t.Errorf("got %+v, want %+v", got.credential, tt.want)
			}
		})
	}
}
