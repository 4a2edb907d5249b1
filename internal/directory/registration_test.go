package directory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// caller is somebody of the tenant with all rights, as a management API would act for.
func caller(id directory.ObjectID) directory.Actor {
	return directory.Actor{Kind: directory.ActorApplication, Name: "terraform", Rights: directory.AllRights(), ID: id}
}

func TestRegistrationKeepsWhatCallersSet(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var made *directory.Application
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		made, err = e.Applications().Create(directory.Application{
			Tenant: contoso, DisplayName: "Stock", UniqueName: "stock-1", Description: "Two\nlines", Notes: "note", Tags: []string{"HideApp", "b"},
			SignInAudience: directory.AudienceMultipleOrgs, Owners: []directory.ObjectID{o.appPrincipal.ID},
			RedirectURIs: []string{"https://stock.test"}, SPARedirectURIs: []string{"https://spa.stock.test"}, NativeRedirectURIs: []string{"http://localhost", "urn:ietf:wg:oauth:2.0:oob"},
			Settings: json.RawMessage(`{ "info": {"logoUrl": null}, "groupMembershipClaims": "All", "n": 1.50 }`),
		})
		return err
	})
	got, err := o.View(t.Context()).Applications().Unique(contoso, "STOCK-1")
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Settings) != `{"info":{"logoUrl":null},"groupMembershipClaims":"All","n":1.50}` {
		t.Errorf("settings: got %s", got.Settings)
	}
	if got.Description != "Two\nlines" || got.Notes != "note" || !slices.Equal(got.Tags, []string{"HideApp", "b"}) || got.SignInAudience != directory.AudienceMultipleOrgs {
		t.Errorf("got %+v", got)
	}
	if want := []string{"https://stock.test", "https://spa.stock.test", "http://localhost", "urn:ietf:wg:oauth:2.0:oob"}; !slices.Equal(got.Redirects(), want) {
		t.Errorf("redirects: got %q, want %q", got.Redirects(), want)
	}
	var notes []directory.ChangeNote
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Edit(contoso, made.ID, func(a *directory.Application) error {
			a.Settings, a.Notes = json.RawMessage(`{"info":{"logoUrl":null},"n":2}`), "a secret of people"
			return nil
		})
		notes = e.Changes()
		return err
	})
	if got := notes[0].Detail; got != "~notes, settings: ~n, settings: -groupMembershipClaims" {
		t.Errorf("detail: got %q", got)
	}
}

func TestRegistrationRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	many := make([]directory.AppRole, 10_000)
	for i := range many {
		many[i] = directory.AppRole{Value: fmt.Sprint("r", i), Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}
	}
	same := directory.RoleID("11111111-5a5a-4c4c-8d8d-000000000001")
	for _, tt := range []struct {
		name  string
		app   directory.Application
		field string
		cause error
	}{
		{"settings that are a list", directory.Application{Settings: json.RawMessage(`[]`)}, "settings", wrong},
		{"settings with a member twice", directory.Application{Settings: json.RawMessage(`{"a":{"b":1,"b":2}}`)}, "settings", wrong},
		{"settings with two values", directory.Application{Settings: json.RawMessage(`{} {}`)}, "settings", wrong},
		{"settings too deep", directory.Application{Settings: json.RawMessage(deep)}, "settings", wrong},
		{"settings too large", directory.Application{Settings: json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)}, "settings", wrong},
		{"a tag with a space", directory.Application{Tags: []string{"a b"}}, "tags[0]", wrong},
		{"a tag twice", directory.Application{Tags: []string{"a", "a"}}, "tags[1]", duplicate},
		{"a tag too long", directory.Application{Tags: []string{strings.Repeat("x", 257)}}, "tags[0]", wrong},
		{"no such audience", directory.Application{SignInAudience: "Everybody"}, "signInAudience", wrong},
		{"personal accounts with version 1", directory.Application{SignInAudience: directory.AudiencePersonalMicrosoftAccounts, TokenVersion: 1}, "signInAudience", wrong},
		{"an owner who is not there", directory.Application{Owners: []directory.ObjectID{o.app.ID}}, "owners[0]", notFound},
		{"an owner twice", directory.Application{Owners: []directory.ObjectID{o.appPrincipal.ID, o.appPrincipal.ID}}, "owners[1]", duplicate},
		{"a redirect URI of two kinds", directory.Application{RedirectURIs: []string{"https://a.test"}, SPARedirectURIs: []string{"https://a.test"}}, "spaRedirectUris[0]", duplicate},
		{"the window of a browser for the web", directory.Application{RedirectURIs: []string{"urn:ietf:wg:oauth:2.0:oob"}}, "redirectUris[0]", wrong},
		{"10,000 roles", directory.Application{AppRoles: many}, "appRoles", wrong},
		{"one id for a role and a scope", directory.Application{AppRoles: []directory.AppRole{{ID: same, Value: "a", Members: many[0].Members}}, Scopes: []directory.Scope{{ID: directory.ScopeID(same), Value: "b"}}}, "scopes[0].id", duplicate},
		{"a role without any name", directory.Application{AppRoles: []directory.AppRole{{Members: many[0].Members}}}, "appRoles[0].value", wrong},
		{"pre-authorized nobody", directory.Application{PreAuthorized: []directory.PreAuthorization{{App: "aaaaaaaa-5a5a-4c4c-8d8d-000000000001", Scopes: []directory.ScopeID{"x"}}}}, "preAuthorized[0].app", notFound},
		{"pre-authorized for no scope", directory.Application{PreAuthorized: []directory.PreAuthorization{{App: ordersApp}}}, "preAuthorized[0].scopes", wrong},
		{"pre-authorized for a scope that is not there", directory.Application{PreAuthorized: []directory.PreAuthorization{{App: ordersApp, Scopes: []directory.ScopeID{"x"}}}}, "preAuthorized[0].scopes", notFound},
		{"notes too long", directory.Application{Notes: strings.Repeat("x", 1025)}, "notes", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.app.Tenant, tt.app.DisplayName = contoso, "x"
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Applications().Create(tt.app)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestUniqueNames(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	create := func(e *directory.Editor, unique string) (*directory.Application, error) {
		return e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "x", UniqueName: unique})
	}
	var made *directory.Application
	change(t, o.Directory, func(e *directory.Editor) (err error) { made, err = create(e, "one"); return err })
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error { _, err := create(e, "ONE"); return err }), "uniqueName", duplicate)
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Edit(contoso, made.ID, func(a *directory.Application) error { a.UniqueName = "two"; return nil })
		return err
	}), "uniqueName", wrong)
}

