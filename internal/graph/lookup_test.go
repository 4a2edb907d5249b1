package graph

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/graph/linktoken"
)

// A countingStore counts the objects that it was asked for.
type countingStore struct {
	directory.Store
	read int // objects given
}

func (s *countingStore) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	s.read++
	return s.Store.Get(ctx, tenant, kind, id)
}

func (s *countingStore) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	s.read++
	return s.Store.Lookup(ctx, tenant, kind, key)
}

func (s *countingStore) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	objects, keys, err := s.Store.List(ctx, tenant, kind, prefix, after, limit)
	s.read += len(objects)
	return objects, keys, err
}

// A counted is a directory of one tenant, whose store counts.
type counted struct {
	*testing.T
	store  *countingStore
	api    *API
	tenant *directory.Tenant
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	w := &counted{T: t, store: &countingStore{Store: memory.New()}}
	d, err := directory.Open(t.Context(), directory.Config{Store: w.store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash()})
	if err != nil {
		t.Fatal(err)
	}
	links, err := linktoken.New(d)
	if err != nil {
		t.Fatal(err)
	}
	w.api = &API{cfg: Config{URL: "https://graph.contoso.test", Directory: d}, sealer: links}
	w.change(func(e *directory.Editor) (err error) {
		w.tenant, err = e.Tenants().Create(directory.Tenant{Name: "contoso", Domains: []string{"contoso.test"}})
		return err
	})
	return w
}

