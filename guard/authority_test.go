package guard_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Names of the story that the tests tell.
const (
	tenant      = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	otherTenant = "0b0b0b0b-1111-4c4c-8d8d-000000000009"
	apiID       = "a9100002-5a5a-4c4c-8d8d-000000000002"
	clientID    = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	principalID = "0b1ec701-5a5a-4c4c-8d8d-000000000003"
	apiURI      = "api://orders"
)

// now is the time at which the tests' tokens are fresh.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// RSA keys are expensive to make, so all tests share these.
var (
	trustedKey  = sync.OnceValue(makeKey)
	strangerKey = sync.OnceValue(makeKey)
	spareKey    = sync.OnceValue(makeKey)
)

// trustedCertificate is that of the trusted key, as authorities publish it beside the key.
var trustedCertificate = sync.OnceValue(func() []byte { return certificateOf(trustedKey()) })

func certificateOf(key *rsa.PrivateKey) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.AddDate(5, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return der
}

func makeKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// An authority publishes keys and signs tokens, all in memory: its Client
// answers requests to its URLs without any network.
type authority struct {
	url     string // without a slash at the end
	tenant  string
	v1, v2  string // its issuers
	fetches atomic.Int64

	mu   sync.Mutex
	keys []token.Key
	text []byte                                            // published instead of keys, if set
	down func(w http.ResponseWriter, r *http.Request) bool // answers instead, if it returns true
}

func newAuthority(url string) *authority {
	a := &authority{url: url, tenant: tenant, v1: url + "/" + tenant + "/", v2: url + "/" + tenant + "/v2.0"}
	a.publish(token.Key{ID: "trusted", Use: "sig", Public: trustedKey().Public()})
	return a
}

func (a *authority) publish(keys ...token.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = keys
}

// publishText publishes a keys document as it is.
func (a *authority) publishText(document string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = []byte(document)
}

func (a *authority) fail(with func(http.ResponseWriter, *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = with
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.fetches.Add(1)
	a.mu.Lock()
	keys, text, down := a.keys, a.text, a.down
	a.mu.Unlock()
	if down != nil && down(w, r) {
		return
	}
	issuer := map[string]string{
		"/" + a.tenant + "/.well-known/openid-configuration":      a.v1,
		"/" + a.tenant + "/v2.0/.well-known/openid-configuration": a.v2,
	}[r.URL.Path]
	switch {
	case issuer != "":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer, "jwks_uri": a.url + "/" + a.tenant + "/discovery/keys"})
	case r.URL.Path == "/"+a.tenant+"/discovery/keys":
		if text == nil {
			var err error
			if text, err = token.KeysDocument(keys); err != nil {
				panic(err)
			}
		}
		_, _ = w.Write(text)
	default:
		http.NotFound(w, r)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errNetwork = errors.New("no network in tests")

// client reaches the authorities and nothing else.
func client(authorities ...*authority) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		for _, a := range authorities {
			if r.URL.Scheme+"://"+r.URL.Host != a.url {
				continue
			}
			w, done := httptest.NewRecorder(), make(chan struct{})
			go func() {
				defer close(done)
				a.ServeHTTP(w, r)
			}()
			select {
			case <-done:
				return w.Result(), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return nil, errNetwork
	})}
}

// claims returns those of an application's v2.0 token that is good in every
// respect, changed by the given maps. A nil value removes a claim.
func (a *authority) claims(changes ...map[string]any) map[string]any {
	c := map[string]any{
		"iss": a.v2, "aud": apiID, "ver": "2.0", "tid": a.tenant, "azp": clientID, "azpacr": "1", "idtyp": "app",
		"oid": principalID, "sub": principalID, "roles": []string{"Orders.Read"}, "uti": "u-1",
		"iat": now.Unix() - 60, "nbf": now.Unix() - 60, "exp": now.Unix() + 3600,
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	for name, value := range c {
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

// v1 turns the claims into those of a v1.0 token.
func (a *authority) v1Claims() map[string]any {
	return map[string]any{"iss": a.v1, "ver": "1.0", "aud": apiURI, "azp": nil, "azpacr": nil, "appid": clientID, "appidacr": "1"}
}

type claims = map[string]any

func (a *authority) token(t testing.TB, changes ...map[string]any) string {
	t.Helper()
	return signWith(t, trustedKey(), "trusted", nil, a.claims(changes...))
}

func signWith(t testing.TB, key *rsa.PrivateKey, kid string, header map[string]any, c any) string {
	t.Helper()
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return signText(t, key, kid, header, string(body))
}

// signText signs a payload that need not be JSON.
func signText(t testing.TB, key *rsa.PrivateKey, kid string, header map[string]any, payload string) string {
	t.Helper()
	raw, err := token.Sign("RS256", kid, header, []byte(payload), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// config is that of the Orders API at this authority.
func (a *authority) config() guard.Config {
	return guard.Config{
		Authority:  a.url + "/" + a.tenant,
		Audience:   []string{apiURI, apiID},
		HTTPClient: client(a),
		Now:        func() time.Time { return now },
	}
}

func newGuard(t testing.TB, cfg guard.Config) *guard.Guard {
	t.Helper()
	g, err := guard.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var ordersRule = guard.Rule{Path: "/orders", Roles: []string{"Orders.Read"}}
