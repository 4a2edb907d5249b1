package authoritytest_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
)

// heard tells of each line of a guard's log that has a message.
type heard struct {
	slog.Handler
	message string
	told    chan struct{}
}

func (heard) Enabled(context.Context, slog.Level) bool { return true }

func (h heard) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.message {
		h.told <- struct{}{}
	}
	return nil
}

// A token with an hour left is refused as soon as its client is disabled, or has lost the role,
// and the client's next token is accepted once that is given back.
func TestRevocationReachesAPI(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		take, give func(*authoritytest.Authority)
	}{
		"disabled": {func(a *authoritytest.Authority) { a.Disable("report") }, func(a *authoritytest.Authority) { a.Enable("report") }},
		"role lost": {func(a *authoritytest.Authority) { a.Revoke("report", "orders", "Orders.Read") },
			func(a *authoritytest.Authority) { a.Grant("report", "orders", "Orders.Read") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := authoritytest.Start(t)
			cfg := login.API("orders").Config()
			cfg.Revocations = login.API("orders").Revocations()
			revoked := heard{slog.DiscardHandler, "token revocation", make(chan struct{}, 8)}
			cfg.Log = slog.New(revoked)
			g, err := guard.New(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			api := g.Require("Orders.Read")(listOrders)
			report, other := login.Token("report", "orders", "Orders.Read"), login.Token("other", "orders", "Orders.Read")
			if err := g.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := send(api, report); status != http.StatusOK {
				t.Fatalf("before: %d", status)
			}
			change.take(login)
			select {
			case <-revoked.told:
			case <-time.After(20 * time.Second):
				t.Fatal("the guard has heard nothing")
			}
			if d := g.Check(t.Context(), report, guard.Rule{Roles: []string{"Orders.Read"}}); d.Reason != guard.TokenRevoked {
				t.Errorf("after: %v %s", d.Outcome, d.Reason)
			}
			if status := send(api, other); status != http.StatusOK {
				t.Errorf("somebody else: %d", status)
			}
			change.give(login)
			login.Clock().Advance(5 * time.Second)
			if status := send(api, login.Token("report", "orders")); status != http.StatusOK {
				t.Errorf("given back: %d", status)
			}
			if status := send(api, report); status != http.StatusUnauthorized {
				t.Errorf("given back, with the old token: %d", status)
			}
		})
	}
}
