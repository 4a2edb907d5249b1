package directory_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// counting counts the questions that reach a store, and can make them fail.
type counting struct {
	*memory.Store
	reads, looks atomic.Int64
	down         atomic.Bool
	skip         atomic.Int64 // changes that the feed has forgotten
	onLookup     func(kind string)
}

var errDown = errors.New("the store is down")

func (c *counting) read() error {
	c.reads.Add(1)
	if c.down.Load() {
		return errDown
	}
	return nil
}

func (c *counting) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	if err := c.read(); err != nil {
		return directory.Object{}, err
	}
	return c.Store.Get(ctx, tenant, kind, id)
}

func (c *counting) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	if err := c.read(); err != nil {
		return directory.Object{}, err
	}
	if c.onLookup != nil {
		c.onLookup(kind)
	}
	return c.Store.Lookup(ctx, tenant, kind, key)
}

func (c *counting) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	if err := c.read(); err != nil {
		return nil, nil, err
	}
	return c.Store.List(ctx, tenant, kind, prefix, after, limit)
}

func (c *counting) Sequence(ctx context.Context) (int64, error) {
	c.looks.Add(1)
	if c.down.Load() {
		return 0, errDown
	}
	return c.Store.Sequence(ctx)
}

func (c *counting) Changes(ctx context.Context, after int64, limit int) ([]directory.Change, error) {
	return c.Store.Changes(ctx, max(after, c.skip.Load()), limit)
}

