package managedidentity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// withoutCrossOrigin checks that no header allows a web page to read the answer.
func (r reply) withoutCrossOrigin(t testing.TB) {
	t.Helper()
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Cross-Origin-Resource-Policy" {
			t.Errorf("the answer %d has the header %s", r.status, name)
		}
	}
}

// Every header by which a proxy identifies itself, at each platform's own listener and at the
// common one.
func TestEveryNameOfAProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	names := []string{
		"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded", "X_Forwarded_For",
		"X-Envoy-Forwarded-Client", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP",
		"X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Original-Forwarded-For",
	}
	for platform, h := range everyPlatform(t, w) {
		for _, name := range names {
			for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
				w.ask(h, good(h).set(spelled, "10.0.0.1")).refusedWith(t, http.StatusBadRequest)
			}
		}
		if platform != directory.PlatformAppService {
			continue
		}
		for _, name := range names {
			q := good(h).set(name, "10.0.0.1")
			answerOf(t, w.Handler(), q.method, q.target, q.body, q.header).refusedWith(t, http.StatusBadRequest)
		}
	}
}

// An application that can be tricked into sending a request to a proxy finds none here. The only
// possible target is the metadata service, and only on its platform.
func TestAbsoluteTargetsOnEveryPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		for _, root := range []string{"http://127.0.0.1:1234", "http://localhost", "http://169.254.169.254", "http://evil.test", "https://169.254.169.254"} {
			if platform == directory.PlatformIMDS && root == "http://169.254.169.254" {
				continue
			}
			q := good(h)
			w.call(h, q.method, root+q.target, q.body, q.header).refusedWith(t, http.StatusBadRequest)
		}
	}
}

// The owner of a name decides what it resolves to, but not how a browser writes an address. Only
// the exact names of this machine are accepted.
func TestHostNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range directory.Platforms() {
		h := w.hostAs(EndpointConfig{Platform: platform, Names: []string{"identity.corp.test"}})
		for _, host := range []string{
			"rebind.test", "localhost.", "localhost.:1234", "localhost.localdomain", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
			"017700000001", "127.0.0.1.nip.test", "0.0.0.0", "0.0.0.0:1234", "0", "[::]", "[::]:1234", "[::1%25lo]", "[fe80::1]", "[::ffff:10.0.0.1]", "10.0.0.1", "169.254.169.253",
			"corp.test", "x.identity.corp.test", "identity.corp.test.", "identity.corp.test.evil.test", "user@localhost", "",
			"[127.0.0.1]", "127.0.0.1]", "[localhost]", "[localhost", "localhost:evil", "localhost:-1", "127.0.0.1:80:80", "::1", "[::1]x", "[::1]:x", "[]", ":1234", "[identity.corp.test]",
		} {
			if got := w.ask(h, good(h).set("Host", host)); got.status != http.StatusBadRequest || strings.Contains(got.raw, "eyJ") {
				t.Errorf("%s: host %q: got %d", platform, host, got.status)
			}
		}
		for _, host := range []string{"127.0.0.1", "127.0.0.1:1", "127.0.0.1:", "localhost", "LocalHost:1234", "[::1]", "[::1]:1234", "identity.corp.test", "Identity.Corp.Test:1234"} {
			got := w.ask(h, good(h).set("Host", host))
			if got.status != http.StatusOK && (platform != directory.PlatformArc || got.status != http.StatusUnauthorized) {
				t.Errorf("%s: host %q: got %d", platform, host, got.status)
			}
			got.withoutCrossOrigin(t)
		}
		got := w.ask(h, good(h).set("Host", metadataHost))
		if (got.status == http.StatusOK) != (platform == directory.PlatformIMDS) {
			t.Errorf("%s: the host of the metadata service: got %d", platform, got.status)
		}
	}
}

// The preflight request that a browser sends before a page may set a header of its own.
func TestPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		for _, q := range []question{
			{http.MethodOptions, good(h).target, "", headers("Origin", "https://evil.test", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "metadata")},
			{http.MethodOptions, good(h).target, "", headers("Access-Control-Request-Private-Network", "true")},
			{http.MethodOptions, "*", "", headers("Origin", "https://evil.test")},
		} {
			got := w.ask(h, q)
			if got.status < 400 || got.status >= 500 {
				t.Errorf("%s: got %d: %s", platform, got.status, got.raw)
			}
			got.withoutCrossOrigin(t)
		}
	}
}

