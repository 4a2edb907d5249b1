package guard_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// A feed is an authority that also tells what is revoked, as package revocation of the
// authority does: it holds a request until there is something new.
type feed struct {
	*authority
	mu     sync.Mutex
	events []map[string]any
	told   chan struct{} // closed when there is more
	asked  []string      // what readers have sent: Authorization and since
	broken func(http.ResponseWriter) bool
}

const readersToken = "readers.own.token"

func newFeed() *feed {
	f := &feed{authority: newAuthority("https://authority.test"), told: make(chan struct{})}
	f.fail(f.serve)
	return f
}

func (f *feed) serve(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/"+tenant+"/revocations" {
		return false
	}
	since, _ := strconv.Atoi(r.URL.Query().Get("since"))
	f.mu.Lock()
	f.asked = append(f.asked, r.Header.Get("Authorization")+" "+r.URL.Query().Get("since"))
	broken, told, have := f.broken, f.told, len(f.events)
	f.mu.Unlock()
	if broken != nil && broken(w) {
		return true
	}
	if since == have+1 {
		select {
		case <-told:
		case <-time.After(25 * time.Second):
		case <-r.Context().Done():
			return true
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if since > 0 {
		since-- // cursors begin with 1
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"cursor": len(f.events) + 1, "events": append([]map[string]any{}, f.events[since:]...)})
	return true
}

// revoke tells readers of an event. Members that are left out are those of tokens issued
// until now, and of no other.
func (f *feed) revoke(e map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	event := map[string]any{"before": now.Unix() + 2, "until": now.Add(25 * time.Hour).Unix()}
	for name, value := range e {
		event[name] = value
	}
	f.events = append(f.events, event)
	close(f.told)
	f.told = make(chan struct{})
}

func (f *feed) breakWith(with func(http.ResponseWriter) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = with
}

func (f *feed) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// config is that of an API that follows.
func (f *feed) config() guard.Config {
	cfg := f.authority.config()
	cfg.Revocations = &guard.Revocations{Token: func(context.Context) (string, error) { return readersToken, nil }}
	return cfg
}

func reasonOf(t *testing.T, g *guard.Guard, raw string) guard.Reason {
	t.Helper()
	return g.Check(t.Context(), raw, ordersRule).Reason
}

// What is revoked ends the tokens that are meant, and no others.
func TestTokensRevoked(t *testing.T) {
	t.Parallel()
	const other = "0b1ec7ff-5a5a-4c4c-8d8d-0000000000ff"
	userClaims := claims{"idtyp": "user", "scp": "Orders.Read.All openid", "roles": nil, "sub": "pairwise"}
	rule := guard.Rule{Path: "/orders", Caller: guard.CallerAny, Roles: []string{"Orders.Read"}, Scopes: []string{"Orders.Read.All"}}
	for _, tt := range []struct {
		name  string
		event map[string]any
		token claims
		want  guard.Reason
	}{
		{"nothing", map[string]any{"kind": "principal", "principal": other, "client": other}, nil, ""},
		{"principal", map[string]any{"kind": "principal", "principal": principalID}, nil, guard.TokenRevoked},
		{"principal, in a token of version 1.0", map[string]any{"kind": "principal", "principal": principalID}, (&authority{v1: "https://authority.test/" + tenant + "/"}).v1Claims(), guard.TokenRevoked},
		{"client", map[string]any{"kind": "principal", "principal": other, "client": clientID}, nil, guard.TokenRevoked},
		{"principal, of whom the token is newer", map[string]any{"kind": "principal", "principal": principalID}, claims{"iat": now.Unix() + 2, "nbf": now.Unix()}, ""},
		{"principal, of whom the token is as old", map[string]any{"kind": "principal", "principal": principalID}, claims{"iat": now.Unix() + 1, "nbf": now.Unix()}, guard.TokenRevoked},
		{"principal, of whom the token has no time", map[string]any{"kind": "principal", "principal": principalID}, claims{"iat": nil}, guard.TokenRevoked},
		{"role", map[string]any{"kind": "assignment", "principal": principalID, "role": "Orders.Read"}, nil, guard.TokenRevoked},
		{"another role", map[string]any{"kind": "assignment", "principal": principalID, "role": "Orders.Write"}, nil, ""},
		{"a role of two", map[string]any{"kind": "assignment", "principal": principalID, "role": "Orders.Write"}, claims{"roles": []string{"Orders.Read", "Orders.Write"}}, guard.TokenRevoked},
		{"somebody else's role", map[string]any{"kind": "assignment", "principal": other, "role": "Orders.Read"}, nil, ""},
		{"a role of all", map[string]any{"kind": "assignment", "role": "Orders.Read"}, nil, guard.TokenRevoked},
		{"scope", map[string]any{"kind": "scope", "client": clientID, "principal": principalID, "scope": "Orders.Read.All"}, userClaims, guard.TokenRevoked},
		{"scope for all users", map[string]any{"kind": "scope", "client": clientID, "scope": "Orders.Read.All"}, userClaims, guard.TokenRevoked},
		{"scope of all clients", map[string]any{"kind": "scope", "scope": "Orders.Read.All"}, userClaims, guard.TokenRevoked},
		{"scope for another user", map[string]any{"kind": "scope", "client": clientID, "principal": other, "scope": "Orders.Read.All"}, userClaims, ""},
		{"scope of another client", map[string]any{"kind": "scope", "client": other, "scope": "Orders.Read.All"}, userClaims, ""},
		{"another scope", map[string]any{"kind": "scope", "client": clientID, "scope": "Orders.Write.All"}, userClaims, ""},
		{"scope that is called as a role", map[string]any{"kind": "scope", "client": clientID, "scope": "Orders.Read"}, nil, ""},
		{"role that is called as a scope", map[string]any{"kind": "assignment", "role": "Orders.Read.All"}, userClaims, ""},
		{"key", map[string]any{"kind": "key", "key": "trusted", "before": nil}, claims{"iat": now.Unix() + 30, "nbf": now.Unix()}, guard.TokenRevoked},
		{"another key", map[string]any{"kind": "key", "key": "spare"}, nil, ""},
		{"tenant", map[string]any{"kind": "tenant"}, nil, guard.TokenRevoked},
		{"what a later version tells", map[string]any{"kind": "weather", "principal": principalID}, nil, ""},
		{"what has ended", map[string]any{"kind": "principal", "principal": principalID, "until": now.Unix()}, nil, ""},
		{"nobody", map[string]any{"kind": "principal"}, claims{"oid": principalID}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				if tt.event["before"] == nil {
					delete(tt.event, "before")
				}
				g := newGuard(t, f.config())
				raw := f.token(t, tt.token)
				if got := g.Check(t.Context(), raw, rule).Reason; got != "" {
					t.Fatalf("before: %s", got)
				}
				f.revoke(tt.event)
				time.Sleep(time.Second)
				for range 2 { // from memory, too
					if got := g.Check(t.Context(), raw, rule).Reason; got != tt.want {
						t.Errorf("got %q, want %q", got, tt.want)
					}
				}
			})
		})
	}
}

