package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// signedIn gives the rows that are kept once Run has ended, oldest first.
func (w *world) signedIn() []directory.SignIn {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	w.must(w.Run(ctx)) // it writes what is queued before it returns
	rows, err := w.dir.SignIns(w.t.Context(), directory.SignInFilter{Limit: 10_000})
	w.must(err)
	return rows
}

func TestSignIns(t *testing.T) {
	t.Parallel()
	const correlation = "5e2b9c10-7d1f-4c52-8e77-0d3a6f4b9e21"
	w := newWorld(t)
	good := w.post(pathV2, w.good(), withHeader("client-request-id", correlation), withHeader("x-client-SKU", "MSAL.Go"), withHeader("x-client-Ver", "1.10.1"))
	rows := w.signedIn()
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1", len(rows))
	}
	client, err := w.dir.Instance(t.Context(), testTenant, testClient)
	w.must(err)
	_, claims := w.judge(good.token(), "/"+testTenant+"/discovery/v2.0/keys")
	want := directory.SignIn{
		Time: w.clock.Now(), Tenant: testTenant, CorrelationID: correlation, TraceID: good.Header().Get("x-ms-request-id"),
		AppID: testClient, Name: "orders-client", Credential: "secret", CredentialID: client.Application.Secrets[0].ID,
		Resource: "api://orders", Roles: []string{"Orders.Read"}, Version: "2.0", TokenID: claims["uti"].(string),
		Source: "192.0.2.1", Library: "MSAL.Go 1.10.1",
	}
	if !reflect.DeepEqual(rows[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", rows[0], want)
	}
}

func TestSignInsOfFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		form       func(*world) values
		want       directory.SignIn
	}{
		{"a wrong secret", pathV2, func(w *world) values { return w.good().set("client_secret", "wrong") },
			directory.SignIn{AppID: testClient, Name: "orders-client", Code: 7000215}},
		{"an unknown client", pathV2, func(w *world) values { return w.good().set("client_id", strings.ToUpper(nobody)) },
			directory.SignIn{AppID: nobody, Code: 700016}},
		{"a client that is no id", pathV2, func(w *world) values { return w.good().set("client_id", "no\nbody") },
			directory.SignIn{Code: 700016}},
		{"an unknown resource", pathV2, func(w *world) values { return w.good().set("scope", "api://nosuch/.default") },
			directory.SignIn{AppID: testClient, Name: "orders-client", Credential: "secret", Resource: "api://nosuch", Code: 500011}},
		{"an empty body", pathV2, func(*world) values { return nil }, directory.SignIn{Code: 900144}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.post(tt.path, tt.form(w))
			rows := w.signedIn()
			if len(rows) != 1 {
				t.Fatalf("%d rows, want 1", len(rows))
			}
			got := rows[0]
			if got.AppID != tt.want.AppID || got.Name != tt.want.Name || got.Credential != tt.want.Credential ||
				got.Resource != tt.want.Resource || got.Code != tt.want.Code || got.Reason == "" || got.TokenID != "" || got.Tenant != testTenant {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	w := newWorld(t)
	w.post("/nosuch.test/oauth2/v2.0/token", w.good())
	w.get("/contoso.test/v2.0/.well-known/openid-configuration")
	rows := w.signedIn()
	if len(rows) != 1 || rows[0].Tenant != "" || rows[0].Code != 90002 || rows[0].AppID != testClient || rows[0].Presented == nil || rows[0].Presented.Tenant != "nosuch.test" {
		t.Errorf("got %+v, want a row of the unknown tenant alone", rows)
	}
}

// A refusal's row keeps the answer's own advice, whichever of the refusals with its number it
// is, and what was presented.
func TestSignInsKeepWhatLeadsToTheMistake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(pathV2, w.good().set("client_id", "orders-client"))
	w.post(pathV2, w.good().set("client_secret", w.good()["client_secret"]+"\r\n"))
	w.post(pathV2, w.good().set("client_secret", `"`+w.good()["client_secret"]+`"`))
	w.post(pathV2, w.good().set("client_secret", "a b%2Bc"))
	w.post("/contoso.test/nothing/here", w.good())
	rows := w.signedIn()
	slices.Reverse(rows)
	if len(rows) != 5 {
		t.Fatalf("%d rows, want 5", len(rows))
	}
	if rows[0].Presented.ClientID != "orders-client" || !strings.Contains(rows[0].Fix, "nothing but that") {
		t.Errorf("a name in place of the id: %+v", rows[0])
	}
	for i, want := range []directory.PresentedSecret{{Slip: directory.SlipLineBreak}, {Slip: directory.SlipQuotes}, {Blank: true, Percent: true}} {
		got := *rows[i+1].Presented.Secret
		want.Length, want.Like = got.Length, got.Like
		if got != want || got.Length < 7 || rows[i+1].Fix == "" {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if !strings.Contains(rows[1].Fix, "line break") || strings.Contains(rows[2].Fix, "line break") {
		t.Errorf("the advice is %q and %q", rows[1].Fix, rows[2].Fix)
	}
	if rows[4].Refusal != "not_found" || !rows[4].Refused() {
		t.Errorf("of no endpoint: %+v", rows[4])
	}
}

// Nobody who makes up tenants pushes the rows of others out of the store.
func TestSignInsOfAFloodOfTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 150 {
		w.post(fmt.Sprintf("/no%d.test/oauth2/v2.0/token", i), w.good(), from("192.0.2.1:1"))
	}
	if rows := w.signedIn(); len(rows) != 100 {
		t.Errorf("%d rows of a flood, want 100", len(rows))
	}
}

func TestSignInsOfAFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 100 {
		w.post(pathV2, w.good().set("client_secret", "wrong"))
	}
	if rows := w.signedIn(); len(rows) != 10 {
		t.Errorf("%d rows, want those of the attempts that were tried", len(rows))
	}
}

// Who proves nothing cannot push the rows of others out of the store.
func TestSignInsOfAFloodWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	flood := func(n int) {
		for i := range n {
			w.post(pathV2, w.good().set("client_id", fmt.Sprintf("c11e00ff-5a5a-4c4c-8d8d-%012d", i)), from("192.0.2.1:1"))
			w.post(pathV2, w.good().without("client_secret"), from("192.0.2.1:1"))
			w.post(pathV2, values{}, from("192.0.2.1:1"))
		}
	}
	flood(50)
	if rows := w.signedIn(); len(rows) != 100 {
		t.Errorf("%d rows of a flood, want 100", len(rows))
	}
	w.post(pathV2, values{}, from("192.0.2.2:1"))
	w.post(pathV2, w.good().set("client_secret", "wrong"), from("192.0.2.1:1"))
	w.post(pathV2, w.good().set("scope", "api://nosuch/.default"), from("192.0.2.1:1"))
	w.post(pathV2, w.good(), from("192.0.2.1:1")).token()
	if rows := w.signedIn(); len(rows) != 104 {
		t.Errorf("%d rows of others and of attempts, want 4", len(rows)-100)
	}
	w.clock.Advance(6 * time.Second)
	flood(10)
	if rows := w.signedIn(); len(rows) != 114 {
		t.Errorf("%d rows after a pause, want 10", len(rows)-104)
	}
}

// The sizes of the queue of sign-ins.
const (
	signInQueueLength = 4096
	signInBatch       = 256
	signInFlush       = 5 * time.Second
)

// addSignIns queues rows as if so many requests had been answered.
func (w *world) addSignIns(n int) {
	for range n {
		w.recorder.Finish(w.t.Context(), &exchange.Exchange{Start: w.clock.Now(), SignIn: directory.SignIn{Tenant: testTenant}}, http.StatusOK, nil)
	}
}