func TestWarmReadsAskNoStore(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	ask := func() {
		o.roles(t)
		client, _ := o.Instance(t.Context(), contoso, ordersApp)
		_, secretErr := o.CheckSecret(t.Context(), client.Application, o.secret)
		_, tenantErr := o.Tenant(t.Context(), "contoso.test")
		_, tenantsErr := o.Tenants(t.Context())
		_, namedErr := o.Named(t.Context(), contoso, "orders-server")
		if err := errors.Join(secretErr, tenantErr, tenantsErr, namedErr); err != nil {
			t.Error(err)
		}
		for _, err := range missingThings(o) {
			if !errors.Is(err, directory.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	}
	ask()
	before := store.reads.Load()
	ask()
	if n := store.reads.Load() - before; n > 0 {
		t.Errorf("%d questions reached the store", n)
	}
}

// TestWarmReadsOfUsersAskNoStore is the same for what the sign-in of a user and the token
// of a managed identity take.
func TestWarmReadsOfUsersAskNoStore(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	dev, batch := o.user(t, "dev@contoso.test"), o.identity(t, directory.ServicePrincipal{Name: "batch"})
	ask := func() {
		user, userErr := o.User(t.Context(), contoso, "dev@contoso.test")
		_, idErr := o.User(t.Context(), contoso, string(dev.ID))
		_, _, rolesErr := o.UserRoles(t.Context(), user, o.resource(t))
		_, scopesErr := o.GrantedScopes(t.Context(), o.client(t), o.resource(t), dev.ID)
		passwordErr := o.CheckPassword(t.Context(), user, "correct horse battery")
		if err := errors.Join(userErr, idErr, rolesErr, scopesErr, passwordErr); err != nil {
			t.Error(err)
		}
		for _, ref := range []string{"batch", string(batch.AppID), string(batch.ID), batch.ResourceID} {
			if _, err := o.Identity(t.Context(), contoso, ref); err != nil {
				t.Errorf("%s: got %v", ref, err)
			}
		}
		o.identityRoles(t, "batch")
		if _, err := o.Identity(t.Context(), contoso, "nobody"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	ask()
	before := store.reads.Load()
	ask()
	if n := store.reads.Load() - before; n > 0 {
		t.Errorf("%d questions reached the store", n)
	}
}

func missingThings(o *orders) []error {
	ctx := context.Background()
	_, tenantErr := o.Tenant(ctx, "fabrikam.test")
	_, clientErr := o.Instance(ctx, contoso, "00000000-0000-4000-8000-000000000000")
	_, resourceErr := o.Resource(ctx, contoso, "api://nothing")
	_, namedErr := o.Named(ctx, contoso, "nobody")
	return []error{tenantErr, clientErr, resourceErr, namedErr}
}

// What cannot be a name or an id is not even looked up.
func TestAbsurdNamesAskNoStore(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	before := store.reads.Load()
	long := strings.Repeat("x", 100_000)
	_, tenantErr := o.Tenant(t.Context(), long)
	_, clientErr := o.Instance(t.Context(), contoso, "not a GUID")
	_, resourceErr := o.Resource(t.Context(), contoso, long)
	_, namedErr := o.Named(t.Context(), contoso, long)
	for _, err := range []error{tenantErr, clientErr, resourceErr, namedErr} {
		if !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	if n := store.reads.Load() - before; n > 0 {
		t.Errorf("%d questions reached the store", n)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	o.roles(t)
	store.down.Store(true)
	if roles := o.roles(t); len(roles) != 1 {
		t.Errorf("from memory: got %q", roles)
	}
	for i, err := range missingThings(o) {
		if !errors.Is(err, errDown) || errors.Is(err, directory.ErrNotFound) {
			t.Errorf("question %d: got %v, want the store's error", i, err)
		}
	}
	if _, err := o.Refresh(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("refresh: got %v", err)
	}
	store.down.Store(false)
	for _, err := range missingThings(o) {
		if !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("an error was kept: got %v", err)
		}
	}
}

// What could not be read is not taken for missing once the store is back.
func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	newOrders(t, store)
	cold := open(t, store)
	store.down.Store(true)
	if holdsRole(t, cold) {
		t.Fatal("the role was read from a store that is down")
	}
	store.down.Store(false)
	if !holdsRole(t, cold) {
		t.Error("an error was kept as an answer")
	}
}

// A store that goes back, such as one restored from a backup, is read afresh.
func TestOlderStoreIsReadAfresh(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	newOrders(t, store)
	other := open(t, store)
	if !holdsRole(t, other) {
		t.Fatal("the role is not there to begin with")
	}
	store.Store = memory.New()
	if changed, err := other.Refresh(t.Context()); err != nil || !changed {
		t.Errorf("refresh: got %v, %v", changed, err)
	}
	if holdsRole(t, other) || other.Applied() != 0 {
		t.Error("what the older store does not have is still there")
	}
}

// Two directories on one store are two processes.
func TestOtherProcessesChangesShow(t *testing.T) {
	t.Parallel()
	acts := map[string]func(o *orders, e *directory.Editor) error{
		"the role is taken away": func(o *orders, e *directory.Editor) error {
			return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		},
		"the client is deleted": func(o *orders, e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) },
		"the role is disabled": func(o *orders, e *directory.Editor) error {
			changed := *o.api
			changed.AppRoles = slices.Clone(changed.AppRoles)
			changed.AppRoles[0].Enabled = false
			_, err := e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil })
			return err
		},
		"the tenant is deleted": func(o *orders, e *directory.Editor) error { return e.Tenants().Delete(contoso) },
		"the URI moves": func(o *orders, e *directory.Editor) error {
			changed := *o.api
			changed.IdentifierURIs = nil
			_, err := e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil })
			return err
		},
	}
	for name, act := range acts {
		for _, forgotten := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				store := &counting{Store: memory.New()}
				o := newOrders(t, store)
				other := open(t, store)
				if !holdsRole(t, other) {
					t.Fatal("the role is not there to begin with")
				}
				change(t, o.Directory, func(e *directory.Editor) error { return act(o, e) })
				if holdsRole(t, o.Directory) {
					t.Error("the change does not show where it was made")
				}
				if forgotten {
					store.skip.Store(o.Applied() - 1)
				}
				if changed, err := other.Refresh(t.Context()); !changed || err != nil {
					t.Errorf("refresh: got %v, %v", changed, err)
				}
				if holdsRole(t, other) {
					t.Error("the change does not show elsewhere")
				}
				if other.Applied() != o.Applied() {
					t.Errorf("applied %d elsewhere, %d here", other.Applied(), o.Applied())
				}
			})
		}
	}
}

// A feed that has forgotten a change is not taken for one that had none.
func TestGapInTheFeed(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	other := open(t, store)
	if !holdsRole(t, other) {
		t.Fatal("the role is not there to begin with")
	}
	change(t, o.Directory, func(e *directory.Editor) error {
		return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
	})
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
		return err
	})
	store.skip.Store(o.Applied() - 1)
	if _, err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if holdsRole(t, other) {
		t.Error("the forgotten change does not show")
	}
}

// Our own change shows at once, even when the feed does not answer just then.
func TestOwnChangesNeedNoFeed(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	for _, name := range []string{"orders-client", "daemon"} {
		_, _ = o.Named(t.Context(), contoso, name)
	}
	change(t, o.Directory, func(e *directory.Editor) error {
		renamed := *o.app
		renamed.Name = "daemon"
		_, err := e.Applications().Edit(renamed.Tenant, renamed.ID, func(v *directory.Application) error { *v = renamed; return nil })
		store.down.Store(true)
		return err
	})
	store.down.Store(false)
	if client, err := o.Named(t.Context(), contoso, "orders-client"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("by the old name: got %+v, %v", client, err)
	}
	if client, err := o.Named(t.Context(), contoso, "daemon"); err != nil || client.Principal.Name != "daemon" {
		t.Errorf("by the new name: got %+v, %v", client, err)
	}
}

