package managedidentity

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// strangerID is a managed identity with the role that is assigned to no endpoint.
const strangerID = directory.AppID("c11e0001-5a5a-4c4c-8d8d-0000000000a3")

// A world is a service on the Orders world.
type world struct {
	t testing.TB
	*Service
	dir    *directory.Directory
	clock  *fixture.Clock
	signed *atomic.Int64 // tokens issued
}

// countingMinter counts the tokens that are issued.
type countingMinter struct {
	*authority.Authority
	signed *atomic.Int64
}

func (m countingMinter) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	m.signed.Add(1)
	return m.Authority.Mint(ctx, req)
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: fixture.NewClock(time.Now()), signed: new(atomic.Int64)}
	w.dir = fixture.OpenDirectory(t, w.clock.Now)
	w.edit(addStranger)
	kek, err := keyring.KEKFromBytes(make([]byte, 32))
	w.must(err)
	ring, err := keyring.New(keyring.Config{Store: w.dir, KEK: kek, NewKey: fixture.NewKeys(), Now: w.clock.Now})
	w.must(err)
	issuer, err := authority.New(authority.Config{BaseURL: "https://login.contoso.test", Directory: w.dir, Keys: ring, Now: w.clock.Now})
	w.must(err)
	cfg := Config{Directory: w.dir, Minter: countingMinter{issuer, w.signed}, ArcFolder: t.TempDir(), Now: w.clock.Now}
	for _, f := range change {
		f(&cfg)
	}
	w.Service, err = New(cfg)
	w.must(err)
	t.Cleanup(func() { w.must(w.Close()) })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) edit(f func(*directory.Editor) error) {
	w.t.Helper()
	_, err := w.dir.Change(w.t.Context(), directory.Operator("test"), f)
	w.must(err)
}

func addStranger(e *directory.Editor) error {
	stranger, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
		Tenant: fixture.TenantID, AppID: strangerID, Name: "orders-other-mi", Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser,
	})
	if err != nil {
		return err
	}
	_, _, err = e.Assignments().Add(fixture.TenantID, stranger.ID, fixture.ServerPrincipal, fixture.ReadRole)
	return err
}

// principal returns an identity's service principal.
func (w *world) principal(id directory.AppID) *directory.ServicePrincipal {
	w.t.Helper()
	client, err := w.dir.Instance(w.t.Context(), fixture.TenantID, id)
	w.must(err)
	return client.Principal
}

// identities returns what is assigned to an endpoint.
func (w *world) identities(ids ...directory.AppID) (all []Identity) {
	w.t.Helper()
	for _, id := range ids {
		all = append(all, IdentityOf(w.principal(id)))
	}
	return all
}

// endpoint opens an endpoint of a platform that anybody may use, with both identities.
func (w *world) endpoint(platform directory.Platform) *Endpoint {
	w.t.Helper()
	return w.endpointOwned(platform, anyUser)
}

func (w *world) endpointOwned(platform directory.Platform, owner int) *Endpoint {
	w.t.Helper()
	h, err := w.Open(w.t.Context(), EndpointConfig{Tenant: fixture.TenantID, Identities: w.identities(fixture.IdentityID, fixture.UserIdentityID), Platform: platform, Owner: owner})
	w.must(err)
	return h
}

// A reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	raw    string
	json   map[string]any
}

func (r reply) text(name string) string { s, _ := r.json[name].(string); return s }

// refusedWith checks that there is a refusal with that status, and no token.
func (r reply) refusedWith(t testing.TB, status int) {
	t.Helper()
	if strings.Contains(r.raw, "eyJ") {
		t.Errorf("got %d and a token, want %d", r.status, status)
	} else if r.status != status {
		t.Errorf("got %d: %s\nwant %d", r.status, r.raw, status)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the answer has the header %s", name)
		}
	}
}

