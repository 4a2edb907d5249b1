package directory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// A delegation is the directory of the documentation with an API that has scopes, one of
// them disabled, and a role for users, and with two users.
type delegation struct {
	*orders
	dev, ann *directory.User
	audit    directory.RoleID
}

func newDelegation(t testing.TB) *delegation {
	t.Helper()
	o := newOrders(t, memory.New())
	d := &delegation{orders: o, dev: o.user(t, "dev@contoso.test"), ann: o.user(t, "ann@contoso.test")}
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		next := *o.api
		next.AppRoles = append(slices.Clone(next.AppRoles), directory.AppRole{Value: "Orders.Audit", Enabled: true, Members: []directory.MemberType{directory.MemberUser}})
		next.Scopes = []directory.Scope{{Value: "Orders.List", Enabled: true}, {Value: "Orders.Change", Enabled: true, AdminOnly: true}, {Value: "Orders.Old"}}
		o.api, err = e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
		return err
	})
	d.audit = o.api.AppRoles[1].ID
	return d
}

// grant lets the client act for a user, or for everyone.
func (d *delegation) grant(t testing.TB, user directory.ObjectID, scopes ...string) {
	t.Helper()
	change(t, d.Directory, func(e *directory.Editor) error {
		_, err := e.DelegatedGrants().Add(contoso, d.appPrincipal.ID, d.apiPrincipal.ID, user, scopes)
		return err
	})
}

// wantScopes asks as the authority does, through the cache.
func (d *delegation) wantScopes(t testing.TB, user directory.ObjectID, want ...string) {
	t.Helper()
	client, resource := d.client(t), d.resource(t)
	got, err := d.GrantedScopes(t.Context(), client, resource, user)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("scopes for %s: got %q, %v, want %q", user, got, err, want)
	}
}

func (o *orders) client(t testing.TB) *directory.Instance {
	t.Helper()
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (o *orders) resource(t testing.TB) *directory.Instance {
	t.Helper()
	resource, err := o.Resource(t.Context(), contoso, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	return resource
}

func (d *delegation) wantUserRoles(t testing.TB, user *directory.User, want ...string) {
	t.Helper()
	got, assigned, err := d.UserRoles(t.Context(), user, d.resource(t))
	if err != nil || !slices.Equal(got, want) || assigned != (len(want) > 0) {
		t.Errorf("roles of %s: got %q, %v, %v, want %q", user.PrincipalName, got, assigned, err, want)
	}
}

func TestScopesAreGrantedToAUserOrToEveryone(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	d.wantScopes(t, d.dev.ID)
	d.grant(t, d.dev.ID, "Orders.List")
	d.wantScopes(t, d.dev.ID, "Orders.List")
	d.wantScopes(t, directory.ObjectID(strings.ToUpper(string(d.dev.ID))), "Orders.List")
	d.wantScopes(t, d.ann.ID)
	d.wantScopes(t, "")
	d.grant(t, "", "Orders.Change")
	d.wantScopes(t, d.dev.ID, "Orders.Change", "Orders.List")
	d.wantScopes(t, d.ann.ID, "Orders.Change")

	revoke := func(user directory.ObjectID, scopes ...string) func(e *directory.Editor) error {
		return func(e *directory.Editor) error {
			return e.DelegatedGrants().Remove(contoso, d.appPrincipal.ID, d.apiPrincipal.ID, user, scopes)
		}
	}
	change(t, d.Directory, revoke("", "Orders.Change"))
	d.wantScopes(t, d.dev.ID, "Orders.List")
	for _, again := range []func(*directory.Editor) error{revoke("", "Orders.Change"), revoke(d.dev.ID, "Orders.Change"), revoke(d.ann.ID)} {
		if err := attempt(t, d.Directory, again); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("revoke what is not granted: got %v", err)
		}
	}
	change(t, d.Directory, revoke(d.dev.ID))
	d.wantScopes(t, d.dev.ID)
	for action, want := range map[string]int{"delegatedGrant.create": 2, "delegatedGrant.delete": 2} {
		if got := auditActions(t, d.Directory, action); got != want {
			t.Errorf("%d audit rows tell of %s, want %d", got, action, want)
		}
	}
}

func TestGrantingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	d.grant(t, "", "Orders.List")
	change(t, d.Directory, func(e *directory.Editor) error {
		grant, err := e.DelegatedGrants().Add(contoso, d.appPrincipal.ID, d.apiPrincipal.ID, "", []string{"Orders.List", "Orders.List"})
		if err != nil || !slices.Equal(grant.Scopes, []string{"Orders.List"}) {
			t.Errorf("got %+v, %v", grant, err)
		}
		if notes := e.Changes(); len(notes) != 1 || notes[0].Action != "none" || notes[0].Name != "orders-client → orders-server for everyone" {
			t.Errorf("noted %+v", notes)
		}
		return err
	})
	grants, err := d.View(t.Context()).DelegatedGrants().AllOf(contoso, d.appPrincipal.ID)
	if err != nil || len(grants) != 1 || grants[0].Principal != "" {
		t.Errorf("got %+v, %v", grants, err)
	}
}

