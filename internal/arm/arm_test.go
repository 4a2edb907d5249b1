package arm_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

const (
	ownURL  = "https://arm.contoso.test:8445"
	graphAt = "https://graph.contoso.test:8444"
)

// graph is Microsoft Graph as a directory has it that registered it by itself.
const graph = `
      - name: graph
        appId: 00000003-0000-0000-c000-000000000000
        identifierUris: ["https://graph.microsoft.com"]
        requestedAccessTokenVersion: 1
        appRoles: [{value: Application.ReadWrite.All, members: [Application]}, {value: Application.Read.All, members: [Application]}]
      - name: resource-manager
        appId: 797f4846-ba00-4fd7-ba43-dac1f8f63013
        identifierUris: ["https://management.core.windows.net/"]
        requestedAccessTokenVersion: 1
        scopes: [{value: user_impersonation}, {value: something_else}]
`

// A world is an authority with a manager, and everybody who may call it.
type world struct {
	*testing.T
	login *insidetest.Authority
	arm   http.Handler
	id    string // the path of the tenant's own subscription
}

func newWorld(t *testing.T) *world {
	t.Helper()
	login := insidetest.Start(t)
	return &world{t, login, managerOf(t, login), "/subscriptions/" + directory.Subscription(authoritytest.TenantID)}
}

func managerOf(t *testing.T, login *insidetest.Authority) http.Handler {
	t.Helper()
	manager, err := arm.New(arm.Config{
		Cloud:     arm.Cloud{Name: "Rolecall", Login: login.URL, Manager: ownURL, Graph: graphAt},
		Directory: login.Directory(), HTTPClient: login.HTTPClient(), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Close)
	return manager.Handler()
}

// apply applies applications and what follows them to the one tenant.
func (w *world) apply(yaml string) {
	w.Helper()
	w.login.Apply("tenants:\n  - name: contoso\n    id: " + authoritytest.TenantID + "\n    domains: [" + authoritytest.TenantDomain + "]\n" + yaml)
}

// withGraph registers Graph and the manager, and lets the application writer change resources.
func (w *world) withGraph() {
	w.Helper()
	w.apply("    applications:" + graph)
	w.login.Grant("writer", "graph", "Application.ReadWrite.All")
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// code is that of a refusal.
func (a answer) code() string {
	problem, _ := a.body["error"].(map[string]any)
	code, _ := problem["code"].(string)
	return code
}

// at is a member of the body, by a path of names.
func (a answer) at(path string) any {
	var value any = a.body
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// values are the members of that name in the elements of a list.
func (a answer) values(name string) (all []string) {
	list, _ := a.body["value"].([]any)
	for _, one := range list {
		object, _ := one.(map[string]any)
		text, _ := object[name].(string)
		all = append(all, text)
	}
	return all
}

// do asks with a token, which may be none.
func (w *world) do(method, path, raw, body string) answer {
	w.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	if !strings.Contains(path, "api-version") {
		path += separator + "api-version=2023-01-31"
	}
	return w.send(httptest.NewRequestWithContext(w.Context(), method, path, strings.NewReader(body)), raw)
}

func (w *world) send(request *http.Request, raw string) answer {
	w.Helper()
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	recorder := httptest.NewRecorder()
	w.arm.ServeHTTP(recorder, request)
	got := answer{status: recorder.Code, header: recorder.Header(), text: recorder.Body.String()}
	if got.text != "" && got.text[0] == '{' {
		if err := json.Unmarshal([]byte(got.text), &got.body); err != nil {
			w.Fatalf("%s: %v in %s", request.URL, err, got.text)
		}
	}
	if raw != "" && strings.Contains(got.text, raw) {
		w.Errorf("%s: the answer repeats the token", request.URL)
	}
	return got
}

func (w *world) get(path, raw string) answer {
	w.Helper()
	return w.do(http.MethodGet, path, raw, "")
}

// is fails unless the answer has the status and, of a refusal, the code.
func (w *world) is(got answer, status int, code string) {
	w.Helper()
	if got.status != status || got.code() != code {
		w.Errorf("got %d %s, want %d %s", got.status, got.text, status, code)
	}
}

// token is one of an application's, for the resource as it is asked for.
func (w *world) token(client, scope string) string {
	w.Helper()
	token, err := w.login.Credential(client).GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		w.Fatal(err)
	}
	return token.Token
}

// The resource is the manager's under every name, with and without the second slash of the Azure CLI.
func TestACallerWithATokenIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scope := range []string{
		arm.Resource + "/.default", arm.Resource + ".default", "https://management.azure.com/.default", "https://management.azure.com//.default",
		"797f4846-ba00-4fd7-ba43-dac1f8f63013/.default", "https://management.usgovcloudapi.net/.default",
	} {
		raw := w.token("report", scope)
		got := w.get("/subscriptions", raw)
		if ids := got.values("id"); got.status != http.StatusOK || len(ids) != 1 || ids[0] != w.id {
			t.Errorf("%s: subscriptions: %d %s", scope, got.status, got.text)
		}
		got = w.get("/tenants", raw)
		if ids := got.values("id"); got.status != http.StatusOK || len(ids) != 1 || ids[0] != "/tenants/"+authoritytest.TenantID {
			t.Errorf("%s: tenants: %d %s", scope, got.status, got.text)
		}
	}
}

func TestOthersAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token("report", arm.Resource+".default")
	w.login.API("orders")
	for name, tt := range map[string]struct{ raw, code string }{
		"nobody":        {"", "AuthenticationFailed"},
		"no token":      {"garbage", "InvalidAuthenticationToken"},
		"another API's": {w.token("report", "api://orders/.default"), "InvalidAuthenticationToken"},
		"tampered":      {good[:len(good)-8] + "AAAAAAAA", "InvalidAuthenticationToken"},
	} {
		for _, route := range arm.Routes() {
			got := w.do(route.Method, w.path(route.Form), tt.raw, "{}")
			if w.is(got, http.StatusUnauthorized, tt.code); got.header.Get("WWW-Authenticate") == "" || t.Failed() {
				t.Fatalf("%s, %s %s: %v", name, route.Method, route.Form, got.header)
			}
		}
	}
	w.is(w.get("/subscriptions", good), http.StatusOK, "")
	w.login.Clock().Advance(30 * 24 * 3600e9)
	w.is(w.get("/subscriptions", good), http.StatusUnauthorized, "ExpiredAuthenticationToken")
}

