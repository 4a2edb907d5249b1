package directory_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// TestRecycledNames makes everything anew under the same names and app ids: nothing
// that belonged to the old may attach to the new.
func TestRecycledNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		delete func(o *orders, e *directory.Editor) error
		create func(o *orders, e *directory.Editor) error
	}{
		{"the API", func(o *orders, e *directory.Editor) error { return e.Applications().Delete(contoso, o.api.ID) }, (*orders).createAPI},
		{"the API's service principal", func(o *orders, e *directory.Editor) error {
			return e.ServicePrincipals().Delete(contoso, o.apiPrincipal.ID)
		}, func(o *orders, e *directory.Editor) (err error) {
			o.apiPrincipal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersAPI})
			return err
		}},
		{"the client", func(o *orders, e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) }, func(o *orders, e *directory.Editor) (err error) {
			if o.app, err = e.Applications().Create(directory.Application{Tenant: contoso, AppID: ordersApp, Name: "orders-client"}); err != nil {
				return err
			}
			o.appPrincipal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersApp})
			return err
		}},
		{"the role", func(o *orders, e *directory.Editor) error {
			disabled := *o.api
			disabled.AppRoles = slices.Clone(disabled.AppRoles)
			disabled.AppRoles[0].Enabled = false
			if _, err := e.Applications().Edit(disabled.Tenant, disabled.ID, func(v *directory.Application) error { *v = disabled; return nil }); err != nil {
				return err
			}
			disabled.AppRoles = nil
			_, err := e.Applications().Edit(disabled.Tenant, disabled.ID, func(v *directory.Application) error { *v = disabled; return nil })
			return err
		}, func(o *orders, e *directory.Editor) error {
			restored := *o.api // the role with its old id, even
			_, err := e.Applications().Edit(restored.Tenant, restored.ID, func(v *directory.Application) error { *v = restored; return nil })
			return err
		}},
		{"the tenant", func(o *orders, e *directory.Editor) error { return e.Tenants().Delete(contoso) }, func(o *orders, e *directory.Editor) (err error) {
			if _, err = e.Tenants().Create(directory.Tenant{ID: contoso, Name: "contoso"}); err != nil {
				return err
			}
			if err := o.createAPI(e); err != nil {
				return err
			}
			if o.app, err = e.Applications().Create(directory.Application{Tenant: contoso, AppID: ordersApp, Name: "orders-client"}); err != nil {
				return err
			}
			o.appPrincipal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersApp})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrders(t, memory.New())
			if len(o.roles(t)) != 1 {
				t.Fatal("the client holds no role to begin with")
			}
			old := *o
			change(t, o.Directory, func(e *directory.Editor) error { return tt.delete(o, e) })
			change(t, o.Directory, func(e *directory.Editor) error { return tt.create(o, e) })
			if roles := o.roles(t); len(roles) > 0 {
				t.Errorf("the client holds %q again", roles)
			}
			client, err := o.Instance(t.Context(), contoso, ordersApp)
			if err != nil {
				t.Fatal(err)
			}
			if client.Application.ID != old.app.ID {
				if _, err := o.CheckSecret(t.Context(), client.Application, o.secret); !errors.Is(err, directory.ErrWrongSecret) {
					t.Errorf("the old secret: got %v", err)
				}
			}
			for _, principal := range []directory.ObjectID{old.appPrincipal.ID, o.appPrincipal.ID} {
				if left, err := o.View(t.Context()).Assignments().AllOf(contoso, principal); len(left) > 0 || err != nil {
					t.Errorf("assignments of %s: got %v, %v", principal, left, err)
				}
			}
		})
	}
}

func TestRolesMustBeDisabledFirst(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	without := *o.api
	without.AppRoles = nil
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Edit(without.Tenant, without.ID, func(v *directory.Application) error { *v = without; return nil })
		return err
	}), "appRoles", directory.ErrEnabled)
	disabled := *o.api
	disabled.AppRoles = []directory.AppRole{{Value: "Orders.Read", Members: []directory.MemberType{directory.MemberApplication}}}
	change(t, o.Directory, func(e *directory.Editor) error {
		updated, err := e.Applications().Edit(disabled.Tenant, disabled.ID, func(v *directory.Application) error { *v = disabled; return nil })
		if err == nil && updated.AppRoles[0].ID != o.read {
			t.Error("the role got another id for want of one")
		}
		return err
	})
	if roles := o.roles(t); len(roles) > 0 {
		t.Errorf("a disabled role is still given: %q", roles)
	}
	if left, err := o.View(t.Context()).Assignments().AllOf(contoso, o.appPrincipal.ID); len(left) != 1 || err != nil {
		t.Errorf("assignments of a disabled role stay until it is removed: got %v, %v", left, err)
	}
}

