package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

func TestFindByAnyReference(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	dev := o.user(t, "dev@contoso.test")
	batch := o.identity(t, directory.ServicePrincipal{Name: "batch"})
	box := o.host(t, directory.Host{Name: "box"})
	both := func(t *testing.T, check func(v *directory.View)) {
		t.Helper()
		check(o.View(t.Context()))
		change(t, o.Directory, func(e *directory.Editor) error { check(e.View()); return nil })
	}
	both(t, func(v *directory.View) {
		for _, ref := range []string{string(contoso), "CONTOSO", "contoso.test"} {
			if got, err := v.Tenants().Find(ref); err != nil || got.ID != contoso {
				t.Errorf("tenant %q: got %v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"Orders-Server", string(o.api.ID), strings.ToUpper(string(ordersAPI)), "api://orders", "API://orders/"} {
			if got, err := v.Applications().Find(contoso, ref); err != nil || got.ID != o.api.ID || got.Version != 1 {
				t.Errorf("application %q: got %v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"batch", string(batch.ID), string(batch.AppID), batch.ResourceID} {
			if got, err := v.Identities().Find(contoso, ref); err != nil || got.ID != batch.ID {
				t.Errorf("identity %q: got %v, %v", ref, got, err)
			}
			if got, err := v.ServicePrincipals().Find(contoso, ref); err != nil || got.ID != batch.ID {
				t.Errorf("service principal %q: got %v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"DEV@contoso.test", string(dev.ID)} {
			if got, err := v.Users().Find(contoso, ref); err != nil || got.ID != dev.ID {
				t.Errorf("user %q: got %v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"Box", string(box.ID)} {
			if got, err := v.Hosts().Find(contoso, ref); err != nil || got.ID != box.ID {
				t.Errorf("host %q: got %v, %v", ref, got, err)
			}
		}
		if got, err := v.Applications().Get(contoso, o.api.ID); err != nil || got.Name != "orders-server" {
			t.Errorf("get: got %v, %v", got, err)
		}
		if _, err := v.Applications().Get(contoso, directory.ObjectID(ordersAPI)); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("get by app id: got %v", err)
		}
		if _, err := v.Identities().Find(contoso, "orders-server"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("an application as an identity: got %v", err)
		}
		for name, list := range map[string]func() ([]*directory.Assignment, error){
			"of the client": func() ([]*directory.Assignment, error) { return v.Assignments().AllOf(contoso, o.appPrincipal.ID) },
			"to the API":    func() ([]*directory.Assignment, error) { return v.Assignments().AllTo(contoso, o.apiPrincipal.ID) },
		} {
			all, err := list()
			if err != nil || len(all) != 1 || all[0].Role != o.read {
				t.Errorf("assignments %s: got %v, %v", name, all, err)
				continue
			}
			if got, err := v.Assignments().Get(contoso, all[0].ID); err != nil || got.Principal != o.appPrincipal.ID {
				t.Errorf("assignment by id: got %v, %v", got, err)
			}
		}
	})
}

// What is not there is worded once, with what has a name like it.
func TestNotFound(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	o.user(t, "dev@contoso.test")
	v := o.View(t.Context())
	for _, tt := range []struct {
		ref, text string
		near      []string
		find      func(ref string) error
	}{
		{"order-server", `there is no application "order-server" in the tenant contoso`, []string{"orders-server"}, application(v)},
		{"orders-sevrer", `there is no application "orders-sevrer" in the tenant contoso`, []string{"orders-server"}, application(v)},
		{"orders", `there is no application "orders" in the tenant contoso`, []string{"orders-client", "orders-server"}, application(v)},
		{"payroll", `there is no application "payroll" in the tenant contoso`, nil, application(v)},
		{"", `there is no application "" in the tenant contoso`, nil, application(v)},
		{"dev@contoso.tset", `there is no user "dev@contoso.tset" in the tenant contoso`, []string{"dev@contoso.test"}, func(ref string) error {
			_, err := v.Users().Find(contoso, ref)
			return err
		}},
		{"contosa", `there is no tenant "contosa"`, []string{"contoso"}, func(ref string) error {
			_, err := v.Tenants().Find(ref)
			return err
		}},
	} {
		err := tt.find(tt.ref)
		missing, is := errors.AsType[*directory.NotFoundError](err)
		if !is || !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%q: got %v", tt.ref, err)
			continue
		}
		if err.Error() != tt.text || !slices.Equal(missing.Near(), tt.near) || missing.Fix() == "" {
			t.Errorf("%q: got %q, near %q, fix %q", tt.ref, err, missing.Near(), missing.Fix())
		}
	}
}

func application(v *directory.View) func(ref string) error {
	return func(ref string) error {
		_, err := v.Applications().Find(contoso, ref)
		return err
	}
}

// An error that leaves a transaction says what was there.
func TestNotFoundInATransaction(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	err := attempt(t, o.Directory, func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "payments"}); err != nil {
			return err
		}
		_, err := e.Applications().Find(contoso, "payment")
		return fmt.Errorf("grant: %w", err)
	})
	if missing, is := errors.AsType[*directory.NotFoundError](err); !is || !slices.Equal(missing.Near(), []string{"payments"}) {
		t.Errorf("got %v", err)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	names := []string{"a", "a/b", "ab", "abc", "b"}
	change(t, o.Directory, func(e *directory.Editor) error {
		for _, name := range names {
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Name: name, Type: directory.PrincipalManagedIdentity}); err != nil {
				return err
			}
		}
		return nil
	})
	v := o.View(t.Context())
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"", []string{"a", "a/b", "ab", "abc", "b"}},
		{"a", []string{"a", "a/b", "ab", "abc"}},
		{"A", []string{"a", "a/b", "ab", "abc"}},
		{"ab", []string{"ab", "abc"}},
		{"a/", []string{"a/b"}},
		{"b", []string{"b"}},
		{"c", nil},
		{"orders", nil},
	} {
		for _, limit := range []int{0, 1, 2, 4, 10} {
			var got []string
			q := directory.Query{Prefix: tt.prefix, Limit: limit}
			for {
				page, err := v.Identities().List(contoso, q)
				if err != nil {
					t.Fatal(err)
				}
				if limit > 0 && len(page.Items) > limit {
					t.Errorf("prefix %q: a page of %d has %d", tt.prefix, limit, len(page.Items))
				}
				for _, p := range page.Items {
					got = append(got, p.Name)
				}
				if page.Next == "" {
					break
				}
				q.After = page.Next
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Errorf("prefix %q in pages of %d: got %q, want %q", tt.prefix, limit, got, want)
			}
		}
	}
}

