package authority

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// An attack guesses at one account from any number of sources, one guess each, in rounds that
// are a second apart.
type attack struct {
	*world
	guess   func(source string) int // gives the code of the answer
	told    int                     // the code that tells that a guess was wrong
	sources func(n int) string
	owner   func() // goes on meanwhile where they succeeded lately
}

func sources4(n int) string { return fmt.Sprintf("10.%d.%d.%d:1", n>>16&255, n>>8&255, n&255) }

// sources6 are networks of 64 bits, all of one of 48.
func sources6(n int) string { return fmt.Sprintf("[2001:db8:1:%x::1]:1", n&0xffff) }

// anySources are addresses by chance, of every kind.
func anySources(random *rand.Rand) func(int) string {
	return func(n int) string {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8} // what follows is by chance, so no two are one network
		for i := 4; i < len(a); i++ {
			a[i] = byte(random.IntN(256))
		}
		switch n % 3 {
		case 0:
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11 + a[4]%100, a[5], a[6], a[7]}), uint16(1+n%65535)).String()
		case 1:
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 11 + a[4]%100, 13: a[5], 14: a[6], 15: a[7]}), 1).String()
		}
		return netip.AddrPortFrom(netip.AddrFrom16(a), uint16(1+n%65535)).String()
	}
}

// minutes gives how many guesses were evaluated in each minute. After each the owner signs in.
func (a attack) minutes(minutes, perSecond int) []int {
	var evaluated []int
	n := 0
	for range minutes {
		count := 0
		for range 60 {
			var told atomic.Int32
			var all sync.WaitGroup
			for range perSecond {
				n++
				source := a.sources(n)
				all.Go(func() {
					switch code := a.guess(source); code {
					case a.told:
						told.Add(1)
					case 90055:
					default:
						a.t.Errorf("got %d", code)
					}
				})
			}
			all.Wait()
			count += int(told.Load())
			a.clock.Advance(time.Second)
		}
		a.owner()
		evaluated = append(evaluated, count)
	}
	a.t.Logf("of %d guesses, %v were evaluated in each minute", n, evaluated)
	return evaluated
}

// long is for how many minutes an attack goes on at so many guesses in a second: a few, or as
// long as ROLECALL_ATTACKS guesses take.
func long(t *testing.T, few, perSecond int) int {
	t.Helper()
	perMinute := 60 * perSecond
	return max(few, (fixture.Rounds(t, fixture.Attacks, few*perMinute)+perMinute-1)/perMinute)
}

// passwordDoors are ways to guess at the password of one user, by every name of theirs.
func (w *userWorld) passwordDoors(form values) []func(source string) int {
	token := func(path, name string) func(string) int {
		return func(source string) int { return w.post(path, form.set("username", name), from(source)).code() }
	}
	page := func(path, name string) func(string) int {
		return func(source string) int {
			b := w.browser()
			asks := httptest.NewRequest(http.MethodGet, testBase+path+"?"+w.toolAsks().encode(), nil)
			fills := httptest.NewRequest(http.MethodPost, testBase+"/signin", strings.NewReader(values{
				"form": b.do(asks).form(), "username": name, "password": form["password"], "action": "signin",
			}.encode()))
			fills.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			fills.Header.Set("Origin", testBase)
			fills.RemoteAddr = source
			switch r := b.do(fills); {
			case r.Code == http.StatusTooManyRequests:
				return aadsts.CodeThrottled
			case strings.Contains(r.Body.String(), "not right"):
				return 50126
			default:
				return r.Code
			}
		}
	}
	id := string(w.user.ID)
	return []func(string) int{
		token(pathV2, testUser), token("/CONTOSO/oauth2/v2.0/token", strings.ToUpper(testUser)), token("/organizations/oauth2/v2.0/token", testUser), token(pathV2, id),
		page(authorizeV2Path, strings.ToUpper(id)), page("/common/oauth2/v2.0/authorize", testUser),
	}
}

