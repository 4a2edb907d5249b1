package authoritytest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// The tenant of every authority.
const (
	TenantID     = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	TenantName   = "contoso"
	TenantDomain = "contoso.test"
)

// actor is who the audit trail says made the changes.
const actor = "authoritytest"

// An Authority issues the tokens of one test. It is safe for concurrent use.
type Authority struct {
	// URL is the authority host, as libraries want it: "https://127.0.0.1:34567".
	URL string

	t         testing.TB
	clock     *Clock
	directory *directory.Directory
	keys      *keyring.Ring
	server    *httptest.Server
	bundle    func() string
	issuer    *authority.Authority
	platform  *managedidentity.Service
	faults    *fault.Injector
	log       *slog.Logger

	mu         sync.Mutex
	apis       map[string]*API      // guarded by mu
	secrets    map[string]string    // guarded by mu; by client name
	identities map[string]*Identity // guarded by mu
	public     *PublicNames         // guarded by mu; nil until somebody asks
}

// An Option changes how Start sets up an authority.
type Option func(*options)

type options struct {
	now          time.Time
	log          *slog.Logger
	lifetime     time.Duration // zero: the defaults
	allowIssuers []string
}

// At sets the clock. Without it the clock starts at the present time. Certificates,
// connections and the caches of client libraries go by the machine's clock all the same.
func At(now time.Time) Option { return func(o *options) { o.now = now } }

// Logs sends the log of the authority, the guards and the faults somewhere.
func Logs(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Lifetime fixes how long tokens live. Without it they live an hour, and those of managed
// identities a day.
func Lifetime(d time.Duration) Option { return func(o *options) { o.lifetime = d } }

// AllowIssuers lets federated credentials trust issuers on these hosts, such as that of
// an [httptest.Server] of the test.
func AllowIssuers(hosts ...string) Option {
	return func(o *options) { o.allowIssuers = append(o.allowIssuers, hosts...) }
}

// Start runs an authority until the test ends.
func Start(t testing.TB, opts ...Option) *Authority {
	t.Helper()
	o := options{now: time.Now(), log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(&o)
	}
	a := &Authority{t: t, clock: &Clock{now: o.now}, apis: map[string]*API{}, secrets: map[string]string{}, identities: map[string]*Identity{}, faults: &fault.Injector{Log: o.log}, log: o.log}
	kek, err := keyring.KEKFromBytes(random(32))
	a.check("make a key-encryption key", err)
	a.directory, err = directory.Open(t.Context(), directory.Config{
		Store: memory.New(), SecretKey: kek.Derive("client-secrets"), SlowHash: directory.CheapHash(), Now: a.clock.Now, Log: o.log,
	})
	a.check("open the directory", err)
	a.keys, err = keyring.New(keyring.Config{Store: a.directory, KEK: kek, NewKey: keys.next, Now: a.clock.Now, Log: o.log})
	a.check("open the keyring", err)
	a.change("create the tenant", func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{ID: TenantID, Name: TenantName, Domains: []string{TenantDomain}, Enabled: true})
		return err
	})
	if inside, ok := t.(interface{ KeepDirectory(*directory.Directory) }); ok { // tests of this module, see internal/insidetest
		inside.KeepDirectory(a.directory)
	}
	a.serve(o)
	a.bundle = sync.OnceValue(a.writeBundle)
	return a
}

// serve brings the authority onto the network.
func (a *Authority) serve(o options) {
	a.t.Helper()
	// The server comes first, because the authority's issuers hold its address.
	var handler http.Handler
	ready := make(chan struct{})
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-ready
		handler.ServeHTTP(w, r)
	}))
	a.server.Config.ErrorLog = slog.NewLogLogger(o.log.Handler(), slog.LevelDebug)
	a.server.EnableHTTP2 = true
	a.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12} // by which clients may authenticate
	a.server.StartTLS()
	a.URL = a.server.URL
	var err error
	a.issuer, err = authority.New(authority.Config{
		BaseURL: a.URL, Directory: a.directory, Keys: a.keys, Lifetime: cmp.Or(o.lifetime, time.Hour), IdentityLifetime: o.lifetime, Age: fault.Age, MutualTLS: true,
		Fetch: fetch.New(fetch.Config{Allow: o.allowIssuers, RootCAs: a.roots}),
		Now:   a.clock.Now, Log: o.log,
	})
	a.check("open the authority", err)
	if inside, ok := a.t.(interface {
		KeepIssuer(*authority.Authority, *keyring.Ring)
	}); ok { // as above
		inside.KeepIssuer(a.issuer, a.keys)
	}
	a.platform, err = managedidentity.New(managedidentity.Config{
		Directory: a.directory, Minter: a.issuer, TLS: a.server.TLS, Wrap: a.faults.Identity, Now: a.clock.Now, Log: o.log,
	})
	a.check("open the platform of managed identities", err)
	handler = a.faults.Authority(a.issuer.Handler())
	close(ready)
	ctx, stop := context.WithCancel(context.WithoutCancel(a.t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.issuer.Run(ctx) }()
	a.t.Cleanup(func() {
		a.issuer.Release()
		a.server.Close()
		stop()
		if err := <-done; err != nil {
			a.t.Errorf("authoritytest: stop the authority: %v", err)
		}
	})
}

// Clock is the time as the authority and the guards of its APIs see it.
func (a *Authority) Clock() *Clock { return a.clock }

// HTTPClient returns a client that trusts the authority's certificate and carries no token.
func (a *Authority) HTTPClient() *http.Client {
	client := *a.server.Client()
	return &client
}

// CABundle returns the name of a PEM file with the certificate to trust.
func (a *Authority) CABundle() string { return a.bundle() }

func (a *Authority) writeBundle() string {
	path := filepath.Join(a.t.TempDir(), "ca.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	a.check("write the CA bundle", os.WriteFile(path, content, 0o600))
	return path
}

// roots is the pool with the authority's certificate.
func (a *Authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.server.Certificate())
	return pool
}

// change edits the directory and ends the test if that fails.
func (a *Authority) change(what string, f func(*directory.Editor) error) {
	a.t.Helper()
	_, err := a.directory.Change(context.WithoutCancel(a.t.Context()), directory.Operator(actor), f)
	a.check(what, err)
}

func (a *Authority) check(what string, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("authoritytest: %s: %v", what, err)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand
	return b
}
