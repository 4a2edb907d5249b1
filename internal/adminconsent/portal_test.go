package adminconsent_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/adminconsent"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

const (
	asksRoles  = "a5c00001-5a5a-4c4c-8d8d-000000000001"
	asksScopes = "a5c00002-5a5a-4c4c-8d8d-000000000002"
	asksGraph  = "a5c00003-5a5a-4c4c-8d8d-000000000003"
	asksNone   = "a5c00004-5a5a-4c4c-8d8d-000000000004"
)

const applications = `tenants:
  - name: contoso
    id: ` + authoritytest.TenantID + `
    domains: [` + authoritytest.TenantDomain + `]
    applications:
      - name: portal
        appId: 74658136-14ec-4630-ad9b-26e160ff0fc6
        requestedAccessTokenVersion: 1
        scopes: [{value: user_impersonation}, {value: something_else}]
      - name: orders
        appRoles: [{value: Orders.Read, members: [Application]}]
        scopes: [{value: Orders.List}]
      - {name: asks-roles, appId: ` + asksRoles + `, permissions: [{api: orders, roles: [Orders.Read]}]}
      - {name: asks-scopes, appId: ` + asksScopes + `, permissions: [{api: orders, scopes: [Orders.List]}]}
      - {name: asks-graph, appId: ` + asksGraph + `, permissions: [{api: "https://graph.microsoft.com", roles: [Application.Read.All]}]}
      - {name: asks-none, appId: ` + asksNone + `}
      - {name: nothing, permissions: [{api: "https://graph.microsoft.com", roles: [Application.ReadWrite.All], consent: true}]}
      - {name: roles, permissions: [{api: "https://graph.microsoft.com", roles: [AppRoleAssignment.ReadWrite.All], consent: true}]}
      - {name: scopes, permissions: [{api: "https://graph.microsoft.com", roles: [DelegatedPermissionGrant.ReadWrite.All], consent: true}]}
    users:
      - {userPrincipalName: dev@` + authoritytest.TenantDomain + `}
      - {userPrincipalName: apps@` + authoritytest.TenantDomain + `, directoryRoles: [Application Administrator]}
      - {userPrincipalName: root@` + authoritytest.TenantDomain + `, directoryRoles: [Global Administrator]}
      - {userPrincipalName: reader@` + authoritytest.TenantDomain + `, directoryRoles: [Global Reader]}
`

type world struct {
	*testing.T
	login  *insidetest.Authority
	portal http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	login := insidetest.Start(t)
	login.Apply(applications)
	portal, err := adminconsent.New(adminconsent.Config{Authority: login.URL, Directory: login.Directory(), HTTPClient: login.HTTPClient(), Now: login.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(portal.Close)
	return &world{t, login, portal.Handler()}
}

// ask has an application consented to as the Azure CLI does.
func (w *world) ask(app, raw string) *httptest.ResponseRecorder {
	w.Helper()
	request := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/api/RegisteredApplications/"+app+"/Consent?onBehalfOfAll=true", nil)
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	answer := httptest.NewRecorder()
	w.portal.ServeHTTP(answer, request)
	return answer
}

func (w *world) app(name string) string {
	w.Helper()
	token, err := w.login.Credential(name).GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{"74658136-14ec-4630-ad9b-26e160ff0fc6/.default"}})
	if err != nil {
		w.Fatal(err)
	}
	return token.Token
}

func (w *world) user(name string) string { return w.userBy(name, "user_impersonation") }

func (w *world) userBy(name, scope string) string {
	w.Helper()
	return w.login.UserToken(name+"@"+authoritytest.TenantDomain, "cli", "portal", scope)
}

