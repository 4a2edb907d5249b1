package authority

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/discovery"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Every tenant has the rolecall command as a client, which acts for users where directories are
// managed, and nowhere else. A tenant that registers its app id says itself what it may do.
func TestTheCommandIsAClientOfEveryTenant(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{testTenant, "organizations"} {
		w := newUserWorld(t)
		start := func(scope string) *reply {
			return w.post("/"+tenant+"/oauth2/v2.0/devicecode", values{"client_id": string(directory.CLIAppID), "scope": scope + " offline_access openid"})
		}
		started := start("https://graph.microsoft.com/.default")
		if page := w.browser().approve(started.text("user_code"), testUser, "continue"); page.Code != 200 {
			t.Fatalf("got %d: %s", page.Code, page.Body)
		}
		poll := values{"grant_type": "device_code", "client_id": string(directory.CLIAppID), "device_code": started.text("device_code")}
		r := w.post("/"+tenant+"/oauth2/v2.0/token", poll)
		claims := r.claims(t)
		if claims["scp"] != "Directory.AccessAsUser.All" || claims["oid"] != string(w.user.ID) || claims["aud"] != "https://graph.microsoft.com" {
			t.Errorf("%s: got %v", tenant, claims)
		}
		refresh := values{"grant_type": "refresh_token", "client_id": string(directory.CLIAppID), "refresh_token": r.text("refresh_token"), "scope": "https://management.azure.com/.default"}
		if claims := w.post(pathV2, refresh).claims(t); claims["scp"] != "user_impersonation" {
			t.Errorf("%s: renewed: %v", tenant, claims)
		}
		w.post(pathV2, refresh.set("scope", "api://orders/.default")).refused(400, "invalid_resource", 650057)
		w.post(pathV2, values{"grant_type": "client_credentials", "client_id": string(directory.CLIAppID), "scope": "https://graph.microsoft.com/.default"}).refused(401, "invalid_client", 7000218)

		w.edit(func(e *directory.Editor) error {
			if _, err := e.Applications().Create(directory.Application{Tenant: testTenant, AppID: directory.CLIAppID, Name: "no-cli", Public: true}); err != nil {
				return err
			}
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: directory.CLIAppID})
			return err
		})
		w.editPrincipal(directory.CLIAppID, func(p *directory.ServicePrincipal) { p.Enabled = false })
		if r := w.post(pathV2, refresh); r.Code == 200 {
			t.Errorf("%s: a command that the tenant has disabled still renews its tokens", tenant)
		}
	}
}

// A program that knows a server's URL alone finds the rest of it, at whatever name it asks.
func TestServicesAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Services = discovery.Services{Graph: "https://login.contoso.test:8444", ResourceManager: "https://login.contoso.test:8445"}
	})
	r := w.get("/.well-known/rolecall")
	if want := `{"authority":"` + testBase + `","graph":"https://login.contoso.test:8444","resourceManager":"https://login.contoso.test:8445"}`; r.Body.String() != want {
		t.Errorf("got %s, want %s", r.Body, want)
	}
	w = newWorld(t)
	if r := w.get("/.well-known/Rolecall"); r.Body.String() != `{"authority":"`+testBase+`"}` {
		t.Errorf("an authority alone: %s", r.Body)
	}
}