// call sends a request to an endpoint, without the network.
func (w *world) call(h *Endpoint, method, target, body string, header http.Header) reply {
	w.t.Helper()
	return answerOf(w.t, http.HandlerFunc(h.serve), method, target, body, header)
}

func answerOf(t testing.TB, handler http.Handler, method, target, body string, header http.Header) reply {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:1234"
	if strings.HasPrefix(target, "http") {
		r.Host = r.URL.Host
	}
	for name, values := range header {
		if name == "Host" {
			r.Host = values[0]
			continue
		}
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return read(t, recorder.Result())
}

func read(t testing.TB, response *http.Response) reply {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{status: response.StatusCode, header: response.Header, raw: string(body)}
	if err := json.Unmarshal(body, &out.json); err != nil {
		t.Fatalf("the answer %d is not JSON: %s", out.status, body)
	}
	return out
}

// headers makes a header of pairs.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
	}
	return h
}

// A question is a request for a token on a platform.
type question struct {
	method, target, body string
	header               http.Header
}

// good is a question that gets a token.
func good(h *Endpoint) question {
	const form = "resource=api%3A%2F%2Forders"
	switch h.kind {
	case directory.PlatformAppService:
		return question{"GET", "/msi/token?api-version=2019-08-01&" + form, "", headers("X-IDENTITY-HEADER", h.secret)}
	case directory.PlatformAzureML:
		return question{"GET", "/msi/token?api-version=2017-09-01&" + form, "", headers("secret", h.secret)}
	case directory.PlatformServiceFabric:
		return question{"GET", serviceFabricPath + "?api-version=2019-07-01-preview&" + form, "", headers("Secret", h.secret)}
	case directory.PlatformCloudShell:
		return question{"POST", "/oauth2/token", form, headers("Metadata", "true", "Content-Type", "application/x-www-form-urlencoded;charset=utf-8")}
	case directory.PlatformCLI:
		return question{"POST", "/token?api-version=2023-07-12-preview", `{"scopes":["api://orders/.default"]}`, headers("Authorization", "Bearer "+h.secret, "Content-Type", "application/json")}
	}
	version := firstMetadataVersion
	if h.kind == directory.PlatformArc {
		version = "2020-06-01"
	}
	return question{"GET", metadataTokenPath + "?api-version=" + version + "&" + form, "", headers("Metadata", "true")}
}

// with adds to the query.
func (q question) with(more string) question {
	if q.method == "POST" && q.body != "" && !strings.HasPrefix(q.body, "{") {
		q.body += "&" + more
		return q
	}
	q.target += "&" + more
	return q
}

// set replaces headers; without values it takes one away.
func (q question) set(name string, values ...string) question {
	q.header = q.header.Clone()
	for old := range q.header {
		if strings.EqualFold(old, name) {
			delete(q.header, old)
		}
	}
	if len(values) > 0 {
		q.header[name] = values
	}
	return q
}

func (w *world) ask(h *Endpoint, q question) reply {
	w.t.Helper()
	return w.call(h, q.method, q.target, q.body, q.header)
}

// claimsOf reads a token.
func claimsOf(t testing.TB, raw string) token.Object {
	t.Helper()
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Claims
}

func claim(o token.Object, name string) string {
	value, _ := o.Get(name)
	text, _ := value.String()
	return text
}

func rolesOf(o token.Object) string {
	value, _ := o.Get("roles")
	roles, _ := value.Strings()
	return strings.Join(roles, " ")
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// files counts what is in a folder.
func files(t testing.TB, folder string) int {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// request is a good question to an endpoint over the network, with that Host header.
func (w *world) request(h *Endpoint, host string) *http.Request {
	w.t.Helper()
	q := good(h)
	r, err := http.NewRequestWithContext(w.t.Context(), q.method, "http://"+h.address+q.target, strings.NewReader(q.body))
	w.must(err)
	r.Host = host
	r.Header = q.header
	return r
}

// localAt tells a handler the address at which its request arrived.
func localAt(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)))
}
