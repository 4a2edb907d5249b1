package guard

import (
	"context"
	"errors"
	"fmt"
)

// A Policy is the rules of one API, checked and ready. The first rule for the
// path and method of a request decides, and what no rule names is refused. It
// is safe for concurrent use and never changes: to change the rules, make
// another one.
type Policy struct {
	guard  *Guard
	routes []route
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
	p := &Policy{guard: g, routes: make([]route, len(rules))}
	var problems []error
	for i, rule := range rules {
		compiled, pattern, err := g.compileRule(rule)
		if err != nil {
			problems = append(problems, err)
		}
		p.routes[i] = route{compiled, pattern}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return p, nil
}

// Decide decides about a request by the first rule for its path and method,
// and tells the decision to Config.OnDecision and the log.
func (p *Policy) Decide(ctx context.Context, r Request) Decision {
	rule, reason := p.match(&r)
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

// match returns the first rule for the request, or why there is none.
func (p *Policy) match(r *Request) (*Rule, Reason) {
	path, ok := canonicalPath(r.Path)
	if !ok {
		return nil, PathNotCanonical
	}
	method := r.Method
	if method == "HEAD" {
		method = "GET"
	}
	for i := range p.routes {
		if !p.routes[i].pattern.match(path, p.guard.cfg.IgnoreCase) {
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
