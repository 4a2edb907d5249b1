package orders_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/examples/orders"
)

// newServer returns the API, guarded for tokens of the authority.
func newServer(t *testing.T, login *authoritytest.Authority) http.Handler {
	t.Helper()
	api := login.API("orders")
	handler, err := orders.NewServer(t.Context(), orders.ServerConfig{
		AuthorityHost: login.URL, TenantID: authoritytest.TenantID,
		AppID: api.AppID, Audience: []string{api.Identifier}, HTTPClient: login.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// An answer is what the client of the API sees, whichever way the host speaks.
type answer struct {
	status    int
	challenge string
	body      []byte
}

// asked gets the orders as a program and under both modes of the Functions host.
func asked(t *testing.T, handler http.Handler, method, path, token string) map[string]answer {
	t.Helper()
	return map[string]answer{
		"alone or forwarded": forwarded(t, handler, method, path, token),
		"described":          described(t, handler, method, path, token),
	}
}

func forwarded(t *testing.T, handler http.Handler, method, path, token string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header().Get("WWW-Authenticate"), w.Body.Bytes()}
}

func described(t *testing.T, handler http.Handler, method, path, token string) answer {
	t.Helper()
	headers := map[string][]string{"Host": {"localhost:7071"}, "Accept": {"*/*"}}
	if token != "" {
		headers["Authorization"] = []string{"Bearer " + token}
	}
	invocation, err := json.Marshal(map[string]any{
		"Data": map[string]any{"req": map[string]any{
			"Url": "http://localhost:7071" + path, "Method": method, "Query": map[string]any{},
			"Headers": headers, "Params": map[string]any{}, "Identities": []any{},
		}},
		"Metadata": map[string]any{"sys": map[string]any{"MethodName": "GetOrders"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/GetOrders", bytes.NewReader(invocation)))
	if w.Code != http.StatusOK {
		t.Fatalf("the host got %d, which fails the invocation: %s", w.Code, w.Body)
	}
	var outcome struct {
		Outputs struct {
			Res struct {
				StatusCode int
				Headers    map[string]string
				Body       string
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &outcome); err != nil {
		t.Fatal(err)
	}
	res := outcome.Outputs.Res
	return answer{res.StatusCode, res.Headers["Www-Authenticate"], []byte(res.Body)}
}

func TestOnlyTheRoleOpensTheOrders(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	handler := newServer(t, login)
	holder := login.Token("orders-client", "orders", orders.ReadRole)
	bad := login.Bad()
	for _, tt := range []struct {
		name, method, path, token string
		status                    int
		reason                    string
	}{
		{"role", "GET", "/api/GetOrders", holder, 200, ""},
		{"path in another case", "GET", "/api/getorders", holder, 200, ""},
		{"no token", "GET", "/api/GetOrders", "", 401, "token_missing"},
		{"no role", "GET", "/api/GetOrders", login.Token("report", "orders"), 403, "role_missing"},
		{"another role", "GET", "/api/GetOrders", login.Token("audit", "orders", "Orders.Audit"), 403, "role_missing"},
		{"user", "GET", "/api/GetOrders", bad.UserTokenWithRole("orders-client", "orders", orders.ReadRole), 403, "caller_kind"},
		{"expired", "GET", "/api/GetOrders", bad.Expired("orders-client", "orders", orders.ReadRole), 401, ""},
		{"another audience", "GET", "/api/GetOrders", bad.WrongAudience("orders-client", "orders", orders.ReadRole), 401, ""},
		{"tampered", "GET", "/api/GetOrders", bad.Tampered("orders-client", "orders", orders.ReadRole), 401, ""},
		{"another key", "GET", "/api/GetOrders", bad.UnknownKey("orders-client", "orders", orders.ReadRole), 401, ""},
		{"another path", "GET", "/api/Other", holder, 403, ""},
		{"another method", "DELETE", "/api/GetOrders", holder, 403, ""},
	} {
		for mode, got := range asked(t, handler, tt.method, tt.path, tt.token) {
			t.Run(tt.name+"/"+mode, func(t *testing.T) { checkAnswer(t, got, tt.status, tt.reason) })
		}
	}
}

func checkAnswer(t *testing.T, got answer, status int, reason string) {
	t.Helper()
	if got.status != status {
		t.Fatalf("got %d %s, want %d", got.status, got.body, status)
	}
	if status == http.StatusOK {
		var all []orders.Order
		if err := json.Unmarshal(got.body, &all); err != nil || !reflect.DeepEqual(all, orders.Sample()) {
			t.Errorf("got %s, %v", got.body, err)
		}
		return
	}
	var refusal struct{ Reason string }
	if err := json.Unmarshal(got.body, &refusal); err != nil || refusal.Reason == "" || reason != "" && refusal.Reason != reason {
		t.Errorf("got %s, %v; want the reason %s", got.body, err, reason)
	}
	if status == http.StatusUnauthorized && !strings.HasPrefix(got.challenge, "Bearer ") {
		t.Errorf("challenge %q", got.challenge)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	cfg := orders.ServerFromEnv(func(name string) string {
		return map[string]string{
			"AZURE_AUTHORITY_HOST": "https://localhost:8443/", "AZURE_TENANT_ID": authoritytest.TenantID,
			"ORDERS_SERVER_APP_ID": "a9100002-5a5a-4c4c-8d8d-000000000002", "ORDERS_SERVER_AUDIENCE": " api://orders, ,https://orders.contoso.test",
		}[name]
	})
	want := orders.ServerConfig{
		AuthorityHost: "https://localhost:8443/", TenantID: authoritytest.TenantID,
		AppID: "a9100002-5a5a-4c4c-8d8d-000000000002", Audience: []string{"api://orders", "https://orders.contoso.test"},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
	if _, err := orders.NewServer(t.Context(), cfg); err != nil {
		t.Errorf("an authority that is down keeps the API from starting: %v", err)
	}
	for setting, cfg := range map[string]orders.ServerConfig{
		"ORDERS_TENANT_ID":     {AppID: cfg.AppID},
		"ORDERS_SERVER_APP_ID": {TenantID: cfg.TenantID},
	} {
		if _, err := orders.NewServer(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("got %v, want it to name %s", err, setting)
		}
	}
}
