package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
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
		if len(served) != gateFresh || g.running != 0 || len(g.users.bySource) != 0 {
			t.Errorf("%d were served, %d run, %v", len(served), g.running, g.users.bySource)
		}
	})
}

// After a restart nobody is known. However many invented users wait by then, from one place or
// from many, the right secret of an application waits for the hash under way and for none of theirs.
func TestStrangersAtUsersDoNotHoldUpApplications(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]func(n int) string{
		"from the same source": func(int) string { return "192.0.2.1" },
		"from 500 sources":     func(n int) string { return fmt.Sprintf("198.51.%d.%d", n/250, n%250) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSecrets(make([]byte, secretKeySize), CheapHash())
				d := &Directory{secrets: s, cfg: Config{Now: time.Now}}
				var imported Secret
				if err := s.hash(t.Context(), &imported, "the right one"); err != nil {
					t.Fatal(err)
				}
				for range gateSlots { // a hash under way in each
					if err := s.gate.enter(t.Context(), Asker{}); err != nil {
						t.Fatal(err)
					}
				}
				const strangers = 500
				refused := make(chan error, strangers)
				for n := range strangers {
					go func() {
						refused <- d.CheckPasswordFor(t.Context(), Asker{Source: source(n)}, nil, fmt.Sprint("guess ", n))
					}()
				}
				synctest.Wait()
				if len(refused) == strangers {
					t.Fatal("no stranger waits")
				}
				right := make(chan error, 1)
				go func() {
					_, err := d.CheckSecretFor(t.Context(), Asker{Source: "192.0.2.1"}, &Application{Secrets: []Secret{imported}}, "the right one")
					right <- err
				}()
				synctest.Wait()
				if len(right) > 0 {
					t.Fatalf("the right secret did not wait: got %v", <-right)
				}
				for range gateSlots {
					s.gate.leave() // whoever ends lets the next one begin
				}
				if err := <-right; err != nil {
					t.Errorf("the right secret: got %v", err)
				}
				for range strangers {
					if err := <-refused; !errors.Is(err, ErrWrongPassword) && !errors.Is(err, ErrBusy) {
						t.Errorf("a stranger: got %v", err)
					}
				}
			})
		})
	}
}

// Where strangers wait for both, users and applications take turns, each in their order.
func TestGateTakesTurnsBetweenUsersAndApplications(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for range gateSlots {
			if err := g.enter(t.Context(), Asker{}); err != nil {
				t.Fatal(err)
			}
		}
		served := make(chan string, 1)
		wait := func(name string, application bool) {
			go func() {
				if err := g.enter(t.Context(), Asker{Source: "a", application: application}); err != nil {
					t.Error(err)
				}
				served <- name
			}()
			synctest.Wait()
		}
		for n := range 3 {
			wait(fmt.Sprint("user ", n), false)
		}
		for n := range 2 {
			wait(fmt.Sprint("application ", n), true)
		}
		var order []string
		for range 5 {
			g.leave()
			order = append(order, <-served)
		}
		if want := []string{"application 0", "user 0", "application 1", "user 1", "user 2"}; !slices.Equal(order, want) {
			t.Errorf("served %q, want %q", order, want)
		}
	})
}
