package directory_test

import (
	"errors"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// Display names may repeat; names may not, and what has none is found by its ids and listed.
func TestDisplayNames(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var twins [2]*directory.Application
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		for i := range twins {
			if twins[i], err = e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "Payroll"}); err != nil {
				return err
			}
			if _, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: twins[i].AppID}); err != nil {
				return err
			}
		}
		return nil
	})
	v := o.View(t.Context())
	for _, twin := range twins {
		found, err := v.Applications().Find(contoso, string(twin.AppID))
		if err != nil || found.ID != twin.ID || found.Label() != "Payroll" || found.Name != "" {
			t.Errorf("got %+v, %v", found, err)
		}
		instance, err := o.Named(t.Context(), contoso, string(twin.AppID))
		if err != nil || instance.Principal == nil || instance.Principal.Label() != "Payroll" {
			t.Errorf("got %+v, %v", instance, err)
		}
	}
	if _, err := v.Applications().Find(contoso, "Payroll"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("by the display name: got %v", err)
	}
	if all, err := v.Applications().All(contoso); err != nil || len(all) != 4 {
		t.Errorf("list: got %d, %v", len(all), err)
	}
	if all, err := v.ServicePrincipals().All(contoso); err != nil || len(all) != 4 {
		t.Errorf("list of principals: got %d, %v", len(all), err)
	}
}

func TestDisplayNameFollows(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	edit := func(f func(a *directory.Application)) error {
		_, err := o.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
			_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { f(a); return nil })
			return err
		})
		return err
	}
	labels := func(want string) {
		t.Helper()
		found := o.resource(t)
		if got := found.Application.Label(); got != want {
			t.Errorf("the application is shown as %q, want %q", got, want)
		}
		if got := found.Principal.Label(); got != want {
			t.Errorf("its service principal is shown as %q, want %q", got, want)
		}
	}
	labels("orders-server")
	if err := edit(func(a *directory.Application) { a.DisplayName = "Orders" }); err != nil {
		t.Fatal(err)
	}
	labels("Orders")
	if err := edit(func(a *directory.Application) { a.Name = "renamed" }); err != nil {
		t.Fatal(err)
	}
	labels("Orders")
	if err := edit(func(a *directory.Application) { a.DisplayName = "renamed" }); err != nil {
		t.Fatal(err)
	}
	if got := o.resource(t).Application.DisplayName; got != "" {
		t.Errorf("a display name that says the same is kept: %q", got)
	}
	checkRule(t, edit(func(a *directory.Application) { a.Name = "" }), "name", wrong)
	checkRule(t, edit(func(a *directory.Application) { a.DisplayName = "a\x00b" }), "displayName", wrong)
	// An object that was made elsewhere may lose its name, and another may take that then.
	if err := edit(func(a *directory.Application) { a.Name, a.DisplayName = "", "Orders" }); err != nil {
		t.Fatal(err)
	}
	labels("Orders")
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "renamed"})
		return err
	})
}
