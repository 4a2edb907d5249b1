package guard_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// outage answers every request with status 500 and nothing else.
func outage(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusInternalServerError)
	return true
}

// single is a configuration with one issuer, so that one load is two fetches.
func (a *authority) single() guard.Config {
	cfg := a.config()
	cfg.Authority, cfg.Issuers = "", []guard.Issuer{{Issuer: a.v2}}
	return cfg
}

// slow answers as usual after a while, or not at all if nobody waits any more.
func slow(d time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(d):
			return false
		case <-r.Context().Done():
			return true
		}
	}
}

const load = 2 // fetches: discovery and keys

func reason(g *guard.Guard, raw string) guard.Reason {
	return g.Check(context.Background(), raw, ordersRule).Reason
}

func TestManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		a.fail(slow(time.Second))
		g := newGuard(t, a.single())
		raw := a.token(t)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if r := reason(g, raw); r != "" {
					t.Error(r)
				}
			})
		}
		wg.Wait()
		if got := a.fetches.Load(); got != load {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestUnknownKidsCauseFewFetches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		good := a.token(t)
		if r := reason(g, good); r != "" {
			t.Fatal(r)
		}
		start := time.Now()
		for i := range 3000 {
			raw := compact(`{"alg":"RS256","kid":"k`+strconv.Itoa(i)+`"}`, text(t, a.claims()), []byte("signature"))
			if r := reason(g, raw); r != guard.KeyUnknown {
				t.Fatal(r)
			}
			if i%100 == 0 {
				time.Sleep(time.Second)
			}
		}
		if r := reason(g, good); r != "" {
			t.Errorf("a good token: %s", r)
		}
		periods := int64(time.Since(start)/(30*time.Second)) + 1
		if got := a.fetches.Load(); got > load*(1+periods) {
			t.Errorf("%d fetches in %v", got, time.Since(start))
		}
	})
}

func TestUnknownKidIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		raw := signWith(t, spareKey(), "new", nil, a.claims())
		if r := reason(g, raw); r != guard.KeyUnknown {
			t.Fatal(r)
		}
		a.publish(token.Key{ID: "trusted", Public: trustedKey().Public()}, token.Key{ID: "new", Public: spareKey().Public()})
		if r := reason(g, raw); r != guard.KeyUnknown || a.fetches.Load() != load {
			t.Fatalf("at once: %q after %d fetches", r, a.fetches.Load())
		}
		time.Sleep(31 * time.Second) // the gap is over, the memory of this kid is not
		if r := reason(g, raw); r != guard.KeyUnknown || a.fetches.Load() != load {
			t.Fatalf("after 31 s: %q after %d fetches", r, a.fetches.Load())
		}
		time.Sleep(30 * time.Second)
		if r := reason(g, raw); r != "" || a.fetches.Load() != 2*load {
			t.Errorf("after 61 s: %q after %d fetches", r, a.fetches.Load())
		}
	})
}

func TestNewKeyIsFetchedWhenItAppears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		if r := reason(g, a.token(t)); r != "" {
			t.Fatal(r)
		}
		a.publish(token.Key{ID: "trusted", Public: trustedKey().Public()}, token.Key{ID: "new", Public: spareKey().Public()})
		time.Sleep(31 * time.Second)
		if r := reason(g, signWith(t, spareKey(), "new", nil, a.claims())); r != "" {
			t.Error(r)
		}
		if got := a.fetches.Load(); got != 2*load {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestBadSignatureCausesNoFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		raw := signWith(t, strangerKey(), "trusted", nil, a.claims())
		for range 10 {
			if r := reason(g, raw); r != guard.SignatureInvalid {
				t.Fatal(r)
			}
			time.Sleep(time.Minute)
		}
		if got := a.fetches.Load(); got != load {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestWithoutKeysNobodyGetsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		a.fail(outage)
		g := newGuard(t, a.single())
		if err := g.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "status 500") {
			t.Errorf("ready without keys: %v", err)
		}
		d := g.Check(t.Context(), a.token(t), ordersRule)
		if d.Outcome != guard.Unavailable || d.Reason != guard.KeysUnavailable || d.RetryAfter != 5*time.Second {
			t.Errorf("%s %s, again in %v", d.Outcome, d.Reason, d.RetryAfter)
		}
		if got := a.fetches.Load(); got != 1 {
			t.Errorf("%d fetches while it should wait", got)
		}
		for _, pause := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} { // seconds
			before := a.fetches.Load()
			time.Sleep(pause*time.Second - time.Second)
			reason(g, a.token(t))
			if a.fetches.Load() != before {
				t.Errorf("asked again before %d s", pause)
			}
			time.Sleep(time.Second)
			reason(g, a.token(t))
			if a.fetches.Load() != before+1 {
				t.Errorf("did not ask again after %d s", pause)
			}
		}
		a.fail(nil)
		time.Sleep(5 * time.Minute)
		if err := g.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if r := reason(g, a.token(t)); r != "" {
			t.Error(r)
		}
	})
}