// A client whose application is deleted and made anew between the two halves of a read
// does not pair the old registration with the new principal.
func TestHalvesOfAClientBelongTogether(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	o := newOrders(t, store)
	other := open(t, store)
	store.onLookup = func(kind string) {
		if kind != "servicePrincipal" {
			return
		}
		store.onLookup = nil
		change(t, o.Directory, func(e *directory.Editor) error {
			if err := e.Applications().Delete(contoso, o.app.ID); err != nil {
				return err
			}
			if _, err := e.Applications().Create(directory.Application{Tenant: contoso, AppID: ordersApp, Name: "orders-client"}); err != nil {
				return err
			}
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: ordersApp})
			return err
		})
	}
	client, err := other.Instance(t.Context(), contoso, ordersApp)
	if err != nil || client.Application.ID != o.app.ID || client.Principal != nil {
		t.Errorf("got %+v, %v", client, err)
	}
}

// holdsRole asks all that a token rests on.
func holdsRole(t *testing.T, d *directory.Directory) bool {
	t.Helper()
	if _, err := d.Tenant(t.Context(), "contoso.test"); err != nil {
		return false
	}
	client, err := d.Instance(t.Context(), contoso, ordersApp)
	if err != nil {
		return false
	}
	resource, err := d.Resource(t.Context(), contoso, "api://orders")
	if err != nil {
		return false
	}
	roles, _, err := d.Roles(t.Context(), client, resource)
	if err != nil {
		t.Error(err)
	}
	return len(roles) > 0
}

func TestRunFollowsTheFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New()}
		o := newOrders(t, store)
		var log strings.Builder
		var told []directory.Change
		other, err := directory.Open(t.Context(), directory.Config{
			Store: store, SecretKey: make([]byte, 32),
			OnChange: func(c directory.Change) { told = append(told, c) },
			Log:      slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := other.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		if !holdsRole(t, other) {
			t.Fatal("the role is not there to begin with")
		}
		store.down.Store(true)
		time.Sleep(time.Second)
		store.down.Store(false)
		change(t, o.Directory, func(e *directory.Editor) error {
			return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		})
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if holdsRole(t, other) {
			t.Error("the change does not show 200 ms later")
		}
		if time.Since(other.Fresh()) > 200*time.Millisecond {
			t.Errorf("fresh at %v", other.Fresh())
		}
		cancel()
		running.Wait()
		if len(told) != 1 || told[0].Kind != "assignment" || told[0].Sequence != o.Applied() {
			t.Errorf("told %+v", told)
		}
		if strings.Count(log.String(), "\n") != 2 {
			t.Errorf("the store's absence was logged as:\n%s", &log)
		}
	})
}

func TestRefreshIsSharedAndPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New()}
		o := newOrders(t, store)
		time.Sleep(time.Minute)
		if changed, err := o.Refresh(t.Context()); changed || err != nil {
			t.Errorf("nothing changed: got %v, %v", changed, err)
		}
		before, began := store.looks.Load(), time.Now()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				for range 10 {
					if _, err := o.Refresh(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		looks, most := store.looks.Load()-before, int64(time.Since(began)/(10*time.Millisecond))+1
		if looks > most {
			t.Errorf("10,000 calls in %v made %d looks, want at most %d", time.Since(began), looks, most)
		}
	})
}

// A change that Run took in between a caller's read and its refresh counts.
func TestRefreshCountsWhatJustCameIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		o := newOrders(t, store)
		other := open(t, store)
		time.Sleep(time.Minute)
		change(t, o.Directory, func(e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) })
		for i, want := range []bool{true, true, false} {
			if changed, err := other.Refresh(t.Context()); changed != want || err != nil {
				t.Errorf("refresh %d: got %v, %v, want %v", i+1, changed, err, want)
			}
			time.Sleep(time.Duration(i) * time.Second)
		}
	})
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Refresh(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := o.Refresh(t.Context()); err != nil {
		t.Errorf("the next one: got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]directory.Config{
		"no store":         {SecretKey: make([]byte, 32)},
		"no key":           {Store: memory.New()},
		"a short key":      {Store: memory.New(), SecretKey: make([]byte, 16)},
		"a negative bound": {Store: memory.New(), SecretKey: make([]byte, 32), CacheBytes: -1},
		"half a hash":      {Store: memory.New(), SecretKey: make([]byte, 32), SlowHash: directory.HashCost{Passes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := directory.Open(t.Context(), cfg); err == nil {
				t.Error("no error")
			}
		})
	}
}
