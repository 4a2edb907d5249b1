package authoritytest

import "github.com/rolecall-auth/rolecall/internal/fault"

// Fault makes answers go wrong from now on, in place of the faults there were. Without any
// everything goes right again. A fault names where and what:
//
//	token:429,retry-after=2,times=3   the next three token requests are told to wait
//	token:503                         every token request is refused
//	token:delay=2s                    tokens take two seconds
//	token:drop,times=1                the connection closes without an answer
//	token:expired                     tokens have expired when they come
//	token:drop-key                    the keys document lacks the key that signs
//	identity:410                      as with token, for managed identities
//
// The statuses are 400 to 599. With [Logs], each answer that goes wrong has a line in the log.
func (a *Authority) Fault(faults ...string) {
	a.t.Helper()
	rules := make([]fault.Rule, len(faults))
	for i, text := range faults {
		var err error
		rules[i], err = fault.Parse(text)
		a.check("make a fault", err)
	}
	a.check("make faults", a.faults.Set(rules...))
}
