package managedidentity

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// A thousand processes that start together cost one signature.
func TestOneSignatureForAThousandCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	tokens := make([]string, 1000)
	var throng sync.WaitGroup
	begin := make(chan struct{})
	for i := range tokens {
		throng.Go(func() {
			<-begin
			got := w.ask(h, good(h))
			if got.status != http.StatusOK {
				t.Errorf("got %d: %s", got.status, got.raw)
			}
			tokens[i] = got.text("access_token")
		})
	}
	close(begin)
	throng.Wait()
	if made := w.signed.Load(); made != 1 {
		t.Errorf("%d tokens were made, want 1", made)
	}
	for _, raw := range tokens {
		if raw != tokens[0] {
			t.Fatal("callers got different tokens")
		}
	}
}

// Time passes between any two readings of the clock, as it does outside of tests.
func TestATokenIsKeptThoughTimeGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	first := w.ask(h, good(h)).text("access_token")
	for n := range 10 {
		w.clock.Tick(time.Duration(n) * time.Nanosecond)
		if w.ask(h, good(h)).text("access_token") != first {
			t.Fatalf("%d tokens were made, want 1", w.signed.Load())
		}
	}
}

func TestEndpointsShareTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.endpoint(directory.PlatformAppService), w.endpoint(directory.PlatformIMDS)
	if a, b := w.ask(one, good(one)), w.ask(other, good(other)); a.text("access_token") != b.text("access_token") || w.signed.Load() != 1 {
		t.Errorf("%d tokens were made, want 1", w.signed.Load())
	}
	if a := w.ask(one, good(one).with("client_id="+string(fixture.UserIdentityID))); claim(claimsOf(t, a.text("access_token")), "azp") != string(fixture.UserIdentityID) || w.signed.Load() != 2 {
		t.Errorf("another identity: %d tokens were made, want 2", w.signed.Load())
	}
}

// assign gives the system-assigned identity a role, or takes it away.
func (w *world) assign(role directory.RoleID, granted bool) {
	w.t.Helper()
	holder, api := w.principal(fixture.IdentityID).ID, w.principal(fixture.ServerID).ID
	w.edit(func(e *directory.Editor) error {
		if !granted {
			return e.Assignments().Remove(fixture.TenantID, holder, api, role)
		}
		_, _, err := e.Assignments().Add(fixture.TenantID, holder, api, role)
		return err
	})
}

func (w *world) rolesAt(h *Endpoint) string {
	w.t.Helper()
	return rolesOf(claimsOf(w.t, w.ask(h, good(h)).text("access_token")))
}

func TestAChangedGrantShowsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	for _, step := range []struct {
		role    directory.RoleID
		granted bool
		want    string
	}{
		{fixture.WriteRole, true, "Orders.Read Orders.Write"},
		{fixture.ReadRole, false, "Orders.Write"},
		{fixture.WriteRole, false, ""},
		{fixture.ReadRole, true, "Orders.Read"},
	} {
		w.assign(step.role, step.granted)
		if got := w.rolesAt(h); got != step.want {
			t.Errorf("roles are %q, want %q", got, step.want)
		}
	}
	made := w.signed.Load()
	if w.rolesAt(h); w.signed.Load() != made {
		t.Error("nothing had changed, and yet another token was made")
	}
}

func TestPlatformCacheKeepsOldRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *Config) { cfg.PlatformCache = true })
	h := w.endpoint(directory.PlatformAppService)
	w.rolesAt(h)
	w.assign(fixture.ReadRole, false)
	for range 23 {
		if got := w.rolesAt(h); got != "Orders.Read" {
			t.Fatalf("roles are %q, want those of the kept token", got)
		}
		w.clock.Advance(time.Hour)
	}
	w.clock.Advance(58 * time.Minute)
	if got := w.rolesAt(h); got != "" || w.signed.Load() != 2 {
		t.Errorf("after a day: roles %q, %d tokens made", got, w.signed.Load())
	}
}

// Clients renew a token of a day after half of it, and must not get the same one again.
func TestRenewalAtHalfLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	first := w.ask(h, good(h)).text("access_token")
	w.clock.Advance(11*time.Hour + 59*time.Minute)
	if w.ask(h, good(h)).text("access_token") != first {
		t.Error("before half of its life the token was replaced")
	}
	w.clock.Advance(2 * time.Minute)
	if w.ask(h, good(h)).text("access_token") == first {
		t.Error("after half of its life the token was given out again")
	}
	w.clock.Advance(-time.Hour)
	if made := w.signed.Load(); w.ask(h, good(h)).status != http.StatusOK || w.signed.Load() == made {
		t.Error("a token from the future was given out, when the clock had been set back")
	}
}

// A laptop's monotonic clock stops while it sleeps: a cached token must age by the wall clock
// alone.
func TestCachedTokensAgeByTheWallClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	w.ask(h, good(h))
	if len(w.tokens.tokens) != 1 {
		t.Fatalf("%d tokens are cached, want 1", len(w.tokens.tokens))
	}
	for _, cached := range w.tokens.tokens {
		if now := w.tokens.now(); strings.Contains(cached.made.String()+now.String(), " m=") {
			t.Errorf("made at %v, now %v: want no monotonic readings", cached.made, now)
		}
	}
}

func TestCachedTokensAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range maxTokens {
		w.tokens.tokens[cacheKey{resource: strconv.Itoa(i)}] = cachedToken{}
	}
	h := w.endpoint(directory.PlatformAppService)
	w.ask(h, good(h))
	if len(w.tokens.tokens) != maxTokens {
		t.Errorf("%d tokens are kept, want %d", len(w.tokens.tokens), maxTokens)
	}
}

// Challenge files are removed without further requests.
func TestChallengesEnd(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c, err := newChallenges(folder, quiet())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.make(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(challengeLife - time.Second)
		if got := files(t, folder); got != 1 {
			t.Errorf("%d files before their time, want 1", got)
		}
		time.Sleep(30*time.Second - (challengeLife - time.Second)) // half a minute is the longest time for any of them
		synctest.Wait()
		if got := files(t, folder); got != 0 {
			t.Errorf("%d files after their time, want none", got)
		}
		for range maxChallenges {
			if _, err := c.make(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.make(); err == nil {
			t.Error("challenges without end are made")
		}
		if err := c.close(); err != nil || files(t, folder) != 0 {
			t.Errorf("close: %v, %d files left", err, files(t, folder))
		}
	})
}

// Whatever happens to the clock, a token that is given out is valid.
func TestJumpsOfTheClock(t *testing.T) {
	t.Parallel()
	for _, platform := range []bool{false, true} {
		w := newWorld(t, func(cfg *Config) { cfg.PlatformCache = platform })
		h := w.endpoint(directory.PlatformAppService)
		for _, jump := range []time.Duration{
			time.Second, -time.Second, 5 * time.Minute, -5 * time.Minute, 3 * 24 * time.Hour, -3 * 24 * time.Hour, 3 * 24 * time.Hour,
		} {
			w.clock.Advance(jump)
			got := w.ask(h, good(h))
			claims, now := claimsOf(t, got.text("access_token")), w.clock.Now().Unix()
			seconds := func(name string) int64 {
				value, _ := claims.Get(name)
				n, _ := value.Integer()
				return n
			}
			left, err := strconv.ParseInt(got.text("expires_in"), 10, 64)
			if from, to := seconds("nbf"), seconds("exp"); from > now || to <= now || err != nil || left > to-now || left < to-now-1 {
				t.Errorf("platform's cache %t, after %v: valid from %ds to %ds from now, expires_in %d", platform, jump, from-now, to-now, left)
			}
		}
	}
}
