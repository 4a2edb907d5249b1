package authority

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// refusals are requests that clients of Entra see refused, with status, error and number.
func refusals(w *world) []refusal {
	jsonBody := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	assertion := []string{"client_assertion_type", assertionTypeJWT, "client_assertion"}
	return []refusal{
		{"no body", pathV2, values{}, nil, 400, "invalid_request", 900144, "grant_type"},
		{"a body in JSON", pathV2, w.good(), jsonBody, 400, "invalid_request", 900144, "grant_type"},
		{"no grant type", pathV2, w.good().without("grant_type"), nil, 400, "invalid_request", 900144, "grant_type"},
		{"no client id", pathV2, w.good().without("client_id"), nil, 400, "invalid_request", 900144, "client_id"},
		{"no scope", pathV2, w.good().without("scope"), nil, 400, "invalid_request", 90014, "scope"},
		{"no resource", pathV1, w.goodV1().without("resource"), nil, 400, "invalid_request", 900144, "resource"},
		{"a resource at v2", pathV2, w.good().set("resource", "api://orders"), nil, 400, "invalid_request", 901002, "resource"},
		{"another grant", pathV2, w.good().set("grant_type", "magic"), nil, 400, "unsupported_grant_type", 70003, "magic"},
		{"common", "/common/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 9001023, "common"},
		{"consumers", "/consumers/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 9001023, "consumers"},
		{"the consumers' tenant", "/" + "9188040d-6c67-4c5b-b112-36a304b66dad" + "/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 9001023, "9188040d-6c67-4c5b-b112-36a304b66dad"},
		{"organizations", "/Organizations/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 50194, "Organizations"},
		{"an unknown tenant", "/nosuch.test/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 90002, "nosuch.test"},
		{"an unknown tenant's id", "/" + nobody + "/oauth2/token", w.good(), nil, 400, "invalid_request", 90002, nobody},
		{"a tenant that is no name", "/a_b/oauth2/token", w.good(), nil, 400, "invalid_request", 900023, "a_b"},
		{"a tenant without a dot", "/nosuch/oauth2/token", w.good(), nil, 400, "invalid_request", 900023, "nosuch"},
		{"no tenant", "/oauth2/v2.0/token", w.good(), nil, 400, "invalid_request", 90019, ""},
		{"an unknown client", pathV2, w.good().set("client_id", nobody), nil, 400, "unauthorized_client", 700016, nobody},
		{"a client id that is none", pathV2, w.good().set("client_id", "orders-client"), nil, 400, "unauthorized_client", 700016, "client_id"},
		{"a client of another tenant", "/fabrikam.test/oauth2/v2.0/token", w.good(), nil, 400, "unauthorized_client", 700016, testClient},
		{"no credential", pathV2, w.good().without("client_secret"), nil, 401, "invalid_client", 7000218, "client_secret"},
		{"a wrong secret", pathV2, w.good().set("client_secret", "wrong"), nil, 401, "invalid_client", 7000215, testClient},
		{"a secret for a public client", pathV2, w.good().set("client_id", publicApp), nil, 401, "invalid_client", 700025, publicApp},
		{"an assertion that is none", pathV2, w.good().without("client_secret").set(append(assertion, "abc")...), nil, 401, "invalid_client", 50027, ""},
		{"an unknown resource", pathV2, w.good().set("scope", "api://nosuch/.default"), nil, 400, "invalid_resource", 500011, "api://nosuch"},
		{"a resource of another tenant", pathV2, w.good().set("scope", "api://fabrikam/.default"), nil, 400, "invalid_resource", 500011, "api://fabrikam"},
		{"a resource of another tenant by app id", pathV1, w.goodV1().set("resource", foreignAPI), nil, 400, "invalid_resource", 500011, foreignAPI},
		{"an unknown resource at v1", pathV1, w.goodV1().set("resource", "api://nosuch"), nil, 400, "invalid_resource", 500011, "api://nosuch"},
		{"an app id that neither the tenant nor Microsoft has", pathV2, w.good().set("scope", "00000003-0000-0000-c000-00000000dead/.default"), nil, 400, "invalid_resource", 500011, "00000003-0000-0000-c000-00000000dead"},
		{"a resource that is none", pathV1, w.goodV1().set("resource", "a b"), nil, 400, "invalid_resource", 50001, "a b"},
		{"a resource with the suffix of scopes", pathV1, w.goodV1().set("resource", "api://orders/.default"), nil, 400, "invalid_resource", 500011, "send resource=api://orders or"},
		{"the suffix twice", pathV2, w.good().set("scope", "api://orders/.default/.default"), nil, 400, "invalid_resource", 500011, "scope=api://orders/.default."},
		{"a resource at v2, which the fix repeats", pathV2, w.good().set("resource", "api://legacy"), nil, 400, "invalid_request", 901002, "scope=api://legacy/.default"},
		{"a role for a scope, which the fix repeats", pathV2, w.good().set("scope", "openid api://legacy/Legacy.Read"), nil, 400, "invalid_scope", 1002012, "scope=api://legacy/.default."},
		{"an API for a scope", pathV2, w.good().set("scope", "api://legacy"), nil, 400, "invalid_scope", 1002012, "scope=api://legacy/.default."},
		{"an app id for a scope", pathV2, w.good().set("scope", legacyAPI), nil, 400, "invalid_scope", 1002012, "scope=" + legacyAPI + "/.default."},
		{"a role after an app id", pathV2, w.good().set("scope", legacyAPI+"/Legacy.Read"), nil, 400, "invalid_scope", 1002012, "scope=" + legacyAPI + "/.default."},
		{"a token of an agent", pathV2, w.good().set("fmi_path", nobody), nil, 400, "invalid_request", 901002, "fmi_path"},
		{"a client id that ends in a line break", pathV2, w.good().set("client_id", testClient+"\n"), nil, 400, "unauthorized_client", 700016, "'" + testClient + "' (it ends in a line break)"},
		{"a scope that ends in a line break", pathV2, w.good().set("scope", "api://orders/.default\r\n"), nil, 400, "invalid_scope", 1002012, "(it ends in a line break)"},
		{"a secret that ends in a line break", pathV2, w.good().set("client_secret", w.secret+"\n"), nil, 401, "invalid_client", 7000215, "it ends in a line break"},
		{"a role for a scope", pathV2, w.good().set("scope", "api://orders/Orders.Read"), nil, 400, "invalid_scope", 1002012, "api://orders/Orders.Read"},
		{"only openid", pathV2, w.good().set("scope", "openid"), nil, 400, "invalid_scope", 1002012, "openid"},
		{"a mixed scope", pathV2, w.good().set("scope", "api://orders/.default api://orders/Orders.Read"), nil, 400, "invalid_scope", 70011, ""},
		{"two resources", pathV2, w.good().set("scope", "api://orders/.default api://legacy/.default"), nil, 400, "invalid_scope", 700022, ""},
		{"no role where one is required", pathV2, w.good().set("scope", "api://closed/.default"), nil, 400, "invalid_grant", 501051, "api://closed"},
		{"a secret from a page", pathV2, w.good(), withHeader("Origin", "https://spa.test"), 400, "invalid_request", 9002326, ""},
		{"a claims parameter that is none", pathV2, w.good().set("claims", "{"), nil, 400, "invalid_request", 9002313, "claims"},
	}
}

type refusal struct {
	name, path string
	form       values
	option     func(*http.Request)
	status     int
	oauth      string
	code       int
	mentions   string
}

// refusalWorld has what the refusals need beside the usual.
func refusalWorld(t *testing.T) *world {
	w := newWorld(t)
	w.editApplication(testClient, func(a *directory.Application) { a.IdentifierURIs = []string{"api://self"} })
	return w
}

var description = regexp.MustCompile(`^AADSTS(\d+): .+\. Trace ID: ([0-9a-f-]{36}) Correlation ID: ([0-9a-f-]{36}) Timestamp: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)$`)

func TestRefusals(t *testing.T) {
	t.Parallel()
	const correlation = "5e2b9c10-7d1f-4c52-8e77-0d3a6f4b9e21"
	w := refusalWorld(t)
	for _, tt := range refusals(w) {
		t.Run(tt.name, func(t *testing.T) {
			options := []func(*http.Request){withHeader("client-request-id", correlation)}
			if tt.option != nil {
				options = append(options, tt.option)
			}
			r := w.post(tt.path, tt.form, options...)
			r.t = t
			r.refused(tt.status, tt.oauth, tt.code)
			text, _ := r.json["error_description"].(string)
			parts := description.FindStringSubmatch(text)
			if parts == nil || !strings.Contains(text, tt.mentions) {
				t.Fatalf("it says %q, want the usual form and %q in it", text, tt.mentions)
			}
			header := r.Header()
			for what, pair := range map[string][2]any{
				"trace id":       {parts[2], r.json["trace_id"]},
				"trace header":   {parts[2], header.Get("x-ms-request-id")},
				"correlation id": {parts[3], r.json["correlation_id"]},
				"the client's":   {correlation, r.json["correlation_id"]},
				"its echo":       {correlation, header.Get("client-request-id")},
				"timestamp":      {parts[4], r.json["timestamp"]},
				"clock":          {"2026-11-23 14:05:06Z", r.json["timestamp"]},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %v and %v", what, pair[0], pair[1])
				}
			}
			if _, present := r.json["access_token"]; present {
				t.Error("it holds a token")
			}
			checkHeaders(t, header)
		})
	}
}

// checkHeaders checks what every answer of a token endpoint carries.
func checkHeaders(t *testing.T, header http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "Expires": "-1",
		"Content-Type":              "application/json; charset=utf-8",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		"X-Content-Type-Options":    "nosniff", "X-Ms-Ests-Server": "rolecall",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestGoodAnswerHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.post(pathV2, w.good())
	r.token()
	checkHeaders(t, r.Header())
}

// The numbers are integers and the description has its form, or MSAL cannot read either.
func TestRefusalGolden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.post(pathV2, w.good().set("client_secret", "wrong"))
	golden(t, filepath.Join("testdata", "refusal.json"), steady(t, r.Body.Bytes()))
	var body struct {
		Codes []int `json:"error_codes"`
	}
	if err := json.Unmarshal(r.Body.Bytes(), &body); err != nil || !slices.Equal(body.Codes, []int{7000215}) {
		t.Errorf("error_codes is %v, %v", body.Codes, err)
	}
	r = w.get("/nosuch.test/v2.0/.well-known/openid-configuration")
	golden(t, filepath.Join("testdata", "refusal.tenant.json"), steady(t, r.Body.Bytes()))
}

// A correlation id may stand in the header, the query or the form, and wins in that
// order. Only a GUID counts.
func TestCorrelation(t *testing.T) {
	t.Parallel()
	const one, two, three = "11111111-7d1f-4c52-8e77-0d3a6f4b9e21", "22222222-7d1f-4c52-8e77-0d3a6f4b9e21", "33333333-7d1f-4c52-8e77-0d3a6f4b9e21"
	w := newWorld(t)
	for _, tt := range []struct{ name, header, query, form, want string }{
		{"in the header", one, two, three, one},
		{"in the query", "", two, three, two},
		{"in the form", "", "", three, three},
		{"none", "", "", "", ""},
		{"not a GUID in the header", "x\r\ny", two, "", two},
		{"not a GUID anywhere", "1", "2", "3", ""},
		{"in capitals", "AAAAAAAA-7D1F-4C52-8E77-0D3A6F4B9E21", "", "", "AAAAAAAA-7D1F-4C52-8E77-0D3A6F4B9E21"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// An unknown tenant is the refusal that comes first: even it must know.
			r := w.post("/nosuch.test/oauth2/v2.0/token?client-request-id="+tt.query,
				w.good().set("client-request-id", tt.form), withHeader("client-request-id", tt.header))
			got, _ := r.json["correlation_id"].(string)
			if tt.want != "" && got != tt.want || !guid.Is(got) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	r := w.post(pathV2, w.good(), func(r *http.Request) { r.Header["Client-Request-Id"] = []string{one, two} })
	if got := r.Header().Get("client-request-id"); got != one {
		t.Errorf("of two in the header got %q, want the first", got)
	}
}

// Each request is wrong in two ways; the earlier check wins.
func TestRefusalOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.editPrincipal(legacyAPI, func(p *directory.ServicePrincipal) { p.Enabled = false })
	for _, tt := range []struct {
		name, path string
		form       values
		code       int
	}{
		{"tenant before body", "/nosuch.test/oauth2/v2.0/token", values{}, 90002},
		{"tenant before secret", "/nosuch.test/oauth2/v2.0/token", w.good().set("client_secret", "wrong"), 90002},
		{"grant type before client id", pathV2, values{"grant_type": "magic"}, 70003},
		{"client id before client", pathV2, w.good().without("client_id", "client_secret"), 900144},
		{"client before credential", pathV2, w.good().set("client_id", nobody).without("client_secret"), 700016},
		{"client disabled before credential", pathV2, w.good().set("client_id", legacyAPI, "client_secret", "wrong"), 7000112},
		{"client before assertion", pathV2, w.good().set("client_id", nobody, "client_assertion", "x", "client_assertion_type", assertionTypeJWT).without("client_secret"), 700016},
		{"credential before scope", pathV2, w.good().set("client_secret", "wrong", "scope", "openid"), 7000215},
		{"credential before resource", pathV2, w.good().set("client_secret", "wrong", "scope", "api://nosuch/.default"), 7000215},
		{"no credential before scope", pathV2, w.good().without("client_secret", "scope"), 7000218},
		{"scope before resource", pathV2, w.good().set("scope", "api://nosuch/x"), 1002012},
		{"resource before assignment", pathV2, w.good().set("scope", "api://legacy/.default"), 500014},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := w.post(tt.path, tt.form); r.code() != tt.code {
				t.Errorf("got %d: %v; want %d", r.code(), r.json["error_description"], tt.code)
			}
		})
	}
}

// Whatever way a client sends its credential, two at once are refused.
func TestTwoCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type part struct {
		name   string
		form   values
		header string
	}
	parts := []part{
		{"secret", values{"client_secret": w.secret}, ""},
		{"assertion", values{"client_assertion": "a.b.c", "client_assertion_type": assertionTypeJWT}, ""},
		{"Basic", values{}, basic(testClient + ":" + w.secret)},
		{"Bearer", values{}, "Bearer abc"},
	}
	for _, one := range parts {
		for _, two := range parts {
			t.Run(one.name+" and "+two.name, func(t *testing.T) {
				base := w.good().without("client_secret").encode()
				body := base + "&" + one.form.encode() + "&" + two.form.encode()
				r := httptest.NewRequest(http.MethodPost, testBase+pathV2, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for _, header := range []string{one.header, two.header} {
					if header != "" {
						r.Header.Add("Authorization", header)
					}
				}
				got := w.send(r)
				got.t = t
				got.refused(400, "invalid_request", 9002313)
			})
		}
	}
}

func TestUnauthorizedChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.post(pathV2, w.good().without("client_id", "client_secret"), withHeader("Authorization", basic(testClient+":wrong")))
	r.refused(401, "invalid_client", 7000215)
	if got, want := r.Header().Get("WWW-Authenticate"), `Basic realm="login.contoso.test:8443", charset="UTF-8"`; got != want {
		t.Errorf("challenge is %q, want %q", got, want)
	}
	r = w.post(pathV2, w.good().set("client_secret", "wrong"))
	if got := r.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("challenge is %q although the client did not use Basic", got)
	}
}
