package orders_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
)

// newClient returns a client with every kind of proof, and the URL it calls.
func newClient(t *testing.T, login *authoritytest.Authority, issuer *issuer, change func(*orders.ClientConfig)) *orders.Client {
	t.Helper()
	api := httptest.NewServer(newServer(t, login))
	t.Cleanup(api.Close)
	app := login.App("orders-client")
	cfg := orders.ClientConfig{
		TenantID: app.TenantID, AppID: app.ClientID, ServerAppID: login.API("orders").AppID,
		URL:              api.URL + "/api/GetOrders",
		Secret:           app.Secret,
		CertificateFile:  login.CertificateFile("orders-client"),
		AssertionFile:    addFederated(t, login, "orders-client", issuer),
		ConnectionString: "RunAs=App;AppId=" + app.ClientID + ";TenantId=" + app.TenantID + `;AppKey="` + app.Secret + `"`,
		Authority:        &credential.Options{AuthorityHost: login.URL, HTTPClient: login.HTTPClient()},
	}
	if change != nil {
		change(&cfg)
	}
	client, err := orders.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func everyWay() []string {
	return []string{"adal", "secret", "certificate", "federated", "connection-string"}
}

func names(results []orders.Result) []string {
	var all []string
	for _, r := range results {
		all = append(all, r.Way)
	}
	return all
}

func TestEveryWayLeadsToTheOrders(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	login := authoritytest.Start(t, authoritytest.AllowIssuers(issuer.host()))
	login.Grant("orders-client", "orders", orders.ReadRole)
	results := newClient(t, login, issuer, nil).ProcessOrders(t.Context())
	if !slices.Equal(names(results), everyWay()) {
		t.Errorf("ways %v, want %v", names(results), everyWay())
	}
	for _, r := range results {
		if r.Status != http.StatusOK || !slices.Equal(r.Orders, orders.Sample()) || r.Error != "" {
			t.Errorf("%s: %d %s, %d orders", r.Way, r.Status, r.Error, len(r.Orders))
		}
	}
}

func TestEveryWayIsRefusedWithoutTheRole(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	login := authoritytest.Start(t, authoritytest.AllowIssuers(issuer.host()))
	login.Grant("orders-client", "orders")
	results := newClient(t, login, issuer, nil).ProcessOrders(t.Context())
	if !slices.Equal(names(results), everyWay()) {
		t.Errorf("ways %v, want %v", names(results), everyWay())
	}
	for _, r := range results {
		if r.Status != http.StatusForbidden || len(r.Orders) != 0 || !strings.Contains(r.Error, "role_missing") {
			t.Errorf("%s: %d %q, %d orders", r.Way, r.Status, r.Error, len(r.Orders))
		}
	}
}

func TestWrongProofIsReportedForItsWay(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	login := authoritytest.Start(t, authoritytest.AllowIssuers(issuer.host()))
	login.Grant("orders-client", "orders", orders.ReadRole)
	client := newClient(t, login, issuer, func(cfg *orders.ClientConfig) {
		cfg.Secret = "canary-not-the-secret"
		cfg.CertificateFile = filepath.Join(t.TempDir(), "none.pem")
		cfg.ConnectionString = "RunAs=App;AppKey=canary"
	})
	want := map[string]string{
		"adal":              "AADSTS7000215",
		"secret":            "AADSTS7000215",
		"certificate":       "no such file",
		"federated":         "",
		"connection-string": "AppId is missing",
	}
	for _, r := range client.ProcessOrders(t.Context()) {
		if !strings.Contains(r.Error, want[r.Way]) || want[r.Way] == "" && r.Error != "" || strings.Contains(r.Error, "canary") {
			t.Errorf("%s: got %q, want %q", r.Way, r.Error, want[r.Way])
		}
	}
}

func TestClearTokenCacheShowsChangesAtOnce(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	for _, clear := range []bool{false, true} {
		login := authoritytest.Start(t, authoritytest.AllowIssuers(issuer.host()))
		login.Grant("orders-client", "orders")
		client := newClient(t, login, issuer, func(cfg *orders.ClientConfig) { cfg.ClearTokenCache = clear })
		client.ProcessOrders(t.Context())
		login.Grant("orders-client", "orders", orders.ReadRole)
		for _, r := range client.ProcessOrders(t.Context()) {
			if ok := r.Error == ""; ok != clear {
				t.Errorf("cache cleared: %t; %s: %q", clear, r.Way, r.Error)
			}
		}
	}
}

func TestEndUsersAndTimer(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	login := authoritytest.Start(t, authoritytest.AllowIssuers(issuer.host()))
	login.Grant("orders-client", "orders", orders.ReadRole)
	handler := newClient(t, login, issuer, func(cfg *orders.ClientConfig) { cfg.ClearTokenCache = true }).Handler()

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/ProcessOrders", nil))
	var results []orders.Result
	if err := json.Unmarshal(w.Body.Bytes(), &results); err != nil || w.Code != http.StatusOK || !slices.Equal(names(results), everyWay()) {
		t.Errorf("got %d %s, %v", w.Code, w.Body, err)
	}

	timer, err := os.ReadFile("functions/testdata/timer.json")
	if err != nil {
		t.Fatal(err)
	}
	tick := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ProcessOrdersTimer", strings.NewReader(string(timer))))
		return w
	}
	if w := tick(); w.Code != http.StatusOK {
		t.Errorf("the timer got %d %s", w.Code, w.Body)
	}
	login.Revoke("orders-client", "orders", orders.ReadRole)
	if w := tick(); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "role_missing") {
		t.Errorf("without the role the timer got %d %s", w.Code, w.Body)
	}
}

