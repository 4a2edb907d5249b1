package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/examples/orders"
)

func TestServerRunsOnItsSettings(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	token := login.Token("orders-client", "orders", orders.ReadRole)
	env := map[string]string{
		"AZURE_AUTHORITY_HOST": login.URL, "ROLECALL_CA_BUNDLE": login.CABundle(), "ORDERS_TENANT_ID": authoritytest.TenantID,
		"ORDERS_SERVER_APP_ID": login.API("orders").AppID, "ORDERS_SERVER_AUDIENCE": "api://orders",
	}
	ctx, stop := context.WithCancel(t.Context())
	address := make(addressOf, 1)
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-listen", "127.0.0.1:0"}, func(name string) string { return env[name] }, address)
	}()
	url := <-address + "/api/GetOrders"
	for bearer, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + token: http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", bearer)
		if bearer == "" {
			req.Header.Del("Authorization")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("got %d, want %d", resp.StatusCode, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	var messages bytes.Buffer
	err := run(t.Context(), nil, func(string) string { return "" }, &messages)
	if err == nil || !strings.Contains(err.Error(), "ORDERS_TENANT_ID") {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), []string{"-nonsense"}, func(string) string { return "" }, &messages); err == nil {
		t.Error("an unknown flag was accepted")
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
