package guard_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
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

// faraway is an upstream outside of any bubble: it closes each connection, so that nothing in a
// bubble waits for the network while time should pass.
func faraway(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(upstream.Close)
	return upstream.URL
}

// everySoOften is a bubble's load: each tick, for a while, it starts what at returns.
func everySoOften(tick, long time.Duration, at func(i int) []func()) {
	var wg sync.WaitGroup
	for i := range int(long / tick) {
		for _, request := range at(i) {
			wg.Go(request)
		}
		time.Sleep(tick)
	}
	wg.Wait()
}

// A thousand requests a second go on through every form while a key is published, and half of
// them have a token by it from that moment on.
func TestRolloverThroughEveryForm(t *testing.T) {
	t.Parallel()
	upstream := faraway(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.aging())
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		a.fail(slow(300 * time.Millisecond))
		before, all := a.fetches.Load(), formsBefore(t, g, upstream, protectedRules()...)
		old, next := a.token(t, lasting()), signWith(t, spareKey(), "new", nil, a.claims(lasting()))
		forged := signWith(t, strangerKey(), "forged", nil, a.claims(lasting()))
		everySoOften(time.Millisecond, 1500*time.Millisecond, func(i int) []func() {
			f, raw := all[i%len(all)], old
			switch i {
			case 100: // so that keys are being fetched, since 400, when the new one is published
				return []func(){func() {
					f.expect(t, "/orders", []string{"Bearer " + forged}, verdict{status: 401, reason: guard.KeyUnknown})
				}}
			case 500:
				a.publish(withNew()...)
			}
			if i >= 500 && i/len(all)%2 == 0 {
				raw = next
			}
			return []func(){func() {
				start := time.Now()
				f.expect(t, "/orders", []string{"Bearer " + raw}, verdict{status: 200})
				if waited := time.Since(start); waited > 2*time.Second || raw == old && waited > 0 {
					t.Errorf("%s: a request waited %v", f.name, waited)
				}
			}}
		})
		if got := a.fetches.Load() - before; got != 2*load {
			t.Errorf("%d fetches", got)
		}
	})
}

// Ten thousand tokens with kids that nobody has cause two fetches at once and one in half a
// minute, whatever the form, and hold up no other request.
func TestForgedKidsThroughEveryForm(t *testing.T) {
	t.Parallel()
	upstream := faraway(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.aging())
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		a.fail(slow(100 * time.Millisecond))
		before, all := a.fetches.Load(), formsBefore(t, g, upstream, protectedRules()...)
		good, body := a.token(t, lasting()), text(t, a.claims(lasting()))
		const long, perTick = 40 * time.Second, 25
		everySoOften(100*time.Millisecond, long, func(i int) []func() {
			requests := []func(){func() {
				start, f := time.Now(), all[i%len(all)]
				f.expect(t, "/orders", []string{"Bearer " + good}, verdict{status: 200})
				if waited := time.Since(start); waited > 0 {
					t.Errorf("%s: a good request waited %v", f.name, waited)
				}
			}}
			for j := range perTick {
				f, raw := all[(i+j)%len(all)], compact(`{"alg":"RS256","kid":"k`+strconv.Itoa(i*perTick+j)+`"}`, body, []byte("signature"))
				requests = append(requests, func() {
					f.expect(t, "/orders", []string{"Bearer " + raw}, verdict{status: 401, reason: guard.KeyUnknown})
				})
			}
			return requests
		})
		if got := a.fetches.Load() - before; got != 3*load {
			t.Errorf("%d fetches in %v, want two loads and one more after half a minute", got, long)
		}
	})
}

// While the authority is gone the keys of before count in every form until they are too old, also
// after a restart.
func TestWithoutTheAuthorityThroughEveryForm(t *testing.T) {
	t.Parallel()
	upstream := faraway(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		cfg := a.aging()
		cfg.MaxKeyAge, cfg.StateDir = 6*time.Hour, t.TempDir()
		g := newGuard(t, cfg)
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.fail(outage)
		all := formsBefore(t, g, upstream, protectedRules()...)
		known, fresh := a.token(t, lasting()), signWith(t, spareKey(), "new", nil, a.claims(lasting()))
		expect := func(when, raw string, want verdict) {
			t.Helper()
			for _, f := range all {
				f.expect(t, "/orders", []string{"Bearer " + raw}, want)
			}
			if t.Failed() {
				t.Fatal(when)
			}
		}
		gone := verdict{status: 503, reason: guard.KeysUnavailable}
		expect("at once", known, verdict{status: 200})
		time.Sleep(time.Hour)
		expect("an hour later", known, verdict{status: 200})
		expect("an hour later, by a key that nobody could ask for", fresh, gone)
		all = append(all, formsBefore(t, newGuard(t, cfg), upstream, protectedRules()...)...)
		expect("after a restart", known, verdict{status: 200})
		time.Sleep(5*time.Hour - time.Minute)
		expect("shortly before the keys are too old", known, verdict{status: 200})
		time.Sleep(2 * time.Minute)
		expect("when they are", known, gone)
		a.fail(nil)
		time.Sleep(6 * time.Minute)
		expect("when the authority is back", known, verdict{status: 200})
	})
}
