package directory_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// age takes from every object the keys that older versions did not write.
func age(t *testing.T, store directory.Store) {
	t.Helper()
	if _, err := store.Update(t.Context(), func(tx directory.Tx) error {
		for kind, tenant := range map[string]string{
			directory.KindTenant: "", directory.KindApplication: string(contoso), directory.KindServicePrincipal: string(contoso), directory.KindUser: string(contoso),
		} {
			objects, _, err := tx.List(t.Context(), tenant, kind, "id/", "", 0)
			if err != nil {
				return err
			}
			for _, object := range objects {
				var old []string
				for _, key := range object.Keys {
					switch space, _, _ := strings.Cut(key, "/"); space {
					case "id", "name", "ref", "appid", "uri", "arm", "upn":
						old = append(old, key)
					}
				}
				object.Keys = old
				if _, err := tx.Put(t.Context(), object); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// dying is a store whose process ends before some transaction.
type dying struct {
	directory.Store
	lives int // transactions
}

var errDied = errors.New("the process was killed")

func (d *dying) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	if d.lives--; d.lives < 0 {
		return 0, errDied
	}
	return d.Store.Update(ctx, f)
}

func TestKeysOfOlderVersions(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func() (directory.Store, error){
		"memory": func() (directory.Store, error) { return memory.New(), nil },
		"sqlite": func() (directory.Store, error) {
			return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := store()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			o := newOrders(t, store)
			change(t, o.Directory, func(e *directory.Editor) error {
				if _, err := e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test", DisplayName: "Dev"}, nil); err != nil {
					return err
				}
				for range 600 { // more than one transaction takes
					if _, err := e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "many"}); err != nil {
						return err
					}
				}
				return nil
			})
			age(t, store)
			if page, err := o.View(t.Context()).Applications().Displayed(contoso, "many", directory.Query{}); err != nil || len(page.Items) != 0 {
				t.Fatalf("the store was not aged: %d, %v", len(page.Items), err)
			}
			open := func(store directory.Store) (*directory.Directory, error) {
				return directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash()})
			}
			for lives := range 5 { // there are five transactions to it
				if _, err := open(&dying{store, lives}); !errors.Is(err, errDied) {
					t.Fatalf("killed before transaction %d: got %v", lives+1, err)
				}
			}
			d, err := open(store)
			if err != nil {
				t.Fatal(err)
			}
			if page, err := d.View(t.Context()).Applications().Displayed(contoso, "Many", directory.Query{}); err != nil || len(page.Items) != 600 {
				t.Errorf("by display name: %d, %v", len(page.Items), err)
			}
			if page, err := d.View(t.Context()).ServicePrincipals().OfType(contoso, directory.PrincipalApplication, directory.Query{}); err != nil || len(page.Items) != 2 {
				t.Errorf("by type: %d, %v", len(page.Items), err)
			}
			if page, err := d.View(t.Context()).Users().Displayed(contoso, "dev", directory.Query{}); err != nil || len(page.Items) != 1 {
				t.Errorf("users by display name: %d, %v", len(page.Items), err)
			}
			before, err := store.Sequence(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open(&dying{store, 0}); err != nil {
				t.Errorf("once more: %v", err)
			}
			if after, err := store.Sequence(t.Context()); err != nil || after != before {
				t.Errorf("opening again wrote %d changes, %v", after-before, err)
			}
		})
	}
}