// Two ids are one too many: of any kinds, in any order, and even for the same identity.
func TestEveryPairOfSelectors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	user, stranger := w.principal(fixture.UserIdentityID), w.principal(strangerID)
	values := map[string][2]string{} // of the assigned identity, and of one that is not
	for _, name := range []string{"client_id", "clientid"} {
		values[name] = [2]string{string(user.AppID), string(stranger.AppID)}
	}
	for _, name := range []string{"object_id", "principal_id", "principalId"} {
		values[name] = [2]string{string(user.ID), string(stranger.ID)}
	}
	for _, name := range []string{"mi_res_id", "msi_res_id", "msi-res-id"} {
		values[name] = [2]string{user.ResourceID, stranger.ResourceID}
	}
	platforms := append(platformsOfOneAnswer(), directory.PlatformArc)
	for _, platform := range platforms {
		h := w.endpoint(platform)
		q := func() question {
			if platform == directory.PlatformArc {
				return good(h).set("Authorization", "Basic "+w.challengeKey(h))
			}
			return good(h)
		}
		for one, ours := range values {
			w.ask(h, q().with(one+"="+ours[1])).refusedWith(t, http.StatusBadRequest)
			for other, theirs := range values {
				for _, second := range theirs {
					w.ask(h, q().with(one+"="+ours[0]+"&"+other+"="+second)).refusedWith(t, http.StatusBadRequest)
				}
			}
		}
	}
	// An id of another kind, or a part of an id, finds nobody either.
	h := w.endpoint(directory.PlatformIMDS)
	for name, ours := range values {
		for _, part := range []string{ours[0][:len(ours[0])-1], ours[0][2:], ours[0] + "0", "*", "%2A", "%25"} {
			w.ask(h, good(h).with(name+"="+part)).refusedWith(t, http.StatusBadRequest)
		}
	}
	for _, mixed := range []string{"client_id=" + string(user.ID), "object_id=" + string(user.AppID), "mi_res_id=" + string(user.AppID), "client_id=" + user.Name, "msi_res_id=/", "mi_res_id=" + user.ResourceID + "/x"} {
		w.ask(h, good(h).with(mixed)).refusedWith(t, http.StatusBadRequest)
	}
}

// ailingMinter fails when told to.
type ailingMinter struct {
	Minter
	failure *error
}

func (m ailingMinter) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	if *m.failure != nil {
		return issuance.Minted{}, *m.failure
	}
	return m.Minter.Mint(ctx, req)
}

// While no token can be issued, callers are told to retry, in the words of their platform.
// Cached tokens are given out meanwhile, and afterwards the first request gets a token.
func TestAnOutageOfTheMinter(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"of its store":    errors.New("the store is away"),
		"for a while":     &aadsts.Problem{Status: http.StatusServiceUnavailable, OAuth: "temporarily_unavailable"},
		"of too many":     &aadsts.Problem{Status: http.StatusTooManyRequests, OAuth: "temporarily_unavailable"},
		"with words when": &aadsts.Problem{Status: http.StatusServiceUnavailable, OAuth: "temporarily_unavailable", RetryAfter: 7},
	} {
		t.Run(name, func(t *testing.T) {
			var failing error
			w := newWorld(t, withCertificate(t), func(cfg *Config) { cfg.Minter = ailingMinter{cfg.Minter, &failing} })
			hosts := everyPlatform(t, w)
			w.ask(hosts[directory.PlatformAppService], good(hosts[directory.PlatformAppService])) // keeps the system-assigned identity's
			failing = failure
			for range 7 {
				w.clock.Advance(10 * time.Second)
				for platform, h := range hosts {
					q := good(h)
					if platform == directory.PlatformArc {
						q = q.set("Authorization", "Basic "+w.challengeKey(h))
					}
					if got := w.ask(h, q); got.status != http.StatusOK {
						t.Errorf("%s: what is kept: got %d: %s", platform, got.status, got.raw)
					}
					if platform == directory.PlatformCLI {
						continue
					}
					if platform == directory.PlatformArc {
						q = q.set("Authorization", "Basic "+w.challengeKey(h))
					}
					got := w.ask(h, q.with("client_id="+string(fixture.UserIdentityID)))
					got.refusedWith(t, http.StatusServiceUnavailable)
					if after := got.header.Get("Retry-After"); after != "1" && (after != "7" || name != "with words when") {
						t.Errorf("%s: Retry-After is %q", platform, after)
					}
				}
			}
			failing = nil
			h := hosts[directory.PlatformIMDS]
			if got := w.ask(h, good(h).with("client_id="+string(fixture.UserIdentityID))); got.status != http.StatusOK {
				t.Errorf("afterwards: got %d: %s", got.status, got.raw)
			}
		})
	}
}

