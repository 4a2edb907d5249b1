package directory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// discardable is the orders world with everything that an application may have.
type discardable struct {
	*orders
	dev *directory.User
}

func newDiscardable(t *testing.T) discardable {
	t.Helper()
	d := discardable{orders: newOrders(t, memory.New())}
	change(t, d.Directory, func(e *directory.Editor) (err error) {
		if d.dev, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test", DirectoryRoles: []string{"Global Reader"}}, nil); err != nil {
			return err
		}
		if _, err = e.Applications().Edit(contoso, d.api.ID, func(a *directory.Application) error {
			a.Scopes = []directory.Scope{{Value: "Orders.Edit", Enabled: true}}
			a.AppRoles[0].Members = append(a.AppRoles[0].Members, directory.MemberUser)
			a.Owners = []directory.ObjectID{d.appPrincipal.ID, d.dev.ID}
			return nil
		}); err != nil {
			return err
		}
		if _, err = e.DelegatedGrants().Add(contoso, d.appPrincipal.ID, d.apiPrincipal.ID, d.dev.ID, []string{"Orders.Edit"}); err != nil {
			return err
		}
		if _, _, err = e.Assignments().Add(contoso, d.dev.ID, d.apiPrincipal.ID, d.read); err != nil {
			return err
		}
		return e.ServicePrincipals().AddOwner(contoso, d.apiPrincipal.ID, d.dev.ID)
	})
	return d
}

// story is all that a token, and whoever looks, would be told.
func (d discardable) story(t *testing.T) (told []string) {
	t.Helper()
	v := d.View(t.Context())
	note := func(what string, err error) {
		switch {
		case err == nil:
			told = append(told, what)
		case !errors.Is(err, notFound):
			t.Fatal(err)
		}
	}
	client, clientErr := d.Instance(t.Context(), contoso, ordersApp)
	api, apiErr := d.Resource(t.Context(), contoso, "api://orders")
	note("client", clientErr)
	note("api", apiErr)
	if clientErr == nil {
		_, err := d.CheckSecret(t.Context(), client.Application, d.secret)
		note("secret", err)
	}
	if apiErr == nil && clientErr == nil {
		roles, _, err := d.Roles(t.Context(), client, api)
		if err != nil {
			t.Fatal(err)
		}
		scopes, err := d.GrantedScopes(t.Context(), client, api, d.dev.ID)
		if err != nil {
			t.Fatal(err)
		}
		told = append(append(told, roles...), scopes...)
	}
	user, userErr := v.Users().Get(contoso, d.dev.ID)
	note("user", userErr)
	if userErr == nil && apiErr == nil {
		roles, _, err := d.UserRoles(t.Context(), user, api)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range roles {
			told = append(told, "user "+role)
		}
	}
	for name, owner := range map[string]directory.ObjectID{"client owns": d.appPrincipal.ID, "user owns": d.dev.ID} {
		apps, err := v.Applications().OwnedBy(contoso, owner, directory.Query{})
		principals, err2 := v.ServicePrincipals().OwnedBy(contoso, owner, directory.Query{})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for range apps.Items {
			told = append(told, name+" an application")
		}
		for range principals.Items {
			told = append(told, name+" a principal")
		}
	}
	slices.Sort(told)
	return told
}

