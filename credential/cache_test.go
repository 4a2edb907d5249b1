package credential

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"go.uber.org/goleak"
)

// A script is a credential whose answers a test decides.
type script struct {
	mu     sync.Mutex
	calls  []policy.TokenRequestOptions
	answer func(n int, opts policy.TokenRequestOptions) (azcore.AccessToken, error) // n counts from 1
	gate   chan struct{}                                                            // if not nil, each call waits for it
}

func (s *script) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.mu.Lock()
	s.calls = append(s.calls, opts)
	n, answer := len(s.calls), s.answer
	s.mu.Unlock()
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return azcore.AccessToken{}, ctx.Err()
		}
	}
	if answer == nil {
		return hourly(n, opts)
	}
	return answer(n, opts)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *script) set(answer func(int, policy.TokenRequestOptions) (azcore.AccessToken, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// hourly gives numbered tokens that live for an hour.
func hourly(n int, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: fmt.Sprintf("token-%d", n), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func down(int, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, errors.New("authority is down")
}

func wantToken(t *testing.T, c *Cache, want string) {
	t.Helper()
	got, err := c.Token(t.Context(), testScope)
	if err != nil || got != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestCacheAsksOnceAtTheExpiryInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{gate: make(chan struct{}, 100)}
		cache := Cached(cred)
		cred.gate <- struct{}{}
		wantToken(t, cache, "token-1")
		time.Sleep(time.Hour) // to the instant of expiry

		var waiting sync.WaitGroup
		for range 1000 {
			waiting.Go(func() {
				if got, err := cache.Token(t.Context(), testScope); err != nil || got != "token-2" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		synctest.Wait() // all 1,000 wait now
		if got := cred.count(); got != 2 {
			t.Errorf("%d calls while 1,000 wait, want 1 and the first", got)
		}
		cred.gate <- struct{}{}
		waiting.Wait()
		if got := cred.count(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}

func TestCacheRefreshesAheadWithoutMakingAnyoneWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{gate: make(chan struct{}, 100)}
		cache := Cached(cred)
		cred.gate <- struct{}{}
		wantToken(t, cache, "token-1")
		time.Sleep(48*time.Minute - time.Nanosecond)
		wantToken(t, cache, "token-1")
		synctest.Wait()
		if got := cred.count(); got != 1 {
			t.Fatalf("%d calls before eight tenths of the life are over", got)
		}
		time.Sleep(6 * time.Minute)
		for range 1000 { // the refresh hangs, and nobody minds
			wantToken(t, cache, "token-1")
		}
		synctest.Wait()
		if got := cred.count(); got != 2 {
			t.Fatalf("%d calls, want one refresh", got)
		}
		cred.gate <- struct{}{}
		synctest.Wait()
		wantToken(t, cache, "token-2")
	})
}

func TestCacheSpreadsRefreshes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		within := func(name string, token azcore.AccessToken, before *held, low, high time.Duration) {
			t.Helper()
			first, last := high, low
			for range 1000 {
				at := refreshAfter(token, before, now)
				first, last = min(first, at), max(last, at)
			}
			if first < low || last > high || last-first < (high-low)*8/10 {
				t.Errorf("%s: refreshes from %s to %s, want them all over %s to %s", name, first, last, low, high)
			}
		}
		token := azcore.AccessToken{Token: "a", ExpiresOn: now.Add(time.Hour)}
		within("an hour", token, nil, 48*time.Minute, 54*time.Minute)
		within("the same token again", token, &held{AccessToken: token}, 55*time.Minute, 57*time.Minute+30*time.Second)
		within("another token", azcore.AccessToken{Token: "b", ExpiresOn: token.ExpiresOn}, &held{AccessToken: token}, 48*time.Minute, 54*time.Minute)
		short := azcore.AccessToken{Token: "a", ExpiresOn: now.Add(4 * time.Minute)}
		within("the same token, soon over", short, &held{AccessToken: short}, time.Minute, 2*time.Minute)
		token.RefreshOn = now.Add(30 * time.Minute)
		within("RefreshOn", token, nil, 30*time.Minute, 36*time.Minute)
	})
}

func TestCacheServesUntilExpiryWhileTheAuthorityIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{}
		cache := Cached(cred)
		wantToken(t, cache, "token-1")
		cred.set(down)
		end := time.Now().Add(time.Hour)
		for time.Now().Before(end) { // a call each second
			wantToken(t, cache, "token-1")
			time.Sleep(time.Second)
		}
		if got := cred.count(); got < 3 || got > 30 {
			t.Errorf("%d calls in the outage; want a few, further and further apart", got-1)
		}
		if _, err := cache.Token(t.Context(), testScope); err == nil {
			t.Error("an expired token was served")
		}
		before := cred.count()
		cred.set(hourly) // no error outlives the outage
		wantToken(t, cache, fmt.Sprintf("token-%d", before+1))
	})
}

func TestCacheHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttled := func(int, policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return azcore.AccessToken{}, fmt.Errorf("wrapped: %w", &Error{Credential: "test", Status: 429, RetryAfter: 7 * time.Second})
		}
		cred := &script{answer: throttled}
		cache := Cached(cred)
		for range 7 { // at 0 to 6 seconds
			if _, err := cache.Token(t.Context(), testScope); err == nil {
				t.Fatal("no error")
			}
			time.Sleep(time.Second)
		}
		if got := cred.count(); got != 1 {
			t.Fatalf("%d calls within Retry-After, want 1", got)
		}
		cred.set(hourly)
		wantToken(t, cache, "token-2")

		cred.set(throttled) // and for a refresh, while the token there is lives on
		time.Sleep(55 * time.Minute)
		wantToken(t, cache, "token-2")
		synctest.Wait()
		time.Sleep(6 * time.Second)
		wantToken(t, cache, "token-2")
		synctest.Wait()
		if got := cred.count(); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
	})
}

