package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// A token without oid is one of an application that has no service principal in the tenant.
func TestTokensWithoutAPrincipal(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	without := func(more ...claims) string {
		return a.token(t, append([]claims{{"oid": nil, "roles": nil, "idtyp": nil}}, more...)...)
	}
	mine, others := []string{clientID}, []string{"11111111-2222-4c4c-8d8d-000000000001"}
	run(t, newGuard(t, a.config()), []bearerCase{{"as ever", without(), badToken(guard.ClaimsInvalid)}})
	cfg := a.config()
	cfg.ObjectIDOptional = true
	g := newGuard(t, cfg)
	for _, tt := range []struct {
		name string
		raw  string
		rule guard.Rule
		want guard.Reason
	}{
		{"named by the rule", without(), guard.Rule{Clients: mine}, ""},
		{"named by the rule, with idtyp", without(claims{"idtyp": "app"}), guard.Rule{Clients: mine}, ""},
		{"another is named", without(), guard.Rule{Clients: others}, guard.ClientNotAllowed},
		{"nobody is named", without(), guard.Rule{}, guard.PrincipalNotAllowed},
		{"nobody is named, and it has a role", without(claims{"roles": []string{"Orders.Read"}}), ordersRule, guard.PrincipalNotAllowed},
		{"principals are named", without(), guard.Rule{Clients: mine, Principals: []string{principalID}}, guard.PrincipalNotAllowed},
		{"a role is needed", without(), guard.Rule{Clients: mine, Roles: []string{"Orders.Read"}}, guard.RoleMissing},
		{"a user's token", without(claims{"scp": "S"}), guard.Rule{Clients: mine}, guard.WrongCallerKind},
		{"a user's token that says so", without(claims{"idtyp": "user"}), guard.Rule{Clients: mine}, guard.WrongCallerKind},
		{"an empty oid", without(claims{"oid": ""}), guard.Rule{Clients: mine}, guard.ClaimsInvalid},
		{"an oid of another type", without(claims{"oid": 7}), guard.Rule{Clients: mine}, guard.ClaimsInvalid},
		{"a null oid", without(claims{"oid": number("null")}), guard.Rule{Clients: mine}, guard.ClaimsInvalid},
		{"no sub either", without(claims{"sub": nil}), guard.Rule{Clients: mine}, guard.ClaimsInvalid},
		{"with oid, as ever", a.token(t), ordersRule, ""},
	} {
		for range 2 {
			if d := g.Check(t.Context(), tt.raw, tt.rule); d.Reason != tt.want || d.Allowed() != (tt.want == "") {
				t.Errorf("%s: %s %q, want %q", tt.name, d.Outcome, d.Reason, tt.want)
			}
		}
	}
	cfg.Clients = mine
	if d := newGuard(t, cfg).Check(t.Context(), without(claims{"roles": []string{"Orders.Read"}}), ordersRule); !d.Allowed() {
		t.Errorf("named by the configuration: %s", d.Reason)
	}
	cfg.Clients = others
	if d := newGuard(t, cfg).Check(t.Context(), without(), guard.Rule{Clients: mine}); d.Reason != guard.ClientNotAllowed {
		t.Errorf("not named by the configuration: %q", d.Reason)
	}
}

// The handler learns who calls, and gets the credential only if it was asked for.
func TestTheHandlerSeesNoToken(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	for _, forward := range []bool{false, true} {
		cfg := a.config()
		cfg.ForwardToken = forward
		g := newGuard(t, cfg)
		var seen []string
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen = r.Header["Authorization"]
			if caller, ok := guard.CallerFrom(r.Context()); r.URL.Path == "/orders" && (!ok || caller.ClientID != clientID) {
				t.Error("no caller")
			}
		})
		byRules, err := g.Handler(protectedRules(), next)
		if err != nil {
			t.Fatal(err)
		}
		for name, handler := range map[string]http.Handler{"Handler": byRules, "Require": g.Require("Orders.Read")(next)} {
			for _, path := range []string{"/orders", "/healthz"} {
				for _, more := range []string{"", "X-Guard-Roles"} { // a header that is removed as well
					r := httptest.NewRequest(http.MethodGet, path, nil)
					authorization := "Bearer " + a.token(t)
					r.Header.Set("Authorization", authorization)
					r.Header.Set("Accept", "text/plain")
					if more != "" {
						r.Header.Set(more, "evil")
					}
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if w.Code != http.StatusOK || forward != (len(seen) == 1 && seen[0] == authorization) || !forward && len(seen) > 0 {
						t.Errorf("%s, %s, forward %t: status %d, the handler saw %d lines", name, path, forward, w.Code, len(seen))
					}
					if r.Header.Get("Authorization") != authorization || more != "" && r.Header.Get(more) == "" {
						t.Errorf("%s: the request of an outer handler was changed", name)
					}
				}
			}
		}
	}
}