// granted is what an application holds.
func (w *world) granted(app string) (roles, scopes int) {
	w.Helper()
	view := w.login.Directory().View(w.Context())
	client, err := view.ServicePrincipals().Find(authoritytest.TenantID, app)
	if err != nil {
		w.Fatal(err)
	}
	assignments, err := view.Assignments().AllOf(client.Tenant, client.ID)
	if err != nil {
		w.Fatal(err)
	}
	grants, err := view.DelegatedGrants().AllOf(client.Tenant, client.ID)
	if err != nil {
		w.Fatal(err)
	}
	for _, g := range grants {
		if g.Principal == "" {
			scopes += len(g.Scopes)
		}
	}
	return len(assignments), scopes
}

// Who may consent depends on what is asked for, and a refusal grants nothing.
func TestWhoMayConsent(t *testing.T) {
	t.Parallel()
	asked := []string{asksRoles, asksScopes, asksGraph, asksNone}
	for _, tt := range []struct {
		name string
		raw  func(*world) string
		may  []string
	}{
		{"an application that may change others", func(w *world) string { return w.app("nothing") }, nil},
		{"an application that grants roles", func(w *world) string { return w.app("roles") }, []string{asksRoles, asksGraph}},
		{"an application that grants scopes", func(w *world) string { return w.app("scopes") }, []string{asksScopes, asksNone}},
		{"a user", func(w *world) string { return w.user("dev") }, nil},
		{"a global reader", func(w *world) string { return w.user("reader") }, nil},
		{"an application administrator", func(w *world) string { return w.user("apps") }, []string{asksRoles, asksScopes, asksNone}},
		{"a global administrator", func(w *world) string { return w.user("root") }, asked},
		{"a global administrator through a client with another scope", func(w *world) string { return w.userBy("root", "something_else") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			raw := tt.raw(w)
			for _, app := range asked {
				may := slices.Contains(tt.may, app)
				got := w.ask(app, raw)
				roles, scopes := w.granted(app)
				want := 0
				if may && app != asksNone {
					want = 1
				}
				if may != (got.Code == http.StatusNoContent) || !may && (got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), "lacks")) || roles+scopes != want {
					t.Errorf("%s: %d %s, %d roles and %d scopes", app, got.Code, got.Body, roles, scopes)
				}
				if again := w.ask(app, raw); again.Code != got.Code {
					t.Errorf("%s again: %d %s", app, again.Code, again.Body)
				}
			}
		})
	}
}

// An application that is disabled or an administrator that is deleted consents to nothing more.
func TestConsentIsAskedOfTheMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app, user := w.app("roles"), w.user("root")
	w.login.Disable("roles")
	_, err := w.login.Directory().Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		root, err := e.Users().Find(authoritytest.TenantID, "root@"+authoritytest.TenantDomain)
		if err != nil {
			return err
		}
		return e.Users().Delete(root.Tenant, root.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{"a disabled application": app, "a user who is gone": user} {
		if got := w.ask(asksRoles, raw); got.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}

func TestOthersGetNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.app("roles")
	w.login.API("orders")
	for name, tt := range map[string]struct {
		app, raw string
		status   int
	}{
		"nobody": {asksRoles, "", 401}, "another API's token": {asksRoles, w.login.Token("roles", "orders"), 401}, "tampered": {asksRoles, good[:len(good)-8] + "AAAAAAAA", 401},
		"another tenant": {asksRoles, w.login.Bad().OtherTenant("roles", "portal"), 403}, // where nobody of that id is
		"no app id":      {"asks-roles", good, 400}, "no application": {"a5c00009-5a5a-4c4c-8d8d-000000000009", good, 404},
	} {
		got := w.ask(tt.app, tt.raw)
		if got.Code != tt.status || tt.raw != "" && strings.Contains(got.Body.String(), tt.raw) || got.Code == 401 && got.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if roles, _ := w.granted(asksRoles); roles != 0 {
		t.Error("something was granted")
	}
	answer := httptest.NewRecorder()
	w.portal.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("elsewhere: %d %s", answer.Code, answer.Body)
	}
	if _, err := adminconsent.New(adminconsent.Config{}); err == nil {
		t.Error("nothing is taken for a configuration")
	}
}
