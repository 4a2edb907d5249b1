package issuance

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A client with many connections has few signatures in flight, and others do not wait for it.
func TestSignaturesInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f inFlight
		most := max(2, runtime.GOMAXPROCS(0))
		var running atomic.Int32
		done := make(chan struct{})
		for range 128 {
			go func() {
				leave, err := f.enter(t.Context(), "greedy")
				if err != nil {
					t.Error(err)
					return
				}
				defer leave()
				running.Add(1)
				<-done
			}()
		}
		synctest.Wait()
		if got := int(running.Load()); got != most {
			t.Errorf("%d signatures of one client are in flight, want %d", got, most)
		}
		leave, err := f.enter(t.Context(), "modest")
		if err != nil {
			t.Fatal(err)
		}
		leave()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.enter(ended, "greedy"); !errors.Is(err, context.Canceled) {
			t.Errorf("one who gives up: got %v", err)
		}
		close(done)
		synctest.Wait()
		if len(f.clients) != 0 {
			t.Errorf("%d clients are remembered", len(f.clients))
		}
	})
}
