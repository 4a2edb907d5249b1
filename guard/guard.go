package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A Guard decides who may call one API. It is safe for concurrent use.
type Guard struct {
	cfg              Config
	issuers          []*issuer
	audience         map[string]bool
	limits           token.Limits
	cache            *cache
	authorizationURI string // for challenges; empty without a tenant's Authority
}

// New returns the guard of the API that cfg describes, or everything that is
// wrong with cfg. It does not reach out: while the authority is down, requests
// are answered 503 until it is back. To start only with keys, call
// [Guard.Ready]. When ctx ends the guard stops fetching keys.
func New(ctx context.Context, cfg Config) (*Guard, error) {
	cfg, err := cfg.withDefaults()
	g := &Guard{cfg: cfg, audience: make(map[string]bool), limits: token.Limits{Token: cfg.MaxToken}}
	if err = errors.Join(err, g.trust(ctx)); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	for _, audience := range cfg.Audience {
		g.audience[audience] = true
		if strings.Contains(audience, "://") {
			bare := strings.TrimSuffix(audience, "/")
			g.audience[bare], g.audience[bare+"/"] = true, true
		}
	}
	g.cache = newCache(cfg.CacheBytes)
	return g, nil
}

// trust makes the issuers of the configuration.
func (g *Guard) trust(ctx context.Context) error {
	client, err := g.cfg.client()
	if err != nil {
		return err
	}
	var all []Issuer
	if g.cfg.Authority != "" {
		if all, err = authorityIssuers(g.cfg.Authority, g.cfg.Tenants); err != nil {
			return err
		}
		g.authorizationURI = strings.TrimSuffix(strings.TrimSuffix(all[1].Metadata, "/.well-known/openid-configuration"), "/v2.0") + "/oauth2/v2.0/authorize"
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
		out.keys = g.newSource(ctx, in)
		g.issuers = append(g.issuers, out)
	}
	for _, i := range g.issuers {
		i.keys.client = client
	}
	return nil
}

func (g *Guard) newSource(ctx context.Context, in Issuer) *keySource {
	metadata, keys := in.sourceURLs()
	s := &keySource{issuer: in.Issuer, metadata: metadata, keysURL: keys, log: g.cfg.Log, lifetime: ctx}
	context.AfterFunc(ctx, s.stop)
	return s
}

// Ready fetches the keys of every issuer that has none yet, and returns an
// error that names those which still have none. A guard that is ready once
// stays so: keys that cannot be fetched anew are kept.
func (g *Guard) Ready(ctx context.Context) error {
	var problems []error
	for _, i := range g.issuers {
		if err := i.keys.ready(ctx); err != nil {
			problems = append(problems, fmt.Errorf("guard: issuer %s: %w", i.name, err))
		}
	}
	return errors.Join(problems...)
}

// Check decides whether the bearer of a token may do what rule is for; Path
// and Methods of the rule are not looked at. An empty Caller in rule means
// that of the configuration. A rule built by hand is taken as it is: an entry
// that could never match, such as an empty role, lets nobody in.
func (g *Guard) Check(ctx context.Context, raw string, rule Rule) Decision {
	d := g.check(ctx, raw, &rule)
	g.report(ctx, d)
	return d
}

func (g *Guard) check(ctx context.Context, raw string, rule *Rule) Decision {
	now := g.cfg.Now()
	if v := g.cache.get(raw, now.Unix()); v != nil {
		return g.admit(v, rule)
	}
	return g.examine(ctx, raw, now, rule)
}

// checkHeader is check for a token from a header, whose form is still to be
// looked at. A token that is remembered has a good one.
func (g *Guard) checkHeader(ctx context.Context, raw string, rule *Rule) Decision {
	now := g.cfg.Now()
	if v := g.cache.get(raw, now.Unix()); v != nil {
		return g.admit(v, rule)
	}
	if !isB64Token(raw) {
		d := refused(CredentialsMalformed)
		d.Route = rule.Path
		return d
	}
	return g.examine(ctx, raw, now, rule)
}

// examine decides about a token that is not remembered.
func (g *Guard) examine(ctx context.Context, raw string, now time.Time, rule *Rule) Decision {
	v, refusal := g.verify(ctx, raw, now)
	if refusal != nil {
		d := refused(refusal.reason)
		d.Route, d.RetryAfter = rule.Path, refusal.retryAfter
		return d
	}
	return g.admit(v, rule)
}

// admit decides about a caller whose token is good.
func (g *Guard) admit(v *verified, rule *Rule) Decision {
	reason := Reason("")
	if g.cfg.Revoked != nil && g.cfg.Revoked(v.caller.clone()) {
		reason = TokenRevoked
	}
	if reason == "" {
		reason = g.authorize(&v.caller, rule)
	}
	d := Decision{Outcome: Allow, Reason: reason, Route: rule.Path, caller: &v.caller}
	if reason != "" {
		d.Outcome = reason.Outcome()
	}
	return d
}

// verify runs every check of a token and remembers a good one.
func (g *Guard) verify(ctx context.Context, raw string, now time.Time) (*verified, *refusal) {
	in := &inspection{guard: g, ctx: ctx, raw: raw, now: now.Unix()}
	for i := range checks {
		if refusal := checks[i].run(in); refusal != nil {
			return nil, refusal
		}
	}
	v := newVerified(in)
	g.cache.put(raw, v, len(raw)+len(in.token.Claims.Raw()))
	return v, nil
}
