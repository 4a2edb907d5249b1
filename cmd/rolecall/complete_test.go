package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

const crowded = directory.TenantID("7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11")

// crowd puts applications of names into a store, with a service principal and an app role each,
// past the rules, which take longer. The store has the tenant.
func crowd(tb testing.TB, store directory.Store, names func(yield func(string) bool)) {
	tb.Helper()
	put := func(tx directory.Tx, kind, id string, body any, keys ...string) error {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		_, err = tx.Put(context.Background(), directory.Object{Tenant: string(crowded), Kind: kind, ID: id, Body: b, Keys: append(keys, "id/"+id)})
		return err
	}
	_, err := store.Update(context.Background(), func(tx directory.Tx) error {
		for name := range names {
			app := directory.Application{ID: directory.ObjectID(guid.New()), Tenant: crowded, AppID: directory.AppID(guid.New()), Name: name, TokenVersion: 2, AppRoles: []directory.AppRole{{ID: "r", Value: "All.Read", Enabled: true}}}
			if err := put(tx, directory.KindApplication, string(app.ID), app, "name/"+strings.ToLower(name), "appid/"+string(app.AppID)); err != nil {
				return err
			}
			p := directory.ServicePrincipal{ID: directory.ObjectID(guid.New()), Tenant: crowded, AppID: app.AppID, Application: app.ID, Name: name, Type: directory.PrincipalApplication, Enabled: true}
			if err := put(tx, directory.KindServicePrincipal, string(p.ID), p, "name/"+strings.ToLower(name), "appid/"+string(p.AppID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// What a shell completes at once is how all names begin. With too many names to list them all, it
// must not complete more than that.
func TestManyNamesAreCompletedNoFurtherThanAllOfThemAgree(t *testing.T) {
	t.Parallel()
	store := memory.New()
	crowd(t, store, func(yield func(string) bool) {
		for i := range 3000 {
			if !yield(fmt.Sprintf("app-a%04d", i)) {
				return
			}
		}
		for _, name := range []string{"app-b", "apx", "zebra", "Ünder-1", "Ünder-2"} {
			if !yield(name) {
				return
			}
		}
	})
	dir, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	v := dir.View(t.Context())
	for word, want := range map[string]string{"": "", "a": "ap", "app": "app-", "app-a": "app-a", "app-a1": "app-a1", "app-a12": "app-a12", "app-b": "app-b", "z": "zebra", "ünd": "ünder-", "none": ""} {
		for kind, list := range map[string]lister{"services": serviceNames, "APIs": apiNames} {
			names := list(v, crowded, word)
			if got := commonPrefix(names); got != want {
				t.Errorf("%s that begin with %q agree on %q, want %q", kind, word, got, want)
			}
			if len(names) > 2*pageNames {
				t.Errorf("%s that begin with %q: %d names", kind, word, len(names))
			}
		}
	}
	if got := roleNames(v, crowded, "app-b/"); !slices.Equal(got, []string{"app-b/All.Read"}) {
		t.Errorf("roles of app-b: %q", got)
	}
	if got := roleNames(v, crowded, "app-b"); !slices.Equal(got, []string{"app-b/All.Read"}) {
		t.Errorf("roles of what begins with app-b: %q", got)
	}
}

// What was made by way of Graph, as by the nouns, has a display name alone, and is completed by it.
func TestDisplayNamesAreCompleted(t *testing.T) {
	t.Parallel()
	dir := fixture.OpenDirectory(t, time.Now)
	_, err := dir.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		for _, app := range []directory.Application{
			{DisplayName: "orders-report", AppRoles: []directory.AppRole{{Value: "All.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}}},
			{Name: "hidden", DisplayName: "Orders Shown"},
		} {
			app.Tenant = fixture.TenantID
			made, err := e.Applications().Create(app)
			if err != nil {
				return err
			}
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: fixture.TenantID, AppID: made.AppID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v := dir.View(t.Context())
	for _, tt := range []struct {
		what, word string
		list       lister
		want       []string
	}{
		{"applications", "orders-r", applicationNames, []string{"orders-report"}},
		{"applications by name", "hid", applicationNames, []string{"hidden"}},
		{"principals", "orders-r", principalNames, []string{"orders-report"}},
		{"APIs", "orders-r", apiNames, []string{"orders-report"}},
		{"roles", "orders-r", roleNames, []string{"orders-report/All.Read"}},
		{"roles of an API", "orders-report/", roleNames, []string{"orders-report/All.Read"}},
		{"everything with the beginning", "orders", serviceNames, []string{"orders-client", "orders-client-mi", "orders-report", "orders-server", "orders-user-mi"}},
	} {
		got := tt.list(v, fixture.TenantID, tt.word)
		slices.Sort(got)
		if !slices.Equal(slices.Compact(got), tt.want) {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

// BenchmarkComplete is one press of TAB with 100,000 names, in a process that runs already.
func BenchmarkComplete(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "data")
	c := testCLI(streamsOf(noEnvironment(b), strings.NewReader("tenants: [{name: contoso, id: "+string(crowded)+"}]"), &bytes.Buffer{}, b.Output()))
	if code := c.run(b.Context(), []string{"apply", "-f", "-", "--data", dir}); code != command.ExitOK {
		b.Fatalf("exit code %d", code)
	}
	store, err := sqlite.Open(b.Context(), filepath.Join(dir, "rolecall.db"))
	if err != nil {
		b.Fatal(err)
	}
	crowd(b, store, func(yield func(string) bool) {
		for i := range 100_000 {
			if !yield(fmt.Sprintf("app-%05d", i)) {
				return
			}
		}
	})
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	for _, args := range [][]string{{"token", "--as", "app-4"}, {"grant", "app-4"}, {"grant", "app-1", "app-4"}, {"explain", "--api", ""}} {
		b.Run(strings.Join(args, " "), func(b *testing.B) {
			for b.Loop() {
				var out bytes.Buffer
				c := testCLI(streamsOf(noEnvironment(b), nil, &out, io.Discard))
				if code := c.run(b.Context(), append(append([]string{"__complete"}, args[:1]...), append([]string{"--data", dir}, args[1:]...)...)); code != command.ExitOK || !strings.Contains(out.String(), "app-4") && args[len(args)-1] != "" {
					b.Fatalf("exit code %d: %s", code, out.String())
				}
			}
		})
	}
}
