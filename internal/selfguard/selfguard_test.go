package selfguard_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// newGuard returns a guard of the API orders.
func newGuard(t *testing.T, login *insidetest.Authority, without bool) *selfguard.Guard {
	t.Helper()
	api := login.API("orders")
	api.Require("Orders.Read", nil)
	g, err := selfguard.New(selfguard.Config{
		Authority: login.URL, Audience: []string{"api://orders", api.AppID}, Directory: login.Directory(),
		HTTPClient: login.HTTPClient(), Now: login.Clock().Now, WithoutPermissions: without,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	strict, lenient := newGuard(t, login, false), newGuard(t, login, true)
	none, good, bad := login.Token("stranger", "orders"), login.Token("report", "orders", "Orders.Read"), login.Bad()
	for _, tt := range []struct {
		name          string
		guard         *selfguard.Guard
		authorization string
		reason        guard.Reason // of the refusal
		refused       bool
		outcome       guard.Outcome
	}{
		{"a role", strict, "Bearer " + good, "", false, 0},
		{"the scheme in lower case", strict, "bearer " + good, "", false, 0},
		{"no permission, none required", lenient, "Bearer " + none, "", false, 0},
		{"no permission", strict, "Bearer " + none, guard.NoPermissions, true, guard.Forbidden},
		{"no header", lenient, "", "", true, guard.Unauthenticated},
		{"another scheme", lenient, "Basic " + good, "", true, guard.Unauthenticated},
		{"no token", lenient, "Bearer ", "", true, guard.Unauthenticated},
		{"not a token", lenient, "Bearer garbage", "", true, guard.Unauthenticated},
		{"another tenant of the directory", strict, "Bearer " + bad.OtherTenant("report", "orders"), "", false, 0},
		{"an unknown tenant", lenient, "Bearer " + bad.WrongIssuer("report", "orders", "Orders.Read"), guard.IssuerUnknown, true, guard.Unauthenticated},
		{"expired", lenient, "Bearer " + bad.Expired("report", "orders", "Orders.Read"), guard.TokenExpired, true, guard.Unauthenticated},
		{"tampered", lenient, "Bearer " + bad.Tampered("report", "orders", "Orders.Read"), guard.SignatureInvalid, true, guard.Unauthenticated},
		{"another audience", lenient, "Bearer " + bad.WrongAudience("report", "orders", "Orders.Read"), guard.AudienceMismatch, true, guard.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.authorization != "" {
				header.Set("Authorization", tt.authorization)
			}
			caller, err := tt.guard.Admit(t.Context(), header, guard.Rule{Caller: guard.CallerAny})
			if !tt.refused {
				if err != nil || caller.Tenant == nil || string(caller.Tenant.ID) != caller.TenantID || caller.ClientID == "" {
					t.Errorf("got %+v, %v", caller, err)
				}
				return
			}
			var refusal *selfguard.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != tt.reason || refusal.Outcome != tt.outcome || caller.Tenant != nil {
				t.Fatalf("got %+v, %#v; want %s, %q", caller, err, tt.outcome, tt.reason)
			}
			if _, raw, _ := strings.Cut(tt.authorization, " "); raw != "" && strings.Contains(refusal.Error(), raw) {
				t.Error("the refusal repeats the token")
			}
		})
	}
}

// Tokens of a principal count no more once they were ended, as for APIs that follow revocations;
// those that it gets afterwards do.
func TestEndedTokensAreRefused(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	g := newGuard(t, login, false)
	admit := func(raw string) error {
		_, err := g.Admit(t.Context(), http.Header{"Authorization": {"Bearer " + raw}}, guard.Rule{Caller: guard.CallerAny})
		return err
	}
	old := login.Token("report", "orders", "Orders.Read")
	if err := admit(old); err != nil {
		t.Fatal(err)
	}
	login.Clock().Advance(time.Minute)
	_, err := login.Directory().Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		client, err := e.ServicePrincipals().Find(authoritytest.TenantID, "report")
		if err != nil {
			return err
		}
		return e.ServicePrincipals().EndTokens(authoritytest.TenantID, client.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	var refusal *selfguard.Refusal
	if err := admit(old); !errors.As(err, &refusal) || refusal.Reason != guard.TokenRevoked || refusal.Outcome != guard.Unauthenticated {
		t.Errorf("a token that was ended: %v", err)
	}
	login.Clock().Advance(time.Minute)
	if err := admit(login.Token("report", "orders", "Orders.Read")); err != nil {
		t.Errorf("a token from afterwards: %v", err)
	}
}

func TestAnAuthorityOutOfReachIsNoRefusal(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	good := login.Token("report", "orders", "Orders.Read")
	unreachable := errors.New("unreachable")
	g, err := selfguard.New(selfguard.Config{
		Authority: login.URL, Audience: []string{login.API("orders").AppID}, Directory: login.Directory(),
		HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, unreachable })},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	var refusal *selfguard.Refusal
	_, err = g.Admit(t.Context(), http.Header{"Authorization": {"Bearer " + good}}, guard.Rule{})
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v, want an error that is not a refusal", err)
	}
}

func TestNewChecksTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, cfg := range []selfguard.Config{
		{}, {Authority: "https://localhost"}, {Authority: "https://localhost", Audience: []string{"api://orders"}},
	} {
		if _, err := selfguard.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

// A transport answers requests by a function.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
