package authority

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// Config says what an Authority works with.
type Config struct {
	// BaseURL is where clients find the authority: https and a host, which may have a
	// port, and no path. It goes into every token. Required.
	BaseURL   string
	Directory *directory.Directory // required
	Keys      *keyring.Ring        // required
	Fetch     *fetch.Client        // reads the keys of federated issuers; nil: none are reached
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
	Throttle ThrottleConfig
	// AllowPassword lets public clients take users' names and passwords themselves (grant
	// type password). Such a client learns the password, so that it is off unless wanted.
	AllowPassword bool
	// IdentityLifetime is that of tokens for managed identities. Zero means 24 hours.
	IdentityLifetime time.Duration
	// Age is how long ago the tokens of a request shall seem to have been issued, for
	// tests of what others make of old tokens. Nil means that they are new.
	Age func(context.Context) time.Duration
	// Source names the network address that a request came from: what failed attempts
	// are counted by. Nil means the connection's address.
	Source func(*http.Request) string
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means discard
}

// The lifetimes a token may have.
const (
	minLifetime = time.Minute
	maxLifetime = 24 * time.Hour
)

// An Authority issues tokens. It is safe for concurrent use.
type Authority struct {
	cfg        Config
	base       string // BaseURL without a trailing slash
	host       string // of BaseURL, with port
	directory  *directory.Directory
	keys       *keyring.Ring
	assertions *assertionVerifier
	throttle   *throttle
	devices    *throttle // of device codes
	turns      turns     // of guesses at one password or chosen secret
	signIns    *signInQueue
	state      *state
	polls      polls
	shared     sharedKeys
	endpoints  map[string]endpoint // of tenants
	places     map[string]endpoint // of no tenant
	pages      map[string]*template.Template
	log        *slog.Logger
	now        func() time.Time
}

// New checks the configuration and returns an authority that can serve. It starts nothing.
func New(cfg Config) (*Authority, error) {
	base, err := checkBaseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.Directory == nil:
		return nil, errors.New("authority: Directory is missing")
	case cfg.Keys == nil:
		return nil, errors.New("authority: Keys is missing")
	case cfg.Lifetime != 0 && (cfg.Lifetime < minLifetime || cfg.Lifetime > maxLifetime):
		return nil, fmt.Errorf("authority: Lifetime is %v, want %v to %v, or 0 for 60 to 90 minutes", cfg.Lifetime, minLifetime, maxLifetime)
	case cfg.IdentityLifetime != 0 && (cfg.IdentityLifetime < minLifetime || cfg.IdentityLifetime > maxLifetime):
		return nil, fmt.Errorf("authority: IdentityLifetime is %v, want %v to %v, or 0 for %v", cfg.IdentityLifetime, minLifetime, maxLifetime, maxLifetime)
	case cfg.MaxStale < 0 || cfg.MaxStale > longestMaxStale:
		return nil, fmt.Errorf("authority: MaxStale is %v, want at most %v, or 0 for %v", cfg.MaxStale, longestMaxStale, defaultMaxStale)
	}
	setDefault(&cfg.MaxStale, defaultMaxStale)
	setDefault(&cfg.IdentityLifetime, maxLifetime)
	if cfg.V1Issuer == "" {
		cfg.V1Issuer = base.String() + "/" + tenantPlaceholder + "/"
	}
	if err := checkIssuer(cfg.V1Issuer); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Source == nil {
		cfg.Source = remoteAddress
	}
	limits, err := newThrottle(cfg.Throttle, cfg.Now)
	if err != nil {
		return nil, err
	}
	own, err := newState([]byte(cfg.Directory.TokenRecordID("state", "authority")), cfg.Now)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Authority{
		cfg: cfg, base: base.String(), host: base.Host,
		directory: cfg.Directory, keys: cfg.Keys,
		assertions: newAssertionVerifier(cfg, base.String()),
		throttle:   limits,
		devices:    limits.deviceCodes(),
		signIns:    newSignInQueue(cfg.Directory, cfg.Log),
		state:      own,
		endpoints:  endpoints(),
		places:     places(),
		pages:      pages,
		log:        cfg.Log, now: cfg.Now,
	}, nil
}

// checkBaseURL refuses what clients could not work with.
func checkBaseURL(raw string) (*url.URL, error) {
	bad := func(why string) error {
		return fmt.Errorf("authority: BaseURL is %q: %s; a good one is https://localhost:8443", raw, why)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, bad("it is not a URL")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.Host == "" || u.Hostname() == "":
		return nil, bad("it has no host")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback.Is(u.Hostname())):
		return nil, bad("it must be https, because client libraries refuse anything else")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, bad("it must be the root of a host, because client libraries take the first path segment for the tenant")
	}
	return u, CheckHost(u.Hostname())
}

// CheckHost refuses the names of hosts and domains that client libraries trip over.
func CheckHost(name string) error {
	if strings.Contains(strings.ToLower(name), "token") {
		return fmt.Errorf(`authority: the name %q contains "token": MSAL for Go makes the device code URL by replacing that word in the URL of the token endpoint; choose another name`, name)
	}
	return nil
}

// Handler serves the authority's URL space. It expects to be at the root of its host.
func (a *Authority) Handler() http.Handler { return http.HandlerFunc(a.serve) }

// Run writes sign-ins until the context ends, then writes what is left and returns.
func (a *Authority) Run(ctx context.Context) error { return a.signIns.run(ctx) }

// Settle returns when the sign-ins of all answers given before are kept. It needs Run.
func (a *Authority) Settle(ctx context.Context) error { return a.signIns.settle(ctx) }

// lifetime is how long the next token lives.
func (a *Authority) lifetime() time.Duration {
	if a.cfg.Lifetime != 0 {
		return a.cfg.Lifetime
	}
	spread := rand.Int64N(int64(30*time.Minute/time.Second) + 1) //nolint:gosec // it spreads renewals and is no secret
	return time.Hour + time.Duration(spread)*time.Second
}

// remoteAddress is the address of the connection without its port. Of an IPv6 address
// the network counts, because whoever has one address there has all of them.
func remoteAddress(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return text.Line(r.RemoteAddr, aadsts.MaxNoted)
	}
	address := remote.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return network.String()
}