// path is one of a route: everything that it names is there.
func (w *world) path(form string) string {
	return strings.NewReplacer(
		"/subscriptions/{subscription}", w.id, "{group}", "shop", "{name}", "orders-mi", "{credential}", "k8s",
		"{namespace}", "Microsoft.ManagedIdentity", "{scope...}", w.id+"/resourceGroups/rolecall/providers/Microsoft.Web/sites/web-mi",
	).Replace(form)
}

func TestTheOrdinaryMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.token("report", arm.Resource+".default")
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/subscriptions?api-version=", 400, "MissingApiVersionParameter"},
		{"GET", "/metadata/endpoints?api-version=", 400, "MissingApiVersionParameter"},
		{"GET", w.id + "?api-version=none-there-ever-was", 200, ""},
		{"GET", strings.ToUpper(w.id), 200, ""},
		{"GET", w.id + "/", 200, ""},
		{"GET", "/", 400, "InvalidRequestUri"},
		{"GET", "//subscriptions", 400, "InvalidRequestUri"},
		{"GET", "/subscriptions/../tenants", 400, "InvalidRequestUri"},
		{"GET", "/subscriptions/%2e%2e/tenants", 400, "InvalidRequestUri"},
		{"GET", w.id + "%2fresourceGroups", 400, "InvalidRequestUri"},
		{"GET", "/subscriptions/00000000-0000-4000-8000-000000000001", 404, "SubscriptionNotFound"},
		{"GET", "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rolecall/resources", 404, "SubscriptionNotFound"},
		{"GET", w.id + "/resourceGroups/elsewhere/resources", 404, "ResourceGroupNotFound"},
		{"GET", w.id + "/resourceGroups/elsewhere", 404, "ResourceGroupNotFound"},
		{"GET", w.id + "/resourceGroups?$filter=name%20eq%20'x'", 400, "InvalidFilterInQueryString"},
		{"GET", w.id + "/resources?$filter=name%20eq%20'x'", 400, "InvalidFilterInQueryString"},
		{"GET", w.id + "/resourceGroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nobody", 404, "ResourceNotFound"},
		{"GET", w.id + "/resourceGroups/rolecall/providers/Microsoft.Storage/storageAccounts/files", 404, "InvalidResourceType"},
		{"GET", w.id + "/providers/Microsoft.Authorization/roleDefinitions", 400, "NotSupported"},
		{"PUT", w.id + "/resourceGroups/rolecall/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001", 400, "NotSupported"},
		{"PUT", w.id + "/resourcegroups/rolecall/providers/Microsoft.Resources/deployments/main", 400, "NotSupported"},
		{"GET", w.id + "/providers/Microsoft.Web", 200, ""},
		{"POST", w.id + "/providers/Microsoft.Web/register", 200, ""},
		{"GET", w.id + "/providers/elsewhere", 404, "InvalidResourceNamespace"},
		{"PATCH", "/subscriptions", 405, "MethodNotAllowed"},
		{"POST", "/metadata/endpoints", 404, "InvalidResourceType"},
		{"GET", w.path("{scope...}/providers/Microsoft.ManagedIdentity/identities/default"), 404, "ResourceNotFound"},
	} {
		got := w.do(tt.method, tt.path, raw, "{}")
		if got.status != tt.status || got.code() != tt.code {
			t.Errorf("%s %s: got %d %s, want %d %s", tt.method, tt.path, got.status, got.text, tt.status, tt.code)
		}
		if tt.status == 405 && got.header.Get("Allow") != "GET" {
			t.Errorf("%s %s: Allow: %q", tt.method, tt.path, got.header.Get("Allow"))
		}
		if got.header.Get("X-Ms-Request-Id") == "" {
			t.Errorf("%s %s: no request id", tt.method, tt.path)
		}
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/tenants?api-version=2022-12-01", nil)
	request.Header.Set("X-Ms-Correlation-Request-Id", "C0FFEE00-5a5a-4c4c-8d8d-000000000001")
	if got := w.send(request, raw); got.header.Get("X-Ms-Correlation-Request-Id") != "c0ffee00-5a5a-4c4c-8d8d-000000000001" {
		t.Errorf("correlation: %v", got.header)
	}
}

func TestAnIncompleteConfiguration(t *testing.T) {
	t.Parallel()
	complete := arm.Cloud{Name: "Rolecall", Login: "https://localhost", Manager: ownURL, Graph: graphAt}
	for _, cfg := range []arm.Config{
		{}, {Cloud: arm.Cloud{Name: "Rolecall"}}, {Cloud: arm.Cloud{Name: "Rolecall", Manager: ownURL}},
		{Cloud: arm.Cloud{Name: "Rolecall", Manager: ownURL, Graph: graphAt}}, {Cloud: complete},
	} {
		if _, err := arm.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
