package credential

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A machine is one whose clocks a test moves: time passes on both, a suspended machine's
// monotonic clock stands still, and the wall clock alone can be set.
type machine struct {
	mu   sync.Mutex
	real time.Duration // what really passed, as the authority sees it
	at   moment
}

func (m *machine) now() moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *machine) passed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.real
}

func (m *machine) pass(d time.Duration)  { m.move(d, d, d) }
func (m *machine) sleep(d time.Duration) { m.move(d, d, 0) }
func (m *machine) set(d time.Duration)   { m.move(0, d, 0) }

func (m *machine) move(really, wall, mono time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.real += really
	m.at.wall += int64(wall)
	m.at.mono += mono
}

// A clocked credential is MSAL on such a machine: it keeps a token until five minutes before
// its end, by the wall clock alone. Its authority's tokens really live for an hour.
type clocked struct {
	*machine
	mu   sync.Mutex // guards what follows: a refresh asks beside its caller
	kept azcore.AccessToken
	ends map[string]time.Duration // when each token really ends
	down bool
}

// end returns when a token really ends.
func (c *clocked) end(token string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends[token]
}

func (c *clocked) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wall := time.Unix(0, c.now().wall); wall.Add(mostKept).Before(c.kept.ExpiresOn) {
		return c.kept, nil
	}
	if c.down {
		return azcore.AccessToken{}, errors.New("authority is down")
	}
	// As MSAL does it: time.Now carries a reading of the monotonic clock.
	c.kept = azcore.AccessToken{Token: fmt.Sprint("token-", len(c.ends)+1), ExpiresOn: time.Unix(0, c.now().wall).Add(time.Hour)}
	c.ends[c.kept.Token] = c.passed() + time.Hour
	return c.kept, nil
}

func (c *clocked) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = azcore.AccessToken{}
}

// A laptop that slept, a clock that was set: no token is handed out past its end, and while
// the authority answers, nobody is left without one.
func TestCacheWhenClocksMove(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{time.Second, 5 * time.Minute, 3 * 24 * time.Hour} {
		for name, move := range map[string]func(*machine){
			"slept":     func(m *machine) { m.sleep(jump) },
			"set ahead": func(m *machine) { m.set(jump) },
			"set back":  func(m *machine) { m.set(-jump) },
			"set ahead, found wrong, set back": func(m *machine) {
				m.set(jump)
				m.pass(time.Minute)
				m.set(-jump)
			},
		} {
			for _, after := range []time.Duration{0, 30 * time.Minute, 50 * time.Minute, 59*time.Minute + 59*time.Second} {
				t.Run(fmt.Sprint(name, " by ", jump, " after ", after), func(t *testing.T) {
					m := &machine{at: moment{wall: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC).UnixNano()}}
					cred := &clocked{machine: m, ends: map[string]time.Duration{}}
					cache := Cached(cred)
					cache.clock = m.now
					check := func() {
						t.Helper()
						got, err := cache.Token(t.Context(), testScope)
						if err != nil {
							t.Fatalf("no token: %v", err)
						}
						if end := cred.end(got); m.passed() >= end {
							t.Fatalf("%s was handed out %s past its end", got, m.passed()-end)
						}
						cache.running.Wait() // the refresh, if there is one
					}
					check()
					m.pass(after)
					check()
					move(m)
					for range 4 * 3600 / 20 { // four hours, a call each twenty seconds
						check()
						m.pass(20 * time.Second)
					}
					if made := len(cred.ends); made > 10 {
						t.Errorf("%d tokens in four hours", made)
					}
				})
			}
		}
	}
}

// While the authority is down, a token that is over stays over, whichever clock says so.
func TestCacheEndsATokenByEitherClock(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*machine){
		"slept":                   func(m *machine) { m.sleep(time.Hour) },
		"set back, an hour later": func(m *machine) { m.set(-72 * time.Hour); m.pass(time.Hour) },
	} {
		m := &machine{at: moment{wall: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC).UnixNano()}}
		cred := &clocked{machine: m, ends: map[string]time.Duration{}}
		cache := Cached(cred)
		cache.clock = m.now
		wantToken(t, cache, "token-1")
		cred.down = true
		move(m)
		if got, err := cache.Token(t.Context(), testScope); err == nil {
			t.Errorf("%s: %s was handed out", name, got)
		}
		cred.down = false
		if _, err := cache.Token(t.Context(), testScope); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A pause that the authority asked for is over when either clock says so: a clock that was
// set back by three days does not make it last three days.
func TestPausesOutliveNoClock(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*machine){
		"slept":    func(m *machine) { m.sleep(time.Minute) },
		"set back": func(m *machine) { m.set(-72 * time.Hour); m.pass(time.Minute) },
	} {
		m := &machine{at: moment{wall: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC).UnixNano()}}
		asked := &script{answer: func(n int, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
			if n == 1 {
				return azcore.AccessToken{}, &Error{Credential: "test", RetryAfter: time.Minute}
			}
			return azcore.AccessToken{Token: "t", ExpiresOn: time.Unix(0, m.now().wall).Add(time.Hour)}, nil
		}}
		cache := Cached(asked)
		cache.clock = m.now
		for range 2 {
			if _, err := cache.Token(t.Context(), testScope); err == nil {
				t.Errorf("%s: no refusal", name)
			}
		}
		if asked.count() != 1 {
			t.Errorf("%s: the authority was asked %d times in its pause", name, asked.count())
		}
		move(m)
		if _, err := cache.Token(t.Context(), testScope); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An end that no clock can hold is no reason to ask each time, nor for a panic.
func TestCacheKeepsAnEndlessToken(t *testing.T) {
	t.Parallel()
	for _, end := range []time.Time{time.Unix(1<<40, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		cred := &script{answer: func(int, policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return azcore.AccessToken{Token: "t", ExpiresOn: end}, nil
		}}
		cache := Cached(cred)
		for range 3 {
			wantToken(t, cache, "t")
		}
		if cred.count() != 1 {
			t.Errorf("%s: asked %d times", end, cred.count())
		}
	}
}

// The cache makes Azure.Identity ask again by making its credential anew.
func TestDiagnosticForgets(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	for name, text := range map[string]string{
		"secret":      "AppKey=secret-of-the-test",
		"certificate": "CertificateFile=testdata/certificates/aes256.pem;CertificatePassword=" + filePassword,
	} {
		cred, err := Parse(connectionApp+text, a.options(t))
		if err != nil {
			t.Fatal(err)
		}
		before := len(a.seen())
		for range 2 {
			if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
				t.Fatal(err)
			}
		}
		cred.(forgetter).forget()
		if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
			t.Fatal(err)
		}
		if got := len(a.seen()) - before; got != 2 {
			t.Errorf("%s: the authority was asked %d times, want once and once more", name, got)
		}
	}
}
