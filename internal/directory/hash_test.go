package directory_test

import (
	"errors"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// A digest is checked at the cost at which it was made, whatever the cost is today.
func TestHashCostIsRemembered(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	for _, tt := range []struct {
		name         string
		made, now    directory.HashCost
		costInDigest bool
	}{
		{"made cheaply, checked dearly", directory.CheapHash(), directory.HashCost{}, true},
		{"made dearly, checked cheaply", directory.HashCost{}, directory.CheapHash(), false},
		{"made at another cost", directory.HashCost{Passes: 2, MemoryKiB: 16}, directory.CheapHash(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := func(store directory.Store, cost directory.HashCost) *directory.Directory {
				d, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: cost})
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			store := memory.New()
			var user *directory.User
			change(t, at(store, tt.made), func(e *directory.Editor) (err error) {
				if _, err = e.Tenants().Create(directory.Tenant{ID: contoso, Name: "contoso", Domains: []string{"contoso.test"}}); err != nil {
					return err
				}
				user, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "dev@contoso.test"}, directory.Choose(password))
				return err
			})
			if got := user.Password.Cost != nil; got != tt.costInDigest {
				t.Errorf("the digest says its cost: got %v, want %v", got, tt.costInDigest)
			}
			later := at(store, tt.now)
			found, err := later.User(t.Context(), contoso, string(user.ID))
			if err != nil {
				t.Fatal(err)
			}
			if err := later.CheckPassword(t.Context(), found, password); err != nil {
				t.Errorf("right password: %v", err)
			}
			if err := later.CheckPassword(t.Context(), found, password+"!"); !errors.Is(err, directory.ErrWrongPassword) {
				t.Errorf("wrong password: got %v", err)
			}
		})
	}
}
