package authority

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
)

// The hook is told of each answer once, and of nothing secret.
func TestOnAnswer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []exchange.Answered
	w := newUserWorld(t, func(c *Config) {
		c.OnAnswer = func(a exchange.Answered) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, a)
		}
	})
	for _, tt := range []struct {
		name string
		act  func()
		want exchange.Answered
	}{
		{"a token", func() { w.post(pathV2, w.good()).token() },
			exchange.Answered{Endpoint: "/oauth2/v2.0/token", Status: 200, Tenant: testTenant, Version: "2.0"}},
		{"a token of version 1", func() { w.post(pathV1, w.goodV1().set("resource", "api://legacy")).token() },
			exchange.Answered{Endpoint: "/oauth2/token", Status: 200, Tenant: testTenant, Version: "1.0"}},
		{"a wrong secret", func() { w.post(pathV2, w.good().set("client_secret", "wrong")) },
			exchange.Answered{Endpoint: "/oauth2/v2.0/token", Status: 401, Code: 7000215, Tenant: testTenant}},
		{"a document", func() { w.get("/contoso.test/discovery/keys") },
			exchange.Answered{Endpoint: "/discovery/keys", Status: 200}},
		{"a path in capitals", func() { w.get("/CONTOSO.test/Discovery/KEYS/") },
			exchange.Answered{Endpoint: "/discovery/keys", Status: 200}},
		{"a user's realm", func() { w.get("/common/userrealm/" + testUser) },
			exchange.Answered{Endpoint: "/common/userrealm/", Status: 200}},
		{"no endpoint", func() { w.get("/contoso.test/nothing") },
			exchange.Answered{Status: 404}},
		{"another method", func() { w.get(pathV2) },
			exchange.Answered{Endpoint: "/oauth2/v2.0/token", Status: 405, Code: 900561}},
		{"a page", func() { w.browser().open(authorizeV2Path, w.toolAsks()) },
			exchange.Answered{Endpoint: "/oauth2/v2.0/authorize", Status: 200}},
		{"a refused page", func() { w.browser().open(authorizeV2Path, w.toolAsks().without("client_id")) },
			exchange.Answered{Endpoint: "/oauth2/v2.0/authorize", Status: 400, Code: 900144}},
		{"a refusal that a redirect carries", func() { w.browser().open(authorizeV2Path, w.toolAsks().set("prompt", "none")) },
			exchange.Answered{Endpoint: "/oauth2/v2.0/authorize", Status: http.StatusFound, Code: 50058}},
		{"a token that was minted", func() {
			_, err := w.Mint(t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: testClient, Resource: "api://orders"})
			w.must(err)
		}, exchange.Answered{Status: 200, Tenant: testTenant, Version: "2.0"}},
		{"a token that was not minted", func() {
			if _, err := w.Mint(t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: nobody, Resource: "api://orders"}); err == nil {
				t.Error("nobody got a token")
			}
		}, exchange.Answered{Status: 400, Code: 700016, Tenant: testTenant}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			tt.act()
			if len(told) != 1 {
				t.Fatalf("told of %d answers, want 1", len(told))
			}
			told[0].Took = 0
			if told[0] != tt.want {
				t.Errorf("told of %+v, want %+v", told[0], tt.want)
			}
			if text := fmt.Sprintf("%+v", told[0]); strings.Contains(text, w.secret) || strings.Contains(text, testPassword) {
				t.Errorf("it tells a secret: %s", text)
			}
		})
	}
	w.server.Mux.Tenant("/slow", exchange.Endpoint{Method: http.MethodGet, Serve: w.slow})
	told = nil
	w.get("/contoso.test/slow")
	if len(told) != 1 || told[0].Took != 3*time.Second {
		t.Errorf("told of %+v, want that it took 3 seconds", told)
	}
}

// slow is an endpoint that takes three seconds.
func (w *world) slow(context.Context, *exchange.Exchange) (exchange.Answer, error) {
	w.clock.Advance(3 * time.Second)
	return exchange.JSON(struct{}{}, exchange.NeverCached)
}