// secretDoors are ways to guess at the secret of one application.
func (w *world) secretDoors(wrong values) []func(source string) int {
	header := wrong.without("client_id", "client_secret")
	post := func(path string, form values, options ...func(*http.Request)) func(string) int {
		return func(source string) int {
			return w.post(path, form, append(options[:len(options):len(options)], from(source))...).code()
		}
	}
	return []func(string) int{
		post(pathV2, wrong), post(pathV1, wrong.set("client_id", strings.ToUpper(testClient))), post("/contoso.test/oauth2/v2.0/token", wrong),
		post(pathV2, header, withHeader("Authorization", basic(testClient+":"+wrong["client_secret"]))), post(deviceV2Path, wrong.without("grant_type")),
	}
}

// anyDoor guesses through one of the doors, by chance.
func anyDoor(doors []func(source string) int) func(string) int {
	return func(source string) int { return doors[rand.IntN(len(doors))](source) }
}

// Guessing at a user's password from any number of sources, through every door, gets twenty answers, then at most
// ten in a minute, then one; the user goes on where they signed in lately.
func TestPasswordGuessedFromManySources(t *testing.T) {
	t.Parallel()
	for name, sources := range map[string]func(int) string{
		"version 4": sources4, "version 6": sources6, "any": anySources(rand.New(rand.NewPCG(rand.Uint64(), 3))),
	} {
		t.Run(name, func(t *testing.T) {
			w := newUserWorld(t, func(c *Config) { c.Throttle.Total = 1 << 20 })
			form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": "wrong password", "scope": "openid"}
			w.post(pathV2, form.set("password", testPassword), from("203.0.113.5:1")).token()
			a := attack{
				w.world, anyDoor(w.passwordDoors(form)), 50126, sources,
				func() { w.post(pathV2, form.set("password", testPassword), from("203.0.113.5:1")).token() },
			}
			evaluated := a.minutes(long(t, 6, 5), 5)
			for minute, count := range evaluated {
				most := 10
				if minute == 0 {
					most += 20
				}
				if count > most {
					t.Errorf("minute %d: %d guesses were evaluated, want at most %d", minute, count, most)
				}
			}
			if first, last := evaluated[1], evaluated[len(evaluated)-1]; last >= first {
				t.Errorf("the delay does not grow: %v", evaluated)
			}
			w.post(pathV2, form.set("password", testPassword), from("203.0.113.5:1")).token()
			a.guess(sources(1<<15 + 1)) // takes the turn, if it has come
			if r := w.post(pathV2, form.set("password", testPassword), from(sources(1<<15))); r.Code != http.StatusTooManyRequests {
				t.Errorf("the right password from a fresh source passes between guesses: got %d", r.Code)
			}
			w.post(pathV2, form.set("username", testAdmin, "password", testPassword), from(sources(1<<15))).token()
			w.clock.Advance(2 * time.Minute)
			w.post(pathV2, form.set("password", testPassword), from(sources(1<<15))).token()
		})
	}
}

// The same for a secret that somebody chose for an application, at the pace of programs.
func TestChosenSecretGuessedFromManySources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Throttle.Total = 1 << 20 })
	w.importSecret("correct horse battery")
	right := w.good().set("client_secret", "correct horse battery")
	w.post(pathV2, right, from("203.0.113.5:1")).token() // a proof is kept, which must be no oracle
	wrong := w.good().set("client_secret", "wrong horse battery")
	evaluated := attack{
		w, anyDoor(w.secretDoors(wrong)), 7000215, anySources(rand.New(rand.NewPCG(rand.Uint64(), 4))),
		func() { w.post(pathV2, right, from("203.0.113.5:1")).token() },
	}.minutes(long(t, 3, 10), 10)
	for minute, count := range evaluated {
		most := 60
		if minute == 0 {
			most += 20
		}
		if count > most {
			t.Errorf("minute %d: %d guesses were evaluated, want at most %d", minute, count, most)
		}
	}
	if evaluated[len(evaluated)-1] >= evaluated[1] {
		t.Errorf("the delay does not grow: %v", evaluated)
	}
	w.post(pathV2, wrong, from("198.51.100.1:1")).refused(429, "temporarily_unavailable", 90055)
	if r := w.post(pathV2, right, from("198.51.100.2:1")); r.Code != http.StatusTooManyRequests {
		t.Errorf("the right one from a fresh source passes between guesses: got %d", r.Code)
	}
	w.post(pathV2, right, from("203.0.113.5:1")).token()
	w.post(pathV2, w.good(), from("198.51.100.2:1")).token() // a generated one passes from anywhere
}

