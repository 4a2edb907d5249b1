package directory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

const (
	contoso   = directory.TenantID("7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11")
	ordersAPI = directory.AppID("a9100002-5a5a-4c4c-8d8d-000000000002")
	ordersApp = directory.AppID("c11e0001-5a5a-4c4c-8d8d-000000000001")
)

func open(t testing.TB, store directory.Store) *directory.Directory {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// change runs f in one transaction that must succeed.
func change(t testing.TB, d *directory.Directory, f func(e *directory.Editor) error) {
	t.Helper()
	if _, err := d.Change(t.Context(), directory.Operator("test"), f); err != nil {
		t.Fatal(err)
	}
}

// orders is the directory of the documentation: an API, a client, one role, granted.
type orders struct {
	*directory.Directory
	store                      directory.Store
	api, app                   *directory.Application
	apiPrincipal, appPrincipal *directory.ServicePrincipal
	read                       directory.RoleID
	secret                     string
}

func newOrders(t testing.TB, store directory.Store) *orders {
	t.Helper()
	o := &orders{Directory: open(t, store), store: store}
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if _, err = e.Tenants().Create(directory.Tenant{ID: contoso, Name: "contoso", Domains: []string{"Contoso.test"}}); err != nil {
			return err
		}
		if err := o.createAPI(e); err != nil {
			return err
		}
		if o.app, err = e.Applications().Create(directory.Application{Tenant: contoso, AppID: ordersApp, Name: "orders-client"}); err != nil {
			return err
		}
		if o.appPrincipal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersApp}); err != nil {
			return err
		}
		if _, o.secret, err = e.Credentials().AddSecret(contoso, o.app.ID, "ci", time.Time{}); err != nil {
			return err
		}
		_, _, err = e.Assignments().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		return err
	})
	return o
}

func (o *orders) createAPI(e *directory.Editor) (err error) {
	o.api, err = e.Applications().Create(directory.Application{
		Tenant: contoso, AppID: ordersAPI, Name: "orders-server", IdentifierURIs: []string{"api://orders"},
		AppRoles: []directory.AppRole{{Value: "Orders.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}},
	})
	if err != nil {
		return err
	}
	o.read = o.api.AppRoles[0].ID
	o.apiPrincipal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersAPI})
	return err
}

// roles asks as the authority does, by app id and identifier.
func (o *orders) roles(t testing.TB) []string {
	t.Helper()
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := o.Resource(t.Context(), contoso, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	roles, _, err := o.Roles(t.Context(), client, resource)
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

func TestStory(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	for _, ref := range []string{string(contoso), "7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11", "CONTOSO.test", "Contoso"} {
		tenant, err := o.Tenant(t.Context(), ref)
		if err != nil || tenant.ID != contoso {
			t.Errorf("tenant %q: got %v, %v", ref, tenant, err)
		}
	}
	for _, identifier := range []string{"api://orders", "API://Orders/", string(ordersAPI), "A9100002-5a5a-4c4c-8d8d-000000000002"} {
		client, err := o.Resource(t.Context(), contoso, identifier)
		if err != nil || client.Application.AppID != ordersAPI || client.Principal == nil {
			t.Errorf("resource %q: got %v, %v", identifier, client, err)
		}
	}
	if got := o.roles(t); !slices.Equal(got, []string{"Orders.Read"}) {
		t.Errorf("roles: got %q", got)
	}
	client, err := o.Named(t.Context(), contoso, "ORDERS-client")
	if err != nil {
		t.Fatal(err)
	}
	if secret, err := o.CheckSecret(t.Context(), client.Application, o.secret); err != nil || secret.Name != "ci" {
		t.Errorf("right secret: got %v, %v", secret, err)
	}
	if _, err := o.CheckSecret(t.Context(), client.Application, o.secret+" "); !errors.Is(err, directory.ErrWrongSecret) {
		t.Errorf("wrong secret: got %v", err)
	}
}
