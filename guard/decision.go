package guard

import "time"

// A Decision is the verdict on one request or token. The zero Decision
// refuses.
type Decision struct {
	Outcome    Outcome
	Reason     Reason        // why it was refused; empty if it was allowed
	Route      string        // Path of the rule that decided, if it has one
	TraceID    string        // names a refusal over HTTP in answer and log alike
	RetryAfter time.Duration // for Unavailable: when asking again makes sense

	caller *Caller
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

func refused(reason Reason) Decision {
	return Decision{Outcome: reason.Outcome(), Reason: reason}
}