func TestGrantRules(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	identity := d.identity(t, directory.ServicePrincipal{Name: "batch"})
	const nobody = directory.ObjectID("00000000-0000-4000-8000-000000000000")
	client, api := d.appPrincipal.ID, d.apiPrincipal.ID
	for _, tt := range []struct {
		name             string
		client, resource directory.ObjectID
		user             directory.ObjectID
		scopes           []string
		field            string
		cause            error
	}{
		{"by nobody", nobody, api, "", []string{"Orders.List"}, "", notFound},
		{"by a user", d.dev.ID, api, "", []string{"Orders.List"}, "", notFound},
		{"by a managed identity", identity.ID, api, "", []string{"Orders.List"}, "client", wrong},
		{"of nobody", client, nobody, "", []string{"Orders.List"}, "", notFound},
		{"of a managed identity", client, identity.ID, "", []string{"Orders.List"}, "resource", wrong},
		{"for nobody", client, api, nobody, []string{"Orders.List"}, "", notFound},
		{"for an application", client, api, client, []string{"Orders.List"}, "", notFound},
		{"of nothing", client, api, "", nil, "scopes", wrong},
		{"of an unknown scope", client, api, "", []string{"Orders.List", "Orders.Lost"}, "scopes", notFound},
		{"of a scope in other case", client, api, "", []string{"orders.list"}, "scopes", notFound},
		{"of a role", client, api, "", []string{"Orders.Read"}, "scopes", notFound},
		{"of a disabled scope", client, api, "", []string{"Orders.Old"}, "scopes", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkRule(t, attempt(t, d.Directory, func(e *directory.Editor) error {
				_, err := e.DelegatedGrants().Add(contoso, tt.client, tt.resource, tt.user, tt.scopes)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestScopesFollowTheirApplication(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	d.grant(t, "", "Orders.Change", "Orders.List")
	d.grant(t, d.dev.ID, "Orders.List")
	edit := func(f func(scopes []directory.Scope) []directory.Scope) func(e *directory.Editor) error {
		return func(e *directory.Editor) (err error) {
			next := *d.api
			next.Scopes = f(slices.Clone(next.Scopes))
			d.api, err = e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
			return err
		}
	}
	without := func(scopes []directory.Scope) []directory.Scope { return scopes[1:] }
	before := d.api
	checkRule(t, attempt(t, d.Directory, edit(without)), "scopes", directory.ErrEnabled)
	d.api = before

	change(t, d.Directory, edit(func(scopes []directory.Scope) []directory.Scope { // they swap their values
		scopes[0].Value, scopes[1].Value = scopes[1].Value, scopes[0].Value
		return scopes
	}))
	d.wantScopes(t, d.dev.ID, "Orders.Change", "Orders.List")
	change(t, d.Directory, edit(func(scopes []directory.Scope) []directory.Scope { scopes[0].Enabled = false; return scopes }))
	d.wantScopes(t, d.dev.ID, "Orders.List")
	change(t, d.Directory, edit(without))
	// What was granted of the one that is gone does not attach to another of its value.
	change(t, d.Directory, edit(func(scopes []directory.Scope) []directory.Scope {
		return append(scopes, directory.Scope{Value: "Orders.Change", Enabled: true})
	}))
	d.wantScopes(t, d.dev.ID, "Orders.List")
	grants, err := d.View(t.Context()).DelegatedGrants().AllOf(contoso, d.appPrincipal.ID)
	if err != nil || len(grants) != 1 {
		t.Errorf("an empty grant is left: %+v, %v", grants, err)
	}
}

func TestUsersHoldRoles(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	d.wantUserRoles(t, d.dev)
	assign := func(user *directory.User, role directory.RoleID) func(e *directory.Editor) error {
		return func(e *directory.Editor) error {
			_, _, err := e.Assignments().Add(contoso, user.ID, d.apiPrincipal.ID, role)
			return err
		}
	}
	checkRule(t, attempt(t, d.Directory, assign(d.dev, d.read)), "role", wrong)
	checkRule(t, attempt(t, d.Directory, func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(contoso, d.appPrincipal.ID, d.apiPrincipal.ID, d.audit)
		return err
	}), "role", wrong)
	change(t, d.Directory, assign(d.dev, d.audit))
	change(t, d.Directory, assign(d.dev, d.audit))
	d.wantUserRoles(t, d.dev, "Orders.Audit")
	d.wantUserRoles(t, d.ann)
	if all, err := d.View(t.Context()).Assignments().AllOf(contoso, d.dev.ID); err != nil || len(all) != 1 {
		t.Errorf("assignments: got %+v, %v", all, err)
	}

	// A role that users may no longer hold is theirs no longer, whatever was assigned.
	change(t, d.Directory, func(e *directory.Editor) error {
		next := *d.api
		next.AppRoles = slices.Clone(next.AppRoles)
		next.AppRoles[1].Members = []directory.MemberType{directory.MemberApplication}
		_, err := e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
		return err
	})
	if roles, assigned, err := d.UserRoles(t.Context(), d.dev, d.resource(t)); len(roles) > 0 || !assigned || err != nil {
		t.Errorf("got %q, %v, %v", roles, assigned, err)
	}
}

// TestRecycledUsers makes a user anew under the same name, and even with the same id:
// nothing of the old one attaches to the new.
func TestRecycledUsers(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	for _, id := range []directory.ObjectID{"", d.dev.ID} {
		d.grant(t, d.dev.ID, "Orders.List")
		change(t, d.Directory, func(e *directory.Editor) error {
			_, _, err := e.Assignments().Add(contoso, d.dev.ID, d.apiPrincipal.ID, d.audit)
			return err
		})
		d.wantUserRoles(t, d.dev, "Orders.Audit")
		d.wantScopes(t, d.dev.ID, "Orders.List")
		change(t, d.Directory, func(e *directory.Editor) (err error) {
			if err := e.Users().Delete(contoso, d.dev.ID); err != nil {
				return err
			}
			d.dev, err = e.Users().Create(directory.User{Tenant: contoso, ID: id, PrincipalName: "dev@contoso.test"}, directory.Choose("correct horse battery"))
			return err
		})
		d.wantUserRoles(t, d.dev)
		d.wantScopes(t, d.dev.ID)
		if found, err := d.User(t.Context(), contoso, "DEV@contoso.test"); err != nil || found.ID != d.dev.ID {
			t.Errorf("got %+v, %v", found, err)
		}
	}
}

// TestRecycledClients does the same for both sides of a grant.
func TestRecycledClients(t *testing.T) {
	t.Parallel()
	for _, app := range []directory.AppID{ordersApp, ordersAPI} {
		d := newDelegation(t)
		d.grant(t, d.dev.ID, "Orders.List")
		d.grant(t, "", "Orders.Change")
		change(t, d.Directory, func(e *directory.Editor) error {
			principal, err := e.ServicePrincipals().Find(contoso, string(app))
			if err != nil {
				return err
			}
			if err := e.ServicePrincipals().Delete(contoso, principal.ID); err != nil {
				return err
			}
			_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: app})
			return err
		})
		d.wantScopes(t, d.dev.ID)
	}
}

func TestUsersAreFoundAndForgotten(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	for _, ref := range []string{"dev@contoso.test", "Dev@Contoso.TEST", string(d.dev.ID), strings.ToUpper(string(d.dev.ID))} {
		if found, err := d.User(t.Context(), contoso, ref); err != nil || found.ID != d.dev.ID {
			t.Errorf("%s: got %+v, %v", ref, found, err)
		}
	}
	for _, ref := range []string{"", "eve@contoso.test", "00000000-0000-4000-8000-000000000000", strings.Repeat("x", 2000)} {
		if _, err := d.User(t.Context(), contoso, ref); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%q: got %v", ref, err)
		}
	}
	disabled := *d.dev
	disabled.Enabled = false
	change(t, d.Directory, func(e *directory.Editor) error {
		_, err := e.Users().Edit(disabled.Tenant, disabled.ID, func(v *directory.User) error { *v = disabled; return nil })
		return err
	})
	if found, err := d.User(t.Context(), contoso, "dev@contoso.test"); err != nil || found.Enabled {
		t.Errorf("the user is disabled, but got %+v, %v", found, err)
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	idle := d.user(t, "idle@contoso.test")
	idle.Password = nil
	for _, tt := range []struct {
		name      string
		user      *directory.User
		presented string
		want      error
	}{
		{"the right one", d.dev, "correct horse battery", nil},
		{"the right one again", d.dev, "correct horse battery", nil},
		{"another", d.dev, "correct horse", directory.ErrWrongPassword},
		{"none", d.dev, "", directory.ErrWrongPassword},
		{"an endless one", d.dev, strings.Repeat("x", 257), directory.ErrWrongPassword},
		{"of nobody", nil, "correct horse battery", directory.ErrWrongPassword},
		{"of a user without one", idle, "correct horse battery", directory.ErrWrongPassword},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := d.CheckPassword(t.Context(), tt.user, tt.presented); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	change(t, d.Directory, func(e *directory.Editor) error {
		return e.Users().SetPassword(contoso, d.dev.ID, directory.Choose("another password"))
	})
	renewed, err := d.User(t.Context(), contoso, "dev@contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.CheckPassword(t.Context(), renewed, "correct horse battery"); !errors.Is(err, directory.ErrWrongPassword) {
		t.Errorf("the old password: got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.CheckPassword(ended, nil, "a password"); err == nil || errors.Is(err, directory.ErrWrongPassword) {
		t.Errorf("a check that could not be made: got %v", err)
	}
}

// What an application requests is shown in the order in which it was given.
func TestOrderOfPermissions(t *testing.T) {
	t.Parallel()
	d := newDelegation(t)
	role, list, write := string(d.api.AppRoles[0].ID), string(d.api.Scopes[0].ID), string(d.api.Scopes[1].ID)
	for _, tt := range []struct {
		name               string
		given, kept, shown []string
	}{
		{"none", nil, nil, []string{list, write, role}},
		{"the usual one", []string{list, write, role}, nil, []string{list, write, role}},
		{"a role between scopes, in capitals", []string{strings.ToUpper(write), role, list}, []string{write, role, list}, []string{write, role, list}},
		{"with what is not asked for, and twice", []string{role, role, string(contoso), list}, []string{role, list, write}, []string{role, list, write}},
	} {
		var got *directory.Application
		change(t, d.Directory, func(e *directory.Editor) (err error) {
			got, err = e.Applications().Edit(contoso, d.app.ID, func(a *directory.Application) error {
				a.Permissions = []directory.Permission{{
					API: d.api.AppID, Roles: []directory.RoleID{directory.RoleID(role)},
					Scopes: []directory.ScopeID{directory.ScopeID(list), directory.ScopeID(write)}, Order: tt.given,
				}}
				return nil
			})
			return err
		})
		if p := got.Permissions[0]; !slices.Equal(p.Order, tt.kept) || !slices.Equal(p.IDs(), tt.shown) {
			t.Errorf("%s: the order kept is %q and the ids are %q, want %q and %q", tt.name, p.Order, p.IDs(), tt.kept, tt.shown)
		}
	}
}
