package directory_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

func TestStats(t *testing.T) {
	t.Parallel()
	store := memory.New()
	o := newOrders(t, store)
	before := o.Stats()
	if before.Entries != 0 || before.Bytes != 0 || before.Behind != 0 || before.Applied != o.Applied() {
		t.Errorf("a fresh one: got %+v", before)
	}
	o.roles(t)
	cold := o.Stats()
	if cold.Misses == before.Misses || cold.Entries == 0 || cold.Bytes == 0 || cold.Evictions != 0 {
		t.Errorf("after the first questions: got %+v", cold)
	}
	o.roles(t)
	if warm := o.Stats(); warm.Misses != cold.Misses || warm.Hits <= cold.Hits {
		t.Errorf("after the same questions: got %+v, before %+v", warm, cold)
	}
	// Another process changes something.
	other := open(t, store)
	change(t, other, func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
		return err
	})
	if got := o.Stats(); got.Behind != 0 {
		t.Errorf("before it looked: got %+v", got)
	}
	if _, err := o.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Stats(); got.Applied != other.Applied() || got.Behind != 0 || got.Fresh.Before(before.Fresh) {
		t.Errorf("after it looked: got %+v", got)
	}
}
