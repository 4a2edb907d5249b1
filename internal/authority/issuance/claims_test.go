package issuance

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestParseClaimsRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       ClaimsRequest
		code       int
	}{
		{"nothing", "", ClaimsRequest{}, 0},
		{"an empty object", "{}", ClaimsRequest{}, 0},
		{"a capability", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, ClaimsRequest{cp1: true}, 0},
		{"in lower case", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`, ClaimsRequest{cp1: true}, 0},
		{"another capability", `{"access_token":{"xms_cc":{"values":["CP2"]}}}`, ClaimsRequest{}, 0},
		{"a challenge", `{"access_token":{"nbf":{"essential":true,"value":"1795442000"},"xms_cc":{"values":["CP1"]}}}`, ClaimsRequest{1795442000, true}, 0},
		{"a challenge with a number", `{"access_token":{"nbf":{"value":1795442000}}}`, ClaimsRequest{notBefore: 1795442000}, 0},
		{"wanted without a value", `{"access_token":{"nbf":null,"xms_cc":null}}`, ClaimsRequest{}, 0},
		{"unknown members", `{"id_token":{"a":null},"access_token":{"b":{"value":[1]}}}`, ClaimsRequest{}, 0},
		{"not JSON", `{`, ClaimsRequest{}, 9002313},
		{"not an object", `[]`, ClaimsRequest{}, 9002313},
		{"two documents", `{}{}`, ClaimsRequest{}, 9002313},
		{"a date as text", `{"access_token":{"nbf":{"value":"tomorrow"}}}`, ClaimsRequest{}, 9002313},
		{"a fraction", `{"access_token":{"nbf":{"value":1.5}}}`, ClaimsRequest{}, 9002313},
		{"an object for a date", `{"access_token":{"nbf":{"value":{}}}}`, ClaimsRequest{}, 9002313},
		{"deep", `{"access_token":` + strings.Repeat("[", 20_000), ClaimsRequest{}, 9002313},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problem := ParseClaimsRequest(tt.text)
			if got != tt.want || aadsts.Code(problem) != tt.code {
				t.Errorf("got %+v, %v; want %+v, code %d", got, problem, tt.want, tt.code)
			}
		})
	}
}

func TestRequestedNotBefore(t *testing.T) {
	t.Parallel()
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
			if got := (ClaimsRequest{notBefore: tt.wished}).from(now); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// accessTo makes the access to an API with the given version and optional claims.
func accessTo(version int, optional ...directory.OptionalClaim) *Access {
	return &Access{
		Proof: clientauth.Proof{
			Client: &directory.Instance{
				Application: &directory.Application{AppID: testids.Client},
				Principal:   &directory.ServicePrincipal{ID: "0b1ec701-1111-4222-8333-000000000001", AppID: testids.Client},
			},
			Credential: clientauth.BySecret,
		},
		Tenant: &directory.Tenant{ID: testids.Tenant},
		Resource: &directory.Instance{Application: &directory.Application{
			AppID: testids.API, TokenVersion: version, OptionalClaims: optional, IdentifierURIs: []string{"api://orders"},
		}},
		Identifier: "api://orders",
		Roles:      []string{"Orders.Read"},
	}
}

const identityResource = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders"

// identityAt is the access of a managed identity to an API.
func identityAt(api directory.AppID) *Access {
	a := accessTo(1)
	a.Client.Application, a.Client.Principal.ResourceID = nil, identityResource
	a.Resource.Application.AppID = api
	return a
}

// clientAtGraph is the access of a client with these names to Microsoft Graph.
func clientAtGraph(name, display string) *Access {
	a := accessTo(1)
	a.Client.Principal.Name, a.Client.Principal.DisplayName = name, display
	a.Resource.Application.AppID = "00000003-0000-0000-c000-000000000000"
	return a
}

func testClaims(a *Access) map[string]any {
	o, err := origin.New("https://login.contoso.test:8443", "https://sts.windows.net/{tenantid}/")
	if err != nil {
		panic(err)
	}
	c := applicationClaims(o, a)
	c.stamp(a.Claims, time.Unix(1795442000, 0), time.Hour)
	encoded, _ := json.Marshal(c)
	var decoded map[string]any
	json.Unmarshal(encoded, &decoded)
	return decoded
}

func TestClaims(t *testing.T) {
	t.Parallel()
	xmsCC := directory.OptionalClaim{Name: "xms_cc"}
	certificate := accessTo(2)
	certificate.Credential = "certificate"
	federated := accessTo(1)
	federated.Credential = "federated"
	noRoles := accessTo(2)
	noRoles.Roles = nil
	capable := accessTo(2, xmsCC)
	capable.Claims.cp1 = true
	unasked := accessTo(2)
	unasked.Claims.cp1 = true
	const v1Issuer = "https://sts.windows.net/" + testids.Tenant + "/"
	for _, tt := range []struct {
		name   string
		access *Access
		want   map[string]any // nil: absent
	}{
		{"version 1", accessTo(1), map[string]any{
			"ver": "1.0", "iss": v1Issuer, "idp": v1Issuer, "aud": "api://orders",
			"appid": testids.Client, "appidacr": "1", "azp": nil, "azpacr": nil,
		}},
		{"version 2", accessTo(2), map[string]any{
			"ver": "2.0", "iss": "https://login.contoso.test:8443/" + testids.Tenant + "/v2.0", "idp": nil, "aud": testids.API,
			"azp": testids.Client, "azpacr": "1", "appid": nil, "appidacr": nil,
		}},
		{"dates", accessTo(2), map[string]any{"iat": 1795441700.0, "nbf": 1795441700.0, "exp": 1795445600.0}},
		{"who", accessTo(2), map[string]any{
			"oid": "0b1ec701-1111-4222-8333-000000000001", "sub": "0b1ec701-1111-4222-8333-000000000001",
			"tid": testids.Tenant, "idtyp": nil, "xms_mirid": nil, "roles": []any{"Orders.Read"},
		}},
		{"an API that asks for idtyp", accessTo(2, directory.OptionalClaim{Name: "idtyp"}), map[string]any{"idtyp": "app"}},
		{"an identity at one's own API", identityAt(testids.API), map[string]any{"idtyp": nil, "xms_mirid": nil}},
		{"a client at Microsoft Graph", clientAtGraph("orders-client", "Orders client"), map[string]any{"app_displayname": "Orders client", "idtyp": "app"}},
		{"a client without a display name there", clientAtGraph("orders-client", ""), map[string]any{"app_displayname": "orders-client"}},
		{"a client at one's own API", accessTo(1), map[string]any{"app_displayname": nil}},
		{"an identity at Azure Storage", identityAt("e406a681-f3d4-42a8-90b6-c2b029497af1"), map[string]any{"idtyp": "app", "xms_mirid": identityResource}},
		{"an identity at the token exchange", identityAt("fb60f99c-7a34-4190-8149-302f77469936"), map[string]any{"idtyp": "app", "xms_mirid": identityResource}},
		{"nothing of users", accessTo(1), map[string]any{
			"scp": nil, "name": nil, "upn": nil, "unique_name": nil, "preferred_username": nil, "email": nil, "acr": nil, "amr": nil, "ipaddr": nil,
		}},
		{"a certificate", certificate, map[string]any{"azpacr": "2"}},
		{"a federated credential", federated, map[string]any{"appidacr": "2"}},
		{"no roles", noRoles, map[string]any{"roles": nil}},
		{"a capable client of an API that asks", capable, map[string]any{"xms_cc": []any{"CP1"}}},
		{"a capable client of an API that does not", unasked, map[string]any{"xms_cc": nil}},
		{"an API that asks, a client that is not capable", accessTo(2, xmsCC), map[string]any{"xms_cc": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := testClaims(tt.access)
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
	t.Parallel()
	one, two := testClaims(accessTo(1)), testClaims(accessTo(1))
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
	t.Parallel()
	for _, text := range []string{
		`","roles":["Admin"],"x":"`, "a\"b", `a\`, "line\nbreak", "\x00", "</script>", "\u2028", "\U0001F4A9", "\xff\xfe", strings.Repeat("a", 1<<16),
	} {
		g := accessTo(1)
		g.Resource.Application.IdentifierURIs = []string{text}
		g.Identifier = text
		g.Roles = []string{text}
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
	t.Parallel()
	a := &Issuer{}
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
	a.fixed = 10 * time.Minute
	if d := a.lifetime(); d != 10*time.Minute {
		t.Errorf("lifetime is %v, want the configured one", d)
	}
}
