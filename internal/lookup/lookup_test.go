package lookup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/lookup"
)

// twoTenants is the Orders world, and a second tenant that has an orders-client too and an
// application without a service principal.
func twoTenants(t *testing.T) *directory.Directory {
	t.Helper()
	dir := fixture.OpenDirectory(t, time.Now)
	_, err := dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam", Enabled: true})
		if err != nil {
			return err
		}
		for _, name := range []string{"orders-client", "unused"} {
			app, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, Name: name, TokenVersion: 2})
			if err != nil {
				return err
			}
			if name == "unused" {
				continue
			}
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: app.AppID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPrincipalsAreFoundByAnyReference(t *testing.T) {
	t.Parallel()
	view := twoTenants(t).View(t.Context())
	for _, tt := range []struct{ name, tenant, ref, want string }{
		{"an application by name", "contoso", "orders-client", "orders-client"},
		{"whatever the case", "contoso", "ORDERS-client", "orders-client"},
		{"by app id, in any tenant", "", string(fixture.ClientID), "orders-client"},
		{"by object id", "", string(fixture.ClientPrincipal), "orders-client"},
		{"a managed identity", "", "orders-client-mi", "orders-client-mi"},
		{"a user", "", fixture.UserName, fixture.UserName},
		{"a user by id", "contoso.test", string(fixture.UserID), fixture.UserName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := lookup.FindPrincipal(view, tt.tenant, tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			if found.Name() != tt.want || found.Tenant.Name != "contoso" {
				t.Errorf("got %s of %s", found.Name(), found.Tenant.Name)
			}
		})
	}
}

func TestWhatANameDoesNotMeanIsSaid(t *testing.T) {
	t.Parallel()
	view := twoTenants(t).View(t.Context())
	for _, tt := range []struct {
		name, tenant, ref string
		is                error
		what, fix         string
	}{
		{"nobody", "contoso", "nobody", directory.ErrNotFound, `there is no application, managed identity or user "nobody"; there are orders-`, "rolecall apply"},
		{"a slip", "contoso", "orders-cleint", directory.ErrNotFound, `"orders-cleint"`, "Did you mean orders-client?"},
		{"a name in two tenants", "", "orders-client", lookup.ErrAmbiguous, `"orders-client" is in 2 tenants`, "--tenant"},
		{"no such tenant", "initech", "orders-client", directory.ErrNotFound, `there is no tenant "initech"`, "Name it"},
		{"an application without a service principal", "fabrikam", "unused", nil, "has no service principal in the tenant fabrikam", "rolecall apply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lookup.FindPrincipal(view, tt.tenant, tt.ref)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || tt.is == nil && errors.Is(err, directory.ErrNotFound) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), tt.what) || !strings.Contains(fix.Of(err), tt.fix) {
				t.Errorf("got %q, fix %q", err, fix.Of(err))
			}
		})
	}
	if _, err := lookup.FindTenant(view, ""); !errors.Is(err, lookup.ErrAmbiguous) || !strings.Contains(err.Error(), "contoso, fabrikam") {
		t.Errorf("one of two tenants: %v, want both names", err)
	}
	if _, err := lookup.FindApplication(view, "", "orders-cleint"); !errors.Is(err, directory.ErrNotFound) || !strings.Contains(err.Error(), "in any of the 2 tenants") || !strings.Contains(fix.Of(err), "orders-client") {
		t.Errorf("an application of no tenant: %v, fix %q", err, fix.Of(err))
	}
	long := strings.Repeat("x", 5000)
	for name, find := range map[string]func() error{
		"principal":   func() error { _, err := lookup.FindPrincipal(view, "contoso", long); return err },
		"application": func() error { _, err := lookup.FindApplication(view, "", long); return err },
		"role":        func() error { _, err := lookup.FindRole("rolecall grant", view, lookup.Principal{}, long); return err },
	} {
		if err := find(); err == nil || len(err.Error())+len(fix.Of(err)) > 1000 {
			t.Errorf("a long name of a %s: %d characters of an error", name, len(err.Error())+len(fix.Of(err)))
		}
	}
}

func TestRolesAreFoundByAPIAndValue(t *testing.T) {
	t.Parallel()
	view := twoTenants(t).View(t.Context())
	who, err := lookup.FindPrincipal(view, "contoso", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]directory.RoleID{
		"orders-server/Orders.Read": fixture.ReadRole, "api://orders/Orders.Write": fixture.WriteRole, string(fixture.ServerID) + "/Orders.Read": fixture.ReadRole,
	} {
		role, err := lookup.FindRole("rolecall grant", view, who, ref)
		if err != nil || role.ID != want || role.Principal != fixture.ServerPrincipal {
			t.Errorf("%s: got %s of %s, %v", ref, role.ID, role.Principal, err)
		}
	}
	for ref, want := range map[string]error{"Orders.Read": lookup.ErrMalformed, "nothing/Orders.Read": directory.ErrNotFound, "orders-server/Orders.Raed": directory.ErrNotFound} {
		if _, err := lookup.FindRole("rolecall grant", view, who, ref); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", ref, err, want)
		} else if ref == "orders-server/Orders.Raed" && !strings.Contains(fix.Of(err), "`rolecall grant orders-client orders-server/Orders.Read`") {
			t.Errorf("%s: fix %q", ref, fix.Of(err))
		}
	}
}

