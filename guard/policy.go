package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Policy is the rules of one API, checked and ready. The first rule for the
// path and method of a request decides, and what no rule names is refused. It
// is safe for concurrent use and never changes: to change the rules, make
// another one.
type Policy struct {
	guard   *Guard
	routes  []route
	shadows bool // whether one of the rules is a shadow
}

// A route is a rule ready to be matched.
type route struct {
	rule    Rule
	pattern pattern
}

// Policy returns the policy that rules describe, or everything that is wrong
// with them.
func (g *Guard) Policy(rules []Rule) (*Policy, error) {
	if len(rules) == 0 {
		return nil, errors.New("guard: no rules, so nothing could ever be allowed: add at least one")
	}
	if !slices.ContainsFunc(rules, func(r Rule) bool { return !r.Shadow }) {
		return nil, errors.New("guard: every rule is a Shadow, so nothing could ever be allowed: add one that counts")
	}
	p := &Policy{guard: g, routes: make([]route, len(rules))}
	var problems []error
	for i, rule := range rules {
		compiled, pattern, err := g.compileRule(rule)
		if err != nil {
			problems = append(problems, err)
		}
		p.routes[i] = route{compiled, pattern}
		p.shadows = p.shadows || rule.Shadow
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return p, nil
}

// Decide decides about a request by the first rule for its path and method,
// and tells the decision to Config.OnDecision and the log.
func (p *Policy) Decide(ctx context.Context, r Request) Decision {
	rule, reason := p.match(&r, false)
	var d Decision
	if reason == "" {
		d = p.guard.decide(ctx, &r, rule)
	} else {
		d = p.guard.refused(p.unmatched(&r, reason), "")
	}
	d.rule = rule
	p.guard.conclude(ctx, &r, &d)
	return d
}

// Shadow returns what the first shadow rule for a request would have decided,
// if there is one; enforced is what [Policy.Decide] has decided. It counts for
// nothing and is told to nobody but the caller of Shadow. A credential that was
// looked at is not looked at again, so a signed request is not used twice.
func (p *Policy) Shadow(ctx context.Context, r Request, enforced Decision) (Decision, bool) {
	if !p.shadows {
		return Decision{}, false
	}
	rule, reason := p.match(&r, true)
	if reason != "" {
		return Decision{}, false
	}
	var d Decision
	switch {
	case rule.Anonymous:
		d = Decision{Outcome: Allow, Route: rule.Path}
	case enforced.Reason == TokenRevoked, enforced.Reason == RevocationsUnavailable: // it does not count, whatever the rule
		d = enforced
		d.Route = rule.Path
	case rule.Bound && enforced.scheme == bearer: // the rule that decided may have taken a token that is not bound
		d = p.guard.decide(ctx, &r, rule)
	case enforced.caller != nil: // proven: only the rights differ
		d = Decision{Outcome: Allow, Route: rule.Path, scheme: enforced.scheme, caller: enforced.caller, challenge: enforced.challenge}
		if reason := p.guard.rights(enforced.caller, rule); reason != "" {
			d = p.guard.refused(&refusal{reason: reason}, rule.Path)
			d.caller, d.scheme = enforced.caller, enforced.scheme
		}
	case enforced.rule == nil, enforced.rule.Anonymous: // nobody has looked at the credentials
		d = p.guard.decide(ctx, &r, rule)
	default: // they do not count, whatever the rule
		d = enforced
		d.Route = rule.Path
	}
	d.rule = rule
	return d, true
}

// match returns the first rule for the request, of those that are shadows or of
// the others, or why there is none.
func (p *Policy) match(r *Request, shadow bool) (*Rule, Reason) {
	path, ok := canonicalPath(r.Path)
	if !ok {
		return nil, PathNotCanonical
	}
	method := r.Method
	if method == "HEAD" {
		method = "GET"
	}
	for i := range p.routes {
		if p.routes[i].rule.Shadow != shadow || !p.routes[i].pattern.match(path, p.guard.cfg.IgnoreCase) {
			continue
		}
		for _, m := range p.routes[i].rule.Methods {
			if m == method {
				return &p.routes[i].rule, ""
			}
		}
	}
	return nil, NoPolicy
}