func TestDiscardAndRestore(t *testing.T) {
	t.Parallel()
	type act = func(d discardable, e *directory.Editor) (*directory.Deleted, error)
	api := func(d discardable, e *directory.Editor) (*directory.Deleted, error) {
		return e.Applications().Discard(contoso, d.api.ID)
	}
	client := func(d discardable, e *directory.Editor) (*directory.Deleted, error) {
		return e.Applications().Discard(contoso, d.app.ID)
	}
	principal := func(d discardable, e *directory.Editor) (*directory.Deleted, error) {
		return e.ServicePrincipals().Discard(contoso, d.appPrincipal.ID)
	}
	user := func(d discardable, e *directory.Editor) (*directory.Deleted, error) {
		return e.Users().Discard(contoso, d.dev.ID)
	}
	for name, tt := range map[string]struct {
		acts []act
		left []string // of what there was
	}{
		"the API":                        {[]act{api}, []string{"client", "secret", "user"}},
		"the client":                     {[]act{client}, []string{"api", "user", "user Orders.Read", "user owns a principal", "user owns an application"}},
		"the client's service principal": {[]act{principal}, []string{"api", "client", "secret", "user", "user Orders.Read", "user owns a principal", "user owns an application"}},
		"the user":                       {[]act{user}, []string{"Orders.Read", "api", "client", "client owns an application", "secret"}},
		"the client and the API":         {[]act{client, api}, []string{"user"}},
		"the API and the client":         {[]act{api, client}, []string{"user"}},
		"all of them":                    {[]act{user, client, api}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDiscardable(t)
			before := d.story(t)
			var gone []*directory.Deleted
			for _, discard := range tt.acts {
				change(t, d.Directory, func(e *directory.Editor) error {
					one, err := discard(d, e)
					gone = append(gone, one)
					return err
				})
			}
			if got := d.story(t); !slices.Equal(got, tt.left) {
				t.Errorf("discarded: got %q, want %q", got, tt.left)
			}
			for _, one := range gone {
				page, err := d.View(t.Context()).Deleted().Of(contoso, one.Kind, directory.Query{})
				if err != nil || !slices.ContainsFunc(page.Items, func(other *directory.Deleted) bool { return other.ID == one.ID }) {
					t.Errorf("%s is not listed: %v", one.Kind, err)
				}
			}
			for _, one := range gone { // in the same order, and not the other way round
				change(t, d.Directory, func(e *directory.Editor) error { _, err := e.Deleted().Restore(contoso, one.ID); return err })
			}
			if got := d.story(t); !slices.Equal(got, before) {
				t.Errorf("restored: got %q, want %q", got, before)
			}
			if _, err := d.View(t.Context()).Deleted().Get(contoso, gone[0].ID); !errors.Is(err, notFound) {
				t.Errorf("still among the deleted: %v", err)
			}
		})
	}
}

func TestDiscardedRevokesAndReserves(t *testing.T) {
	t.Parallel()
	d := newDiscardable(t)
	change(t, d.Directory, func(e *directory.Editor) error { _, err := e.Applications().Discard(contoso, d.api.ID); return err })
	revoked, _, err := d.Revocations().Since(t.Context(), contoso, 0)
	if err != nil || !slices.ContainsFunc(revoked, func(r *directory.Revocation) bool { return r.Client == ordersAPI }) {
		t.Errorf("revocations: %v, %v", revoked, err)
	}
	create := func(a directory.Application) error {
		a.Tenant, a.Name = contoso, "another"
		return attempt(t, d.Directory, func(e *directory.Editor) error { _, err := e.Applications().Create(a); return err })
	}
	checkRule(t, create(directory.Application{IdentifierURIs: []string{"API://orders/"}}), "identifierUris[0]", duplicate)
	checkRule(t, create(directory.Application{AppID: ordersAPI}), "appId", duplicate)
	checkRule(t, create(directory.Application{ID: d.api.ID}), "id", duplicate)
	checkRule(t, attempt(t, d.Directory, func(e *directory.Editor) error {
		_, err := e.Users().Create(directory.User{Tenant: contoso, ID: d.apiPrincipal.ID, PrincipalName: "x@contoso.test"}, nil)
		return err
	}), "id", duplicate)
	change(t, d.Directory, func(e *directory.Editor) error { return e.Deleted().Purge(contoso, d.api.ID) })
	if err := create(directory.Application{IdentifierURIs: []string{"api://orders"}, AppID: ordersAPI, ID: d.api.ID}); err != nil {
		t.Errorf("after it was purged: %v", err)
	}
	checkRule(t, attempt(t, d.Directory, func(e *directory.Editor) error { _, err := e.Deleted().Restore(contoso, d.api.ID); return err }), "", notFound)
}