func TestManagementResourcesAreTaken(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	edit := func(e *directory.Editor) error {
		_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error {
			a.IdentifierURIs = []string{"https://GRAPH.microsoft.com/"}
			return nil
		})
		return err
	}
	_, err := o.Change(t.Context(), caller(o.appPrincipal.ID), edit)
	checkRule(t, err, "identifierUris[0]", wrong)
	change(t, o.Directory, edit) // by the operator of the machine
	if _, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error {
		_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { a.Notes = "it stays"; return nil })
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var dev *directory.User
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if dev, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test"}, nil); err != nil {
			return err
		}
		return e.Applications().AddOwner(contoso, o.api.ID, dev.ID)
	})
	owned := func(owner directory.ObjectID) int {
		t.Helper()
		apps, err := o.View(t.Context()).Applications().OwnedBy(contoso, owner, directory.Query{})
		principals, err2 := o.View(t.Context()).ServicePrincipals().OwnedBy(contoso, owner, directory.Query{})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return len(apps.Items) + len(principals.Items)
	}
	if got := owned(dev.ID); got != 1 {
		t.Errorf("owned: %d", got)
	}
	add := func(e *directory.Editor) error { return e.Applications().AddOwner(contoso, o.api.ID, dev.ID) }
	checkRule(t, attempt(t, o.Directory, add), "owners", duplicate)
	_, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error { return e.Applications().RemoveOwner(contoso, o.api.ID, dev.ID) })
	checkRule(t, err, "owners", directory.ErrLastOwner)
	if _, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error {
		if err := e.Applications().AddOwner(contoso, o.api.ID, o.appPrincipal.ID); err != nil {
			return err
		}
		if err := e.ServicePrincipals().AddOwner(contoso, o.apiPrincipal.ID, o.appPrincipal.ID); err != nil {
			return err
		}
		return e.Applications().RemoveOwner(contoso, o.api.ID, dev.ID)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error {
		return e.Applications().RemoveOwner(contoso, o.api.ID, o.appPrincipal.ID) // its own: as Terraform does
	}); err != nil {
		t.Fatal(err)
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) })
	if got := owned(o.appPrincipal.ID); got != 0 {
		t.Errorf("an owner that is gone still owns %d", got)
	}
	principal, err := o.View(t.Context()).ServicePrincipals().Get(contoso, o.apiPrincipal.ID)
	if err != nil || len(principal.Owners) != 0 {
		t.Errorf("got %v, %v", principal, err)
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var identity *directory.ServicePrincipal
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		for i := range 5 {
			if _, err = e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "Same/Name", Tags: []string{"T", "t" + fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		if _, err = e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "same/name and more"}); err != nil {
			return err
		}
		identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Name: "worker", Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser})
		return err
	})
	v := o.View(t.Context())
	count := func(page directory.Page[directory.Application], err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items)
	}
	apps := v.Applications()
	if got := count(apps.Displayed(contoso, "SAME/name", directory.Query{})); got != 5 {
		t.Errorf("displayed: %d", got)
	}
	if got := count(apps.DisplayedFrom(contoso, "same/n", directory.Query{})); got != 6 {
		t.Errorf("displayed from: %d", got)
	}
	if got := count(apps.DisplayedFrom(contoso, "same/name", directory.Query{})); got != 6 {
		t.Errorf("displayed from the whole name: %d", got)
	}
	if got := count(apps.Displayed(contoso, "orders-server", directory.Query{})); got != 1 {
		t.Errorf("a name without a display name: %d", got)
	}
	if got := count(apps.Tagged(contoso, "t3", directory.Query{})); got != 1 {
		t.Errorf("tagged: %d", got)
	}
	if got := count(apps.Tagged(contoso, "t", directory.Query{})); got != 5 {
		t.Errorf("tagged: %d", got)
	}
	seen, after := map[directory.ObjectID]bool{}, ""
	for {
		page, err := apps.InOrder(contoso, directory.Query{Limit: 3, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, app := range page.Items {
			seen[app.ID] = true
		}
		if after = page.Next; after == "" {
			break
		}
		change(t, o.Directory, func(e *directory.Editor) error { // a new name moves nobody
			_, err := e.Applications().Edit(contoso, page.Items[0].ID, func(a *directory.Application) error { a.DisplayName, a.Name = "zzz", ""; return nil })
			return err
		})
	}
	if len(seen) != 8 {
		t.Errorf("pages: %d applications", len(seen))
	}
	for _, name := range []string{"api://ORDERS/", string(ordersAPI)} {
		if p, err := v.ServicePrincipals().Called(contoso, name); err != nil || p.ID != o.apiPrincipal.ID {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
	if _, err := v.ServicePrincipals().Called(contoso, "api://nobody"); !errors.Is(err, notFound) {
		t.Error(err)
	}
	if app, err := apps.Identified(contoso, "api://orders"); err != nil || app.ID != o.api.ID {
		t.Errorf("got %v, %v", app, err)
	}
	for name, list := range map[string]func() (directory.Page[directory.ServicePrincipal], error){
		"the resource id": func() (directory.Page[directory.ServicePrincipal], error) {
			return v.ServicePrincipals().Alternative(contoso, strings.ToUpper(identity.ResourceID), directory.Query{})
		},
		"its beginning": func() (directory.Page[directory.ServicePrincipal], error) {
			return v.ServicePrincipals().AlternativeFrom(contoso, "/subscriptions/", directory.Query{})
		},
		"the type": func() (directory.Page[directory.ServicePrincipal], error) {
			return v.ServicePrincipals().OfType(contoso, directory.PrincipalManagedIdentity, directory.Query{})
		},
	} {
		if page, err := list(); err != nil || len(page.Items) != 1 || page.Items[0].ID != identity.ID {
			t.Errorf("%s: got %v, %v", name, page, err)
		}
	}
}

func TestPrincipalCredentials(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var value, early string
	var kept directory.Secret
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if kept, value, err = e.Credentials().MakeSecret(contoso, o.appPrincipal.ID, directory.NewSecret{}); err != nil {
			return err
		}
		_, early, err = e.Credentials().MakeSecret(contoso, o.appPrincipal.ID, directory.NewSecret{Name: "later", From: time.Now().Add(time.Hour)})
		return err
	})
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := o.CheckSecret(t.Context(), client.Application, value); err != nil || got.ID != kept.ID {
		t.Errorf("the principal's own secret: got %v, %v", got, err)
	}
	if _, err := o.CheckSecret(t.Context(), client.Application, o.secret); err != nil {
		t.Errorf("the application's secret: %v", err)
	}
	if _, err := o.CheckSecret(t.Context(), client.Application, early); !errors.Is(err, directory.ErrWrongSecret) {
		t.Errorf("a secret that has not begun: %v", err)
	}
	if app, err := o.View(t.Context()).Applications().Get(contoso, o.app.ID); err != nil || len(app.Secrets) != 1 {
		t.Errorf("the registration has %v, %v", app, err)
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.Credentials().Remove(contoso, o.appPrincipal.ID, kept.ID) })
	if client, err = o.Instance(t.Context(), contoso, ordersApp); err != nil {
		t.Fatal(err)
	}
	if _, err := o.CheckSecret(t.Context(), client.Application, value); !errors.Is(err, directory.ErrWrongSecret) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestEditFederated(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var identity *directory.ServicePrincipal
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Name: "worker", Type: directory.PrincipalManagedIdentity})
		return err
	})
	for name, owner := range map[string]directory.ObjectID{"an application": o.app.ID, "a managed identity": identity.ID} {
		change(t, o.Directory, func(e *directory.Editor) error {
			for _, n := range []string{"one", "two"} {
				if _, err := e.Credentials().AddFederated(contoso, owner, directory.FederatedCredential{Name: n, Issuer: "https://issuer.test", Subject: n}); err != nil {
					return err
				}
			}
			c, err := e.Credentials().EditFederated(contoso, owner, "ONE", func(c *directory.FederatedCredential) error { c.Subject = "three"; return nil })
			if err == nil && (c.Subject != "three" || c.Name != "one") {
				t.Errorf("%s: got %+v", name, c)
			}
			return err
		})
		edit := func(f func(c *directory.FederatedCredential) error) error {
			return attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Credentials().EditFederated(contoso, owner, "one", f)
				return err
			})
		}
		checkRule(t, edit(func(c *directory.FederatedCredential) error { c.Subject = "two"; return nil }), "subject", duplicate)
		checkRule(t, edit(func(c *directory.FederatedCredential) error { c.Name = "three"; return nil }), "name", wrong)
		checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Credentials().EditFederated(contoso, owner, "nobody", func(*directory.FederatedCredential) error { return nil })
			return err
		}), "", notFound)
	}
}