// Whoever is refused is told so, and an operator why.
func TestTokenRevokedAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.revoke(map[string]any{"kind": "principal", "principal": principalID})
		g := newGuard(t, f.config())
		d := g.Check(t.Context(), f.token(t), ordersRule)
		if _, known := d.Caller(); !known || d.Answer().Status != 401 || !strings.Contains(d.Detail(), "disabled") || d.Fix() == "" {
			t.Errorf("%d: %s: %s", d.Answer().Status, d.Detail(), d.Fix())
		}
		challenge := d.Answer().Header["Www-Authenticate"][0]
		if !strings.Contains(challenge, `error="invalid_token"`) || strings.Contains(challenge, principalID) {
			t.Error(challenge)
		}
		steps := g.Explain(t.Context(), f.token(t), ordersRule)
		for _, step := range steps {
			if step.Outcome == guard.StepFailed && (step.Name != "revocation" || step.Reason != guard.TokenRevoked) {
				t.Errorf("explained: %+v", step)
			}
		}
	})
}

// A token that the guard has let in is refused as soon as the authority tells, which takes
// no new request of the guard.
func TestRevocationReachesGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		g := newGuard(t, f.config())
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw := f.token(t)
		time.Sleep(3 * time.Minute) // of requests that were held for nothing
		synctest.Wait()
		if got := reasonOf(t, g, raw); got != "" {
			t.Fatal(got)
		}
		questions := f.questions()
		if n := len(questions); n < 7 || n > 10 {
			t.Errorf("%d requests in three minutes", n)
		}
		if questions[0] != "Bearer "+readersToken+" " || questions[1] != "Bearer "+readersToken+" 1" {
			t.Errorf("asked %q", questions[:2])
		}
		f.revoke(map[string]any{"kind": "assignment", "principal": principalID, "role": "Orders.Read"})
		synctest.Wait()
		if got := reasonOf(t, g, raw); got != guard.TokenRevoked {
			t.Errorf("got %q", got)
		}
		if state := g.Revocations(); !state.Followed || state.Err != nil || time.Since(state.Fetched) > time.Second {
			t.Errorf("state %+v", state)
		}
		// One after another comes in, and what came before still counts.
		f.revoke(map[string]any{"kind": "principal", "principal": "someone"})
		time.Sleep(time.Second)
		if got := reasonOf(t, g, raw); got != guard.TokenRevoked {
			t.Errorf("after another event: %q", got)
		}
		if n := len(f.questions()) - len(questions); n > 4 {
			t.Errorf("%d requests for two events", n)
		}
	})
}

