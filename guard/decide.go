package guard

import (
	"context"
	"log/slog"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Check decides whether the bearer of a token may do what rule is for; Path
// and Methods of the rule are not looked at. An empty Caller in rule means
// that of the configuration. A rule built by hand is taken as it is: an entry
// that could never match, such as an empty role, lets nobody in.
func (g *Guard) Check(ctx context.Context, raw string, rule Rule) Decision {
	d := keepRule(g.decideToken(ctx, raw, nil, &rule), &rule)
	g.report(ctx, &d)
	return d
}

// Decide decides whether a request may do what rule is for. It is
// [Guard.Check] for the credentials that a request carries: the path of the
// request is not looked at, nor are Path and Methods of the rule. For rules by
// path there is [Guard.Policy].
func (g *Guard) Decide(ctx context.Context, r Request, rule Rule) Decision {
	d := keepRule(g.decide(ctx, &r, &rule), &rule)
	g.conclude(ctx, &r, &d)
	return d
}

// keepRule returns a refusal with the rule that caused it. It copies the rule
// only then: letting somebody in allocates nothing.
func keepRule(d Decision, rule *Rule) Decision {
	if !d.Allowed() {
		kept := rule.clone()
		d.rule = &kept
	}
	return d
}

// decide decides about a request by one rule.
func (g *Guard) decide(ctx context.Context, r *Request, rule *Rule) Decision {
	if rule.Anonymous {
		return Decision{Outcome: Allow, Route: rule.Path}
	}
	raw, by, reason := r.credential(g.schemes)
	switch {
	case reason != "":
		return g.refused(credentialsSeen(reason, r), rule.Path)
	case by == signedRequest:
		return g.decideSigned(ctx, r, raw, rule)
	case by == dpop:
		return g.decideDPoP(ctx, r, raw, rule)
	}
	return g.decideToken(ctx, raw, r, rule)
}

// decideToken decides about the bearer of a token by one rule. The form of a
// token from a request is still to be looked at; nil is no request.
func (g *Guard) decideToken(ctx context.Context, raw string, r *Request, rule *Rule) Decision {
	v, refusal := g.verify(ctx, raw, r != nil)
	if refusal == nil && (v.bound || g.boundOnly || rule.Bound) {
		refusal = v.unproven(r)
	}
	if refusal != nil {
		return g.refused(refusal, rule.Path)
	}
	return g.decideProven(ctx, v, raw, rule)
}

// decideProven decides by one rule about a caller whose token is good.
func (g *Guard) decideProven(ctx context.Context, v *verified, raw string, rule *Rule) Decision {
	if g.follower != nil {
		if refusal := g.follower.stands(ctx, &v.caller, v.kid, v.capable); refusal != nil {
			return g.ended(refusal, v, raw, rule)
		}
	}
	if reason := g.rights(&v.caller, rule); reason != "" {
		return g.denied(reason, v, raw, rule)
	}
	return Decision{Outcome: Allow, Route: rule.Path, caller: &v.caller, challenge: &g.challenge}
}

// denied returns the decision that refuses a caller who is proven.
func (g *Guard) denied(reason Reason, v *verified, raw string, rule *Rule) Decision {
	d := g.refused(&refusal{reason: reason, claims: g.evidenceOf(raw)}, rule.Path)
	d.caller = &v.caller
	return d
}

// ended returns the decision that refuses a token which counts no more.
func (g *Guard) ended(r *refusal, v *verified, raw string, rule *Rule) Decision {
	r.claims = g.evidenceOf(raw)
	d := g.refused(r, rule.Path)
	d.caller = &v.caller
	return d
}

// refused returns the decision that refuses.
func (g *Guard) refused(r *refusal, route string) Decision {
	r.at = g.cfg.Now().Unix()
	return Decision{Outcome: r.reason.Outcome(), Reason: r.reason, Route: route, RetryAfter: r.retryAfter, refusal: r, challenge: &g.challenge}
}

// evidenceOf returns the claims of a token that was verified before, if
// somebody listens to decisions.
func (g *Guard) evidenceOf(raw string) *token.Object {
	if !g.listened {
		return nil
	}
	t, err := token.Parse(raw, g.limits)
	if err != nil {
		return nil
	}
	return &t.Claims
}

// verify returns what the signature of a token vouches for, from memory or by
// running every check. A token that is remembered has a good form.
func (g *Guard) verify(ctx context.Context, raw string, fromHeader bool) (*verified, *refusal) {
	now := g.cfg.Now()
	if v := g.cache.get(raw, now.Unix()); v != nil {
		return v, nil
	}
	if fromHeader && !isB64Token(raw) {
		seen := seenAsToken(raw)
		return nil, fail(CredentialsMalformed, seen.fix, "what follows Bearer is not one token: %s", seen.what)
	}
	in := &inspection{guard: g, ctx: ctx, raw: raw, now: now.Unix()}
	for i := range checks {
		if refusal := checks[i].run(in); refusal != nil {
			if in.token != nil {
				refusal.claims = &in.token.Claims
			}
			return nil, refusal
		}
	}
	v := newVerified(in)
	g.cache.put(raw, v, len(raw)+len(in.token.Claims.Raw()))
	return v, nil
}

// rights returns why a proven caller may not do what rule is for. It runs on
// every request; nothing of it is remembered.
func (g *Guard) rights(c *Caller, rule *Rule) Reason {
	if g.cfg.Revoked != nil && g.cfg.Revoked(c.clone()) {
		return TokenRevoked
	}
	return g.permit(c, rule)
}

// conclude gives a refused request a name and tells the decision.
func (g *Guard) conclude(ctx context.Context, r *Request, d *Decision) {
	if d.Outcome != Allow {
		d.TraceID = r.trace()
		d.refusal.method, d.refusal.path = r.Method, r.Path
	}
	g.report(ctx, d)
}

// report tells a decision to the hook and the log.
func (g *Guard) report(ctx context.Context, d *Decision) {
	if g.cfg.OnDecision != nil {
		g.cfg.OnDecision(*d)
	}
	if d.Outcome != Allow && g.cfg.Log.Enabled(ctx, slog.LevelInfo) {
		g.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "request refused", d.explained()...)
	}
}
