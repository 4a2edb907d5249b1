package arm_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A kind of caller, and what it may.
type kind struct {
	name   string
	raw    string
	writes bool
	needs  string // what a refusal of a change names
}

// everybody is a token of each kind of caller of the tenant.
func (w *world) everybody() []kind {
	w.Helper()
	w.withGraph()
	w.login.Grant("looker", "graph", "Application.Read.All")
	w.login.API("graph")
	user := func(name, scope string, roles ...string) string {
		raw := w.login.UserToken(name+"@"+authoritytest.TenantDomain, "cli", "resource-manager", scope)
		w.change(func(e *directory.Editor) error {
			found, err := e.Users().Find(authoritytest.TenantID, name+"@"+authoritytest.TenantDomain)
			if err != nil {
				return err
			}
			_, err = e.Users().Edit(found.Tenant, found.ID, func(u *directory.User) error {
				u.DirectoryRoles = roles
				return nil
			})
			return err
		})
		return raw
	}
	const app, people, scope = "Application.ReadWrite.All of Microsoft Graph", "Cloud Application Administrator", "the scope user_impersonation"
	return []kind{
		{"an application without roles", w.token("report", arm.Resource+".default"), false, app},
		{"an application that may read Graph", w.token("looker", arm.Resource+".default"), false, app},
		{"an application that may write Graph", w.token("writer", arm.Resource+".default"), true, ""},
		{"a user", user("dev", "user_impersonation"), false, people},
		{"a global reader", user("auditor", "user_impersonation", "Global Reader"), false, people},
		{"a global administrator", user("root", "user_impersonation", "Global Administrator"), true, ""},
		{"an application administrator", user("apps", "user_impersonation", "application administrator"), true, ""},
		{"a cloud application administrator", user("cloudy", "user_impersonation", "Cloud Application Administrator"), true, ""},
		{"an administrator through a client with another scope", user("other", "something_else", "Global Administrator"), false, scope},
	}
}

func (w *world) change(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.login.Directory().Change(w.Context(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

// furnish makes all that w.path names, unless it is there.
func (w *world) furnish(admin string) {
	w.Helper()
	for _, form := range []string{
		"/subscriptions/{subscription}/resourceGroups/{group}",
		"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}",
		"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}/federatedIdentityCredentials/{credential}",
	} {
		if got := w.do(http.MethodPut, w.path(form), admin, bodyOf(form)); got.status != http.StatusOK && got.status != http.StatusCreated {
			w.Fatalf("%s: %d %s", form, got.status, got.text)
		}
	}
}

// bodyOf is what a PUT to a form takes.
func bodyOf(form string) string {
	if strings.HasSuffix(form, "{credential}") {
		return `{"properties":{"issuer":"https://issuer.test","subject":"system:serviceaccount:shop:orders","audiences":["api://AzureADTokenExchange"]}}`
	}
	return `{"location":"local"}`
}

// Every route, asked by every kind of caller of the tenant: all may read, and who may change
// something, the directory says.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	callers := w.everybody()
	w.change(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: authoritytest.TenantID, Type: directory.PrincipalManagedIdentity, Name: "web-mi"})
		return err
	})
	admin := callers[2].raw
	for _, route := range arm.Routes() {
		for _, c := range callers {
			w.furnish(admin)
			before := w.sequence()
			got := w.do(route.Method, w.path(route.Form), c.raw, bodyOf(route.Form))
			what := fmt.Sprintf("%s %s by %s: %d %s", route.Method, route.Form, c.name, got.status, got.text)
			switch {
			case route.Action == "" || c.writes:
				if got.status < 200 || got.status > 299 {
					t.Error(what)
				}
			case got.status != http.StatusForbidden || got.code() != "AuthorizationFailed" || !strings.Contains(got.text, "'"+route.Action+"'") ||
				!strings.Contains(got.text, "it needs") || !strings.Contains(got.text, c.needs):
				t.Error(what)
			case w.sequence() != before:
				t.Errorf("%s, and something has changed", what)
			}
			if route.Action == "" && w.sequence() != before {
				t.Errorf("%s, and something has changed", what)
			}
		}
	}
}