// A caller that goes away stops waiting and takes the token from nobody else; a minter that
// hangs is abandoned.
func TestACallerThatGoesAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		minter := make(gatedMinter)
		tokens := newCache(Config{Minter: minter, Now: time.Now})
		req := issuance.MintRequest{Tenant: fixture.TenantID, Identity: fixture.IdentityID, Resource: "api://orders"}
		leaving, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := tokens.token(leaving, req); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		waiting.Go(func() {
			if _, err := tokens.token(t.Context(), req); err != nil {
				t.Errorf("who stayed got %v", err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(minter)
		waiting.Wait()

		tokens.minter = make(gatedMinter)
		start := time.Now()
		req.Resource = "api://others"
		if _, err := tokens.token(t.Context(), req); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != mintTime {
			t.Errorf("got %v after %v, want the deadline after %v", err, time.Since(start), mintTime)
		}
	})
}

// Simultaneous requests for different tokens get different tokens.
func TestFlightsKeepApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		minter := make(gatedMinter)
		for _, platform := range []bool{false, true} {
			tokens := newCache(Config{Minter: minter, Now: time.Now, PlatformCache: platform})
			var waiting sync.WaitGroup
			ask := func() {
				for _, req := range []issuance.MintRequest{
					{Tenant: "a", Identity: "b", Resource: "c"}, {Tenant: "x", Identity: "b", Resource: "c"}, {Tenant: "a", Identity: "x", Resource: "c"},
					{Tenant: "a", Identity: "b", Resource: "x"}, {Tenant: "a", Identity: "b\nc", Resource: ""}, {Tenant: "a\nb", Identity: "", Resource: "c"}, {Tenant: "ab", Identity: "", Resource: "c"},
				} {
					waiting.Go(func() {
						if got, err := tokens.token(t.Context(), req); err != nil || got.Token != fmt.Sprintf("%q", []any{req.Tenant, req.Identity, req.Resource}) {
							t.Errorf("%v: got %s, %v", req, got.Token, err)
						}
					})
				}
			}
			ask() // all at the same time
			synctest.Wait()
			if !platform {
				close(minter)
			}
			waiting.Wait()
			ask() // and all are cached
			waiting.Wait()
		}
	})
}

// A caller that looked for a token just before a new one was cached gets the new one.
func TestALateLookFindsTheTokenOfTheOneBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		hold := make(chan struct{})
		minter := &changingMinter{steady: true}
		tokens := newCache(Config{Minter: minter, Now: func() time.Time {
			if slow.CompareAndSwap(true, false) {
				<-hold
			}
			return time.Now()
		}})
		req := issuance.MintRequest{Resource: "api://orders"}
		ask := func() {
			if _, err := tokens.token(t.Context(), req); err != nil {
				t.Error(err)
			}
		}
		ask()
		time.Sleep(2 * time.Hour) // the token has reached its end
		slow.Store(true)
		var late sync.WaitGroup
		late.Go(ask)
		synctest.Wait() // it has seen the old token, and not yet the time
		ask()
		close(hold)
		late.Wait()
		if minter.made != 2 {
			t.Errorf("%d tokens were made, want 2", minter.made)
		}
	})
}

// A change while a token is issued must not count as a change before it.
func TestAChangeWhileATokenIsMade(t *testing.T) {
	t.Parallel()
	minter := &changingMinter{}
	tokens := newCache(Config{Minter: minter, Now: time.Now})
	for want := range 3 {
		got, err := tokens.token(t.Context(), issuance.MintRequest{Resource: "api://orders"})
		if err != nil || got.Token != fmt.Sprint(want) {
			t.Errorf("got token %s, %v; want that of change %d", got.Token, err, want)
		}
	}
}

// changingMinter issues a token of the last change, and there is another change before it is
// given out.
type changingMinter struct {
	changes, made int
	steady        bool // no such change happens
}

func (m *changingMinter) Fingerprint(context.Context, issuance.MintRequest) (string, error) {
	return fmt.Sprint(m.changes), nil
}

func (m *changingMinter) Mint(context.Context, issuance.MintRequest) (issuance.Minted, error) {
	token := fmt.Sprint(m.changes)
	m.made++
	if !m.steady {
		m.changes++
	}
	return issuance.Minted{Token: token, Expires: time.Now().Add(time.Hour)}, nil
}

// gatedMinter issues no token before it is closed.
type gatedMinter chan struct{}

func (m gatedMinter) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	select {
	case <-m:
		return issuance.Minted{Token: fmt.Sprintf("%q", []any{req.Tenant, req.Identity, req.Resource}), Expires: time.Now().Add(time.Hour)}, nil
	case <-ctx.Done():
		return issuance.Minted{}, ctx.Err()
	}
}

func (gatedMinter) Fingerprint(context.Context, issuance.MintRequest) (string, error) {
	return "", nil
}

// A form that a web page could send without a preflight request is refused.
func TestFormsOfWebPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformCloudShell)
	for name, kinds := range map[string][]string{
		"plain text": {"text/plain"}, "several parts": {"multipart/form-data; boundary=x"}, "none": nil, "empty": {""}, "no type": {"form"},
		"a longer name": {"application/x-www-form-urlencodedx"}, "JSON": {"application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			w.ask(h, good(h).set("Content-Type", kinds...)).refusedWith(t, http.StatusBadRequest)
		})
	}
}