// What was made without a name, by way of Graph, goes by its display name while only one has it.
func TestDisplayNamesOfOneAreReferences(t *testing.T) {
	t.Parallel()
	dir := twoTenants(t)
	var twins [2]directory.AppID
	_, err := dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		for i, display := range []string{"Nightly Report", "Twin", "Twin"} {
			app, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, DisplayName: display, AppRoles: []directory.AppRole{{Value: "All.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}}})
			if err != nil {
				return err
			}
			if i > 0 {
				twins[i-1] = app.AppID
			}
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: app.AppID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	view := dir.View(t.Context())
	found, err := lookup.FindPrincipal(view, "", "nightly report")
	if err != nil || found.Name() != "Nightly Report" {
		t.Errorf("got %s, %v", found.Name(), err)
	}
	if role, err := lookup.FindRole("rolecall grant", view, found, "Nightly Report/All.Read"); err != nil || role.Value != "All.Read" {
		t.Errorf("the role of the API: %v", err)
	}
	if _, err := lookup.FindRole("rolecall grant", view, found, "orders-server/Orders.Raed"); !strings.Contains(fix.Of(err), "`rolecall grant 'Nightly Report' orders-server/Orders.Read`") {
		t.Errorf("a name of two words in a command: %q", fix.Of(err))
	}
	if _, err := lookup.FindRole("rolecall grant", view, found, "nobody/All.Read"); !strings.Contains(err.Error(), "Nightly Report") || strings.Contains(err.Error(), ", ,") {
		t.Errorf("names of APIs in an error: %v", err)
	}
	if api, err := lookup.FindApplication(view, "contoso", "Nightly Report"); err != nil || api.DisplayName != "Nightly Report" {
		t.Errorf("the application: %v", err)
	}
	for _, find := range []func() error{
		func() error { _, err := lookup.FindPrincipal(view, "", "Twin"); return err },
		func() error { _, err := lookup.FindAPI(view, "", "Twin"); return err },
	} {
		err := find()
		if !errors.Is(err, lookup.ErrAmbiguous) || !strings.Contains(err.Error(), string(twins[0])) || !strings.Contains(err.Error(), string(twins[1])) {
			t.Errorf("of twins: %v, want both ids", err)
		}
	}
	if _, err := lookup.FindPrincipal(view, "contoso", "nobody"); strings.Contains(err.Error(), ", ,") || !strings.Contains(err.Error(), "Nightly Report") {
		t.Errorf("names in an error: %v", err)
	}
	if _, err := lookup.FindApplication(view, "contoso", "https://graph.microsoft.com"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a built-in resource as a registration: %v", err)
	}
}

// Who is named by an id that is gone must not be somebody else, who calls himself that.
func TestIDsAreNoDisplayNames(t *testing.T) {
	t.Parallel()
	const id = "99999999-5a5a-4c4c-8d8d-000000000001"
	dir := twoTenants(t)
	_, err := dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		app, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, DisplayName: id})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: app.AppID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	view := dir.View(t.Context())
	for _, ref := range []string{id, strings.ToUpper(id)} {
		if found, err := lookup.FindApplication(view, "contoso", ref); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s is the application %s, %v", ref, found.AppID, err)
		}
		if found, err := lookup.FindPrincipal(view, "contoso", ref); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s is the principal %s, %v", ref, found.ID(), err)
		}
	}
}

func TestHostsAreFoundInAnyTenant(t *testing.T) {
	t.Parallel()
	dir := twoTenants(t)
	ids := map[string]directory.ObjectID{}
	_, err := dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenants, err := e.Tenants().All()
		if err != nil {
			return err
		}
		for _, tenant := range tenants {
			for _, name := range []string{"agent", "only-" + tenant.Name} {
				host, err := e.Hosts().Create(directory.Host{Tenant: tenant.ID, Name: name})
				if err != nil {
					return err
				}
				ids[name+" of "+tenant.Name] = host.ID
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	view := dir.View(t.Context())
	for _, tt := range []struct{ tenant, ref, want string }{
		{"", "only-contoso", "only-contoso of contoso"}, {"contoso", "agent", "agent of contoso"},
		{"", string(ids["agent of contoso"]), "agent of contoso"}, {"", strings.ToUpper(string(ids["agent of contoso"])), "agent of contoso"},
	} {
		if _, host, err := lookup.FindHost(view, tt.tenant, tt.ref); err != nil || host.ID != ids[tt.want] {
			t.Errorf("%q in %q: got %v, %v", tt.ref, tt.tenant, host, err)
		}
	}
	_, _, err = lookup.FindHost(view, "", "agent")
	if !errors.Is(err, lookup.ErrAmbiguous) || !strings.Contains(err.Error(), string(ids["agent of contoso"])+" in contoso") {
		t.Errorf("twins: got %v", err)
	}
	for _, tenant := range []string{"", "contoso"} {
		if _, _, err := lookup.FindHost(view, tenant, "nowhere"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("no host in %q: got %v", tenant, err)
		}
	}
}

func TestIdentitiesAreManaged(t *testing.T) {
	t.Parallel()
	view := twoTenants(t).View(t.Context())
	identity, err := view.ServicePrincipals().Get(fixture.TenantID, fixture.IdentityPrincipal)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"orders-client-mi", string(fixture.IdentityPrincipal), string(fixture.IdentityID), identity.ResourceID} {
		if found, err := lookup.FindIdentity(view, "contoso", ref); err != nil || found.ID() != fixture.IdentityPrincipal {
			t.Errorf("%s: got %v", ref, err)
		}
	}
	for ref, want := range map[string]string{"orders-client": "is an application", fixture.UserName: "is a user", "nobody": "nobody"} {
		if _, err := lookup.FindIdentity(view, "contoso", ref); !errors.Is(err, directory.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", ref, err)
		}
	}
}