func TestClientSettings(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"ORDERS_TENANT_ID": "t", "ORDERS_CLIENT_APP_ID": "c", "ORDERS_SERVER_APP_ID": "s", "ORDERS_URL": "http://localhost/",
		"AZURE_TENANT_ID": "other", "AZURE_CLIENT_SECRET": "secret", "ORDERS_CLEAR_TOKEN_CACHE": "true", "IDENTITY_ENDPOINT": "http://localhost/msi",
	}
	getenv := func(name string) string { return env[name] }
	cfg, err := orders.ClientFromEnv(getenv)
	if err != nil || cfg.TenantID != "t" || cfg.Secret != "secret" || !cfg.ClearTokenCache || !cfg.ManagedIdentity {
		t.Errorf("got %+v, %v", cfg, err)
	}
	for _, name := range []string{"ORDERS_CLIENT_APP_ID", "ORDERS_SERVER_APP_ID", "ORDERS_URL"} {
		kept := env[name]
		delete(env, name)
		cfg, err := orders.ClientFromEnv(getenv)
		if err == nil {
			_, err = orders.NewClient(cfg)
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		env[name] = kept
	}
	delete(env, "AZURE_CLIENT_SECRET")
	delete(env, "ORDERS_CLIENT_APP_ID")
	env["ORDERS_CONNECTION_STRING"] = "RunAs=App"
	cfg, _ = orders.ClientFromEnv(getenv)
	if _, err := orders.NewClient(cfg); err != nil {
		t.Errorf("a managed identity needs no registration's id: %v", err)
	}
	delete(env, "ORDERS_CONNECTION_STRING")
	delete(env, "IDENTITY_ENDPOINT")
	cfg, _ = orders.ClientFromEnv(getenv)
	if _, err := orders.NewClient(cfg); err == nil || !strings.Contains(err.Error(), "ORDERS_CLIENT_SECRET") {
		t.Errorf("without a proof: %v", err)
	}
	env["ORDERS_CLEAR_TOKEN_CACHE"] = "perhaps"
	if _, err := orders.ClientFromEnv(getenv); err == nil || !strings.Contains(err.Error(), "ORDERS_CLEAR_TOKEN_CACHE") {
		t.Errorf("got %v", err)
	}
}
