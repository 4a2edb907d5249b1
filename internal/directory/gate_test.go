package directory

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// Each slow hash takes 19 MiB and a core, and anybody can ask for one.
func TestSlowHashesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSecrets(make([]byte, secretKeySize), CheapHash())
		for range gateSlots {
			if err := s.gate.enter(t.Context(), Asker{}); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		go func() {
			_, err := s.slowDigest(t.Context(), Asker{}, s.nobodys, "secret")
			done <- err
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it did not wait")
		default:
		}
		s.gate.leave()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s.gate.running != gateSlots-1 {
			t.Error("it did not give its turn back")
		}
	})
}

// Those who were right lately go before strangers, and strangers wait in a queue that has an
// end, for all of them and for each source.
func TestGateServesTheKnownFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for range gateSlots {
			if err := g.enter(t.Context(), Asker{}); err != nil {
				t.Fatal(err)
			}
		}
		served := make(chan string, 1000)
		errs := make(chan error, 1000)
		wait := func(a Asker, name string) {
			go func() {
				err := g.enter(t.Context(), a)
				errs <- err
				if err == nil {
					served <- name
				}
			}()
			synctest.Wait()
		}
		for range gateBySource + 1 {
			wait(Asker{Source: "a"}, "stranger")
		}
		if err := <-errs; !errors.Is(err, ErrBusy) {
			t.Fatalf("one too many from a source: got %v", err)
		}
		for n := range gateFresh - gateBySource + 1 {
			wait(Asker{Source: fmt.Sprint(n)}, "stranger")
		}
		if err := <-errs; !errors.Is(err, ErrBusy) {
			t.Fatalf("one too many: got %v", err)
		}
		wait(Asker{Source: "b", Known: true}, "known")
		ended, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- g.enter(ended, Asker{Source: "b", Known: true}) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("one who gives up: got %v", err)
		}
		g.leave()
		if first := <-served; first != "known" {
			t.Errorf("first came a %s", first)
		}
		for range gateFresh + gateSlots {
			g.leave()
			synctest.Wait()
		}
		if len(served) != gateFresh || g.running != 0 || len(g.bySource) != 0 {
			t.Errorf("%d were served, %d run, %v", len(served), g.running, g.bySource)
		}
	})
}
