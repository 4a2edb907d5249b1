package storetest

import (
	"errors"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// testTakenOnce lets many read and delete one object at a time: one succeeds, and the
// others see that it is gone.
func testTakenOnce(t *testing.T, s directory.Store) {
	o := Object("t", "ticket", "1", "id/1", "expires/000000000001/1")
	put(t, s, o)
	const callers = 16
	results := make([]error, callers)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			_, results[i] = s.Update(t.Context(), func(tx directory.Tx) error {
				found, err := tx.Get(t.Context(), o.Tenant, o.Kind, o.ID)
				if err != nil {
					return err
				}
				return tx.Delete(t.Context(), o.Tenant, o.Kind, o.ID, found.Version)
			})
		})
	}
	group.Wait()
	taken := 0
	for _, err := range results {
		if err == nil {
			taken++
		} else if !errors.Is(err, directory.ErrNotFound) {
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("%d callers took the one object", taken)
	}
}