func TestAssignIsIdempotent(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	before, err := o.View(t.Context()).Assignments().AllOf(contoso, o.appPrincipal.ID)
	if err != nil {
		t.Fatal(err)
	}
	sequence := o.Applied()
	change(t, o.Directory, func(e *directory.Editor) error {
		again, _, err := e.Assignments().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, directory.RoleID(strings.ToUpper(string(o.read))))
		if err == nil && again.ID != before[0].ID {
			t.Errorf("got another assignment, %v", again)
		}
		if notes := e.Changes(); len(notes) != 1 || notes[0].Action != "none" || notes[0].Name != "orders-client → orders-server/Orders.Read" {
			t.Errorf("got notes %v", notes)
		}
		return err
	})
	if o.Applied() != sequence {
		t.Error("granting again changed something")
	}
	change(t, o.Directory, func(e *directory.Editor) error {
		return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
	})
	if roles := o.roles(t); len(roles) > 0 {
		t.Errorf("got %q after the role was taken away", roles)
	}
}

func TestUpdatesThatChangeNothing(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const value = "an imported secret"
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "imported", directory.Choose(value), time.Time{})
		return err
	})
	sequence := o.Applied()
	change(t, o.Directory, func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		_, tenantErr := e.Tenants().Edit(tenant.ID, func(v *directory.Tenant) error { *v = *tenant; return nil })
		_, appErr := e.Applications().Edit(o.api.Tenant, o.api.ID, func(v *directory.Application) error { *v = *o.api; return nil })
		_, principalErr := e.ServicePrincipals().Edit(o.apiPrincipal.Tenant, o.apiPrincipal.ID, func(v *directory.ServicePrincipal) error { *v = *o.apiPrincipal; return nil })
		_, secretErr := e.Credentials().ImportSecret(contoso, o.app.ID, "imported", directory.Choose(value), time.Time{})
		for _, note := range e.Changes() {
			if note.Action != "none" {
				t.Errorf("got %+v", note)
			}
		}
		return errors.Join(tenantErr, appErr, principalErr, secretErr)
	})
	if o.Applied() != sequence {
		t.Error("something changed")
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	enough := errors.New("enough")
	var notes []directory.ChangeNote
	_, err := o.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		changed := *o.api
		changed.Name, changed.TokenVersion, changed.IdentifierURIs = "orders", 1, []string{"api://new"}
		if _, err := e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil }); err != nil {
			return err
		}
		if err := e.Applications().Delete(contoso, o.app.ID); err != nil {
			return err
		}
		notes = e.Changes()
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	want := []directory.ChangeNote{
		{Action: "update", Kind: "servicePrincipal", Tenant: "contoso", Name: "orders", Detail: "name: orders-server → orders"},
		{Action: "update", Kind: "application", Tenant: "contoso", Name: "orders", Detail: "name: orders-server → orders, tokenVersion: 2 → 1, identifierUris: +api://new, identifierUris: -api://orders"},
		{Action: "delete", Kind: "assignment", Tenant: "contoso", Name: "orders-client → orders/Orders.Read"},
		{Action: "delete", Kind: "servicePrincipal", Tenant: "contoso", Name: "orders-client"},
		{Action: "delete", Kind: "application", Tenant: "contoso", Name: "orders-client"},
	}
	if !slices.Equal(notes, want) {
		t.Errorf("got notes\n%+v\nwant\n%+v", notes, want)
	}
	if roles := o.roles(t); len(roles) != 1 {
		t.Errorf("the dry run left traces: %q", roles)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrders(t, memory.New())
		const chosen = "p\x00 chosen + seçret "
		var shown directory.Secret
		var short string
		change(t, o.Directory, func(e *directory.Editor) (err error) {
			if shown, short, err = e.Credentials().AddSecret(contoso, o.app.ID, "short", time.Now().Add(time.Hour)); err != nil {
				return err
			}
			_, err = e.Credentials().ImportSecret(contoso, o.app.ID, "imported", directory.Choose(chosen), time.Now().Add(2*time.Hour))
			return err
		})
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(short, "rc_"))
		if err != nil || len(raw) != 32 || short[3:6] != shown.Hint {
			t.Errorf("the secret has %d bytes (%v) and the hint %q", len(raw), err, shown.Hint)
		}
		check := func(presented string, name string, want error) {
			t.Helper()
			client, err := o.Instance(t.Context(), contoso, ordersApp)
			if err != nil {
				t.Fatal(err)
			}
			secret, err := o.CheckSecret(t.Context(), client.Application, presented)
			if !errors.Is(err, want) || (err == nil && secret.Name != name) {
				t.Errorf("a secret of %d bytes: got %v, %v, want %q, %v", len(presented), secret, err, name, want)
			}
		}
		check(o.secret, "ci", nil)
		check(short, "short", nil)
		for range 2 { // the slow way, then from memory
			check(chosen, "imported", nil)
		}
		for _, presented := range []string{
			"", "r", short[:len(short)-1], short + " ", short + "\x00", " " + short, strings.ToUpper(short), short[3:],
			"p", "p\x00", strings.TrimSpace(chosen), chosen + "\n", strings.ReplaceAll(chosen, "+", " "), strings.Repeat("x", 1<<20),
		} {
			check(presented, "", directory.ErrWrongSecret)
		}
		time.Sleep(time.Hour)
		check(short, "", directory.ErrExpiredSecret)
		check(chosen, "imported", nil)
		time.Sleep(time.Hour)
		check(chosen, "", directory.ErrExpiredSecret)
		check(chosen+"x", "", directory.ErrWrongSecret)
		check(o.secret, "ci", nil)

		change(t, o.Directory, func(e *directory.Editor) error { return e.Credentials().Remove(contoso, o.app.ID, shown.ID) })
		check(short, "", directory.ErrWrongSecret)
	})
}