// The addresses of this machine are one source.
func TestGuessingFromLoopback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.importSecret("correct horse battery")
	wrong, told := w.good().set("client_secret", "wrong horse battery"), 0
	for n := range 200 {
		if w.post(pathV2, wrong, from(fmt.Sprintf("127.0.%d.%d:1", n/20, n%20+1))).code() == 7000215 {
			told++
		}
	}
	if told != 10 || w.post(pathV2, wrong, from("[::1]:1")).code() != 90055 {
		t.Errorf("%d of 200 guesses were evaluated, want 10", told)
	}
}

// Behind one address somebody fails all the time; whoever shows what nobody can guess does not
// notice.
func TestRightCredentialBehindABusyAddress(t *testing.T) {
	t.Parallel()
	const identity = "0b1ec7ff-5a5a-4c4c-8d8d-0000000000aa"
	w, issuer := newWorld(t), testBase+"/"+otherOne+"/v2.0"
	w.registerElsewhere()
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err == nil {
			_, err = e.Credentials().AddFederated(testTenant, app.ID, directory.FederatedCredential{
				Name: "other", Issuer: issuer, Subject: identity, Audience: directory.ExchangeAudience,
			})
		}
		if err == nil {
			_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: otherOne, ID: identity, Name: "other-mi", Type: directory.PrincipalManagedIdentity,
			})
		}
		return err
	})
	now := w.clock.Now().Unix()
	raw := w.ownToken(otherOne, object{"iss": issuer, "sub": identity, "oid": identity, "aud": directory.ExchangeAudience, "iat": now, "exp": now + 3600})
	signed := w.good().without("client_secret").set("client_assertion_type", assertionTypeJWT, "client_assertion", raw)
	for range 30 {
		w.post(pathV2, w.good().set("client_secret", "wrong"))
	}
	w.post(pathV2, w.good().set("client_secret", "wrong")).refused(429, "temporarily_unavailable", 90055)
	w.post(pathV2, w.good()).token()
	w.post(pathV2, signed).token()
	w.post(pathV2, signed.set("client_assertion", raw[:len(raw)-8]+"AAAAAAAA")).refused(429, "temporarily_unavailable", 90055)
}

// While invented users keep every turn of the slow hash busy, one who signed in lately does not
// wait behind them, and nobody waits for long.
func TestInventedUsersFillTheQueue(t *testing.T) {
	t.Parallel()
	store := memory.New()
	w := newUserWorldOn(t, store, func(c *Config) { c.Throttle.Total = 1 << 20 })
	slow, err := directory.Open(t.Context(), directory.Config{
		Store: store, SecretKey: make([]byte, 32), Now: w.clock.Now,
		SlowHash: directory.HashCost{Passes: 1, MemoryKiB: 4 << 10}, // slow enough for a queue
	})
	w.must(err)
	w.cfg.Directory = slow
	w.Authority, err = New(w.cfg)
	w.must(err)
	w.handler = w.Handler()
	form := values{"grant_type": "password", "client_id": publicApp, "password": "wrong password", "scope": "openid"}
	right := form.set("username", testUser, "password", testPassword)
	w.post(pathV2, right, from("203.0.113.5:1")).token()
	var all sync.WaitGroup
	var busy atomic.Int32
	for n := range 400 {
		all.Go(func() {
			r := w.post(pathV2, form.set("username", fmt.Sprintf("nobody%d@contoso.test", n)), from(sources4(n%40)))
			if r.code() == 90055 && strings.Contains(fmt.Sprint(r.json["error_description"]), "being checked") && r.Header().Get("Retry-After") != "" {
				busy.Add(1)
			}
		})
	}
	w.post(pathV2, right, from("203.0.113.5:1")).token()
	all.Wait()
	if busy.Load() == 0 {
		t.Error("the queue has no bound")
	}
}