// A store that is too slow costs rows, never tokens.
func TestSignInsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addSignIns(signInQueueLength + 100)
	w.post(pathV2, w.good()).token()
	if rows := w.signedIn(); len(rows) != signInQueueLength {
		t.Errorf("%d rows are kept, want %d", len(rows), signInQueueLength)
	}
	if text := w.logged.String(); !strings.Contains(text, `"rows":101`) {
		t.Error("the log does not say how many rows were lost")
	}
	if lost := w.LostSignIns(); lost != 101 {
		t.Errorf("%d rows are counted as lost, want 101", lost)
	}
}

func TestRunWritesAsItGoes(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New(), kept: make(chan int, 10)}
	w := newWorldOn(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	w.post(pathV2, w.good()).token()
	if n := <-store.kept; n != 1 {
		t.Errorf("%d rows were written, want 1", n)
	}
	store.broken.Store(true)
	w.post(pathV2, w.good()).token()
	<-store.kept
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if text := w.logged.String(); !strings.Contains(text, "sign-ins not kept") {
		t.Error("the log does not say that rows were lost")
	}
	if lost := w.LostSignIns(); lost != 1 {
		t.Errorf("%d rows are counted as lost, want 1", lost)
	}
}

// A store that hangs holds up the end of Run for a while, and not for ever.
func TestRunEndsThoughTheStoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: memory.New(), kept: make(chan int, 2*signInQueueLength)}
		w := newWorldOn(t, store)
		store.hangs.Store(true)
		w.addSignIns(3 * signInBatch)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan time.Time)
		go func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
			ended <- time.Now()
		}()
		synctest.Wait()
		asked := time.Now()
		cancel()
		if took := (<-ended).Sub(asked); took > signInFlush {
			t.Errorf("it took %v to end, want at most %v", took, signInFlush)
		}
	})
}

// Neither the log nor the sign-ins hold a secret, an assertion or a token, nor what would
// forge a line.
func TestNothingSecretIsNoted(t *testing.T) {
	t.Parallel()
	const canary = "canary~Zk8dQ2.secret-value"
	w := newWorld(t, func(c *Config) { c.Throttle.Failures = 1000 })
	hostile := "a\r\nb\x1b[31m\u2028\u202e" + strings.Repeat("x", 1<<12)
	var tokens []string
	for _, r := range []*reply{
		w.post(pathV2, w.good()),
		w.post(pathV1, w.goodV1()),
		w.post(pathV2, w.good().set("client_secret", canary)),
		w.post(pathV2, w.good().without("client_id", "client_secret"), withHeader("Authorization", basic(testClient+":"+canary))),
		w.post(pathV2, w.good().without("client_secret").set("client_assertion", "e30."+canary+".x", "client_assertion_type", assertionTypeJWT)),
		w.post(pathV2, w.good().set("client_secret", canary, "client_assertion", canary)),
		w.post(pathV2, w.good().set("client_secret", canary, "scope", "openid")),
		w.post(pathV2+"?client_secret="+canary, w.good()),
		w.post(pathV2, w.good().set("scope", hostile)),
		w.post(pathV2, w.good().set("client_id", hostile, "grant_type", hostile)),
		w.post(pathV2, w.good().set("client_id", hostile)),
		w.post(pathV2, w.good().set("client_id", canary, "client_secret", testClient)), // in each other's field
		w.post(pathV1, w.goodV1().set("client_id", canary)),
		w.post(pathV2, w.good().without("client_id", "client_secret"), withHeader("Authorization", basic(canary+":"+testClient))),
		w.post(deviceV2Path, values{"client_id": canary, "scope": "openid"}),
		w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": canary, "scope": "openid"}),
		w.get(authorizeV2Path + "?client_id=" + canary + "&response_type=code&redirect_uri=http://localhost"),
		w.get("/common/oauth2/v2.0/authorize?client_id=" + canary + "&response_type=code&redirect_uri=http://localhost"),
		w.post(pathV2, w.good(), withHeader("x-client-SKU", hostile), withHeader("User-Agent", hostile)),
		w.get("/%0d%0a%1b%e2%80%a8/x"),
	} {
		if raw, ok := r.json["access_token"].(string); ok {
			tokens = append(tokens, raw, raw[strings.LastIndexByte(raw, '.')+1:])
		}
		if strings.Contains(r.Body.String(), canary) {
			t.Errorf("an answer repeats a secret: %s", r.Body)
		}
	}
	rows, err := json.Marshal(w.signedIn())
	w.must(err)
	noted := w.logged.String() + string(rows)
	for _, secret := range append(tokens, canary, canary[:12], w.secret, w.secret[:12], basic(":" + canary)[6:18]) {
		if strings.Contains(noted, secret) {
			t.Errorf("noted: %.20s…", secret)
		}
	}
	if strings.ContainsAny(noted, "\r\x1b\u2028\u202e\x00") || strings.Contains(noted, `\u001b`) || strings.Contains(noted, `\u2028`) {
		t.Error("a value from outside was noted as it came")
	}
	for line := range strings.Lines(w.logged.String()) {
		if !json.Valid([]byte(line)) || len(line) > 4096 {
			t.Errorf("a log line of %d bytes: %.200s", len(line), line)
		}
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New()}
	w := newWorldOn(t, store)
	w.post(pathV2, w.good()).token()
	store.down.Store(true)
	w.post(pathV2, w.good()).token() // from memory
	r := w.post(pathV2, w.good().set("scope", "api://closed/.default"))
	r.refused(http.StatusServiceUnavailable, "temporarily_unavailable", 90033)
	if r.Header().Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
	if strings.Contains(r.Body.String(), errDown.Error()) || !strings.Contains(w.logged.String(), errDown.Error()) {
		t.Error("the cause belongs into the log and not into the answer")
	}
	// That nobody can look is not that there is no such user.
	w.get("/common/userrealm/dev@fabrikam.test").refused(http.StatusServiceUnavailable, "temporarily_unavailable", 90033)
}

