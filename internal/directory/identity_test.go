package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// identity makes a managed identity.
func (o *orders) identity(t testing.TB, p directory.ServicePrincipal) (made *directory.ServicePrincipal) {
	t.Helper()
	p.Tenant, p.Type = contoso, directory.PrincipalManagedIdentity
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		made, err = e.ServicePrincipals().Create(p)
		return err
	})
	return made
}

var group = "/subscriptions/" + directory.Subscription(contoso) + "/resourcegroups/rolecall/providers"

// The subscription is in the ARM ids that are kept and in what users write down.
func TestASubscriptionIsItsTenants(t *testing.T) {
	t.Parallel()
	for tenant, want := range map[directory.TenantID]string{
		contoso: "3a7b8859-d6dc-8bc5-873a-38c44291f3d5", "7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11": "3a7b8859-d6dc-8bc5-873a-38c44291f3d5", "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b12": "",
	} {
		if got := directory.Subscription(tenant); want != "" && got != want || want == "" && got == directory.Subscription(contoso) {
			t.Errorf("%s: got %s", tenant, got)
		}
	}
}

func TestIdentitiesAreFoundByEveryName(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	system := o.identity(t, directory.ServicePrincipal{Name: "orders-client-mi"})
	user := o.identity(t, directory.ServicePrincipal{Name: "Nightly batch", IdentityKind: directory.IdentityUser})
	if system.IdentityKind != directory.IdentitySystem || system.ResourceID != group+"/Microsoft.Web/sites/orders-client-mi" {
		t.Errorf("system: got %+v", system)
	}
	if user.ResourceID != group+"/Microsoft.ManagedIdentity/userAssignedIdentities/Nightly%20batch" {
		t.Errorf("user: got %+v", user)
	}
	for _, p := range []*directory.ServicePrincipal{system, user} {
		for _, ref := range []string{
			p.Name, strings.ToUpper(p.Name), string(p.AppID), strings.ToUpper(string(p.AppID)),
			string(p.ID), strings.ToUpper(string(p.ID)), p.ResourceID, strings.ToUpper(p.ResourceID), p.ResourceID + "/",
		} {
			for range 2 { // from the store, and from memory
				if found, err := o.Identity(t.Context(), contoso, ref); err != nil || found.Application != nil || found.Principal.ID != p.ID {
					t.Errorf("%s: got %+v, %v", ref, found, err)
				}
			}
		}
	}
	for _, ref := range []string{
		"", "/", "nobody", "orders-client", string(ordersApp), string(o.app.ID), string(o.appPrincipal.ID),
		group + "/Microsoft.Web/sites/nobody", strings.Repeat("x", 2000), string(contoso),
	} {
		if found, err := o.Identity(t.Context(), contoso, ref); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%q: got %+v, %v", ref, found, err)
		}
	}
	if _, err := o.Identity(t.Context(), "00000000-0000-4000-8000-000000000000", system.Name); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("in another tenant: got %v", err)
	}
	all, err := o.View(t.Context()).Identities().All(contoso)
	if err != nil || len(all) != 2 || all[0].ID != user.ID {
		t.Errorf("list: got %+v, %v", all, err)
	}
}

func TestIdentityRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	o.identity(t, directory.ServicePrincipal{Name: "first", IdentityKind: directory.IdentityUser})
	dev := o.user(t, "dev@contoso.test")
	const assigned = "/Microsoft.ManagedIdentity/userAssignedIdentities/"
	for _, tt := range []struct {
		name     string
		identity directory.ServicePrincipal
		field    string
		cause    error
	}{
		{"of an unknown kind", directory.ServicePrincipal{Name: "a", IdentityKind: "System"}, "identityKind", wrong},
		{"with credentials", directory.ServicePrincipal{Name: "a", Federated: []directory.FederatedCredential{{Name: "x"}}}, "federated", wrong},
		{"with the object id of a user", directory.ServicePrincipal{Name: "a", ID: dev.ID}, "id", duplicate},
		{"with a resource id of no subscription", directory.ServicePrincipal{Name: "a", ResourceID: "/x"}, "resourceId", wrong},
		{"with a resource id that ends in a slash", directory.ServicePrincipal{Name: "a", ResourceID: "/subscriptions/"}, "resourceId", wrong},
		{"with a space in the resource id", directory.ServicePrincipal{Name: "a", ResourceID: "/subscriptions/a b"}, "resourceId", wrong},
		{"with an endless resource id", directory.ServicePrincipal{Name: "a", ResourceID: "/subscriptions/" + strings.Repeat("x", 500)}, "resourceId", wrong},
		{"a system one with a user's resource id", directory.ServicePrincipal{Name: "a", ResourceID: group + assigned + "a"}, "resourceId", wrong},
		{"a user one with a host's resource id", directory.ServicePrincipal{Name: "a", IdentityKind: directory.IdentityUser, ResourceID: group + "/Microsoft.Web/sites/a"}, "resourceId", wrong},
		{"with another's resource id", directory.ServicePrincipal{Name: "a", IdentityKind: directory.IdentityUser, ResourceID: strings.ToUpper(group + assigned + "first")}, "resourceId", duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.identity.Tenant, tt.identity.Type = contoso, directory.PrincipalManagedIdentity
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.ServicePrincipals().Create(tt.identity)
				return err
			}), tt.field, tt.cause)
		})
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Users().Create(directory.User{Tenant: contoso, ID: o.appPrincipal.ID, PrincipalName: "ann@contoso.test"}, nil)
		return err
	}), "id", duplicate)
}

