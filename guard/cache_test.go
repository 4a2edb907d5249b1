package guard_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The tests of this file try to get something out of the memory of
// verified tokens that the token itself would not give.

func TestCacheComparesTheWholeToken(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	good := a.token(t)
	if r := reason(g, good); r != "" {
		t.Fatal(r)
	}
	parts := strings.Split(good, ".")
	for name, raw := range map[string]string{
		"another payload":             parts[0] + "." + b64([]byte(text(t, a.claims(claims{"roles": []string{"Admin"}})))) + "." + parts[2],
		"another header":              b64([]byte(`{"alg":"RS256","kid":"trusted","x":1}`)) + "." + parts[1] + "." + parts[2],
		"a shorter token":             good[:len(good)-1],
		"a longer token":              good + "A",
		"the last parts alone":        "." + parts[1] + "." + parts[2],
		"the same bytes, other bits":  sameBytes(t, good),
		"the end of another":          good[:len(good)-7] + strings.Repeat("A", 7),
		"the same signature, nothing": "..." + parts[2],
	} {
		if r := reason(g, raw); r == "" {
			t.Errorf("%s was let in", name)
		}
	}
}

func TestCacheRemembersNoRights(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	raw := a.token(t)
	for range 3 {
		for _, tt := range []struct {
			rule guard.Rule
			want guard.Reason
		}{
			{guard.Rule{Roles: []string{"Orders.Read"}}, ""},
			{guard.Rule{Roles: []string{"Admin"}}, guard.RoleMissing},
			{guard.Rule{Caller: guard.CallerUser}, guard.WrongCallerKind},
			{guard.Rule{Tenants: []string{otherTenant}}, guard.TenantNotAllowed},
			{guard.Rule{Clients: []string{otherTenant}}, guard.ClientNotAllowed},
		} {
			if d := g.Check(t.Context(), raw, tt.rule); d.Reason != tt.want {
				t.Errorf("%q, want %q", d.Reason, tt.want)
			}
		}
	}
}

func TestCacheIsOfOneGuard(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	other := cfg
	other.Audience = []string{"api://customers"}
	raw := a.token(t)
	if r := reason(newGuard(t, cfg), raw); r != "" {
		t.Fatal(r)
	}
	if r := reason(newGuard(t, other), raw); r != guard.AudienceMismatch {
		t.Errorf("%q", r)
	}
}

func TestCacheForgetsAtExpiry(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	wall := now
	cfg.Now = func() time.Time { return wall }
	g := newGuard(t, cfg)
	raw := a.token(t)
	for _, tt := range []struct {
		after time.Duration
		want  guard.Reason
	}{
		{0, ""}, {time.Hour, ""}, {time.Hour + 59*time.Second, ""}, {time.Hour + 59*time.Second + 999*time.Millisecond, ""},
		{time.Hour + time.Minute, guard.TokenExpired}, {100 * time.Hour, guard.TokenExpired},
	} {
		wall = now.Add(tt.after)
		if r := reason(g, raw); r != tt.want {
			t.Errorf("after %v: %q, want %q", tt.after, r, tt.want)
		}
	}
}

func TestCacheForgetsWhenTheKeyGoes(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]token.Key{
		"the key is gone":         {{ID: "new", Public: spareKey().Public()}},
		"another key of that kid": {{ID: "trusted", Public: spareKey().Public()}},
		"the key encrypts now":    {{ID: "trusted", Use: "enc", Public: trustedKey().Public()}, {ID: "new", Public: spareKey().Public()}},
		"the key is another's": {{ID: "trusted", Use: "sig", Public: trustedKey().Public(),
			Issuer: "https://authority.test/" + otherTenant + "/v2.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("https://authority.test")
				g := newGuard(t, a.single())
				raw := a.token(t)
				if r := reason(g, raw); r != "" {
					t.Fatal(r)
				}
				a.publish(keys...)
				time.Sleep(14 * time.Hour)
				synctest.Wait()
				if r := reason(g, raw); r == "" {
					t.Error("the token still counts")
				}
			})
		})
	}
}

func TestCacheSurvivesANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		raw := a.token(t)
		if r := reason(g, raw); r != "" {
			t.Fatal(r)
		}
		a.publish(token.Key{ID: "trusted", Use: "sig", Public: trustedKey().Public()}, token.Key{ID: "new", Public: spareKey().Public()})
		time.Sleep(14 * time.Hour)
		synctest.Wait()
		if allocs := testing.AllocsPerRun(10, func() { g.Check(t.Context(), raw, ordersRule) }); allocs != 0 {
			t.Errorf("the token was verified anew: %v allocations", allocs)
		}
	})
}

func TestSeenTokenAllocatesNothing(t *testing.T) {
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	raw, ctx := a.token(t), context.Background()
	g.Check(ctx, raw, ordersRule)
	if allocs := testing.AllocsPerRun(100, func() { g.Check(ctx, raw, ordersRule) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestCacheIsBounded(t *testing.T) {
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.CacheBytes = 256 << 10
	g := newGuard(t, cfg)
	tokens := make([]string, 500) // around 2 KB each
	for i := range tokens {
		tokens[i] = a.token(t, claims{"uti": fmt.Sprint(i)})
	}
	g.Check(t.Context(), tokens[0], ordersRule)
	before := heap()
	for range 3 {
		for _, raw := range tokens {
			if r := reason(g, raw); r != "" {
				t.Fatal(r)
			}
		}
	}
	if grown := int64(heap()) - int64(before); grown > 512<<10 {
		t.Errorf("the cache of 256 KiB took %d KiB", grown>>10)
	}
	runtime.KeepAlive(tokens)
	runtime.KeepAlive(g)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.CacheBytes = -1
	g := newGuard(t, cfg)
	for range 2 {
		if r := reason(g, a.token(t)); r != "" {
			t.Error(r)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.CacheBytes = 64 << 10 // so that entries come and go
	g := newGuard(t, cfg)
	good := make([]string, 50)
	for i := range good {
		good[i] = a.token(t, claims{"uti": fmt.Sprint(i)})
	}
	bad := signWith(t, strangerKey(), "trusted", nil, a.claims())
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				if r := reason(g, good[(i*7+worker)%len(good)]); r != "" {
					t.Error(r)
				}
				if i%20 == 0 && reason(g, bad) != guard.SignatureInvalid {
					t.Error("a bad token was let in")
				}
			}
		})
	}
	wg.Wait()
}
