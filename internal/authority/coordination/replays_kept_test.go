package coordination

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// A brokenStore writes nothing while it is broken.
type brokenStore struct {
	directory.Store
	broken atomic.Bool
}

func (s *brokenStore) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	if s.broken.Load() {
		return 0, errors.New("broken")
	}
	return s.Store.Update(ctx, f)
}

// processes returns the memories of as many processes on one store.
func processes(t *testing.T, n int) ([]Replays, *fixture.Clock, *brokenStore) {
	t.Helper()
	clock := fixture.NewClock(testids.Start())
	store := &brokenStore{Store: memory.New()}
	var all []Replays
	for range n {
		d, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash(), Now: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			_, err = d.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
				_, err := e.Tenants().Create(directory.Tenant{ID: testids.Tenant, Name: "contoso", Domains: []string{"contoso.test"}})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, KeepReplays(newReplays(100, 100), d))
	}
	return all, clock, store
}

// What one process took, no other takes, nor the same after a restart.
func TestUsesAreKept(t *testing.T) {
	t.Parallel()
	all, clock, _ := processes(t, 2)
	now := clock.Now()
	if o := all[0].Note(t.Context(), testUse(1, now.Add(time.Hour)), now); o != First {
		t.Fatalf("got %v, want first", o)
	}
	if o := all[1].Note(t.Context(), testUse(1, now.Add(time.Hour)), now.Add(time.Minute)); o != Retried {
		t.Errorf("at another process within a minute: got %v, want retried", o)
	}
	clock.Advance(2 * time.Minute)
	for i, r := range all {
		if o := r.Note(t.Context(), testUse(1, now.Add(time.Hour)), clock.Now()); o != Again {
			t.Errorf("process %d after two minutes: got %v, want again", i, o)
		}
	}
	other := NewUse(testids.Tenant, testids.Client, "1", "another assertion", now.Add(time.Hour))
	if o := KeepReplays(newReplays(9, 9), all[0].(*keptReplays).directory).Note(t.Context(), other, clock.Now()); o != Again {
		t.Errorf("after a restart, another assertion with its jti: got %v, want again", o)
	}
}

// Of those who present different assertions with one jti at the same time one is first.
func TestUsesMeetInTheStore(t *testing.T) {
	t.Parallel()
	all, clock, _ := processes(t, 2)
	now := clock.Now()
	var first atomic.Int32
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			u := NewUse(testids.Tenant, testids.Client, "1", string(rune('a'+i)), now.Add(time.Hour))
			if all[i%2].Note(t.Context(), u, now) == First {
				first.Add(1)
			}
		})
	}
	group.Wait()
	if first.Load() != 1 {
		t.Errorf("%d were first", first.Load())
	}
}

// Nobody is first while the store does not answer, nor afterwards for having asked then.
func TestUsesWithoutAStore(t *testing.T) {
	t.Parallel()
	all, clock, store := processes(t, 2)
	now := clock.Now()
	store.broken.Store(true)
	for range 2 {
		if o := all[0].Note(t.Context(), testUse(1, now.Add(time.Hour)), now); o != Full {
			t.Errorf("got %v, want that it cannot tell", o)
		}
	}
	store.broken.Store(false)
	if o := all[1].Note(t.Context(), testUse(1, now.Add(time.Hour)), now); o != First {
		t.Errorf("at another process: got %v, want first", o)
	}
}