func (w *counted) change(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.api.cfg.Directory.Change(w.Context(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

// call is a request of somebody who may make it.
func (w *counted) call(path string, query url.Values) *call {
	request := httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/v1.0/"+path+"?"+query.Encode(), nil)
	return &call{api: w.api, request: request, version: version1, caller: &caller{tenant: w.tenant}}
}

// list returns what a filter keeps, and how many objects were read for it.
func (w *counted) list(path, filter string, listed func(*call) (answer, error)) (n, read int) {
	w.Helper()
	w.store.read = 0
	got, err := listed(w.call(path, url.Values{"$filter": {filter}}))
	if err != nil {
		w.Fatalf("%s: %v", filter, err)
	}
	l, is := got.body.(list)
	if !is || l.next != "" {
		w.Fatalf("%s: %+v", filter, got)
	}
	return len(l.items), w.store.read
}

// TestFiltersReadByKeys counts what the store is asked for by the filters that tools send: the
// things that are found, and not those of the tenant.
func TestFiltersReadByKeys(t *testing.T) {
	t.Parallel()
	w := newCounted(t)
	const many = 300
	var app *directory.Application
	w.change(func(e *directory.Editor) error {
		for i := range many {
			a, err := e.Applications().Create(directory.Application{
				Tenant: w.tenant.ID, DisplayName: fmt.Sprintf("app %03d", i), UniqueName: fmt.Sprintf("unique-%d", i), TokenVersion: 2,
				IdentifierURIs: []string{fmt.Sprintf("api://app-%d", i)}, Tags: []string{fmt.Sprintf("tag%d", i%100)},
			})
			if err != nil {
				return err
			}
			app = a
		}
		return nil
	})
	for _, tt := range []struct {
		filter string
		want   int
	}{
		{"appId eq '" + string(app.AppID) + "'", 1},
		{"appId eq " + string(app.AppID), 1},
		{"appId in ('" + string(app.AppID) + "','11111111-1111-4111-8111-111111111111')", 1},
		{"id eq '" + string(app.ID) + "'", 1},
		{"id in ('" + string(app.ID) + "','" + string(app.ID) + "')", 1},
		{"displayName eq 'APP 299'", 1},
		{"startswith(displayName,'app 29')", 10},
		{"startsWith(displayName,'App 29') eq true", 10},
		{"identifierUris/any(s:s eq 'api://app-299')", 1},
		{"displayName eq 'app 299' and applicationTemplateId eq null", 1},
		{"uniqueName eq 'unique-299'", 1},
		{"tags/any(t:t eq 'tag99')", 3},
		{"displayName eq 'none'", 0},
		{"identifierUris/any(s:s eq 'api://none')", 0},
		{"identifierUris/any(s:s eq 'api://app-298') and displayName eq 'app 299'", 0},
	} {
		n, read := w.list("applications", tt.filter, listApplications)
		if n != tt.want || read > tt.want+3 {
			t.Errorf("%s: found %d by reading %d objects, want %d", tt.filter, n, read, tt.want)
		}
	}
	if n, read := w.list("applications", "endswith(displayName,'299')", listApplications); n != 1 || read < many {
		t.Errorf("without a key: found %d by reading %d objects", n, read)
	}
}

// TestFiltersOfPrincipalsAndUsersReadByKeys is the same for service principals, which are read
// with their applications, and for users.
func TestFiltersOfPrincipalsAndUsersReadByKeys(t *testing.T) {
	t.Parallel()
	w := newCounted(t)
	const many = 200
	var sp *directory.ServicePrincipal
	var identity *directory.ServicePrincipal
	var user *directory.User
	w.change(func(e *directory.Editor) error {
		for i := range many {
			app, err := e.Applications().Create(directory.Application{
				Tenant: w.tenant.ID, DisplayName: fmt.Sprintf("app %03d", i), TokenVersion: 2, IdentifierURIs: []string{fmt.Sprintf("api://app-%d", i)},
			})
			if err != nil {
				return err
			}
			if sp, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: w.tenant.ID, AppID: app.AppID, Tags: []string{fmt.Sprintf("tag%d", i)}}); err != nil {
				return err
			}
			if user, err = e.Users().Create(directory.User{Tenant: w.tenant.ID, PrincipalName: fmt.Sprintf("u%d@contoso.test", i), DisplayName: fmt.Sprintf("user %03d", i)}, nil); err != nil {
				return err
			}
		}
		for i := range 3 {
			var err error
			if identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: w.tenant.ID, Name: fmt.Sprintf("worker-%d", i), Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	const perPrincipal, aside = 2, 10 // built-in resources are looked for by their own keys
	for _, tt := range []struct {
		filter string
		want   int
	}{
		{"appId eq '" + string(sp.AppID) + "'", 1},
		{"id eq '" + string(sp.ID) + "'", 1},
		{"displayName eq 'app 199'", 1},
		{"startswith(displayName,'app 19')", 10},
		{"servicePrincipalNames/any(c:c eq 'api://app-199')", 1},
		{"servicePrincipalNames/any(c:c eq '" + string(sp.AppID) + "')", 1},
		{"servicePrincipalType eq 'ManagedIdentity'", 3},
		{"servicePrincipalType eq 'managedidentity' and displayName eq 'worker-2'", 1},
		{"alternativeNames/any(a:a eq '" + identity.ResourceID + "')", 1},
		{"alternativeNames/any(a:startswith(a,'/subscriptions/'))", 3},
		{"tags/any(t:t eq 'tag199')", 1},
		{"servicePrincipalNames/any(c:c eq 'https://vault.azure.net')", 1},
	} {
		n, read := w.list("servicePrincipals", tt.filter, listPrincipals)
		if n != tt.want || read > perPrincipal*tt.want+aside {
			t.Errorf("%s: found %d by reading %d objects, want %d", tt.filter, n, read, tt.want)
		}
	}
	for _, tt := range []struct {
		filter string
		want   int
	}{
		{"userPrincipalName eq 'U199@contoso.test'", 1},
		{"id eq '" + string(user.ID) + "'", 1},
		{"displayName eq 'user 199'", 1},
		{"startswith(displayName,'user 19')", 10},
	} {
		n, read := w.list("users", tt.filter, listUsers)
		if n != tt.want || read > tt.want+3 {
			t.Errorf("%s: found %d by reading %d objects, want %d", tt.filter, n, read, tt.want)
		}
	}
}
