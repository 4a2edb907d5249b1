package manage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/review"
)

const graphURL = "https://graph.contoso.test"

// A world is the Orders world with twins in it, as its directory and through Graph.
type world struct {
	dir    *directory.Directory
	tenant *directory.Tenant
	client *graphclient.Client
	twins  []*directory.Application
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: fixture.OpenDirectory(t, time.Now)}
	var err error
	if w.tenant, err = w.dir.View(t.Context()).Tenants().Find("contoso"); err != nil {
		t.Fatal(err)
	}
	_, err = w.dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		for range 2 {
			twin, err := e.Applications().Create(directory.Application{Tenant: w.tenant.ID, DisplayName: "Twin"})
			if err != nil {
				return err
			}
			w.twins = append(w.twins, twin)
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: w.tenant.ID, AppID: twin.AppID}); err != nil {
				return err
			}
		}
		_, err := e.Applications().Create(directory.Application{Tenant: w.tenant.ID, Name: "unused"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := graph.New(graph.Config{Authority: graphURL, URL: graphURL, Directory: w.dir, HTTPClient: &http.Client{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	w.client = &graphclient.Client{Base: graphURL + "/v1.0", HTTP: &http.Client{Transport: inprocess.Transport{Handler: api.Operator(w.tenant, "test")}}}
	return w
}

// finders are the two ways in which names are found.
func (w *world) finders() map[string]lookup.Finder {
	return map[string]lookup.Finder{
		"the directory": lookup.Folder{Directory: w.dir, Tenant: string(w.tenant.ID)},
		"Graph":         lookup.Remote{Client: w.client, Tenant: w.tenant},
	}
}

// What a name means does not depend on the way in which it is found.
func TestNamesMeanTheSameThroughGraph(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	principal := func(ctx context.Context, f lookup.Finder, ref string) (string, error) {
		found, err := f.FindPrincipal(ctx, ref)
		if err != nil {
			return "", err
		}
		return string(found.ID()) + " " + found.Name(), nil
	}
	api := func(ctx context.Context, f lookup.Finder, ref string) (string, error) {
		found, err := f.FindAPI(ctx, ref)
		if err != nil {
			return "", err
		}
		_, role := found.Role("Orders.Read")
		_, scope := found.Scope("Orders.List")
		return fmt.Sprint(found.AppID, " ", found.Label(), role, scope), nil
	}
	application := func(ctx context.Context, f lookup.Finder, ref string) (string, error) {
		found, err := f.FindApplication(ctx, ref)
		if err != nil {
			return "", err
		}
		return string(found.ID) + " " + found.Label(), nil
	}
	role := func(ctx context.Context, f lookup.Finder, ref string) (string, error) {
		who, err := f.FindPrincipal(ctx, "orders-client")
		if err != nil {
			return "", err
		}
		found, err := f.FindRole(ctx, "rolecall grant", who, ref)
		if err != nil {
			return "", err
		}
		return string(found.ID) + " of " + string(found.Principal), nil
	}
	client, err := w.dir.View(t.Context()).Applications().ByAppID(w.tenant.ID, fixture.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		find func(context.Context, lookup.Finder, string) (string, error)
		ref  string
		is   error // nil: it is found
	}{
		{"a principal by name", principal, "orders-client", nil},
		{"by app id", principal, string(fixture.ClientID), nil},
		{"by object id", principal, string(fixture.ClientPrincipal), nil},
		{"a managed identity", principal, "orders-client-mi", nil},
		{"a user", principal, fixture.UserName, nil},
		{"a user by id", principal, string(fixture.UserID), nil},
		{"nobody", principal, "nobody", directory.ErrNotFound},
		{"nobody's id", principal, "00000000-0000-4000-8000-00000000dead", directory.ErrNotFound},
		{"nobody's address", principal, "nobody@contoso.test", directory.ErrNotFound},
		{"a quote", principal, "o'clock", directory.ErrNotFound},
		{"one of twins by name", principal, "Twin", lookup.ErrAmbiguous},
		{"an API by name", api, "orders-server", nil},
		{"by its URI", api, "api://orders", nil},
		{"by app id, written large", api, "00000003-0000-0000-C000-000000000000", nil},
		{"no API", api, "api://nothing", directory.ErrNotFound},
		{"an application by name", application, "orders-client", nil},
		{"by its object id", application, string(client.ID), nil},
		{"by its app id", application, string(fixture.ClientID), nil},
		{"by its URI", application, "api://orders", nil},
		{"one without a service principal", application, "unused", nil},
		{"a twin by its app id", application, string(w.twins[1].AppID), nil},
		{"a twin by name", application, "Twin", lookup.ErrAmbiguous},
		{"one of Microsoft's", application, "00000003-0000-0000-c000-000000000000", directory.ErrNotFound},
		{"a role by name", role, "orders-server/Orders.Read", nil},
		{"a role by its URI", role, "api://orders/Orders.Read", nil},
		{"no such role", role, "orders-server/Orders.Raed", directory.ErrNotFound},
		{"no role", role, "orders-server", lookup.ErrMalformed},
		{"a role of nothing", role, "nothing/Orders.Read", directory.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := map[string]string{}
			for name, finder := range w.finders() {
				found, err := tt.find(t.Context(), finder, tt.ref)
				if !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
					t.Fatalf("%s: %v, want %v", name, err, tt.is)
				}
				if err != nil && fix.Of(err) == "" {
					t.Errorf("%s says no next step: %v", name, err)
				}
				said[name] = found
			}
			if said["Graph"] != said["the directory"] {
				t.Errorf("got %v", said)
			}
		})
	}
}

// Who may call what does not depend on the way in which it is asked.
func TestAccessIsTheSameThroughGraph(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.dir.View(t.Context())
	api, err := lookup.FindAPI(view, "", "orders-server")
	if err != nil {
		t.Fatal(err)
	}
	client, err := lookup.FindPrincipal(view, "", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	user, err := lookup.FindPrincipal(view, "", fixture.UserName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		server, err := e.ServicePrincipals().ByAppID(w.tenant.ID, api.AppID)
		if err != nil {
			return err
		}
		for _, who := range []directory.ObjectID{"", user.ID()} {
			if _, err := e.DelegatedGrants().Add(w.tenant.ID, client.ID(), server.ID, who, []string{"Orders.List"}); err != nil {
				return err
			}
		}
		_, err = e.ServicePrincipals().Edit(w.tenant.ID, client.ID(), func(p *directory.ServicePrincipal) error {
			p.Enabled = false
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, filter := range map[string]review.AccessFilter{
		"of an API":             {API: api.Application},
		"of a client":           {Client: client.Service},
		"of a client in an API": {API: api.Application, Client: client.Service},
		"of a user":             {User: user.User},
		"of all":                {},
	} {
		t.Run(name, func(t *testing.T) {
			read := func(access func(context.Context, review.AccessFilter, func(review.Access) error) error) (rows []string) {
				if err := access(t.Context(), filter, func(a review.Access) error {
					a.ID, a.Since = "", time.Time{} // Graph has ids of its own, and no times of grants
					rows = append(rows, fmt.Sprintf("%+v", a))
					return nil
				}); err != nil {
					t.Error(err)
				}
				slices.Sort(rows)
				return rows
			}
			here := read((&review.Reviewer{Directory: w.dir, Tenants: []*directory.Tenant{w.tenant}, Now: time.Now()}).Access)
			far := read(review.Remote{Client: w.client, Tenant: w.tenant}.Access)
			if len(here) == 0 || !slices.Equal(here, far) {
				t.Errorf("the directory has\n%q, Graph\n%q", here, far)
			}
		})
	}
}