func TestCacheWaitersAreIndependent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{gate: make(chan struct{})}
		cache := Cached(cred)
		first, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := cache.Token(first, testScope); !errors.Is(err, context.Canceled) {
				t.Errorf("the first got %v, want its own cancellation", err)
			}
		})
		synctest.Wait()
		waiting.Go(func() {
			if got, err := cache.Token(t.Context(), testScope); err != nil || got != "token-1" {
				t.Errorf("the second got %q, %v", got, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(cred.gate)
		waiting.Wait()
		if got := cred.count(); got != 1 {
			t.Errorf("%d calls, want 1", got)
		}
	})
}

func TestCacheTakesClaimsToTheAuthority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cred := &script{}
		cache := Cached(cred)
		wantToken(t, cache, "token-1")
		opts := policy.TokenRequestOptions{Scopes: []string{testScope}, Claims: `{"access_token":{}}`}
		token, err := cache.GetToken(t.Context(), opts)
		if err != nil || token.Token != "token-2" {
			t.Fatalf("got %q, %v", token.Token, err)
		}
		if cred.calls[1].Claims != opts.Claims {
			t.Error("the claims got lost")
		}
		wantToken(t, cache, "token-2") // the challenged token is gone
	})
}

func TestCacheKeepsApart(t *testing.T) {
	t.Parallel()
	cred := &script{}
	cache := Cached(cred)
	different := []policy.TokenRequestOptions{
		{Scopes: []string{"a"}}, {Scopes: []string{"b"}}, {Scopes: []string{"a", "b"}}, {Scopes: []string{"a"}, TenantID: "b"},
		{Scopes: []string{"a"}, EnableCAE: true}, {Scopes: []string{"a"}, TenantID: "b", EnableCAE: true}, {},
	}
	for range 2 {
		for i, opts := range different {
			token, err := cache.GetToken(t.Context(), opts)
			if want := fmt.Sprintf("token-%d", i+1); err != nil || token.Token != want {
				t.Errorf("%+v: got %q, %v; want %q", opts, token.Token, err, want)
			}
		}
	}
}

func TestCacheDoesNotKeepWhatHasExpired(t *testing.T) {
	t.Parallel()
	cred := &script{answer: func(n int, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
		return azcore.AccessToken{Token: fmt.Sprintf("token-%d", n)}, nil
	}}
	cache := Cached(cred)
	wantToken(t, cache, "token-1")
	wantToken(t, cache, "token-2")
}

func TestCacheForgetsDeadEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := Cached(&script{})
		for round := range 20 {
			for i := range 1000 {
				if _, err := cache.Token(t.Context(), fmt.Sprintf("scope-%d-%d", round, i)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Hour)
		}
		if n := len(cache.slots); n > 2*minSweep {
			t.Errorf("%d entries of 20,000 are left, all dead", n)
		}
	})
}

func TestCacheClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		cred := &script{gate: make(chan struct{}, 1)}
		cache := Cached(cred)
		cred.gate <- struct{}{}
		wantToken(t, cache, "token-1")

		var waiting sync.WaitGroup
		waiting.Go(func() { // hangs until Close
			if _, err := cache.Token(t.Context(), "another"); !errors.Is(err, context.Canceled) {
				t.Errorf("the waiter got %v", err)
			}
		})
		synctest.Wait()
		if err := cache.Close(); err != nil {
			t.Fatal(err)
		}
		waiting.Wait()
		wantToken(t, cache, "token-1")
		if _, err := cache.Token(t.Context(), "third"); !errors.Is(err, errClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCacheGivesUpOnAnAuthorityThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := Cached(&script{gate: make(chan struct{})})
		begin := time.Now()
		_, err := cache.Token(t.Context(), testScope)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != fetchTimeout {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
}

func TestCachedOnce(t *testing.T) {
	t.Parallel()
	cache := Cached(&script{})
	if Cached(cache) != cache {
		t.Error("a cache was put in front of a cache")
	}
}

func TestCachedTokenAllocatesNothing(t *testing.T) {
	cache := Cached(&script{})
	wantToken(t, cache, "token-1")
	opts := scoped(testScope)
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		_, _ = cache.Token(ctx, testScope)
		_, _ = cache.GetToken(ctx, opts)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The whole stack: a thousand callers, MSAL in between, one request on the wire.
func TestCacheInFrontOfAzureIdentity(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	cred, err := NewSecret(testTenant, testClient, testSecret, a.options(t))
	if err != nil {
		t.Fatal(err)
	}
	cache := Cached(cred)
	defer cache.Close()
	var waiting sync.WaitGroup
	for range 1000 {
		waiting.Go(func() {
			if got, err := cache.Token(t.Context(), testScope); err != nil || got != "v2-token" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	waiting.Wait()
	if got := len(a.seen()); got != 1 {
		t.Errorf("%d token requests for 1,000 callers", got)
	}
}