func TestDisabledFirst(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	edit := func(f func(*directory.AppRole)) func(e *directory.Editor) error {
		return func(e *directory.Editor) error {
			_, err := e.Applications().DisabledFirst().Edit(contoso, o.api.ID, func(a *directory.Application) error { f(&a.AppRoles[0]); return nil })
			return err
		}
	}
	checkRule(t, attempt(t, o.Directory, edit(func(r *directory.AppRole) { r.Value = "Orders.List" })), "appRoles", directory.ErrEnabled)
	checkRule(t, attempt(t, o.Directory, edit(func(r *directory.AppRole) { r.Members = append(r.Members, directory.MemberUser) })), "appRoles", directory.ErrEnabled)
	change(t, o.Directory, edit(func(r *directory.AppRole) { r.Description = "people read this" }))
	change(t, o.Directory, edit(func(r *directory.AppRole) { r.Enabled = false }))
	change(t, o.Directory, edit(func(r *directory.AppRole) { r.Value = "Orders.List" }))
}

func TestPreAuthorized(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var scope directory.Scope
	edit := func(f func(*directory.Application)) {
		t.Helper()
		change(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { f(a); return nil })
			return err
		})
	}
	edit(func(a *directory.Application) { a.Scopes = []directory.Scope{{Value: "Orders.Edit", Enabled: true}} })
	api, err := o.View(t.Context()).Applications().Get(contoso, o.api.ID)
	if err != nil {
		t.Fatal(err)
	}
	scope = api.Scopes[0]
	granted := func() []string {
		t.Helper()
		client, err := o.Instance(t.Context(), contoso, ordersApp)
		resource, err2 := o.Instance(t.Context(), contoso, ordersAPI)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		scopes, err := o.GrantedScopes(t.Context(), client, resource, "somebody")
		if err != nil {
			t.Fatal(err)
		}
		return scopes
	}
	if got := granted(); len(got) != 0 {
		t.Errorf("before: %q", got)
	}
	edit(func(a *directory.Application) {
		a.PreAuthorized = []directory.PreAuthorization{{App: ordersApp, Scopes: []directory.ScopeID{scope.ID}}}
	})
	if got := granted(); !slices.Equal(got, []string{"Orders.Edit"}) {
		t.Errorf("pre-authorized: %q", got)
	}
	before, _, err := o.Revocations().Since(t.Context(), contoso, 0)
	if err != nil {
		t.Fatal(err)
	}
	edit(func(a *directory.Application) { a.PreAuthorized = nil })
	after, _, err := o.Revocations().Since(t.Context(), contoso, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := granted(); len(got) != 0 || len(after) != len(before)+1 {
		t.Errorf("after: %q, %d revocations more", got, len(after)-len(before))
	}
	edit(func(a *directory.Application) {
		a.PreAuthorized = []directory.PreAuthorization{{App: ordersApp, Scopes: []directory.ScopeID{scope.ID}}}
	})
	change(t, o.Directory, func(e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) })
	if api, err := o.View(t.Context()).Applications().Get(contoso, o.api.ID); err != nil || len(api.PreAuthorized) != 0 {
		t.Errorf("a client that is gone is still pre-authorized: %v, %v", api.PreAuthorized, err)
	}
}

func TestDomainsAreTheOperators(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	_, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error {
		_, err := e.Tenants().Edit(contoso, func(tenant *directory.Tenant) error {
			tenant.Domains = append(tenant.Domains, "fabrikam.test")
			return nil
		})
		return err
	})
	checkRule(t, err, "domains", directory.ErrForbidden)
	if _, err := o.Change(t.Context(), caller(o.appPrincipal.ID), func(e *directory.Editor) error {
		_, err := e.Tenants().Edit(contoso, func(tenant *directory.Tenant) error { tenant.Name = "renamed"; return nil })
		return err
	}); err != nil {
		t.Error(err)
	}
}
