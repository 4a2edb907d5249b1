package directory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// A role that becomes one for users only is no longer in the tokens of applications that
// were granted it before.
func TestRoleThatBecomesOneForUsers(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	if len(o.roles(t)) != 1 {
		t.Fatal("the role is not there to begin with")
	}
	change(t, o.Directory, func(e *directory.Editor) error {
		api, err := e.Applications().Find(contoso, string(ordersAPI))
		if err != nil {
			return err
		}
		api.AppRoles[0].Members = []directory.MemberType{directory.MemberUser}
		_, err = e.Applications().Edit(api.Tenant, api.ID, func(v *directory.Application) error { *v = *api; return nil })
		return err
	})
	if roles := o.roles(t); len(roles) != 0 {
		t.Errorf("got %q", roles)
	}
}

// Object ids are chosen by those who bring their own; the same in two tenants give nothing.
func TestRolesEndAtTheTenant(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	change(t, o.Directory, func(e *directory.Editor) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
		if err != nil {
			return err
		}
		twin := *o.api
		twin.Tenant = tenant.ID
		if _, err := e.Applications().Create(twin); err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{ID: o.apiPrincipal.ID, Tenant: tenant.ID, AppID: ordersAPI})
		return err
	})
	fabrikam, err := o.Tenant(t.Context(), "fabrikam")
	if err != nil {
		t.Fatal(err)
	}
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := o.Resource(t.Context(), fabrikam.ID, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	if roles, assigned, err := o.Roles(t.Context(), client, twin); len(roles) > 0 || assigned || err != nil {
		t.Errorf("got %q, %v, %v", roles, assigned, err)
	}
}

// That a text matched one imported secret says nothing about any other.
func TestProvenSecretIsGoodForItselfAlone(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const mine, theirs = "correct horse", "battery staple"
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "mine", directory.Choose(mine), time.Time{})
		if err != nil {
			return err
		}
		_, err = e.Credentials().ImportSecret(contoso, o.api.ID, "theirs", directory.Choose(theirs), time.Time{})
		return err
	})
	app := func(id directory.AppID) *directory.Application {
		client, err := o.Instance(t.Context(), contoso, id)
		if err != nil {
			t.Fatal(err)
		}
		return client.Application
	}
	for range 2 { // by the slow hash, then by what is remembered of it
		if _, err := o.CheckSecret(t.Context(), app(ordersApp), mine); err != nil {
			t.Fatal(err)
		}
		if _, err := o.CheckSecret(t.Context(), app(ordersAPI), mine); !errors.Is(err, directory.ErrWrongSecret) {
			t.Errorf("another application's secret: %v", err)
		}
	}
}