// A guard that starts while something is revoked knows it at its first request, which waits.
func TestRevocationAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.revoke(map[string]any{"kind": "principal", "principal": principalID})
		f.breakWith(func(http.ResponseWriter) bool { f.breakWith(nil); time.Sleep(2 * time.Second); return false })
		g := newGuard(t, f.config())
		began := time.Now()
		if got := reasonOf(t, g, f.token(t)); got != guard.TokenRevoked || time.Since(began) != 2*time.Second {
			t.Errorf("got %q after %v", got, time.Since(began))
		}
	})
}

// An authority that does not answer locks nobody out for Config.MaxKeyAge, and everybody
// after that. What it told before counts all the time.
func TestRevocationsOfAnAuthorityThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		start := time.Now()
		cfg := f.config()
		cfg.MaxKeyAge = time.Hour
		cfg.Now = func() time.Time { return now.Add(time.Since(start)) }
		cfg.MaxLifetime = 4 * time.Hour
		g := newGuard(t, cfg)
		f.revoke(map[string]any{"kind": "principal", "principal": "someone"})
		good := f.token(t, claims{"exp": now.Unix() + 3*3600})
		revoked := f.token(t, claims{"exp": now.Unix() + 3*3600, "oid": "someone", "sub": "someone"})
		check := func(when string, wantGood, wantRevoked guard.Reason) {
			t.Helper()
			synctest.Wait()
			if a, b := reasonOf(t, g, good), reasonOf(t, g, revoked); a != wantGood || b != wantRevoked {
				t.Errorf("%s: %q and %q", when, a, b)
			}
		}
		check("at first", "", guard.TokenRevoked)
		f.breakWith(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true })
		time.Sleep(50 * time.Minute)
		check("after 50 minutes", "", guard.TokenRevoked)
		if state := g.Revocations(); state.Err == nil || time.Since(state.Fetched) < 49*time.Minute {
			t.Errorf("state %+v", state)
		}
		asked := len(f.questions())
		time.Sleep(11 * time.Minute)
		check("after 61 minutes", guard.RevocationsUnavailable, guard.RevocationsUnavailable)
		if n := len(f.questions()) - asked; n < 15 || n > 25 {
			t.Errorf("%d requests in 11 minutes of failures", n)
		}
		d := g.Check(t.Context(), good, ordersRule)
		if answer := d.Answer(); answer.Status != 503 || answer.Header["Retry-After"] == nil || d.Fix() == "" || !strings.Contains(d.Detail(), "503") {
			t.Errorf("%d, %v, %q", answer.Status, answer.Header, d.Detail())
		}
		f.breakWith(nil)
		time.Sleep(time.Minute)
		check("back again", "", guard.TokenRevoked)
	})
}

func TestRevocationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(http.ResponseWriter){
		"status 401":       func(w http.ResponseWriter) { w.WriteHeader(401) },
		"status 404":       func(w http.ResponseWriter) { w.WriteHeader(404) },
		"another host":     func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.test/"); w.WriteHeader(302) },
		"no JSON":          func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"no cursor":        func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"events":[]}`)) },
		"no events":        func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"cursor":1}`)) },
		"an odd event":     func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"cursor":1,"events":[7]}`)) },
		"an odd principal": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"cursor":1,"events":[{"principal":7}]}`)) },
		"an odd time":      func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"cursor":1,"events":[{"before":-7}]}`)) },
		"a huge answer":    func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat(" ", 16<<20) + `{}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				f.breakWith(func(w http.ResponseWriter) bool { broken(w); return true })
				g := newGuard(t, f.config())
				if err := g.Ready(t.Context()); err == nil || strings.Contains(err.Error(), readersToken) {
					t.Errorf("ready: %v", err)
				}
				if state := g.Revocations(); state.Err == nil || !state.Fetched.IsZero() {
					t.Errorf("state %+v", state)
				}
				if got := reasonOf(t, g, f.token(t)); got != "" {
					t.Errorf("the first day: %q", got)
				}
			})
		})
	}
	for name, get := range map[string]func(context.Context) (string, error){
		"no token":  func(context.Context) (string, error) { return "", errors.New("no secret") },
		"odd token": func(context.Context) (string, error) { return "a\r\nb", nil },
		"empty":     func(context.Context) (string, error) { return "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				cfg := f.config()
				cfg.Revocations.Token = get
				g := newGuard(t, cfg)
				if err := g.Ready(t.Context()); err == nil || len(f.questions()) > 0 {
					t.Errorf("ready: %v; asked %q", err, f.questions())
				}
			})
		})
	}
}

