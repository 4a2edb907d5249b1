package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestRights(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	app := a.token(t, claims{"roles": []string{"A", "B"}})
	bare := a.token(t, claims{"roles": nil})
	user := a.token(t, claims{"idtyp": "user", "scp": "S T", "roles": []string{"A"}, "sub": "pairwise"})
	unknown := a.token(t, claims{"idtyp": nil, "sub": "other"})
	someone := []string{"11111111-2222-4c4c-8d8d-000000000001"}
	roles := func(r ...string) []string { return r }
	const anyone, users = guard.CallerAny, guard.CallerUser
	for _, tt := range []struct {
		name string
		raw  string
		rule guard.Rule
		want guard.Reason
	}{
		{"one of the roles", app, guard.Rule{Roles: roles("X", "B")}, ""},
		{"none of the roles", app, guard.Rule{Roles: roles("X", "Y")}, guard.RoleMissing},
		{"all roles", app, guard.Rule{AllRoles: roles("A", "B")}, ""},
		{"not all roles", app, guard.Rule{AllRoles: roles("A", "X")}, guard.RoleMissing},
		{"any and all, any missing", app, guard.Rule{Roles: roles("X"), AllRoles: roles("A")}, guard.RoleMissing},
		{"an empty role is held by nobody", a.token(t, claims{"roles": []string{"A"}}), guard.Rule{Roles: roles("")}, guard.RoleMissing},
		{"no demand, some role", app, guard.Rule{}, ""},
		{"C24 no demand, no role", bare, guard.Rule{}, guard.NoPermissions},
		{"no role, but a listed client", bare, guard.Rule{Clients: roles(clientID)}, ""},
		{"no role, but a listed principal", bare, guard.Rule{Principals: roles(principalID)}, ""},
		{"no role, a listed tenant", bare, guard.Rule{Tenants: roles(tenant)}, guard.NoPermissions},
		{"C20 another client", app, guard.Rule{Clients: someone}, guard.ClientNotAllowed},
		{"another principal", app, guard.Rule{Principals: someone}, guard.PrincipalNotAllowed},
		{"another tenant", app, guard.Rule{Tenants: someone}, guard.TenantNotAllowed},
		{"a listed client without the role", bare, guard.Rule{Clients: roles(clientID), Roles: roles("A")}, guard.RoleMissing},
		{"C22 a user where applications may", user, guard.Rule{Roles: roles("A")}, guard.WrongCallerKind},
		{"an application where users may", app, guard.Rule{Caller: users, Roles: roles("A")}, guard.WrongCallerKind},
		{"unknown where applications may", unknown, guard.Rule{}, guard.WrongCallerKind},
		{"unknown where users may", unknown, guard.Rule{Caller: users}, guard.WrongCallerKind},
		{"a user with one of the scopes", user, guard.Rule{Caller: users, Scopes: roles("X", "T")}, ""},
		{"a user without the scope", user, guard.Rule{Caller: users, Scopes: roles("X")}, guard.ScopeMissing},
		{"a user with scope and role", user, guard.Rule{Caller: users, Scopes: roles("S"), Roles: roles("A")}, ""},
		{"a user with scope without role", user, guard.Rule{Caller: users, Scopes: roles("S"), Roles: roles("X")}, guard.RoleMissing},
		{"a scope that holds a space", user, guard.Rule{Caller: users, Scopes: roles("S T")}, guard.ScopeMissing},
		{"anyone: an application by role", app, guard.Rule{Caller: anyone, Roles: roles("A"), Scopes: roles("X")}, ""},
		{"anyone: a user by scope", user, guard.Rule{Caller: anyone, Roles: roles("X"), Scopes: roles("S")}, ""},
		{"anyone: an application without role", app, guard.Rule{Caller: anyone, Roles: roles("X"), Scopes: roles("S")}, guard.RoleMissing},
		{"anyone: a user without scope", user, guard.Rule{Caller: anyone, Roles: roles("A"), Scopes: roles("X")}, guard.ScopeMissing},
		{"anyone: an application and scopes alone", app, guard.Rule{Caller: anyone, Scopes: roles("S")}, guard.ScopeMissing},
		{"anyone: unknown needs both", unknown, guard.Rule{Caller: anyone, Roles: roles("Orders.Read"), Scopes: roles("S")}, guard.ScopeMissing},
		{"an unknown kind in the rule", app, guard.Rule{Caller: "robot"}, guard.WrongCallerKind},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				d := g.Check(t.Context(), tt.raw, tt.rule)
				if d.Reason != tt.want || d.Allowed() != (tt.want == "") {
					t.Errorf("%s %q, want %q", d.Outcome, d.Reason, tt.want)
				}
				if caller, ok := d.Caller(); !ok || caller.ClientID != clientID {
					t.Error("the decision does not say who called")
				}
			}
		})
	}
}

