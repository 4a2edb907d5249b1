package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/discovery"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/grants"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/revocation"
	"github.com/rolecall-auth/rolecall/internal/authority/signin"
	"github.com/rolecall-auth/rolecall/internal/authority/userauth"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// Config says what an Authority works with.
type Config struct {
	// BaseURL is where clients find the authority: https and a host, which may have a
	// port, and no path. It goes into every token. Required.
	BaseURL string
	// Aliases are other hosts, with their ports, by which clients reach the authority. Their
	// requests are answered as those at BaseURL, which alone stands in tokens and documents.
	Aliases   []string
	Directory *directory.Directory // required
	Keys      *keyring.Ring        // required
	// Places are URLs at which the server answers for resources of Microsoft's own, by app id.
	// A client that asks for such a URL gets a token for the resource.
	Places map[string]directory.AppID
	// Services are where the rest of the server is, for programs that know the authority's URL
	// alone. Its own URL need not be said.
	Services discovery.Services
	Fetch    *fetch.Client // reads the keys of federated issuers; nil: none are reached
	// V1Issuer is the issuer of version 1.0 tokens, with {tenantid} where the tenant's
	// id goes. Empty means BaseURL/{tenantid}/. Resource servers that have Microsoft's
	// written into them need "https://sts.windows.net/{tenantid}/".
	V1Issuer string
	// Lifetime of tokens. Zero means 60 to 90 minutes, at random for each token, so that
	// clients that started together do not renew together.
	Lifetime time.Duration
	// MaxStale is how long tokens are issued from memory while the directory's store does
	// not answer. Zero means an hour; the most is 72.
	MaxStale time.Duration
	Throttle coordination.ThrottleConfig
	// State is what requests have to know of each other. Nil means that this process alone
	// serves the authority, and keeps it in memory as Throttle says; uses of assertions, which
	// are for single use where an application says so, are kept in the directory's store.
	State *coordination.State
	// AllowPassword lets public clients take users' names and passwords themselves (grant
	// type password). Such a client learns the password, so it is off by default.
	AllowPassword bool
	// MutualTLS says in documents that the server asks its clients for certificates, so that
	// they can authenticate by one, and have tokens bound to it (RFC 8705).
	MutualTLS bool
	// IdentityLifetime is that of tokens for managed identities. Zero means 24 hours.
	IdentityLifetime time.Duration
	// Age is how long ago the tokens of a request shall seem to have been issued, for
	// tests of what others make of old tokens. Nil means that they are new.
	Age func(context.Context) time.Duration
	// Source names the network address that a request came from: what failed attempts
	// are counted by. Nil means the connection's address.
	Source func(*http.Request) string
	// OnAnswer is told of each answer before it is written, and of each token that was minted:
	// for metrics. It must return at once, and may be called concurrently. Nil: nobody is told.
	OnAnswer func(exchange.Answered)
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil means discard
}

// An Authority issues tokens. It is safe for concurrent use.
type Authority struct {
	origin    origin.Origin
	server    *exchange.Server
	recorder  *exchange.Recorder
	minter    *issuance.Minter
	workloads *clientauth.Workloads
	revoked   *revocations
	serve     func(origin.Origin) (*exchange.Server, *revocation.Handler, error) // what answers under an origin
}

// revocations are those who read what is revoked, under each origin.
type revocations struct {
	mu       sync.Mutex
	handlers []*revocation.Handler // guarded by mu
}

func (r *revocations) add(h *revocation.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers = append(r.handlers, h)
}

// Close ends the guards of all.
func (r *revocations) Close() { r.each((*revocation.Handler).Close) }

// Release answers the requests that are held, under every origin.
func (r *revocations) Release() { r.each((*revocation.Handler).Release) }

func (r *revocations) each(f func(*revocation.Handler)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.handlers {
		f(h)
	}
}

