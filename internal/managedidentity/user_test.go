package managedidentity

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

const toolID = directory.AppID("c11e0001-5a5a-4c4c-8d8d-0000000000c1") // a public client

// addTool adds a tool that may list and count orders for every user.
func addTool(e *directory.Editor) error {
	if _, err := e.Applications().Create(directory.Application{Tenant: fixture.TenantID, AppID: toolID, Name: "tool", Public: true}); err != nil {
		return err
	}
	tool, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: fixture.TenantID, AppID: toolID})
	if err != nil {
		return err
	}
	_, err = e.DelegatedGrants().Add(fixture.TenantID, tool.ID, fixture.ServerPrincipal, "", []string{"Orders.List", "Orders.Count"})
	return err
}

func (w *world) userEndpoint() *Endpoint {
	w.t.Helper()
	h, err := w.Open(w.t.Context(), EndpointConfig{Tenant: fixture.TenantID, Identities: w.identities(toolID), User: fixture.UserID, Platform: directory.PlatformCLI, Owner: anyUser})
	w.must(err)
	return h
}

// askScopes requests a token as azd does.
func (w *world) askScopes(h *Endpoint, scopes ...string) reply {
	w.t.Helper()
	q := good(h)
	q.body = `{"scopes":["` + strings.Join(scopes, `","`) + `"]}`
	return w.ask(h, q)
}

func TestUserOfTheDeveloperTools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(addTool)
	h := w.userEndpoint()
	for asked, want := range map[string]string{
		"api://orders/.default":                              "Orders.Count Orders.List",
		"api://orders/Orders.List":                           "Orders.List",
		"api://orders/Orders.List api://orders/Orders.Count": "Orders.List Orders.Count",
	} {
		claims := claimsOf(t, w.askScopes(h, strings.Fields(asked)...).text("token"))
		if got := claim(claims, "scp"); got != want || claim(claims, "oid") != string(fixture.UserID) || claim(claims, "azp") != string(toolID) || claim(claims, "azpacr") != "0" {
			t.Errorf("%s: scp %q, want %q; oid %s, azp %s", asked, got, want, claim(claims, "oid"), claim(claims, "azp"))
		}
	}
	refused := w.askScopes(h, "api://orders/Orders.Change")
	refused.refusedWith(t, http.StatusOK)
	if text := refused.text("message"); !strings.HasPrefix(text, "AADSTS65001: ") || !strings.HasSuffix(text, "Correlation ID: "+refused.header.Get("X-Ms-Request-Id")) {
		t.Errorf("got %q", text)
	}
	w.askScopes(h).refusedWith(t, http.StatusOK)
}

// A cached token is valid for the sign-in in which it was issued, and while the user is enabled.
func TestUsersTokensAreKept(t *testing.T) {
	t.Parallel()
	for _, platform := range []bool{false, true} {
		w := newWorld(t, func(c *Config) { c.PlatformCache = platform })
		w.edit(addTool)
		h, other := w.userEndpoint(), w.userEndpoint()
		first := w.askScopes(h, "api://orders/.default").text("token")
		if w.askScopes(h, "api://orders/.default").text("token") != first || w.signed.Load() != 1 {
			t.Errorf("%d tokens were made, want 1", w.signed.Load())
		}
		session := claim(claimsOf(t, first), "sid")
		if there := claim(claimsOf(t, w.askScopes(other, "api://orders/.default").text("token")), "sid"); session == "" || there == session {
			t.Errorf("the sessions of two processes are %q and %q", session, there)
		}
		if w.askScopes(h, "api://orders/.default").text("token") != first || w.signed.Load() != 2 {
			t.Errorf("%d tokens were made for two sessions, want 2: one took the other's place", w.signed.Load())
		}
		w.edit(func(e *directory.Editor) error {
			user, err := e.Users().Find(fixture.TenantID, string(fixture.UserID))
			if err != nil {
				return err
			}
			user.Enabled = false
			_, err = e.Users().Edit(user.Tenant, user.ID, func(v *directory.User) error { *v = *user; return nil })
			return err
		})
		refused := w.askScopes(h, "api://orders/.default")
		refused.refusedWith(t, http.StatusOK)
		if !strings.HasPrefix(refused.text("message"), "AADSTS50057") {
			t.Errorf("got %s", refused.raw)
		}
	}
}

func TestUsersHaveTheDeveloperToolsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, cfg := range []EndpointConfig{
		{Identities: []Identity{{App: toolID}}, Platform: directory.PlatformAppService},
		{Identities: append(w.identities(fixture.IdentityID), Identity{App: toolID}), Platform: directory.PlatformCLI},
	} {
		cfg.Tenant, cfg.User = fixture.TenantID, fixture.UserID
		if h, err := w.Open(t.Context(), cfg); err == nil {
			t.Errorf("%s with %d clients was opened", h.kind, len(cfg.Identities))
		}
	}
	if h := w.endpoint(directory.PlatformCLI); h.user != (issuance.UserSignIn{}) {
		t.Error("a host of identities acts for a user")
	}
}