func TestListsOfTheGuardHoldForEveryRule(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	someone := []string{"11111111-2222-4C4C-8D8D-000000000001"}
	upper := []string{"C11E0001-5A5A-4C4C-8D8D-000000000001"}
	for _, tt := range []struct {
		name   string
		change func(*guard.Config)
		want   guard.Reason
	}{
		{"the client in upper case", func(c *guard.Config) { c.Clients = upper }, ""},
		{"another client", func(c *guard.Config) { c.Clients = someone }, guard.ClientNotAllowed},
		{"another principal", func(c *guard.Config) { c.Principals = someone }, guard.PrincipalNotAllowed},
		{"another tenant", func(c *guard.Config) { c.Tenants = someone }, guard.TenantNotAllowed},
		{"users only", func(c *guard.Config) { c.Caller = guard.CallerUser }, guard.WrongCallerKind},
	} {
		cfg := a.config()
		tt.change(&cfg)
		if d := newGuard(t, cfg).Check(t.Context(), a.token(t), ordersRule); d.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, d.Reason, tt.want)
		}
	}
}

func TestFirstRuleDecides(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	rules := []guard.Rule{
		{Path: "/orders", Methods: []string{"GET"}, Roles: []string{"Orders.Read"}},
		{Path: "/orders", Methods: []string{"POST"}, Roles: []string{"Orders.Write"}},
		{Path: "/orders/{id}", Roles: []string{"Admin"}},
		{Path: "/orders/*", Anonymous: true},
	}
	handler, err := newGuard(t, a.config()).Handler(rules, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := guard.CallerFrom(r.Context()); ok == (r.URL.Path == "/orders/1/lines") {
			t.Errorf("%s: caller %v", r.URL.Path, ok)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	rules[0].Roles[0] = "Changed.Afterwards"
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/orders", 200}, {"POST", "/orders", 403}, {"GET", "/orders/1", 403}, {"GET", "/orders/1/lines", 200}, {"GET", "/", 403}, {"GET", "/other", 403},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Header.Set("Authorization", "Bearer "+a.token(t))
		handler.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.want)
		}
	}
}

func TestOnDecisionHearsEverything(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	var heard []guard.Decision
	cfg.OnDecision = func(d guard.Decision) { heard = append(heard, d) }
	g := newGuard(t, cfg)
	handler, err := g.Handler([]guard.Rule{{Path: "/orders", Roles: []string{"Orders.Read"}}, {Path: "/open", Anonymous: true}}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/orders", "/open", "/nowhere", "//"} {
		r := httptest.NewRequest(http.MethodGet, "http://api/x", nil)
		r.URL.Scheme, r.URL.Host, r.URL.Path = "", "", path
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	g.Check(t.Context(), a.token(t), guard.Rule{Path: "library"})
	want := []guard.Decision{
		{Outcome: guard.Unauthenticated, Reason: guard.TokenMissing, Route: "/orders"}, {Outcome: guard.Allow, Route: "/open"},
		{Outcome: guard.Forbidden, Reason: guard.NoPolicy}, {Outcome: guard.BadRequest, Reason: guard.PathNotCanonical}, {Outcome: guard.Allow, Route: "library"},
	}
	if len(heard) != len(want) {
		t.Fatalf("heard %d decisions", len(heard))
	}
	for i, d := range heard {
		if d.Outcome != want[i].Outcome || d.Reason != want[i].Reason || d.Route != want[i].Route {
			t.Errorf("decision %d: %s %s %s", i, d.Outcome, d.Reason, d.Route)
		}
	}
}

func TestCallersCannotBeChangedForOthers(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	raw := a.token(t, claims{"roles": []string{"Orders.Read"}})
	handler := g.Require("Orders.Read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caller, _ := guard.CallerFrom(r.Context())
		caller.Roles[0] = "Admin"
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	d := g.Check(t.Context(), raw, guard.Rule{Roles: []string{"Admin"}})
	if d.Reason != guard.RoleMissing {
		t.Errorf("a handler gave the next caller a role: %s %s", d.Outcome, d.Reason)
	}
}

func TestZeroDecisionRefuses(t *testing.T) {
	t.Parallel()
	var d guard.Decision
	if d.Allowed() || d.Outcome.Status() != http.StatusForbidden {
		t.Errorf("%s", d.Outcome)
	}
	if r := guard.Reason("of another version"); r.Outcome() != guard.Forbidden || r.Description() == "" {
		t.Errorf("an unknown reason is %s", r.Outcome())
	}
}