// The log contains no secrets, and no text of unlimited length.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	w := newWorld(t, withCertificate(t), func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	secrets := []string{"eyJ", "api-version", "resource="}
	for platform, h := range everyPlatform(t, w) {
		q := good(h)
		if platform == directory.PlatformArc {
			key := w.challengeKey(h)
			secrets = append(secrets, key)
			q = q.set("Authorization", "Basic "+key)
		}
		if got := w.ask(h, q); got.status != http.StatusOK {
			t.Errorf("%s: got %d: %s", platform, got.status, got.raw)
		}
		base, query, _ := strings.Cut(q.target, "?")
		for _, bad := range []question{
			q.set("X-IDENTITY-HEADER", h.secret+"x"), q.set("Secret", h.secret+"x"), q.set("Authorization", "Bearer "+h.secret+"x"), q.set("Authorization", "Basic "+h.secret),
			q.with("client_id=" + h.secret), q.with("resource=" + h.secret), q.set("Via", h.secret), q.set("Metadata", h.secret), q.set("Host", h.secret),
			q.set("X-Ms-Client-Request-Id", h.secret), q.set("User-Agent", h.secret),
			{strings.Repeat("X", 10_000), q.target, "", q.header}, {q.method, base + "/" + strings.Repeat("x", 10_000) + "?" + query, q.body, q.header},
		} {
			r := httptest.NewRequest(http.MethodGet, bad.target, strings.NewReader(bad.body))
			r.Method = bad.method
			for name, values := range bad.header {
				r.Header[http.CanonicalHeaderKey(name)] = values
			}
			h.serve(httptest.NewRecorder(), r)
		}
		secrets = append(secrets, h.secret)
	}
	for line := range strings.Lines(log.String()) {
		if len(line) > 2000 {
			t.Errorf("a line has %d bytes", len(line))
		}
		for i, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("secret %d is in a line of %d bytes", i, len(line))
			}
		}
	}
	if !strings.Contains(log.String(), "status=200") {
		t.Error("nothing was logged")
	}
}

// syncBuffer is for concurrent writers.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Headers that are sent twice: neither value counts.
func TestDoubledHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site, machine, tool := w.endpoint(directory.PlatformAppService), w.endpoint(directory.PlatformIMDS), w.endpoint(directory.PlatformCLI)
	for name, tt := range map[string]struct {
		h     *Endpoint
		lines []string
		want  string
	}{
		"the secret twice":           {site, []string{"X-IDENTITY-HEADER: " + site.secret, "X-IDENTITY-HEADER: " + site.secret}, "401"},
		"the secret in two cases":    {site, []string{"X-IDENTITY-HEADER: " + site.secret, "x-identity-header: x"}, "401"},
		"a folded name":              {site, []string{"X_IDENTITY_HEADER: " + site.secret}, "401"},
		"a secret with blanks":       {site, []string{"X-IDENTITY-HEADER:   " + site.secret + "  "}, "200"}, // without meaning in HTTP
		"Metadata twice":             {machine, []string{"Metadata: true", "metadata: true"}, "400"},
		"Metadata and its denial":    {machine, []string{"Metadata: true", "METADATA: false"}, "400"},
		"a key of another scheme":    {tool, []string{"Authorization: Basic " + tool.secret}, "401"},
		"a key without a scheme":     {tool, []string{"Authorization: " + tool.secret}, "401"},
		"Metadata once":              {machine, []string{"metadata: true"}, "200"},
		"Metadata in another column": {machine, []string{"X-Other: a\r\n Metadata: true"}, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := slices.Concat([]string{good(tt.h).method + " " + good(tt.h).target + " HTTP/1.1", "Host: " + tt.h.address}, tt.lines, []string{"Connection: close", "", ""})
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", tt.h.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, strings.Join(lines, "\r\n"))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got := response.Status[:3]; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A resource id that is written down for any tenant has a subscription of zeros.
func TestTheSubscriptionOfZerosIsTheTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	user, stranger := w.principal(fixture.UserIdentityID), w.principal(strangerID)
	withZeros := func(p *directory.ServicePrincipal) string {
		return strings.Replace(p.ResourceID, directory.Subscription(p.Tenant), "00000000-0000-0000-0000-000000000000", 1)
	}
	h := w.endpoint(directory.PlatformIMDS)
	if got := w.ask(h, good(h).with("mi_res_id="+withZeros(user))); got.status != http.StatusOK || got.text("client_id") != string(user.AppID) {
		t.Errorf("got %d: client %q, want %s", got.status, got.text("client_id"), user.AppID)
	}
	w.ask(h, good(h).with("mi_res_id="+withZeros(stranger))).refusedWith(t, http.StatusBadRequest)
}
