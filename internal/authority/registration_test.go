package authority

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The credentials of a service principal prove its application, besides the application's own,
// until they are removed.
func TestSecretsOfServicePrincipals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var kept directory.Secret
	var value string
	w.edit(func(e *directory.Editor) (err error) {
		kept, value, err = e.Credentials().MakeSecret(testTenant, principalID(testClient), directory.NewSecret{Name: "own"})
		return err
	})
	w.post(pathV2, w.good().set("client_secret", value)).token()
	w.post(pathV2, w.good()).token()
	w.edit(func(e *directory.Editor) error {
		return e.Credentials().Remove(testTenant, principalID(testClient), kept.ID)
	})
	w.post(pathV2, w.good().set("client_secret", value)).refused(401, "invalid_client", 7000215)
	w.post(pathV2, w.good()).token()
}

// An answer goes to redirect URIs of every kind; the port of a loopback URI is left open for
// programs on the user's machine, also where the application is no public client.
func TestRedirectsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.editApplication(webApp, func(a *directory.Application) {
		a.SPARedirectURIs = []string{"https://spa.contoso.test/in", "http://localhost/spa"}
		a.NativeRedirectURIs = []string{"http://localhost/native", "urn:ietf:wg:oauth:2.0:oob"}
	})
	for redirect, want := range map[string]int{
		webRedirect: http.StatusOK, "https://spa.contoso.test/in": http.StatusOK, "http://localhost/native": http.StatusOK,
		"http://localhost:51234/native": http.StatusOK, "http://localhost:51234/spa": http.StatusBadRequest,
		"https://spa.contoso.test/": http.StatusBadRequest, "urn:ietf:wg:oauth:2.0:other": http.StatusBadRequest,
	} {
		if got := w.browser().open(authorizeV2Path, w.webAsks().set("redirect_uri", redirect)).Code; got != want {
			t.Errorf("%s: got %d, want %d", redirect, got, want)
		}
	}
}

// A pre-authorized client needs nobody's consent for the scopes that it is let use.
func TestPreAuthorizedClients(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://orders/" + w.read.Value}
	w.post(pathV2, form).refused(400, "invalid_grant", 65001)
	w.editApplication(testAPI, func(a *directory.Application) {
		a.PreAuthorized = []directory.PreAuthorization{{App: publicApp, Scopes: []directory.ScopeID{w.read.ID}}}
	})
	if got := w.post(pathV2, form).claims(t)["scp"]; got == nil {
		t.Errorf("scp is %v", got)
	}
	w.editApplication(testAPI, func(a *directory.Application) { a.PreAuthorized = nil })
	w.post(pathV2, form).refused(400, "invalid_grant", 65001)
}

// Users and administrators read the texts that are meant for them.
func TestConsentTextsOfUsers(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.editApplication(testAPI, func(a *directory.Application) {
		for i := range a.Scopes {
			if a.Scopes[i].ID == w.read.ID {
				a.Scopes[i].UserDisplayName, a.Scopes[i].UserDescription = "Look at your own orders", "It sees what you bought"
			}
		}
	})
	for user, forUser := range map[string]bool{testUser: true, testAdmin: false} {
		b := w.browser()
		b.open(authorizeV2Path, w.webAsks())
		page := b.signIn(user).Body.String()
		for text, shown := range map[string]bool{"Look at your own orders": forUser, "It sees what you bought": forUser, w.read.DisplayName: !forUser, w.read.Description: !forUser} {
			if strings.Contains(page, text) != shown {
				t.Errorf("%s: %q is shown: %t", user, text, !shown)
			}
		}
	}
}
