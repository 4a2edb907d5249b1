package authority

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// Everything that is almost the secret is refused.
func TestSecretForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Throttle.Failures = 1000 })
	s := w.secret
	for _, tt := range []struct {
		name, raw string // as form-encoded
		code      int
	}{
		{"empty", "", 7000218},
		{"one character", s[:1], 7000215},
		{"all but the last", s[:len(s)-1], 7000215},
		{"all but the first", s[1:], 7000215},
		{"twice", s + s, 7000215},
		{"a blank behind", s + "+", 7000215},
		{"a blank before", "%20" + s, 7000215},
		{"a line break behind", s + "%0A", 7000215},
		{"a byte order mark before", "%EF%BB%BF" + s, 7000215},
		{"another case", swapCase(s), 7000215},
		{"encoded twice", strings.ReplaceAll(everyByte(s), "%", "%25"), 7000215},
		{"a NUL behind", s + "%00", 9002313},
		{"a NUL within", s[:4] + "%00" + s[4:], 9002313},
		{"a quote", s + "'", 7000215},
		{"as long as may be", strings.Repeat("x", 4096), 7000215},
		{"longer", strings.Repeat("x", 4097), 7000215},
		{"much longer", strings.Repeat("x", 60_000), 7000215},
		{"a megabyte", strings.Repeat("x", 1<<20), 9002313},
		{"encoded once", everyByte(s), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, testBase+pathV2, strings.NewReader(w.good().without("client_secret").encode()+"&client_secret="+tt.raw))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			got := w.send(r)
			if got.code() != tt.code || (got.Code == http.StatusOK) != (tt.code == 0) {
				t.Errorf("got %d, %d; want %d", got.Code, got.code(), tt.code)
			}
		})
	}
	client, err := w.dir.Instance(t.Context(), testTenant, testClient)
	w.must(err)
	kept := client.Application.Secrets[0] // what is stored of a secret is not the secret
	for _, text := range []string{kept.Hint, kept.ID, hex.EncodeToString(kept.Digest), string(kept.Digest[:4])} {
		if r := w.post(pathV2, w.good().set("client_secret", text)); r.Code == http.StatusOK {
			t.Errorf("%q passes for the secret", text)
		}
	}
}

// What the directory takes as a secret, the authority takes too.
func TestLongSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("x", 4096)
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, err = e.Credentials().ImportSecret(testTenant, app.ID, "long", directory.Choose(long), time.Time{})
		return err
	})
	w.post(pathV2, w.good().set("client_secret", long)).token()
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + strconv.FormatInt(int64(s[i])+0x100, 16)[1:])
	}
	return b.String()
}

func TestSecretExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, w.secret, err = e.Credentials().AddSecret(testTenant, app.ID, "short", w.clock.Now().Add(time.Hour))
		return err
	})
	w.post(pathV2, w.good()).token()
	w.clock.Advance(time.Hour)
	w.post(pathV2, w.good()).refused(401, "invalid_client", 7000222)
}

// Every spelling of one application shares one counter.
func TestThrottleSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := w.good().set("client_secret", "wrong")
	upper := strings.ToUpper(testClient)
	header := wrong.without("client_id", "client_secret")
	attempts := []func() *reply{
		func() *reply { return w.post(pathV2, wrong) },
		func() *reply { return w.post(pathV1, wrong) },
		func() *reply { return w.post(pathV2, wrong.set("client_id", upper)) },
		func() *reply { return w.post("/contoso.test/oauth2/v2.0/token", wrong) },
		func() *reply { return w.post("/CONTOSO.test/OAUTH2/token", wrong) },
		func() *reply { return w.post("/contoso/oauth2/v2.0/token/", wrong) },
		func() *reply { return w.post(pathV2, header, withHeader("Authorization", basic(testClient+":wrong"))) },
		func() *reply { return w.post(pathV1, header, withHeader("Authorization", basic(upper+":wrong"))) },
		func() *reply { return w.post(pathV2+"?x=1", wrong.set("client_secret", "other")) },
		func() *reply { return w.post(pathV2, wrong, from("192.0.2.1:9")) },
	}
	tried := 0
	for i := range 40 {
		r := attempts[i%len(attempts)]()
		switch r.code() {
		case 7000215:
			tried++
		case 90055:
			r.refused(429, "temporarily_unavailable", 90055)
			if seconds, err := strconv.Atoi(r.Header().Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After is %q, want whole seconds", r.Header().Get("Retry-After"))
			}
		default:
			t.Fatalf("attempt %d: %v", i, r.json["error_description"])
		}
	}
	if tried != 10 {
		t.Errorf("%d attempts were tried, want 10", tried)
	}

	for _, id := range []string{"{" + testClient + "}", "urn:uuid:" + testClient, " " + testClient, testClient + " ", strings.ReplaceAll(testClient, "-", ""), "api://orders-client"} {
		if r := w.post(pathV2, w.good().set("client_id", id)); r.code() != 700016 {
			t.Errorf("%q is looked at: %v", id, r.json["error_description"])
		}
	}
	w.post(pathV2, w.good()).token() // nobody guesses a generated one: it passes
	w.post(pathV2, wrong).refused(429, "temporarily_unavailable", 90055)
	w.post(pathV2, w.good(), from("198.51.100.7:1")).token() // from elsewhere it always works
	w.clock.Advance(6 * time.Second)
	w.post(pathV2, w.good()).token()
}

func TestThrottleAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := w.good().set("client_secret", "wrong")
	codes := make([]int, 50)
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() { codes[i] = w.post(pathV2, wrong).code() })
	}
	wg.Wait()
	for range 20 {
		if r := w.post(pathV2, wrong); r.code() != 90055 {
			t.Fatalf("after 50 at once: %v", r.json["error_description"])
		}
	}
	for _, code := range codes {
		if code != 7000215 && code != 90055 {
			t.Errorf("one was answered %d", code)
		}
	}
}

// Many applications tried from few sources use up the budget of all; sources that have
// not failed do not notice.
func TestThrottleStuffing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Throttle.Total = 20 })
	wrong := w.good().set("client_secret", "wrong")
	for i := range 20 {
		w.post(pathV2, wrong, from("192.0.2."+strconv.Itoa(i)+":1")).refused(401, "invalid_client", 7000215)
	}
	w.post(pathV2, wrong, from("192.0.2.3:1")).refused(429, "temporarily_unavailable", 90055)
	w.post(pathV2, w.good(), from("198.51.100.7:1")).token()
}

func TestSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ address, want string }{
		{"192.0.2.1:1234", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"[2001:db8:1:2:3:4:5:6]:1234", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::9]:1", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1", "fe80::/64"},
		{"[::1]:1", "::/64"},
		{"@", "@"},
		{"", ""},
	} {
		if got := exchange.RemoteAddress(&http.Request{RemoteAddr: tt.address}); got != tt.want {
			t.Errorf("%s counts as %q, want %q", tt.address, got, tt.want)
		}
	}
}

// Guesses of a password that are sent all at once learn no more than those that come one
// by one.
func TestPasswordGuessesAtOnce(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const guesses, allowed = 60, 10
	form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": "wrong password", "scope": "openid"}
	var told atomic.Int32
	var all sync.WaitGroup
	for range guesses {
		all.Go(func() {
			if w.post(pathV2, form).code() == 50126 {
				told.Add(1)
			}
		})
	}
	all.Wait()
	if told.Load() > allowed {
		t.Errorf("%d of %d guesses were answered, want at most %d", told.Load(), guesses, allowed)
	}
	r := w.post(pathV2, form.set("password", testPassword))
	if r.Code != http.StatusTooManyRequests {
		t.Errorf("the right password at last: got %d, want 429", r.Code)
	}
	w.clock.Advance(time.Hour)
	w.post(pathV2, form.set("password", testPassword)).token()
}

// importSecret gives the client a secret that was chosen elsewhere, which is slow to check.
func (w *world) importSecret(value string) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, err = e.Credentials().ImportSecret(testTenant, app.ID, "chosen", directory.Choose(value), time.Time{})
		return err
	})
}

// Guesses of a chosen secret that are sent all at once learn no more than those that come
// one by one, whichever way they are sent.
func TestSecretGuessesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.importSecret("correct horse battery")
	const guesses, allowed = 60, 10
	wrong := w.good().set("client_secret", "wrong horse battery")
	header := wrong.without("client_id", "client_secret")
	attempts := []func() *reply{
		func() *reply { return w.post(pathV2, wrong) },
		func() *reply { return w.post(pathV1, wrong.set("client_id", strings.ToUpper(testClient))) },
		func() *reply { return w.post("/contoso.test/oauth2/v2.0/token", wrong) },
		func() *reply {
			return w.post(pathV2, header, withHeader("Authorization", basic(testClient+":wrong horse battery")))
		},
		func() *reply { return w.post(deviceV2Path, wrong.without("grant_type")) },
	}
	var told atomic.Int32
	var all sync.WaitGroup
	for i := range guesses {
		all.Go(func() {
			if attempts[i%len(attempts)]().code() == 7000215 {
				told.Add(1)
			}
		})
	}
	all.Wait()
	if told.Load() != allowed {
		t.Errorf("%d of %d guesses were answered, want %d", told.Load(), guesses, allowed)
	}
	right := w.good().set("client_secret", "correct horse battery")
	if r := w.post(pathV2, right); r.Code != http.StatusTooManyRequests {
		t.Errorf("the right secret at last: got %d, want 429", r.Code)
	}
	w.post(pathV2, right, from("198.51.100.7:1")).token()
	w.clock.Advance(time.Hour)
	w.post(pathV2, right).token()
}

