package directory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// BenchmarkCheckSecret is what proving a client by its secret costs once its
// application is in memory.
func BenchmarkCheckSecret(b *testing.B) {
	o := newOrders(b, memory.New())
	const chosen = "a secret that somebody chose"
	change(b, o.Directory, func(e *directory.Editor) error {
		_, err := e.Credentials().ImportSecret(contoso, o.api.ID, "imported", directory.Choose(chosen), time.Time{})
		return err
	})
	for _, bb := range []struct {
		name   string
		app    directory.AppID
		secret string
	}{{"generated", ordersApp, o.secret}, {"imported", ordersAPI, chosen}} {
		client, err := o.Instance(b.Context(), contoso, bb.app)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.CheckSecret(b.Context(), client.Application, bb.secret); err != nil {
			b.Fatal(err)
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := o.CheckSecret(b.Context(), client.Application, bb.secret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkClientAndRoles is everything the directory does for one token: who is the
// client, which is the resource, which roles. It must not grow with the directory.
func BenchmarkClientAndRoles(b *testing.B) {
	for _, applications := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("applications=%d", applications), func(b *testing.B) {
			o := newOrders(b, memory.New())
			clients := fill(b, o, applications)
			hot := clients[:100]
			ask := func(i int) {
				client, err := o.Instance(b.Context(), contoso, hot[i%len(hot)])
				if err != nil {
					b.Fatal(err)
				}
				resource, err := o.Resource(b.Context(), contoso, "api://orders")
				if err != nil {
					b.Fatal(err)
				}
				if roles, _, err := o.Roles(b.Context(), client, resource); err != nil || len(roles) != 1 {
					b.Fatal(roles, err)
				}
			}
			for _, app := range clients { // all of them pass through the cache once
				if _, err := o.Instance(b.Context(), contoso, app); err != nil {
					b.Fatal(err)
				}
			}
			for i := range hot {
				ask(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ask(i)
			}
		})
	}
}

// fill adds applications that hold the role, and returns their app ids.
func fill(b *testing.B, o *orders, n int) []directory.AppID {
	b.Helper()
	ids := make([]directory.AppID, n)
	change(b, o.Directory, func(e *directory.Editor) error {
		for i := range ids {
			app, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: fmt.Sprintf("client-%d", i)})
			if err != nil {
				return err
			}
			principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: app.AppID})
			if err != nil {
				return err
			}
			if _, _, err := e.Assignments().Add(contoso, principal.ID, o.apiPrincipal.ID, o.read); err != nil {
				return err
			}
			ids[i] = app.AppID
		}
		return nil
	})
	return ids
}
