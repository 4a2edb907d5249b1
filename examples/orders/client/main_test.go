package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/examples/orders"
)

// world is an authority, the API, and what the client's environment says of them.
func world(t *testing.T, roles ...string) (calls chan string, getenv func(string) string) {
	t.Helper()
	login := authoritytest.Start(t)
	login.Grant("orders-client", "orders", roles...)
	app := login.App("orders-client")
	api := login.API("orders")
	guarded, err := orders.NewServer(t.Context(), orders.ServerConfig{
		AuthorityHost: login.URL, TenantID: app.TenantID, AppID: api.AppID, HTTPClient: login.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	calls = make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- r.URL.Path
		guarded.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	env := map[string]string{
		"AZURE_AUTHORITY_HOST": login.URL, "ROLECALL_CA_BUNDLE": login.CABundle(),
		"AZURE_TENANT_ID": app.TenantID, "AZURE_CLIENT_ID": app.ClientID, "AZURE_CLIENT_SECRET": app.Secret,
		"ORDERS_SERVER_APP_ID": api.AppID, "ORDERS_URL": server.URL + "/api/GetOrders",
	}
	return calls, func(name string) string { return env[name] }
}

func TestOncePrintsEveryWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		roles []string
		fails bool
	}{{"with the role", []string{orders.ReadRole}, false}, {"without it", nil, true}} {
		t.Run(tt.name, func(t *testing.T) {
			_, getenv := world(t, tt.roles...)
			var data, messages bytes.Buffer
			err := run(t.Context(), []string{"-once"}, getenv, &data, &messages)
			var results []orders.Result
			if jsonErr := json.Unmarshal(data.Bytes(), &results); jsonErr != nil || len(results) != 2 || (err != nil) != tt.fails {
				t.Errorf("%v, printed %s, %v", err, &data, jsonErr)
			}
			for _, text := range []string{data.String(), messages.String()} {
				if strings.Contains(text, getenv("AZURE_CLIENT_SECRET")) || strings.Contains(text, "eyJ") {
					t.Errorf("a secret or token shows in %s", text)
				}
			}
		})
	}
}

// Alone, the program processes the orders at once and answers end users as well; under
// the Functions host it waits to be told.
func TestClientServes(t *testing.T) {
	t.Parallel()
	calls, getenv := world(t, orders.ReadRole)
	ctx, stop := context.WithCancel(t.Context())
	address := make(addressOf, 1)
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-listen", "127.0.0.1:0"}, getenv, nil, address) }()
	for range 2 { // the two ways of the first tick
		<-calls
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, <-address+"/api/ProcessOrders", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var results []orders.Result
	if err := json.NewDecoder(resp.Body).Decode(&results); err != nil || len(results) != 2 || len(results[0].Orders) != 5 {
		t.Errorf("got %+v, %v", results, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClientSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	var messages bytes.Buffer
	nothing := func(string) string { return "" }
	if err := run(t.Context(), nil, nothing, nil, &messages); err == nil || !strings.Contains(err.Error(), "ORDERS_SERVER_APP_ID") {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), []string{"-every", "0s"}, nothing, nil, &messages); err == nil || !strings.Contains(err.Error(), "positive") {
		t.Errorf("got %v", err)
	}
}

// addressOf picks the address out of the log, where a person would look for it.
type addressOf chan string

func (a addressOf) Write(line []byte) (int, error) {
	if _, address, found := strings.Cut(string(line), "address="); found {
		a <- strings.TrimSpace(address)
	}
	return len(line), nil
}
