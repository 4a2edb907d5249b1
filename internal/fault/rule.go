package fault

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Surface is where faults may happen.
type Surface string

// The surfaces.
const (
	Token    Surface = "token"    // the token endpoints of an authority
	Keys     Surface = "keys"     // its keys documents
	Identity Surface = "identity" // the endpoints of managed identities
)

// A Rule is one fault. Of Status, Drop, DropKey and Expired at most one is set; Delay may
// come before any of them, or alone.
type Rule struct {
	Surface    Surface
	Status     int           // of the answer: 400 to 599
	RetryAfter int           // seconds, with Status; 0 says nothing
	Delay      time.Duration // before the answer
	Drop       bool          // the connection closes without an answer
	DropKey    bool          // the keys document lacks the signing key; Keys only
	Expired    bool          // the token expired an hour ago; not Keys
	Times      int           // how often; 0 means always
}

// maxDelay is less than servers give an answer.
const maxDelay = time.Minute

// grammar is what Parse reads.
const grammar = "SURFACE:FAULT,… with a SURFACE of token, keys or identity and FAULTs of a status (4xx, 5xx), retry-after=SECONDS, delay=DURATION, drop, drop-key, expired, times=N, such as token:429,retry-after=2,times=3"

// Parse reads a rule from text such as "token:429,retry-after=2,times=3".
func Parse(text string) (Rule, error) {
	surface, faults, ok := strings.Cut(text, ":")
	r := Rule{Surface: Surface(strings.TrimSpace(surface))}
	if !ok {
		return Rule{}, fmt.Errorf("fault %q: want %s", text, grammar)
	}
	given := map[string]bool{}
	for word := range strings.SplitSeq(faults, ",") {
		if err := r.set(strings.TrimSpace(word), given); err != nil {
			return Rule{}, fmt.Errorf("fault %q: %w: want %s", text, err, grammar)
		}
	}
	if r.DropKey && r.Surface == Token { // the key of tokens
		r.Surface = Keys
	}
	return r, r.check()
}

// set takes one word of a rule, and notes which was given: one that comes twice would take
// back the first.
func (r *Rule) set(word string, given map[string]bool) (err error) {
	name, value, valued := strings.Cut(word, "=")
	kind := name
	switch name {
	case "retry-after":
		r.RetryAfter, err = strconv.Atoi(value)
	case "times":
		if r.Times, err = strconv.Atoi(value); err == nil && r.Times < 1 {
			err = fmt.Errorf("times is %d", r.Times)
		}
	case "delay", "slow":
		kind = "delay"
		r.Delay, err = time.ParseDuration(value)
	case "drop", "drop-key", "expired":
		if valued {
			err = fmt.Errorf("%s takes no value", name)
		}
		r.Drop, r.DropKey, r.Expired = r.Drop || name == "drop", r.DropKey || name == "drop-key", r.Expired || name == "expired"
	default:
		kind = "status"
		if r.Status, err = strconv.Atoi(word); err != nil {
			err = fmt.Errorf("there is no fault %q", word)
		}
	}
	if err == nil && given[kind] {
		err = fmt.Errorf("there is more than one %s, which would need a rule for each", kind)
	}
	given[kind] = true
	return err
}

// check refuses rules that mean nothing.
func (r Rule) check() error {
	bad := func(why string) error { return fmt.Errorf("fault of surface %q: %s", r.Surface, why) }
	kinds := 0
	for _, is := range []bool{r.Status != 0, r.Drop, r.DropKey, r.Expired} {
		if is {
			kinds++
		}
	}
	switch {
	case r.Surface != Token && r.Surface != Keys && r.Surface != Identity:
		return bad("there is no such surface: use token, keys or identity")
	case kinds > 1:
		return bad("a status, drop, drop-key and expired exclude each other: write a rule for each")
	case kinds == 0 && r.Delay == 0:
		return bad("it says nothing: give a status, delay, drop, drop-key or expired")
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return bad(fmt.Sprintf("the status is %d, want 400 to 599", r.Status))
	case r.RetryAfter < 0 || r.RetryAfter > 0 && r.Status == 0:
		return bad("retry-after is a number of seconds and goes with a status")
	case r.Delay < 0 || r.Delay > maxDelay:
		return bad(fmt.Sprintf("the delay is %v, want at most %v", r.Delay, maxDelay))
	case r.DropKey && r.Surface != Keys:
		return bad("drop-key is for keys")
	case r.Expired && r.Surface == Keys:
		return bad("expired is for token and identity")
	case r.Times < 0:
		return bad(fmt.Sprintf("times is %d, want 1 or more, or 0 for always", r.Times))
	}
	return nil
}

// String writes a rule as Parse reads it.
func (r Rule) String() string {
	var faults []string
	add := func(is bool, format string, value ...any) {
		if is {
			faults = append(faults, fmt.Sprintf(format, value...))
		}
	}
	add(r.Status != 0, "%d", r.Status)
	add(r.RetryAfter != 0, "retry-after=%d", r.RetryAfter)
	add(r.Delay != 0, "delay=%v", r.Delay)
	add(r.Drop, "drop")
	add(r.DropKey, "drop-key")
	add(r.Expired, "expired")
	add(r.Times != 0, "times=%d", r.Times)
	return string(r.Surface) + ":" + strings.Join(faults, ",")
}

// passes reports whether clients take the status for something that passes by itself.
func (r Rule) passes() bool {
	switch r.Status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusGone, http.StatusTooManyRequests:
		return true
	}
	return r.Status >= http.StatusInternalServerError
}
