package authoritytest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
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

// A client of Azure's SDK, unmodified, goes on with a new token when its own was revoked and it
// is allowed again: the API tells it that it needs one.
func TestRevokedClientGoesOnWithANewToken(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	orders := login.API("orders")
	if _, err := login.Directory().Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		app, err := e.Applications().Find(authoritytest.TenantID, "orders")
		if err != nil {
			return err
		}
		_, err = e.Applications().Edit(app.Tenant, app.ID, func(a *directory.Application) error {
			a.OptionalClaims = []directory.OptionalClaim{{Name: "xms_cc"}}
			return nil
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cfg := orders.Config()
	cfg.Revocations = orders.Revocations()
	revoked := heard{slog.DiscardHandler, "token revocation", make(chan struct{}, 8)}
	cfg.Log = slog.New(revoked)
	g, err := guard.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewTLSServer(g.Require("Orders.Read")(listOrders))
	defer api.Close()
	login.Grant("report", "orders", "Orders.Read")
	app := login.App("report")
	cred, err := azidentity.NewClientSecretCredential(app.TenantID, app.ClientID, app.Secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            policy.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: app.Authority}, Transport: login.HTTPClient()},
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	pipeline := runtime.NewPipeline("orders", "v1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(cred, []string{orders.Scope()}, nil)},
	}, &policy.ClientOptions{Transport: api.Client(), Retry: policy.RetryOptions{MaxRetries: -1}})
	call := func() int {
		t.Helper()
		request, err := runtime.NewRequest(t.Context(), http.MethodGet, api.URL)
		if err != nil {
			t.Fatal(err)
		}
		response, err := pipeline.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := call(); status != http.StatusOK {
		t.Fatalf("before: %d", status)
	}
	login.Disable("report")
	select {
	case <-revoked.told:
	case <-time.After(20 * time.Second):
		t.Fatal("the guard has heard nothing")
	}
	login.Enable("report")
	login.Clock().Advance(5 * time.Second)
	if status := call(); status != http.StatusOK {
		t.Errorf("enabled again: %d", status)
	}
}
