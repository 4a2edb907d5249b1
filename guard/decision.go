package guard

import (
	"context"
	"log/slog"
	"time"
)

// A Decision is the verdict on one request or token. The zero Decision
// refuses.
//
// What a caller may learn of a refusal is in [Decision.Answer]. Detail and Fix
// are for operators.
type Decision struct {
	Outcome    Outcome
	scheme     scheme        // of the credential; here it costs no space
	Reason     Reason        // why it was refused; empty if it was allowed
	Route      string        // Path of the rule that decided, if it has one
	TraceID    string        // names the refusal of a request in answer and log alike
	RetryAfter time.Duration // for Unavailable: when asking again makes sense

	caller    *Caller
	rule      *Rule      // that decided; nil if no rule is for the request
	refusal   *refusal   // why a guard refused; nil if it did not
	challenge *challenge // for the answer to a refusal, and how far clocks may differ; with it a decision has a size that is copied fast
}

// Allowed reports whether the request may go on.
func (d Decision) Allowed() bool { return d.Outcome == Allow }

// Caller returns who was proven to call. There is one for every decision that
// got past authentication, also for a refused one.
func (d Decision) Caller() (Caller, bool) {
	if d.caller == nil {
		return Caller{}, false
	}
	return d.caller.clone(), true
}

// Until returns when what was allowed ends, because the token of its caller does:
// from then on the same request would be refused. Whoever lets a connection stay
// open, such as a websocket, ends it then. It is zero where nothing was allowed,
// and on an anonymous route.
func (d Decision) Until() time.Time {
	if !d.Allowed() || d.caller == nil || d.challenge == nil {
		return time.Time{}
	}
	return d.caller.Expires.Add(d.challenge.skew)
}

// Rule returns the rule that decided, as the policy has it. There is none if
// no rule is for the request, and none in what [Guard.Check] and
// [Guard.Decide] allowed by the rule they were given.
func (d Decision) Rule() (Rule, bool) {
	if d.rule == nil {
		return Rule{}, false
	}
	return d.rule.clone(), true
}

// Detail says what was found, for an operator. It may quote the claims of the
// token, so it must not become part of an answer. It is empty where the reason
// says it all.
func (d Decision) Detail() string {
	switch {
	case d.Allowed():
		return ""
	case d.refusal != nil && d.refusal.detail != "":
		return d.refusal.detail
	case d.caller != nil:
		return describeCaller(d.caller)
	default:
		return ""
	}
}

// Fix says what to do about a refusal, for an operator. It may name what the
// API accepts, so it must not become part of an answer.
func (d Decision) Fix() string {
	switch {
	case d.Allowed():
		return ""
	case d.refusal != nil && d.refusal.fix != "":
		return d.refusal.fix
	default:
		return fixFor(d.Reason, d.rule, d.caller)
	}
}

// Context returns a context in which [CallerFrom] finds the caller of a
// request that was allowed. Middleware does this by itself.
func (d Decision) Context(ctx context.Context) context.Context {
	if !d.Allowed() || d.caller == nil {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, d.caller)
}

// LogValue is a decision in short. The client and tenant are there only if
// they are proven, and nothing of an unproven token ever is. What a guard logs
// itself of a refusal has the detail, the fix and the [Evidence] as well.
func (d Decision) LogValue() slog.Value { return slog.GroupValue(d.attributes()...) }

func (d Decision) attributes() []slog.Attr {
	attributes := []slog.Attr{
		slog.String("outcome", d.Outcome.String()), slog.String("reason", string(d.Reason)),
		slog.String("route", d.Route), slog.String("trace_id", d.TraceID),
	}
	if d.caller != nil {
		attributes = append(attributes, slog.String("client", d.caller.ClientID), slog.String("tenant", d.caller.TenantID))
	}
	return attributes
}