// Without the setting, and against Entra, nobody is asked.
func TestRevocationsNotFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.revoke(map[string]any{"kind": "tenant"})
		cfg := f.config()
		cfg.Revocations = nil
		g := newGuard(t, cfg)
		if got := reasonOf(t, g, f.token(t)); got != "" || len(f.questions()) > 0 || g.Revocations() != (guard.RevocationState{}) {
			t.Errorf("%q; asked %q", got, f.questions())
		}
		entra := newAuthority("https://login.microsoftonline.com")
		entra.v1 = "https://sts.windows.net/" + tenant + "/"
		cfg = f.config()
		cfg.Authority, cfg.HTTPClient = entra.url+"/"+tenant, client(entra)
		g = newGuard(t, cfg)
		if got := reasonOf(t, g, entra.token(t)); got != "" || g.Revocations().Followed {
			t.Errorf("against Entra: %q, %+v", got, g.Revocations())
		}
		time.Sleep(time.Hour)
		if n := entra.fetches.Load(); n > 10 {
			t.Errorf("Entra was asked %d times", n)
		}
	})
}

func TestRevocationsMisconfigured(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*guard.Config){
		"no Token": func(c *guard.Config) { c.Revocations.Token = nil },
		"needs Authority": func(c *guard.Config) {
			c.Authority, c.Issuers = "", []guard.Issuer{{Issuer: "https://a.test/" + tenant + "/"}}
		},
		"names none": func(c *guard.Config) { c.Authority, c.Tenants = "https://a.test/organizations", []string{tenant} },
	} {
		cfg := newFeed().config()
		change(&cfg)
		if _, err := guard.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A key that was revoked is not waited for until its time: new keys are fetched at once.
func TestRevokedKeyIsFetchedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		g := newGuard(t, f.config())
		if got := reasonOf(t, g, f.token(t)); got != "" {
			t.Fatal(got)
		}
		before := f.fetches.Load()
		f.revoke(map[string]any{"kind": "key", "key": "trusted"})
		time.Sleep(time.Second)
		if f.fetches.Load() < before+2 {
			t.Error("no key was fetched")
		}
	})
}

// A client that says that it understands claims challenges is told what its next token has to be
// like, so that it does not go on with the one that it keeps.
func TestRevocationChallenge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event map[string]any
		token claims
		want  string // decoded claims of the challenge
	}{
		"capable":             {map[string]any{"kind": "principal", "principal": principalID}, claims{"xms_cc": []string{"CP1"}}, `{"access_token":{"nbf":{"essential":true,"value":"` + strconv.FormatInt(now.Unix()+2, 10) + `"}}}`},
		"not capable":         {map[string]any{"kind": "principal", "principal": principalID}, nil, ""},
		"capable of another":  {map[string]any{"kind": "principal", "principal": principalID}, claims{"xms_cc": []string{"cp2"}}, ""},
		"a claim that is odd": {map[string]any{"kind": "principal", "principal": principalID}, claims{"xms_cc": "cp1"}, ""},
		"a key":               {map[string]any{"kind": "key", "key": "trusted"}, claims{"xms_cc": []string{"cp1"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed()
				f.revoke(tt.event)
				g := newGuard(t, f.config())
				for range 2 { // from memory, too
					d := g.Check(t.Context(), f.token(t, tt.token), ordersRule)
					answer := d.Answer()
					challenge := answer.Header["Www-Authenticate"][0]
					_, after, told := strings.Cut(challenge, `claims="`)
					encoded, _, _ := strings.Cut(after, `"`)
					decoded, err := base64.StdEncoding.DecodeString(encoded)
					if err != nil || d.Reason != guard.TokenRevoked || answer.Status != 401 || told != (tt.want != "") || string(decoded) != tt.want {
						t.Errorf("%s %d: %s", d.Reason, answer.Status, challenge)
					}
					code := map[bool]string{true: "insufficient_claims", false: "invalid_token"}[tt.want != ""]
					if !strings.Contains(challenge, `error="`+code+`"`) || !strings.Contains(string(answer.Body), `"error":"`+code+`"`) {
						t.Errorf("%s\n%s", challenge, answer.Body)
					}
				}
			})
		})
	}
}

// Following costs a request that is let in no memory.
func TestFollowingAllocatesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.revoke(map[string]any{"kind": "principal", "principal": "someone"})
		g := newGuard(t, f.config())
		raw := f.token(t, claims{"roles": []string{"Orders.Read", "Orders.Write"}})
		ctx := t.Context()
		if got := reasonOf(t, g, raw); got != "" {
			t.Fatal(got)
		}
		if n := testing.AllocsPerRun(100, func() { g.Check(ctx, raw, ordersRule) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
