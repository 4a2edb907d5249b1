package guard_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// withNew is what an authority publishes after a rollover: the key of before and a new one.
func withNew() []token.Key {
	return []token.Key{{ID: "trusted", Public: trustedKey().Public()}, {ID: "new", Public: spareKey().Public()}}
}

// A fetch that began before a key was published says nothing about the key: a request whose
// token names it waits for one that began after the request.
func TestAFetchOfBeforeSaysNothingOfANewKey(t *testing.T) {
	t.Parallel()
	for name, began := range map[string]func(t *testing.T, g *guard.Guard, a *authority){
		"that a forged kid caused": func(t *testing.T, g *guard.Guard, a *authority) {
			go reason(g, signWith(t, strangerKey(), "forged", nil, a.claims(lasting())))
		},
		"that fetches what has grown old": func(*testing.T, *guard.Guard, *authority) { time.Sleep(13 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("https://authority.test")
				g := newGuard(t, a.aging())
				if err := g.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // after which two fetches may be caused again
				begun := make(chan struct{}, 10)
				a.fail(func(w http.ResponseWriter, r *http.Request) bool { // with what was published when it was asked
					begun <- struct{}{}
					return slow(400*time.Millisecond)(w, r)
				})
				began(t, g, a)
				<-begun // the metadata
				<-begun // the keys
				a.publish(withNew()...)
				raw := signWith(t, spareKey(), "new", nil, a.claims(lasting()))
				start := time.Now()
				if r := reason(g, raw); r != "" {
					t.Errorf("a token by the new key: %s after %v", r, time.Since(start))
				}
				if waited := time.Since(start); waited > 2*time.Second {
					t.Errorf("waited %v", waited)
				}
				time.Sleep(time.Second) // until all is answered
				synctest.Wait()
				if got := a.fetches.Load(); got != 3*load {
					t.Errorf("%d fetches", got)
				}
			})
		})
	}
}
