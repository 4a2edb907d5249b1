package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Require returns middleware that lets in callers of the configured kind that
// hold at least one of roles. Without roles it lets in every such caller that
// holds any role at all. An empty role is held by nobody.
//
//	mux.Handle("GET /api/orders", g.Require("Orders.Read")(orders))
func (g *Guard) Require(roles ...string) func(http.Handler) http.Handler {
	rule := &Rule{Roles: append([]string(nil), roles...), Caller: g.cfg.Caller}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.serve(w, r, rule, "", next)
		})
	}
}

// Handler puts rules before next. The first rule for the path and method of a
// request decides; where there is none the request is refused, and so is one
// whose path could be read in two ways. Headers by which a client could claim
// an identity, a method or a path never reach next, nor do trailers. What must
// be answered without a token, such as a browser's preflight request, belongs
// before the guard or gets an anonymous rule.
func (g *Guard) Handler(rules []Rule, next http.Handler) (http.Handler, error) {
	if len(rules) == 0 {
		return nil, errors.New("guard: no rules, so nothing could ever be allowed: add at least one")
	}
	if next == nil {
		return nil, errors.New("guard: no handler to protect")
	}
	routes := make([]route, len(rules))
	var problems []error
	for i, rule := range rules {
		compiled, p, err := g.compileRule(rule)
		if err != nil {
			problems = append(problems, err)
		}
		routes[i] = route{compiled, p}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rule, reason := g.match(routes, r)
		g.serve(w, r, rule, reason, next)
	}), nil
}

// serve decides on a request and passes it on or answers it. A reason given
// has already refused it.
func (g *Guard) serve(w http.ResponseWriter, r *http.Request, rule *Rule, reason Reason, next http.Handler) {
	d := g.decide(r, rule, reason)
	if d.Allowed() {
		g.report(r.Context(), d)
		next.ServeHTTP(w, admitted(r, d.caller))
		return
	}
	d.TraceID = traceID(r)
	g.report(r.Context(), d)
	g.refuse(w, r, d, rule)
}

func (g *Guard) decide(r *http.Request, rule *Rule, reason Reason) Decision {
	if reason != "" {
		return refused(reason)
	}
	if rule.Anonymous {
		return Decision{Outcome: Allow, Route: rule.Path}
	}
	raw, reason := bearer(r)
	if reason != "" {
		d := refused(reason)
		d.Route = rule.Path
		return d
	}
	return g.checkHeader(r.Context(), raw, rule)
}

// admitted returns the request as the protected handler sees it. Trailers
// arrive after the decision and could name an identity, so there are none.
func admitted(r *http.Request, caller *Caller) *http.Request {
	ctx := r.Context()
	if caller != nil {
		ctx = context.WithValue(ctx, callerKey{}, caller)
	}
	out := r.WithContext(ctx)
	out.Header = sanitize(r.Header)
	out.Trailer = nil
	return out
}

// report tells a decision to the hook and the log.
func (g *Guard) report(ctx context.Context, d Decision) {
	if g.cfg.OnDecision != nil {
		g.cfg.OnDecision(d)
	}
	if d.Allowed() || !g.cfg.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attributes := []slog.Attr{
		slog.String("outcome", d.Outcome.String()), slog.String("reason", string(d.Reason)),
		slog.String("route", d.Route), slog.String("trace_id", d.TraceID),
	}
	if d.caller != nil { // proven, so these name somebody
		attributes = append(attributes, slog.String("client", d.caller.ClientID), slog.String("tenant", d.caller.TenantID))
	}
	g.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "request refused", attributes...)
}