// sequence is how many changes there were.
func (w *world) sequence() int {
	w.Helper()
	rows, err := w.login.Directory().AuditRows(w.Context(), 0, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	return len(rows)
}

// A caller of another tenant is told nothing: what is there and what is not looks the same.
func TestAnotherTenantSeesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withGraph()
	w.furnish(w.token("writer", arm.Resource+".default"))
	stranger := w.login.Bad().OtherTenant("writer", "resource-manager")
	for _, route := range arm.Routes() {
		path := w.path(route.Form)
		if !strings.HasPrefix(path, w.id) {
			continue
		}
		before := w.sequence()
		got := w.do(route.Method, path, stranger, bodyOf(route.Form))
		free := w.do(route.Method, strings.ReplaceAll(path, "orders-mi", "nobody-mi"), stranger, bodyOf(route.Form))
		want := "SubscriptionNotFound"
		if strings.Contains(route.Form, "{scope...}") {
			want = "ResourceNotFound"
		}
		if got.status != http.StatusNotFound || got.code() != want || free.status != got.status || free.code() != got.code() {
			t.Errorf("%s %s: %d %s; of what is not there: %d %s", route.Method, route.Form, got.status, got.text, free.status, free.text)
		}
		if strings.Contains(got.text, directory.Subscription("")) || w.sequence() != before {
			t.Errorf("%s %s: %s", route.Method, route.Form, got.text)
		}
	}
	for _, path := range []string{"/subscriptions", "/tenants"} {
		if got := w.get(path, stranger); got.status != http.StatusOK || strings.Contains(got.text, authoritytest.TenantID) || strings.Contains(got.text, w.id) {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
}

// Whoever a federated credential trusts has the identity's tokens. Where the identity may change
// the directory, that is for those who could give themselves what it may.
func TestCredentialsGiveNobodyMoreRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	callers := w.everybody()
	writer, global, applications := callers[2].raw, callers[5].raw, callers[6].raw
	const form = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}/federatedIdentityCredentials/{credential}"
	w.furnish(writer)
	w.is(w.do(http.MethodDelete, w.path(form), writer, ""), http.StatusOK, "")
	put := func(raw string) answer { return w.do(http.MethodPut, w.path(form), raw, bodyOf(form)) }
	give := func(role string) {
		t.Helper()
		w.change(func(e *directory.Editor) error {
			identity, err := e.View().Identities().Find(authoritytest.TenantID, w.path(strings.TrimSuffix(form, "/federatedIdentityCredentials/{credential}")))
			if err != nil {
				return err
			}
			graph, err := e.Applications().Find(authoritytest.TenantID, "graph")
			if err != nil {
				return err
			}
			resource, err := e.ServicePrincipals().ByAppID(authoritytest.TenantID, graph.AppID)
			if err != nil {
				return err
			}
			found, _ := graph.Role(role)
			_, _, err = e.Assignments().Add(authoritytest.TenantID, identity.ID, resource.ID, found.ID)
			return err
		})
	}
	w.is(put(applications), http.StatusCreated, "")
	w.is(w.do(http.MethodDelete, w.path(form), applications, ""), http.StatusOK, "")
	give("Application.ReadWrite.All")
	before := w.sequence()
	if got := put(applications); got.status != http.StatusForbidden || got.code() != "AuthorizationFailed" || !strings.Contains(got.text, "Global Administrators") || w.sequence() != before {
		t.Errorf("an application administrator: %d %s", got.status, got.text)
	}
	w.is(put(writer), http.StatusCreated, "") // which holds that role itself
	w.is(put(global), http.StatusOK, "")
	w.is(w.do(http.MethodDelete, w.path(form), applications, ""), http.StatusOK, "") // which gives nobody anything
	give("Application.Read.All")
	w.is(put(writer), http.StatusForbidden, "AuthorizationFailed")
	w.is(put(global), http.StatusCreated, "")
}

// A right is taken away, or a caller disabled, and the very token that counted counts no more.
func TestRightsAreThoseOfTheMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	callers := w.everybody()
	const form = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
	put := func(raw string) answer { return w.do(http.MethodPut, w.path(form), raw, bodyOf(form)) }
	app, user := callers[2].raw, callers[5].raw
	w.is(w.do(http.MethodPut, w.path("/subscriptions/{subscription}/resourceGroups/{group}"), app, bodyOf("")), http.StatusCreated, "")
	w.is(put(app), http.StatusCreated, "")
	w.is(put(user), http.StatusOK, "")
	w.login.Revoke("writer", "graph", "Application.ReadWrite.All")
	w.is(put(app), http.StatusForbidden, "AuthorizationFailed")
	w.change(func(e *directory.Editor) error {
		found, err := e.Users().Find(authoritytest.TenantID, "root@"+authoritytest.TenantDomain)
		if err != nil {
			return err
		}
		_, err = e.Users().Edit(found.Tenant, found.ID, func(u *directory.User) error {
			u.Enabled = false
			return nil
		})
		return err
	})
	w.is(put(user), http.StatusForbidden, "AuthorizationFailed")
	w.login.Grant("writer", "graph", "Application.ReadWrite.All")
	w.is(put(app), http.StatusOK, "")
}
