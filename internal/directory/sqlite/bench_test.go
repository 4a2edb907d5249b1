package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// BenchmarkChange is one durable change by one writer.
func BenchmarkChange(b *testing.B) {
	d, store, err := openDirectory(b.Context(), filepath.Join(b.TempDir(), "rolecall.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer closeStore(b, store)
	var tenant *directory.Tenant
	_, err = d.Change(b.Context(), directory.Operator("test"), func(e *directory.Editor) (err error) {
		tenant, err = e.Tenants().Create(directory.Tenant{Name: "contoso"})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		_, err := d.Change(b.Context(), directory.Operator("test"), func(e *directory.Editor) error {
			_, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, Name: fmt.Sprintf("app-%d", i)})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookup is a read that memory could not answer.
func BenchmarkLookup(b *testing.B) {
	store := open(b, filepath.Join(b.TempDir(), "rolecall.db"))
	defer closeStore(b, store)
	big := newBigDirectory(b, store, 1000, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := store.Lookup(b.Context(), string(crashTenant), "application", "appid/"+string(big.apps[i%len(big.apps)])); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLarge asks for random clients and roles in a directory of 100,000
// applications and 1,000,000 assignments, which is more than the cache holds. It reports
// what the process then keeps resident. Making the directory takes minutes.
func BenchmarkLarge(b *testing.B) {
	if os.Getenv("ROLECALL_LARGE") == "" {
		b.Skip("takes minutes: set ROLECALL_LARGE=1 to run it")
	}
	path := filepath.Join(b.TempDir(), "rolecall.db")
	building := open(b, path)
	big := newBigDirectory(b, building, 100_000, 10)
	closeStore(b, building)
	d, store, err := openDirectory(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer closeStore(b, store)
	debug.FreeOSMemory()
	for b.Loop() {
		big.ask(b, d)
	}
	for range 300_000 { // until the cache is full, however short the benchmark
		big.ask(b, d)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-heap")
	b.ReportMetric(float64(resident(b))/1e6, "MB-resident")
}

// A bigDirectory is made of objects as they are kept, past the rules, to be made quickly.
type bigDirectory struct {
	apps []directory.AppID
	apis []directory.AppID
}

const bigAPIs = 100

func bigID(space, i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", i*0x9e3779b1&0xffffffff, space<<32|i)
}

// newBigDirectory makes applications, each with so many assignments: one role of each of
// so many among the first hundred.
func newBigDirectory(b *testing.B, store *sqlite.Store, apps, each int) *bigDirectory {
	b.Helper()
	big := &bigDirectory{}
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	const batch = 1000
	tenant := directory.Tenant{ID: crashTenant, Name: "contoso", Enabled: true, Created: at}
	bigUpdate(b, store, func(put func(kind, id string, v any, keys ...string)) {
		put("tenant", string(tenant.ID), tenant, "id/"+string(tenant.ID), "name/contoso", "ref/contoso")
	})
	for start := 0; start < apps; start += batch {
		bigUpdate(b, store, func(put func(kind, id string, v any, keys ...string)) {
			for i := start; i < min(start+batch, apps); i++ {
				app := directory.Application{
					ID: directory.ObjectID(bigID(1, i)), Tenant: crashTenant, AppID: directory.AppID(bigID(2, i)), Name: fmt.Sprintf("application-%d", i), TokenVersion: 2, Created: at,
					AppRoles: []directory.AppRole{{ID: directory.RoleID(bigID(4, i)), Value: "Orders.Read", DisplayName: "Read orders", Description: "Read every order", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}},
					Secrets:  []directory.Secret{{ID: bigID(5, i), Name: "ci", Hint: "abc", Scheme: directory.SchemeHMAC, Digest: make([]byte, 32), Created: at}},
				}
				principal := directory.ServicePrincipal{ID: directory.ObjectID(bigID(3, i)), Tenant: crashTenant, AppID: app.AppID, Application: app.ID, Name: app.Name, Type: directory.PrincipalApplication, Enabled: true, Created: at}
				put("application", string(app.ID), app, "id/"+string(app.ID), "appid/"+string(app.AppID), "name/"+app.Name)
				put("servicePrincipal", string(principal.ID), principal, "id/"+string(principal.ID), "appid/"+string(app.AppID), "name/"+app.Name)
				for j := range each {
					api := (i + j) % min(bigAPIs, apps)
					a := directory.Assignment{ID: directory.ObjectID(bigID(6+j, i)), Tenant: crashTenant, Principal: principal.ID, Resource: directory.ObjectID(bigID(3, api)), Role: directory.RoleID(bigID(4, api)), Created: at}
					put("assignment", string(a.ID), a, "principal/"+string(a.Principal)+"/"+string(a.Resource)+"/"+string(a.Role), "resource/"+string(a.Resource)+"/"+string(a.Principal)+"/"+string(a.Role))
				}
				big.apps = append(big.apps, app.AppID)
			}
		})
	}
	big.apis = big.apps[:min(bigAPIs, apps)]
	return big
}

func bigUpdate(b *testing.B, store *sqlite.Store, f func(put func(kind, id string, v any, keys ...string))) {
	b.Helper()
	_, err := store.Update(context.Background(), func(tx directory.Tx) (err error) {
		f(func(kind, id string, v any, keys ...string) {
			if err != nil {
				return
			}
			o := directory.Object{Tenant: string(crashTenant), Kind: kind, ID: id, Keys: keys}
			if kind == "tenant" {
				o.Tenant = ""
			}
			if o.Body, err = json.Marshal(v); err == nil {
				_, err = tx.Put(context.Background(), o)
			}
		})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// ask is what one token asks, of a random client.
func (big *bigDirectory) ask(b *testing.B, d *directory.Directory) {
	client, err := d.Instance(b.Context(), crashTenant, big.apps[rand.IntN(len(big.apps))])
	if err != nil {
		b.Fatal(err)
	}
	resource, err := d.Resource(b.Context(), crashTenant, string(big.apis[rand.IntN(len(big.apis))]))
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := d.Roles(b.Context(), client, resource); err != nil {
		b.Fatal(err)
	}
}

// resident returns the bytes that the process has in memory, where that can be told.
func resident(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Log("the resident size is not known here")
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