// What costs a slow hash is known beforehand: a chosen secret that was not right yet, and
// whatever is wrong, where there is one.
func TestSlowSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrders(t, memory.New())
		const chosen = "correct horse battery"
		slow := func(name, presented string, want bool) {
			t.Helper()
			client, err := o.Instance(t.Context(), contoso, ordersApp)
			if err != nil {
				t.Fatal(err)
			}
			if got := o.IsSlowSecret(client.Application, presented); got != want {
				t.Errorf("%s: slow is %v, want %v", name, got, want)
			}
			_, _ = o.CheckSecret(t.Context(), client.Application, presented)
		}
		slow("a generated one", o.secret, false)
		slow("a wrong one, where all are generated", "wrong", false)
		change(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "chosen", directory.Choose(chosen), time.Now().Add(time.Hour))
			return err
		})
		slow("a generated one beside a chosen one", o.secret, false)
		slow("a wrong one beside a chosen one", "wrong", true)
		slow("a wrong one again", "wrong", true)
		slow("none", "", false)
		slow("one that is too long to be one", strings.Repeat("x", 1<<20), false)
		slow("the chosen one", chosen, true)
		slow("the chosen one again", chosen, false)
		time.Sleep(time.Hour)
		slow("the chosen one, expired", chosen, true)
		if o.IsSlowSecret(nil, "wrong") {
			t.Error("no application is slow")
		}
	})
}

func TestSecretRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	for name, tt := range map[string]struct {
		f     func(e *directory.Editor) error
		field string
	}{
		"expired": {func(e *directory.Editor) error {
			_, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "a", time.Now().Add(-time.Second))
			return err
		}, "expires"},
		"no name": {func(e *directory.Editor) error {
			_, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "", time.Time{})
			return err
		}, "name"},
		"empty": {func(e *directory.Editor) error {
			_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "a", directory.Choose(""), time.Time{})
			return err
		}, "value"},
		"over-long": {func(e *directory.Editor) error {
			_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "a", directory.Choose(strings.Repeat("x", 5000)), time.Time{})
			return err
		}, "value"},
		"fifty-one": {func(e *directory.Editor) error {
			return repeat(51, func() error { _, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "a", time.Time{}); return err })
		}, "secrets"},
	} {
		t.Run(name, func(t *testing.T) { checkRule(t, attempt(t, o.Directory, tt.f), tt.field, wrong) })
	}
}

func repeat(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// A slow check ends with its context; what is too long never comes to one.
func TestSlowSecretsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const chosen = "a secret that somebody chose"
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "imported", directory.Choose(chosen), time.Time{})
		return err
	})
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.CheckSecret(ended, client.Application, chosen); !errors.Is(err, context.Canceled) {
		t.Errorf("a slow check: got %v", err)
	}
	if _, err := o.CheckSecret(ended, client.Application, strings.Repeat("x", 5000)); !errors.Is(err, directory.ErrWrongSecret) {
		t.Errorf("an over-long secret: got %v", err)
	}
	if _, err := o.CheckSecret(t.Context(), client.Application, chosen); err != nil {
		t.Errorf("in time: got %v", err)
	}
	if _, err := o.CheckSecret(ended, client.Application, chosen); err != nil {
		t.Errorf("from memory: got %v", err)
	}
}