func TestIdentityChanges(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	made := o.identity(t, directory.ServicePrincipal{Name: "batch"})
	update := func(f func(p *directory.ServicePrincipal)) {
		t.Helper()
		change(t, o.Directory, func(e *directory.Editor) (err error) {
			next := *made
			f(&next)
			made, err = e.ServicePrincipals().Edit(next.Tenant, next.ID, func(v *directory.ServicePrincipal) error { *v = next; return nil })
			return err
		})
	}
	first := made.ResourceID
	update(func(p *directory.ServicePrincipal) { p.Name, p.ResourceID, p.IdentityKind = "nightly", "", "" })
	if made.ResourceID != first || made.IdentityKind != directory.IdentitySystem || made.Name != "nightly" {
		t.Errorf("renamed: got %+v", made)
	}
	// The old name is free, though the resource id made of it is not.
	second := o.identity(t, directory.ServicePrincipal{Name: "batch"})
	if second.ResourceID != first+"-"+string(second.ID) {
		t.Errorf("of the old name: got %+v", second)
	}
	update(func(p *directory.ServicePrincipal) { p.IdentityKind = directory.IdentityUser })
	if made.ResourceID != group+"/Microsoft.ManagedIdentity/userAssignedIdentities/nightly" {
		t.Errorf("of another kind: got %+v", made)
	}
	if _, err := o.Identity(t.Context(), contoso, first); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("by its old resource id: got %v", err)
	}
	long := o.identity(t, directory.ServicePrincipal{Name: strings.Repeat("é", 120)})
	if long.ResourceID != group+"/Microsoft.Web/sites/"+string(long.ID) {
		t.Errorf("of a long name: got %+v", long)
	}
}

func TestIdentitiesTrustOtherIssuers(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	made := o.identity(t, directory.ServicePrincipal{Name: "batch"})
	trust := directory.FederatedCredential{Name: "cluster", Issuer: "https://issuer.test", Subject: "pod"}
	add := func(e *directory.Editor) error {
		added, err := e.Credentials().AddFederated(contoso, made.ID, trust)
		if err == nil {
			trust = added
		}
		return err
	}
	change(t, o.Directory, add)
	found, err := o.Identity(t.Context(), contoso, "batch")
	if err != nil || !slices.Equal(found.Federated(), []directory.FederatedCredential{trust}) {
		t.Errorf("got %+v, %v", found, err)
	}
	checkRule(t, attempt(t, o.Directory, add), "name", duplicate)
	change(t, o.Directory, func(e *directory.Editor) error { return e.Credentials().Remove(contoso, made.ID, trust.ID) })
	if found, err := o.Identity(t.Context(), contoso, "batch"); err != nil || len(found.Federated()) > 0 {
		t.Errorf("after removal: got %+v, %v", found, err)
	}
	if err := attempt(t, o.Directory, func(e *directory.Editor) error { return e.Credentials().Remove(contoso, made.ID, trust.ID) }); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("remove again: got %v", err)
	}
	if client := o.client(t); len(client.Federated()) > 0 {
		t.Errorf("the client trusts %+v", client.Federated())
	}
}

// TestRecycledIdentities makes an identity anew under the same name, and then with the
// same ids: nothing of the old one attaches to the new.
func TestRecycledIdentities(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	made := o.identity(t, directory.ServicePrincipal{Name: "batch"})
	for _, next := range []directory.ServicePrincipal{{Name: "batch"}, {Name: "batch", AppID: made.AppID, ID: made.ID}} {
		present, err := o.Identity(t.Context(), contoso, "batch")
		if err != nil {
			t.Fatal(err)
		}
		change(t, o.Directory, func(e *directory.Editor) error {
			if _, err := e.Credentials().AddFederated(contoso, present.Principal.ID, directory.FederatedCredential{Name: "cluster", Issuer: "https://issuer.test", Subject: "pod"}); err != nil {
				return err
			}
			_, _, err := e.Assignments().Add(contoso, present.Principal.ID, o.apiPrincipal.ID, o.read)
			return err
		})
		if got := o.identityRoles(t, "batch"); len(got) != 1 {
			t.Fatalf("before: got %q", got)
		}
		change(t, o.Directory, func(e *directory.Editor) error { return e.ServicePrincipals().Delete(contoso, present.Principal.ID) })
		o.identity(t, next)
		if got := o.identityRoles(t, "batch"); len(got) > 0 {
			t.Errorf("the new one holds %q", got)
		}
		if found, err := o.Identity(t.Context(), contoso, "batch"); err != nil || len(found.Federated()) > 0 || found.Principal.ID == present.Principal.ID {
			t.Errorf("got %+v, %v", found, err)
		}
	}
}

