package authority

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestParseWishes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       wishes
		code       int
	}{
		{"nothing", "", wishes{}, 0},
		{"an empty object", "{}", wishes{}, 0},
		{"a capability", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, wishes{cp1: true}, 0},
		{"in lower case", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`, wishes{cp1: true}, 0},
		{"another capability", `{"access_token":{"xms_cc":{"values":["CP2"]}}}`, wishes{}, 0},
		{"a challenge", `{"access_token":{"nbf":{"essential":true,"value":"1795442000"},"xms_cc":{"values":["CP1"]}}}`, wishes{1795442000, true}, 0},
		{"a challenge with a number", `{"access_token":{"nbf":{"value":1795442000}}}`, wishes{notBefore: 1795442000}, 0},
		{"wanted without a value", `{"access_token":{"nbf":null,"xms_cc":null}}`, wishes{}, 0},
		{"unknown members", `{"id_token":{"a":null},"access_token":{"b":{"value":[1]}}}`, wishes{}, 0},
		{"not JSON", `{`, wishes{}, 9002313},
		{"not an object", `[]`, wishes{}, 9002313},
		{"two documents", `{}{}`, wishes{}, 9002313},
		{"a date as text", `{"access_token":{"nbf":{"value":"tomorrow"}}}`, wishes{}, 9002313},
		{"a fraction", `{"access_token":{"nbf":{"value":1.5}}}`, wishes{}, 9002313},
		{"an object for a date", `{"access_token":{"nbf":{"value":{}}}}`, wishes{}, 9002313},
		{"deep", `{"access_token":` + strings.Repeat("[", 20_000), wishes{}, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problem := parseWishes(tt.text)
			if got != tt.want || codeOf(problem) != tt.code {
				t.Errorf("got %+v, %v; want %+v, code %d", got, problem, tt.want, tt.code)
			}
		})
	}
}

func TestWishedNotBefore(t *testing.T) {
	now := time.Unix(1795442000, 0)
	for _, tt := range []struct {
		name         string
		wished, want int64
	}{
		{"no wish", 0, now.Unix() - 300},
		{"long ago", now.Unix() - 3600, now.Unix() - 300},
		{"a minute ago", now.Unix() - 60, now.Unix() - 60},
		{"now", now.Unix(), now.Unix()},
		{"in the future", now.Unix() + 60, now.Unix()},
		{"never", math.MaxInt64, now.Unix()},
		{"before time", math.MinInt64, now.Unix() - 300},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (wishes{notBefore: tt.wished}).from(now); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// grantFor makes a grant of an API with the given version and optional claims.
func grantFor(version int, optional ...directory.OptionalClaim) grant {
	return grant{
		proof: proof{
			client: &directory.Instance{
				Application: &directory.Application{AppID: testClient},
				Principal:   &directory.ServicePrincipal{ID: "0b1ec701-1111-4222-8333-000000000001", AppID: testClient},
			},
			credential: credentialSecret,
		},
		tenant: &directory.Tenant{ID: testTenant},
		resource: &directory.Instance{Application: &directory.Application{
			AppID: testAPI, TokenVersion: version, OptionalClaims: optional, IdentifierURIs: []string{"api://orders"},
		}},
		identifier: "api://orders",
		roles:      []string{"Orders.Read"},
	}
}

func testClaims(g grant) map[string]any {
	a := &Authority{base: "https://login.contoso.test:8443", cfg: Config{V1Issuer: "https://sts.windows.net/{tenantid}/"}}
	encoded, _ := json.Marshal(a.claims(g, time.Unix(1795442000, 0), time.Hour))
	var decoded map[string]any
	json.Unmarshal(encoded, &decoded)
	return decoded
}

func TestClaims(t *testing.T) {
	xmsCC := directory.OptionalClaim{Name: "xms_cc"}
	certificate := grantFor(2)
	certificate.credential = "certificate"
	federated := grantFor(1)
	federated.credential = "federated"
	noRoles := grantFor(2)
	noRoles.roles = nil
	capable := grantFor(2, xmsCC)
	capable.wishes.cp1 = true
	unasked := grantFor(2)
	unasked.wishes.cp1 = true
	const v1Issuer = "https://sts.windows.net/" + testTenant + "/"
	for _, tt := range []struct {
		name  string
		grant grant
		want  map[string]any // nil: absent
	}{
		{"version 1", grantFor(1), map[string]any{
			"ver": "1.0", "iss": v1Issuer, "idp": v1Issuer, "aud": "api://orders",
			"appid": testClient, "appidacr": "1", "azp": nil, "azpacr": nil,
		}},
		{"version 2", grantFor(2), map[string]any{
			"ver": "2.0", "iss": "https://login.contoso.test:8443/" + testTenant + "/v2.0", "idp": nil, "aud": testAPI,
			"azp": testClient, "azpacr": "1", "appid": nil, "appidacr": nil,
		}},
		{"dates", grantFor(2), map[string]any{"iat": 1795441700.0, "nbf": 1795441700.0, "exp": 1795445600.0}},
		{"who", grantFor(2), map[string]any{
			"oid": "0b1ec701-1111-4222-8333-000000000001", "sub": "0b1ec701-1111-4222-8333-000000000001",
			"tid": testTenant, "idtyp": "app", "roles": []any{"Orders.Read"},
		}},
		{"nothing of users", grantFor(1), map[string]any{
			"scp": nil, "name": nil, "upn": nil, "unique_name": nil, "preferred_username": nil, "email": nil, "acr": nil, "amr": nil, "ipaddr": nil,
		}},
		{"a certificate", certificate, map[string]any{"azpacr": "2"}},
		{"a federated credential", federated, map[string]any{"appidacr": "2"}},
		{"no roles", noRoles, map[string]any{"roles": nil}},
		{"a capable client of an API that asks", capable, map[string]any{"xms_cc": []any{"CP1"}}},
		{"a capable client of an API that does not", unasked, map[string]any{"xms_cc": nil}},
		{"an API that asks, a client that is not capable", grantFor(2, xmsCC), map[string]any{"xms_cc": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := testClaims(tt.grant)
			for name, want := range tt.want {
				if list, ok := want.([]any); ok {
					have, _ := got[name].([]any)
					if !slices.Equal(have, list) {
						t.Errorf("%s is %v, want %v", name, got[name], want)
					}
					continue
				}
				if value, present := got[name]; value != want || present != (want != nil) {
					t.Errorf("%s is %v, want %v", name, value, want)
				}
			}
		})
	}
}

func TestClaimsOpaque(t *testing.T) {
	one, two := testClaims(grantFor(1)), testClaims(grantFor(1))
	for _, name := range []string{"aio", "rh", "uti"} {
		a, b := one[name].(string), two[name].(string)
		if a == b || len(a) < 22 {
			t.Errorf("%s is %q, then %q", name, a, b)
		}
	}
	if uti := one["uti"].(string); len(uti) != 22 {
		t.Errorf("uti is %q, want 22 characters", uti)
	}
	if rh := one["rh"].(string); !strings.HasSuffix(rh, ".") {
		t.Errorf("rh is %q, want a dot at its end", rh)
	}
}

// Names that people choose end up in claims: they must not become other claims.
func TestClaimsHostileText(t *testing.T) {
	for _, text := range []string{
		`","roles":["Admin"],"x":"`, "a\"b", `a\`, "line\nbreak", "\x00", "</script>", "\u2028", "\U0001F4A9", "\xff\xfe", strings.Repeat("a", 1<<16),
	} {
		g := grantFor(1)
		g.resource.Application.IdentifierURIs = []string{text}
		g.identifier = text
		g.roles = []string{text}
		want := strings.ToValidUTF8(text, "\ufffd")
		if text == "\xff\xfe" {
			want = "\ufffd\ufffd"
		}
		got := testClaims(g)
		roles, _ := got["roles"].([]any)
		if got["aud"] != want || len(roles) != 1 || roles[0] != want {
			t.Errorf("%.40q came out as aud %.40q, roles %.40q", text, got["aud"], roles)
		}
	}
}

func TestLifetime(t *testing.T) {
	a := &Authority{}
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := a.lifetime()
		if d < time.Hour || d > 90*time.Minute || d%time.Second != 0 {
			t.Fatalf("lifetime is %v, want whole seconds from 60 to 90 minutes", d)
		}
		seen[d] = true
	}
	if len(seen) < 100 {
		t.Errorf("%d different lifetimes in 1000", len(seen))
	}
	a.cfg.Lifetime = 10 * time.Minute
	if d := a.lifetime(); d != 10*time.Minute {
		t.Errorf("lifetime is %v, want the configured one", d)
	}
}