func TestUnavailableOverHTTP(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	a.fail(outage)
	server := protect(t, newGuard(t, a.single()))
	resp, body := server.get(t, "/orders", "Bearer "+a.token(t))
	expect(t, resp, body, plain(503, guard.KeysUnavailable), fragments(a.token(t))...)
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 5 {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
}

// TestLastKnownGoodKeysStay goes through every way in which a fetch can go
// wrong, for days.
func TestLastKnownGoodKeysStay(t *testing.T) {
	t.Parallel()
	say := func(text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, text); return true }
	}
	onKeys := func(text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/keys") {
				return false
			}
			_, _ = io.WriteString(w, text)
			return true
		}
	}
	redirect := func(to string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, to, http.StatusFound)
			return true
		}
	}
	const issuer = `{"issuer":"https://authority.test/` + tenant + `/v2.0","jwks_uri":`
	for name, failure := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"status 500":                 outage,
		"status 204":                 func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusNoContent); return true },
		"HTML":                       say("<html><body>Sign in</body></html>"),
		"nothing":                    say(""),
		"another issuer":             say(`{"issuer":"https://evil.test/","jwks_uri":"https://authority.test/k"}`),
		"issuer twice":               say(issuer + `"https://authority.test/k","issuer":"x"}`),
		"keys on another host":       say(issuer + `"https://evil.test/keys"}`),
		"keys over http":             say(issuer + `"http://authority.test/keys"}`),
		"keys on another port":       say(issuer + `"https://authority.test:444/keys"}`),
		"no keys URL":                say(issuer + `""}`),
		"a discovery of 100 KB":      say(issuer + `"` + strings.Repeat("x", 100<<10) + `"}`),
		"empty keys":                 onKeys(`{"keys":[]}`),
		"keys null":                  onKeys(`{"keys":null}`),
		"keys of no use":             onKeys(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"unknown"}]}`),
		"keys as array":              onKeys(`[]`),
		"201 keys":                   onKeys(`{"keys":[{}` + strings.Repeat(",{}", 200) + `]}`),
		"keys of more than 1 MB":     onKeys(`{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`),
		"a redirect to another host": redirect("https://evil.test/"),
		"a redirect to http":         redirect("http://authority.test/"),
		"a redirect in a circle":     redirect("https://authority.test/" + tenant + "/again"),
		"silence":                    slow(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("https://authority.test")
				cfg := a.single()
				cfg.CacheBytes = -1 // so that the keys are needed every time
				cfg.MaxKeyAge = 100 * time.Hour
				g := newGuard(t, cfg)
				if r := reason(g, a.token(t)); r != "" {
					t.Fatal(r)
				}
				a.fail(failure)
				for range 2 { // past the time at which even good keys are fetched anew
					time.Sleep(10 * time.Hour)
					if r := reason(g, a.token(t)); r != "" {
						t.Fatal(r)
					}
				}
				if got := a.fetches.Load(); got <= load {
					t.Error("nobody asked for new keys")
				}
				a.fail(nil)
				a.publish(token.Key{ID: "new", Public: spareKey().Public()})
				time.Sleep(2 * time.Hour)
				if r := reason(g, signWith(t, spareKey(), "new", nil, a.claims())); r != "" {
					t.Errorf("after the outage: %s", r)
				}
			})
		})
	}
}

// TestKeysOfOthersAreNotTaken has everything in place for somebody else's keys to be
// fetched: nothing but the guard's own checks stands between.
func TestKeysOfOthersAreNotTaken(t *testing.T) {
	t.Parallel()
	const own, evil = "https://authority.test", "https://evil.test"
	const keys = "/" + tenant + "/discovery/keys"
	metadata := func(issuer, address string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == keys {
				return false
			}
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, address)
			return true
		}
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		taken  bool
	}{
		"all is well":          {metadata(own+"/"+tenant+"/v2.0", own+keys), true},
		"another issuer":       {metadata(evil+"/"+tenant+"/v2.0", own+keys), false},
		"the issuer's other":   {metadata(own+"/"+tenant+"/", own+keys), false},
		"keys on another host": {metadata(own+"/"+tenant+"/v2.0", evil+keys), false},
		"a redirect to another host": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != keys {
				return false
			}
			http.Redirect(w, r, evil+keys, http.StatusFound)
			return true
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, other := newAuthority(own), newAuthority(evil)
			for _, published := range []*authority{a, other} {
				published.publish(token.Key{ID: "spare", Public: spareKey().Public()})
			}
			a.fail(tt.answer)
			cfg := a.single()
			cfg.HTTPClient = client(a, other)
			want := guard.KeysUnavailable
			if tt.taken {
				want = ""
			}
			if r := reason(newGuard(t, cfg), signWith(t, spareKey(), "spare", nil, a.claims())); r != want {
				t.Errorf("got %q, want %q", r, want)
			}
		})
	}
}

func TestRequestsDoNotWaitLongForAnUnknownKid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		if r := reason(g, a.token(t)); r != "" {
			t.Fatal(r)
		}
		time.Sleep(time.Minute)
		a.fail(slow(3 * time.Second))
		start := time.Now()
		if r := reason(g, signWith(t, spareKey(), "new", nil, a.claims())); r != guard.KeyUnknown || time.Since(start) != 2*time.Second {
			t.Errorf("%s after %v", r, time.Since(start))
		}
		start = time.Now()
		if r := reason(g, a.token(t)); r != "" || time.Since(start) != 0 {
			t.Errorf("a known kid: %q after %v", r, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := g.Check(ctx, signWith(t, spareKey(), "new", nil, a.claims()), ordersRule); d.Reason != guard.KeyUnknown {
			t.Errorf("with a deadline: %s", d.Reason)
		}
	})
}

func TestRefreshFollowsCacheControl(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"":                                   12 * time.Hour,
		"no-cache":                           12 * time.Hour,
		"public, max-age=3600":               time.Hour,
		"max-age=1":                          5 * time.Minute,
		"Max-Age=31536000, must-revalidate":  24 * time.Hour,
		"max-age=-5":                         12 * time.Hour,
		"max-age=99999999999999999999999999": 12 * time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAuthority("https://authority.test")
			var loads atomic.Int64
			a.fail(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/keys") {
					loads.Add(1)
					w.Header().Set("Cache-Control", header)
				}
				return false
			})
			g := newGuard(t, a.single())
			if err := g.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(want * 9 / 10)
			synctest.Wait()
			early := loads.Load()
			time.Sleep(want / 5)
			synctest.Wait()
			if late := loads.Load(); early > 2 || late < 2 {
				t.Errorf("%q: %d loads by %v, %d by %v", header, early, want*9/10, late, want*11/10)
			}
		})
	}
}

func TestNothingIsFetchedAfterTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		ctx, cancel := context.WithCancel(t.Context())
		cfg := a.single()
		cfg.MaxKeyAge = 200 * time.Hour
		g, err := guard.New(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r := reason(g, a.token(t)); r != "" {
			t.Fatal(r)
		}
		cancel()
		time.Sleep(100 * time.Hour)
		if r := reason(g, a.token(t)); r != "" {
			t.Errorf("a known kid: %s", r)
		}
		if r := reason(g, signWith(t, spareKey(), "new", nil, a.claims())); r != guard.KeyUnknown {
			t.Errorf("an unknown kid: %s", r)
		}
		if got := a.fetches.Load(); got != load {
			t.Errorf("%d fetches", got)
		}
	})
}

// TestWallClockMovesNoTimer lets the wall clock jump; token times follow
// it, fetches do not.
func TestWallClockMovesNoTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		cfg := a.single()
		wall := now
		cfg.Now = func() time.Time { return wall }
		g := newGuard(t, cfg)
		raw := a.token(t)
		for _, tt := range []struct {
			jump time.Duration
			want guard.Reason
		}{{0, ""}, {time.Hour + time.Minute, guard.TokenExpired}, {0, ""}, {-time.Hour, ""}, {30 * 24 * time.Hour, guard.TokenExpired}, {0, ""}} {
			wall = now.Add(tt.jump)
			if r := reason(g, raw); r != tt.want {
				t.Errorf("after %v: %q, want %q", tt.jump, r, tt.want)
			}
		}
		synctest.Wait()
		if got := a.fetches.Load(); got != load {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestKeysOfAnApplication(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	var queries []string
	a.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		queries = append(queries, r.URL.RawQuery)
		return false
	})
	cfg := a.single()
	cfg.Issuers[0].AppID = apiID
	if r := reason(newGuard(t, cfg), a.token(t)); r != "" {
		t.Fatal(r)
	}
	if fmt.Sprint(queries) != "[appid="+apiID+" ]" {
		t.Errorf("queries %q", queries)
	}
}