func (o *orders) identityRoles(t testing.TB, name string) []string {
	t.Helper()
	identity, err := o.Identity(t.Context(), contoso, name)
	if err != nil {
		t.Fatal(err)
	}
	roles, _, err := o.Roles(t.Context(), identity, o.resource(t))
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// A scope ends where a segment does, whatever sorts next to it.
func TestIdentitiesAreListedByScope(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const own, other = "/subscriptions/5ab50001-5a5a-4c4c-8d8d-000000000001", "/subscriptions/5ab50002-5a5a-4c4c-8d8d-000000000002"
	identity := func(scope, name string) {
		t.Helper()
		o.identity(t, directory.ServicePrincipal{
			Name: name, IdentityKind: directory.IdentityUser,
			ResourceID: scope + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name,
		})
	}
	identity(own+"/resourcegroups/Shop", "b")
	identity(own+"/resourceGroups/shop", "a")
	identity(own+"/resourcegroups/shop-x", "c")
	identity(own+"/resourcegroups/shop.x", "d")
	identity(own+"/resourcegroups/shop0", "e")
	identity(other+"/resourcegroups/shop", "f")
	o.identity(t, directory.ServicePrincipal{Name: "g", ResourceID: own + "/resourcegroups/web/providers/Microsoft.Web/sites/g"})
	in := func(scope string, limit int) (names string) {
		t.Helper()
		for q := (directory.Query{Limit: limit}); ; {
			page, err := o.View(t.Context()).Identities().In(contoso, scope, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Items {
				names += p.Name
			}
			if q.After = page.Next; page.Next == "" {
				return names
			}
			names += " "
		}
	}
	for scope, want := range map[string]string{
		own: "ab cd e", strings.ToUpper(own): "ab cd e", own + "/resourcegroups/SHOP": "ab", own + "/resourcegroups/sho": "", other: "f",
		own + "/resourcegroups/web": "", "/subscriptions/" + directory.Subscription(contoso): "",
	} {
		if got := in(scope, 2); got != want {
			t.Errorf("%s: got %q, want %q", scope, got, want)
		}
	}
	for scope, want := range map[string]string{
		"/subscriptions": strings.Join([]string{own[15:], other[15:]}, " "), own + "/resourcegroups": "shop shop-x shop.x shop0 web", "/sub": "",
	} {
		if got, err := o.View(t.Context()).Identities().Below(contoso, scope); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, %v, want %q", scope, got, err, want)
		}
	}
}

// The subscription of zeros in an id that is written down stands for the tenant's own.
func TestTheSubscriptionOfZeros(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	user := o.identity(t, directory.ServicePrincipal{Name: "courier", IdentityKind: directory.IdentityUser})
	const zeros = "/subscriptions/00000000-0000-0000-0000-000000000000"
	const rest = "/resourcegroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities/courier"
	for id, want := range map[string]bool{
		user.ResourceID: true, strings.ToUpper(user.ResourceID): true, strings.TrimPrefix(user.ResourceID, "/"): true, user.ResourceID + "/": true,
		zeros + rest: true, strings.ToUpper(zeros + rest): true, strings.TrimPrefix(zeros+rest, "/"): true,
		zeros + rest + "2": false, "/subscriptions/00000000-0000-0000-0000-000000000001" + rest: false, zeros: false, "": false, "/": false,
	} {
		if got := user.HasResourceID(id); got != want {
			t.Errorf("%q: %t", id, got)
		}
	}
	if found, err := o.Identity(t.Context(), contoso, zeros+rest); err != nil || found.Principal.ID != user.ID {
		t.Errorf("of the directory: %v", err)
	}
	if found, err := o.View(t.Context()).Identities().Find(contoso, zeros+rest); err != nil || found.ID != user.ID {
		t.Errorf("of a view: %v", err)
	}
	// An older version gave out such ids, which are kept.
	old := o.identity(t, directory.ServicePrincipal{Name: "old", IdentityKind: directory.IdentityUser, ResourceID: zeros + rest + "-old"})
	if found, err := o.Identity(t.Context(), contoso, zeros+rest+"-old"); err != nil || found.Principal.ID != old.ID || !old.HasResourceID(zeros+rest+"-old") {
		t.Errorf("of an older version: %v", err)
	}
	if (&directory.ServicePrincipal{Tenant: contoso}).HasResourceID("") {
		t.Error("what has no id has an empty one")
	}
}