// While somebody guesses, who has a generated secret, or a chosen one that was right
// before, waits for nobody; nor does anybody from elsewhere or at another application.
func TestSecretsThatAreQuickTakeNoTurn(t *testing.T) {
	t.Parallel()
	state, err := coordination.InMemory(coordination.ThrottleConfig{}, fixture.NewClock(testids.Start()).Now)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.State = &state })
	w.importSecret("correct horse battery")
	chosen := w.good().set("client_secret", "correct horse battery")
	w.post(pathV2, chosen).token()
	giveBack := state.Turns.Take(t.Context(), "application "+testClient+" 192.0.2.1")
	quick := make(chan []*reply, 1)
	go func() {
		quick <- []*reply{
			w.post(pathV2, w.good()), w.post(pathV2, chosen),
			w.post(pathV2, w.good().set("client_secret", "wrong"), from("198.51.100.7:1")),
			w.post(pathV2, w.good().set("client_id", testAPI, "client_secret", "wrong")),
		}
	}()
	select {
	case answers := <-quick:
		for i, want := range []int{0, 0, 7000215, 7000215} {
			if answers[i].code() != want {
				t.Errorf("answer %d: got %d, want %d", i, answers[i].code(), want)
			}
		}
	case <-time.After(time.Minute):
		t.Fatal("they wait for a turn that is not theirs")
	}
	waits := make(chan *reply)
	go func() { waits <- w.post(pathV2, w.good().set("client_secret", "wrong")) }()
	for range 10 { // what the one before it comes to
		state.Failures.Failed(t.Context(), testClient, "192.0.2.1")
	}
	giveBack()
	(<-waits).refused(429, "temporarily_unavailable", 90055)
}

// One user has one budget of failures, by whatever name and on whatever way the guesses come.
func TestPasswordGuessesByEveryName(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	var told, tried int
	password := func(path, name string) func() int {
		return func() int {
			return w.post(path, values{"grant_type": "password", "client_id": publicApp, "username": name, "password": "wrong", "scope": "openid"}).code()
		}
	}
	page := func(path, name string) func() int {
		return func() int {
			b := w.browser()
			b.open(path, w.toolAsks())
			r := b.submit("/signin", values{"form": b.last.form(), "username": name, "password": "wrong", "action": "signin"})
			switch {
			case r.Code == http.StatusTooManyRequests:
				return aadsts.CodeThrottled
			case strings.Contains(r.Body.String(), "not right"):
				return 50126
			}
			return 0
		}
	}
	id := string(w.user.ID)
	ways := map[string]func() int{
		"name":                        password(pathV2, testUser),
		"name in capitals":            password(pathV2, strings.ToUpper(testUser)),
		"name in mixed case":          password(pathV2, "DeV@Contoso.TEST"),
		"object id":                   password(pathV2, id),
		"object id in capitals":       password(pathV2, strings.ToUpper(id)),
		"at the tenant's domain":      password("/contoso.test/oauth2/v2.0/token", testUser),
		"at the tenant's name":        password("/CONTOSO/oauth2/v2.0/token", id),
		"at an alias":                 password("/organizations/oauth2/v2.0/token", testUser),
		"on the page":                 page(authorizeV2Path, testUser),
		"on the page by id":           page(authorizeV2Path, id),
		"on the page, capitals":       page(authorizeV2Path, strings.ToUpper(testUser)),
		"on the page of an alias":     page("/common/oauth2/v2.0/authorize", testUser),
		"on the page of the v1 kind":  page(authorizeV1Path, strings.ToUpper(id)),
		"on a page after another one": page("/contoso.test/oauth2/v2.0/authorize", "DEV@contoso.test"),
	}
	for range 3 {
		for name, try := range ways {
			tried++
			switch code := try(); code {
			case 50126:
				told++
			case aadsts.CodeThrottled:
			default:
				t.Errorf("%s: got %d", name, code)
			}
		}
	}
	if told != 10 {
		t.Errorf("%d of %d guesses were answered, want 10", told, tried)
	}
	for _, name := range []string{testUser, id} {
		right := values{"grant_type": "password", "client_id": publicApp, "username": name, "password": testPassword, "scope": "openid"}
		if r := w.post(pathV2, right); r.Code != http.StatusTooManyRequests {
			t.Errorf("the right password of %s at last: got %d, want 429", name, r.Code)
		}
		w.post(pathV2, right, from("198.51.100.7:1")).token() // from elsewhere it always works
	}
	w.post(pathV2, values{"grant_type": "password", "client_id": publicApp, "username": testAdmin, "password": testPassword, "scope": "openid"}).token()
}

// Whom nobody knows has a budget as well, so that nobody learns by it who exists.
func TestPasswordGuessesOfNobody(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	form := values{"grant_type": "password", "client_id": publicApp, "password": "wrong", "scope": "openid"}
	for i := range 15 {
		name := []string{"nobody@contoso.test", "NOBODY@contoso.test", "Nobody@CONTOSO.test"}[i%3]
		want := 50034
		if i >= 10 {
			want = aadsts.CodeThrottled
		}
		if code := w.post(pathV2, form.set("username", name)).code(); code != want {
			t.Errorf("guess %d: got %d, want %d", i, code, want)
		}
	}
}
