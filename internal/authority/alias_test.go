package authority

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// A countingStore counts how often it is looked at.
type countingStore struct {
	directory.Store
	looks atomic.Int64
}

func (s *countingStore) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	s.looks.Add(1)
	return s.Store.Lookup(ctx, tenant, kind, key)
}

func (s *countingStore) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	s.looks.Add(1)
	return s.Store.List(ctx, tenant, kind, prefix, after, limit)
}

func (s *countingStore) TenantsWith(ctx context.Context, kind, key string) ([]directory.TenantID, error) {
	s.looks.Add(1)
	return s.Store.TenantsWith(ctx, kind, key)
}

// Whoever asks at an alias for an application that nobody has costs as much with many tenants as
// with two.
func TestAliasCostsNoLookPerTenant(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memory.New()}
	w := newUserWorldOn(t, store)
	w.edit(func(e *directory.Editor) error {
		for i := range 200 {
			if _, err := e.Tenants().Create(directory.Tenant{Name: fmt.Sprint("tenant", i), Domains: []string{fmt.Sprintf("t%d.test", i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	ask := func(id string) {
		w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": id, "scope": "openid"}).refused(400, "unauthorized_client", 700016)
		w.get("/common/oauth2/v2.0/authorize?client_id=" + id + "&response_type=code&redirect_uri=http://localhost")
	}
	ask("c11e0100-5a5a-4c4c-8d8d-0000000000aa")
	before := store.looks.Load()
	const times = 10
	for i := range times {
		ask(fmt.Sprintf("c11e0100-5a5a-4c4c-8d8d-%012d", i))
	}
	if looks := store.looks.Load() - before; looks > 4*times {
		t.Errorf("%d looks for %d requests", looks, 2*times)
	}
	if r := w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": publicApp, "scope": "openid"}); r.Code != 200 {
		t.Errorf("a client that somebody has: got %d", r.Code)
	}
	if r := w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": "C11E0005-5A5A-4C4C-8D8D-000000000005", "scope": "openid"}); r.Code != 200 {
		t.Errorf("in capitals: got %d", r.Code)
	}
}

// At an alias an application is that of the tenant that registered it: one that has its id by
// another tenant's making, whatever that is called, never stands in its place.
func TestAliasMeansTheHomeTenant(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.clock.Advance(time.Hour)
	const elsewhere = directory.TenantID("aaaaaaaa-0a4e-4b8e-9c61-2d5e8f0a1b11")
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{ID: elsewhere, Name: "aardvark", Domains: []string{"aardvark.test"}}); err != nil {
			return err
		}
		if _, err := e.Applications().Create(directory.Application{Tenant: elsewhere, AppID: publicApp, Name: "tool", Public: true, RedirectURIs: []string{"https://aardvark.test/taken"}}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: elsewhere, AppID: publicApp})
		return err
	})
	asks := func(redirect string) int {
		t.Helper()
		return w.browser().open("/common/oauth2/v2.0/authorize", w.toolAsks().set("redirect_uri", redirect)).Code
	}
	if got := asks("http://localhost:51234/"); got != http.StatusOK {
		t.Errorf("the redirect URI of the home tenant's: got %d", got)
	}
	if got := asks("https://aardvark.test/taken"); got != http.StatusBadRequest {
		t.Errorf("the other's: got %d", got)
	}
	w.edit(func(e *directory.Editor) error {
		_, err := e.Tenants().Edit(testTenant, func(t *directory.Tenant) error { t.Enabled = false; return nil })
		return err
	})
	if got := asks("https://aardvark.test/taken"); got != http.StatusBadRequest {
		t.Errorf("while the home tenant is disabled: got %d", got)
	}
}