func TestRestoreConflicts(t *testing.T) {
	t.Parallel()
	d := newDiscardable(t)
	change(t, d.Directory, func(e *directory.Editor) error {
		if _, err := e.Users().Discard(contoso, d.dev.ID); err != nil {
			return err
		}
		if _, err := e.Applications().Discard(contoso, d.app.ID); err != nil {
			return err
		}
		if _, err := e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test"}, nil); err != nil {
			return err
		}
		_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "orders-client"})
		return err
	})
	restore := func(id directory.ObjectID) error {
		return attempt(t, d.Directory, func(e *directory.Editor) error { _, err := e.Deleted().Restore(contoso, id); return err })
	}
	checkRule(t, restore(d.dev.ID), "userPrincipalName", duplicate)
	checkRule(t, restore(d.app.ID), "name", duplicate)
	if _, err := d.View(t.Context()).Deleted().Get(contoso, d.app.ID); err != nil {
		t.Errorf("after a failed attempt: %v", err)
	}
	_, err := d.Change(t.Context(), directory.Actor{Kind: directory.ActorApplication, Name: "caller", Rights: directory.Manage(directory.Users)}, func(e *directory.Editor) error {
		return e.Deleted().Purge(contoso, d.app.ID)
	})
	if !errors.Is(err, directory.ErrForbidden) {
		t.Errorf("without the right to delete applications: %v", err)
	}
}

// Somebody with the id of one who was there before is somebody else.
func TestRestoreMeansThoseWhoWereThere(t *testing.T) {
	t.Parallel()
	d := newDiscardable(t)
	change(t, d.Directory, func(e *directory.Editor) error { _, err := e.Applications().Discard(contoso, d.app.ID); return err })
	change(t, d.Directory, func(e *directory.Editor) error { return e.Applications().Delete(contoso, d.api.ID) })
	time.Sleep(time.Microsecond) // the precision of times that are kept
	change(t, d.Directory, func(e *directory.Editor) error {
		again := *d.api
		if _, err := e.Applications().Create(again); err != nil {
			return err
		}
		if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersAPI, ID: d.apiPrincipal.ID}); err != nil {
			return err
		}
		_, err := e.Deleted().Restore(contoso, d.app.ID)
		return err
	})
	if roles := d.roles(t); len(roles) != 0 {
		t.Errorf("a new API has the old one's assignments: %q", roles)
	}
}

func TestManagedIdentitiesGoForGood(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	identity := o.identity(t, directory.ServicePrincipal{Name: "worker"})
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Discard(contoso, identity.ID)
		return err
	}), "type", wrong)
}

func TestDeletedEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		d := discardable{orders: newOrders(t, store)}
		change(t, d.Directory, func(e *directory.Editor) error { _, err := e.Applications().Discard(contoso, d.api.ID); return err })
		restore := func() error {
			return attempt(t, d.Directory, func(e *directory.Editor) error { _, err := e.Deleted().Restore(contoso, d.api.ID); return err })
		}
		if directory.DeletedKept != 30*24*time.Hour {
			t.Errorf("kept for %v", directory.DeletedKept)
		}
		time.Sleep(directory.DeletedKept - time.Second)
		if err := restore(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		checkRule(t, restore(), "", notFound)
		if page, err := d.View(t.Context()).Deleted().Of(contoso, directory.KindApplication, directory.Query{}); err != nil || len(page.Items) != 0 {
			t.Errorf("listed: %v, %v", page.Items, err)
		}
		if err := attempt(t, d.Directory, func(e *directory.Editor) error {
			_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "another", IdentifierURIs: []string{"api://orders"}})
			return err
		}); err != nil {
			t.Errorf("its URI is not free: %v", err)
		}
		if _, err := store.Get(t.Context(), string(contoso), directory.KindDeleted, string(d.api.ID)); err != nil {
			t.Errorf("before anybody swept: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := store.Get(t.Context(), string(contoso), directory.KindDeleted, string(d.api.ID)); !errors.Is(err, notFound) {
			t.Errorf("after it was swept: %v", err)
		}
	})
}