// New checks the configuration and returns an authority that can serve. It starts nothing.
func New(cfg Config) (*Authority, error) {
	own, err := origin.New(cfg.BaseURL, cfg.V1Issuer)
	if err != nil {
		return nil, err
	}
	own = own.WithAliases(cfg.Aliases...)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	state, err := cfg.state()
	if err != nil {
		return nil, err
	}
	sealer, err := records.NewSealer(cfg.Directory, cfg.Now)
	if err != nil {
		return nil, err
	}
	resolver := resolve.New(cfg.Directory, cfg.MaxStale, cfg.Places)
	kept := records.New(cfg.Directory, cfg.Now)
	users := userauth.New(cfg.Directory, state.Failures, state.Turns)
	clients := clientauth.New(clientauth.Config{
		Directory: cfg.Directory, Resolver: resolver, Keys: cfg.Keys, State: state, Fetch: cfg.Fetch, Now: cfg.Now,
	})
	issuer := issuance.New(issuance.Config{
		Directory: cfg.Directory, Resolver: resolver, Keys: cfg.Keys, Sealer: sealer,
		Lifetime: cfg.Lifetime, Age: cfg.Age, Now: cfg.Now,
	})
	pages, err := signin.New(signin.Config{
		Directory: cfg.Directory, Resolver: resolver, Users: users, Issuer: issuer,
		Records: kept, Sealer: sealer, State: state, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	tokens := grants.New(grants.Config{
		Resolver: resolver, Clients: clients, Users: users, Issuer: issuer, Records: kept, State: state,
		AllowPassword: cfg.AllowPassword, Now: cfg.Now,
	})
	recorder := exchange.NewRecorder(cfg.Directory, state.Failures, cfg.Log, cfg.Now, cfg.OnAnswer)
	documents := discovery.New(cfg.Directory, resolver, cfg.Keys, cfg.MutualTLS, cfg.Services, cfg.Now)
	a := &Authority{
		recorder: recorder, minter: issuance.NewMinter(issuer, clients, recorder, cfg.IdentityLifetime), workloads: clients.Workloads(),
		revoked: &revocations{},
	}
	a.serve = func(o origin.Origin) (*exchange.Server, *revocation.Handler, error) {
		server := &exchange.Server{
			Recorder: recorder, Source: cfg.Source, ProblemPage: pages.ProblemPage, Now: cfg.Now,
			Origin: func(*http.Request) origin.Origin { return o },
		}
		revoked, err := revocation.New(revocation.Config{
			Authority: o.BaseURL, Directory: cfg.Directory, Resolver: resolver, Now: cfg.Now,
			Client: &http.Client{Transport: inprocess.Transport{Handler: server}},
		})
		if err != nil {
			return nil, nil, err
		}
		server.Mux = mount(documents, tokens, pages, revoked)
		return server, revoked, nil
	}
	return a.At(own)
}

// mount lets each part add its URLs.
func mount(parts ...interface{ Mount(*exchange.Mux) }) *exchange.Mux {
	mux := exchange.NewMux()
	for _, part := range parts {
		part.Mount(mux)
	}
	return mux
}

// check refuses settings that cannot work.
func (cfg *Config) check() error {
	const shortest, longest = issuance.MinLifetime, issuance.MaxLifetime
	switch {
	case cfg.Directory == nil:
		return errors.New("authority: Directory is missing")
	case cfg.Keys == nil:
		return errors.New("authority: Keys is missing")
	case cfg.Lifetime != 0 && (cfg.Lifetime < shortest || cfg.Lifetime > longest):
		return fmt.Errorf("authority: Lifetime is %v, want %v to %v, or 0 for 60 to 90 minutes", cfg.Lifetime, shortest, longest)
	case cfg.IdentityLifetime != 0 && (cfg.IdentityLifetime < shortest || cfg.IdentityLifetime > longest):
		return fmt.Errorf("authority: IdentityLifetime is %v, want %v to %v, or 0 for %v", cfg.IdentityLifetime, shortest, longest, longest)
	case cfg.MaxStale < 0 || cfg.MaxStale > resolve.LongestMaxStale:
		return fmt.Errorf("authority: MaxStale is %v, want at most %v, or 0 for %v", cfg.MaxStale, resolve.LongestMaxStale, resolve.DefaultMaxStale)
	}
	return nil
}

// state returns what requests have to know of each other.
func (cfg *Config) state() (coordination.State, error) {
	if cfg.State != nil {
		return *cfg.State, nil
	}
	state, err := coordination.InMemory(cfg.Throttle, cfg.Now)
	if err == nil {
		state.Strict = coordination.KeepReplays(state.Strict, cfg.Directory)
	}
	return state, err
}

// setDefaults fills in what was left out.
func (cfg *Config) setDefaults() {
	cfg.MaxStale = cmp.Or(cfg.MaxStale, resolve.DefaultMaxStale)
	cfg.IdentityLifetime = cmp.Or(cfg.IdentityLifetime, issuance.MaxLifetime)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Source == nil {
		cfg.Source = exchange.RemoteAddress
	}
}

// At returns the authority as it issues under another origin. All that it knows and counts, it
// shares with the one that it comes from, which runs for both.
func (a *Authority) At(o origin.Origin) (*Authority, error) {
	server, revoked, err := a.serve(o)
	if err != nil {
		return nil, err
	}
	a.revoked.add(revoked)
	other := *a
	other.origin, other.server = o, server
	return &other, nil
}

// Origin is what the authority issues under.
func (a *Authority) Origin() origin.Origin { return a.origin }

// Under returns what serves the authority's URL space under an origin: its own, or another.
func (a *Authority) Under(o origin.Origin) (http.Handler, error) {
	if o.Cloud() == a.origin.Cloud() {
		return a.Handler(), nil
	}
	other, err := a.At(o)
	if err != nil {
		return nil, err
	}
	return other.Handler(), nil
}

// Handler serves the authority's URL space. It expects to be at the root of its host.
func (a *Authority) Handler() http.Handler { return a.server }

// Run writes sign-ins until the context ends, then writes what is left and returns.
func (a *Authority) Run(ctx context.Context) error {
	defer a.revoked.Close()
	return a.recorder.Run(ctx)
}

// Release answers the requests that are held until there is something to tell, and holds none
// from now on. A server that stops calls it, so that it waits for nobody.
func (a *Authority) Release() { a.revoked.Release() }

// Flush returns when the sign-ins of all answers given before are kept. It needs Run.
func (a *Authority) Flush(ctx context.Context) error { return a.recorder.Flush(ctx) }

// LostSignIns is how many sign-ins were never written since the start.
func (a *Authority) LostSignIns() int64 { return a.recorder.LostSignIns() }

// NoteRefusal keeps a sign-in row about a refusal that another endpoint of this server gave.
func (a *Authority) NoteRefusal(ctx context.Context, row directory.SignIn) {
	a.recorder.Refused(ctx, row)
}

// Mint makes a token that this machine vouches for; see [issuance.Minter.Mint].
func (a *Authority) Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	return a.minter.Mint(ctx, a.under(req))
}

// Fingerprint tells what Mint would say now; see [issuance.Minter.Fingerprint].
func (a *Authority) Fingerprint(ctx context.Context, req issuance.MintRequest) (string, error) {
	return a.minter.Fingerprint(ctx, a.under(req))
}

// under fills in the authority's own origin.
func (a *Authority) under(req issuance.MintRequest) issuance.MintRequest {
	if req.Origin == (origin.Origin{}) {
		req.Origin = a.origin
	}
	return req
}

// StartWorkload lets something act as an application or managed identity until it is closed.
func (a *Authority) StartWorkload(ctx context.Context, tenant directory.TenantID, client directory.AppID) (*clientauth.Workload, error) {
	return a.workloads.Start(ctx, a.origin, tenant, client)
}