// While the store does not answer, tokens become shorter, then none are issued.
func TestStoreDownForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: memory.New()}
		w := newWorldOn(t, store, func(c *Config) { c.Lifetime = time.Hour })
		w.post(pathV2, w.good()).token()
		store.down.Store(true)
		time.Sleep(30 * time.Minute)
		if r := w.post(pathV2, w.good()); r.token() != "" && r.json["expires_in"] != 2400.0 {
			t.Errorf("after half an hour a token lives for %v s, want 2400", r.json["expires_in"])
		}
		time.Sleep(31 * time.Minute)
		r := w.post(pathV2, w.good())
		r.refused(503, "temporarily_unavailable", 90033)
		if got := r.Header().Get("Retry-After"); got != "5" {
			t.Errorf("Retry-After is %q", got)
		}
		if r := w.get("/" + testTenant + "/discovery/keys"); r.Code != http.StatusOK {
			t.Errorf("keys: got %d, want an answer whatever happens", r.Code)
		}
		store.down.Store(false)
		if r := w.post(pathV2, w.good()); r.token() != "" && r.json["expires_in"] != 3600.0 {
			t.Errorf("a token lives for %v s, want 3600", r.json["expires_in"])
		}
	})
}

var errDown = errors.New("the disk is gone")

// Flush is what a command that reads sign-ins waits for: the moment in which rows are
// gathered ends at once, and every row so far is kept.
func TestFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		began := time.Now()
		for i := range 3 {
			w.addSignIns(2 * signInBatch)
			w.must(w.Flush(t.Context()))
			rows, err := w.dir.SignIns(t.Context(), directory.SignInFilter{Limit: 10_000})
			w.must(err)
			if want := (i + 1) * 2 * signInBatch; len(rows) != want {
				t.Errorf("%d rows are kept after flushing, want %d", len(rows), want)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("flushing took %v, want no wait", waited)
		}
		cancel()
		w.must(<-ended)
		hurried, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := w.Flush(hurried); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flushing without Run gave %v, want the caller's deadline", err)
		}
	})
}