// A change that was meant for another version than there is does not happen.
func TestIfVersion(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	rename := func(version int64) error {
		_, err := o.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
			_, err := e.Applications().IfVersion(version).Edit(contoso, o.api.ID, func(a *directory.Application) error {
				a.Name += "!"
				return nil
			})
			return err
		})
		return err
	}
	if o.api.Version != 1 {
		t.Errorf("version of a new one: got %d", o.api.Version)
	}
	if err := rename(1); err != nil {
		t.Fatal(err)
	}
	if err := rename(1); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("again: got %v", err)
	}
	if err := attempt(t, o.Directory, func(e *directory.Editor) error { return e.Applications().IfVersion(1).Delete(contoso, o.api.ID) }); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("delete: got %v", err)
	}
	got, err := o.View(t.Context()).Applications().Get(contoso, o.api.ID)
	if err != nil || got.Version != 2 || got.Name != "orders-server!" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := rename(got.Version); err != nil {
		t.Error(err)
	}
}

// Edit hands out a copy: what an editing function does to its lists is held against the
// rules like everything else.
func TestEditIsHeldAgainstWhatWasThere(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	err := attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error {
			a.AppRoles[0].Enabled = false
			a.AppRoles = a.AppRoles[:0]
			return nil
		})
		return err
	})
	checkRule(t, err, "appRoles", directory.ErrEnabled)
}