func TestManagedIdentity(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var identity *directory.ServicePrincipal
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Type: directory.PrincipalManagedIdentity, Name: "orders-client-mi"})
		if err != nil {
			return err
		}
		_, _, err = e.Assignments().Add(contoso, identity.ID, o.apiPrincipal.ID, o.read)
		return err
	})
	client, err := o.Named(t.Context(), contoso, "orders-client-mi")
	if err != nil || client.Application != nil || client.Principal.ID != identity.ID {
		t.Fatalf("got %+v, %v", client, err)
	}
	resource, err := o.Resource(t.Context(), contoso, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	if roles, assigned, err := o.Roles(t.Context(), client, resource); len(roles) != 1 || !assigned || err != nil {
		t.Errorf("got %q, %v, %v", roles, assigned, err)
	}
	if _, err := o.Resource(t.Context(), contoso, string(identity.AppID)); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("as an API: got %v", err)
	}
	if all, err := o.View(t.Context()).Identities().All(contoso); len(all) != 1 || err != nil {
		t.Errorf("list: got %v, %v", all, err)
	}
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	var other *directory.Tenant
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if other, err = e.Tenants().Create(directory.Tenant{Name: "fabrikam"}); err != nil {
			return err
		}
		if _, err = e.Applications().Create(directory.Application{Tenant: other.ID, Name: "orders-server", AppID: ordersAPI, IdentifierURIs: []string{"api://orders"}}); err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: other.ID, AppID: ordersAPI})
		return err
	})
	if _, err := o.Instance(t.Context(), other.ID, ordersApp); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the client of another tenant: got %v", err)
	}
	client, err := o.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := o.Resource(t.Context(), other.ID, "api://orders")
	if err != nil || resource.Application.ID == o.api.ID {
		t.Fatalf("got %v, %v", resource, err)
	}
	if roles, assigned, err := o.Roles(t.Context(), client, resource); roles != nil || assigned || err != nil {
		t.Errorf("roles across tenants: got %q, %v, %v", roles, assigned, err)
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.Tenants().Delete(other.ID) })
	if _, err := o.Resource(t.Context(), other.ID, "api://orders"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("after the tenant was deleted: got %v", err)
	}
	if len(o.roles(t)) != 1 {
		t.Error("deleting one tenant changed another")
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	set := func(version int64, body string) error {
		return o.SetKeyring(t.Context(), string(contoso), version, []byte(body), audit.Event{Actor: "cli:keys rotate", ActorKind: "operator", Action: "keyring.rotate", Detail: "kid abc"}, "")
	}
	if body, version, err := o.Keyring(t.Context(), string(contoso)); body != nil || version != 0 || err != nil {
		t.Errorf("before there is one: got %q, %d, %v", body, version, err)
	}
	if err := set(0, "one"); err != nil {
		t.Fatal(err)
	}
	if err := set(0, "two"); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("a stale version: got %v", err)
	}
	if err := set(1, "two"); err != nil {
		t.Fatal(err)
	}
	if body, version, err := o.Keyring(t.Context(), string(contoso)); string(body) != "two" || version != 2 || err != nil {
		t.Errorf("got %q, %d, %v", body, version, err)
	}
	if err := o.SetKeyring(t.Context(), string(ordersApp), 0, nil, audit.Event{Actor: "a", ActorKind: "system", Action: "b", Detail: "c"}, ""); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("of no tenant: got %v", err)
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.Tenants().Delete(contoso) })
	if body, _, err := o.Keyring(t.Context(), string(contoso)); body != nil || err != nil {
		t.Errorf("after the tenant was deleted: got %q, %v", body, err)
	}
}

func TestAuditTellsEveryAct(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	rows, err := o.AuditRows(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Error(err)
	}
	var acts []string
	for _, row := range rows {
		acts = append(acts, row.Action+" "+row.Name)
		if row.Actor != "test" || row.Tenant != string(contoso) || strings.Contains(row.Detail, o.secret) {
			t.Errorf("got %+v", row)
		}
	}
	want := []string{
		"tenant.create contoso", "application.create orders-server", "servicePrincipal.create orders-server",
		"application.create orders-client", "servicePrincipal.create orders-client", "application.update orders-client",
		"assignment.create orders-client → orders-server/Orders.Read",
	}
	if !slices.Equal(acts, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(acts, "\n"), strings.Join(want, "\n"))
	}
}
