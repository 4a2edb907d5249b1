package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A Guard decides who may call one API. It is safe for concurrent use.
type Guard struct {
	cfg       Config
	issuers   []*issuer
	audience  map[string]bool
	limits    token.Limits
	cache     *cache
	challenge challenge
	listened  bool      // whether somebody hears of refusals
	follower  *follower // nil where no revocations are followed

	schemes   []scheme        // that are taken
	signed    *signedRequests // nil if none are taken
	dpop      *proofs         // nil if none are taken
	boundOnly bool            // whether tokens that are not bound are refused
}

// New returns the guard of the API that cfg describes, or everything that is
// wrong with cfg. It does not reach out: while the authority is down, requests
// are answered 503 until it is back. To start only with keys, call
// [Guard.Ready]. When ctx ends the guard stops fetching keys and following
// [Revocations].
func New(ctx context.Context, cfg Config) (*Guard, error) {
	cfg, err := cfg.withDefaults()
	g := &Guard{cfg: cfg, audience: make(map[string]bool), limits: token.Limits{Token: cfg.MaxToken}}
	if err = errors.Join(err, g.trust(ctx)); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g.listened = cfg.OnDecision != nil || cfg.Log.Enabled(ctx, slog.LevelInfo)
	for _, audience := range cfg.Audience {
		if id := strings.ToLower(audience); isGUID(id) {
			audience = id // which is how tokens have it
		}
		g.audience[audience] = true
		if strings.Contains(audience, "://") {
			bare := strings.TrimSuffix(audience, "/")
			g.audience[bare], g.audience[bare+"/"] = true, true
		}
	}
	g.cache = newCache(cfg.CacheBytes)
	g.challenge = newChallenge(&cfg)
	g.signed = newSignedRequests(cfg.SignedRequests, cfg.Skew)
	g.dpop = newProofs(cfg.DPoP, cfg.Skew)
	g.boundOnly = g.signed != nil && g.signed.Required || g.dpop != nil && g.dpop.Required
	g.schemes = []scheme{bearer}
	if g.signed != nil {
		g.schemes = append(g.schemes, signedRequest)
	}
	if g.dpop != nil {
		g.schemes = append(g.schemes, dpop)
	}
	g.introduce(ctx)
	if g.follower = g.newFollower(); g.follower != nil {
		go g.follower.run(ctx)
	}
	return g, nil
}

// introduce logs what the guard trusts, to be compared with a token that it
// refuses.
func (g *Guard) introduce(ctx context.Context) {
	tenants := g.cfg.Tenants
	if len(tenants) == 0 {
		for _, i := range g.issuers {
			if i.tenant != "" && !slices.Contains(tenants, i.tenant) {
				tenants = append(tenants, i.tenant)
			}
		}
	}
	attributes := []slog.Attr{
		slog.String("issuers", g.issuerNames()), slog.String("audience", strings.Join(g.cfg.Audience, ", ")),
		slog.String("caller", string(g.cfg.Caller)), slog.String("tenants", strings.Join(tenants, ", ")),
	}
	for _, list := range []struct {
		name string
		ids  []string
	}{{"clients", g.cfg.Clients}, {"principals", g.cfg.Principals}} {
		if len(list.ids) > 0 {
			attributes = append(attributes, slog.String(list.name, strings.Join(list.ids, ", ")))
		}
	}
	g.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "guard trusts", attributes...)
}

// trust makes the issuers of the configuration.
func (g *Guard) trust(ctx context.Context) error {
	keys, err := newFetcher(g.cfg.HTTPClient, g.cfg.CABundle)
	if err != nil {
		return err
	}
	var all []Issuer
	if g.cfg.Authority != "" {
		if all, err = authorityIssuers(g.cfg.Authority, g.cfg.Tenants); err != nil {
			return err
		}
	}
	pair := len(all)
	for i, in := range append(all, g.cfg.Issuers...) {
		out, err := newIssuer(in, g.cfg.Tenants)
		if err != nil {
			return err
		}
		for _, other := range g.issuers {
			if other.name == out.name {
				return fmt.Errorf("the issuer %q is configured twice", in.Issuer)
			}
		}
		if out.alternate = out.name; i < pair {
			out.alternate = all[1].Issuer
		}
		from := in.source()
		if i == 0 && pair > 0 { // the issuer of an authority's v1.0 tokens
			from.learns = !inEntra(g.cfg.Authority)
			out.learns = from.learns
		}
		out.keys = g.newSource(ctx, from)
		g.issuers = append(g.issuers, out)
	}
	for _, i := range g.issuers {
		i.keys.fetcher = keys
	}
	return nil
}

func (g *Guard) newSource(ctx context.Context, from source) *keySource {
	s := &keySource{source: from, maxAge: g.cfg.MaxKeyAge, folder: g.cfg.StateDir, clock: g.cfg.Now, log: g.cfg.Log, lifetime: ctx}
	s.restore()
	context.AfterFunc(ctx, s.stop)
	return s
}

// Ready fetches the keys of every issuer that has none yet, waits for the first
// answer about [Revocations] if they are followed, and returns an error that
// names what is still missing. A guard that is ready stays so
// while its keys can be fetched anew, and for Config.MaxKeyAge after that.
func (g *Guard) Ready(ctx context.Context) error {
	var problems []error
	for _, i := range g.issuers {
		if err := i.keys.ready(ctx); err != nil {
			problems = append(problems, fmt.Errorf("guard: issuer %s: %w", i.called(), err))
		}
	}
	if g.follower != nil {
		if err := g.follower.ready(ctx); err != nil {
			problems = append(problems, fmt.Errorf("guard: %w", err))
		}
	}
	return errors.Join(problems...)
}

// A KeyState says how a guard stands with the keys of an issuer.
type KeyState struct {
	Issuer  string
	Keys    int       // that can verify a signature
	Fetched time.Time // when they were last fetched, or found unchanged; zero if never
	Usable  bool      // whether they count: they are there, and not older than Config.MaxKeyAge
	Err     error     // why the last fetch failed; nil if it did not
}

// Keys says how the guard stands with the keys of each issuer, for metrics and
// health checks. It fetches nothing.
func (g *Guard) Keys() []KeyState {
	states := make([]KeyState, len(g.issuers))
	for i, issuer := range g.issuers {
		states[i] = issuer.keys.state()
		states[i].Issuer = issuer.called()
	}
	return states
}
