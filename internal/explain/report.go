package explain

import "slices"

// A Report is an explanation.
type Report struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"` // the guard's code of the first failed check
	API      string `json:"api,omitempty"`
	Client   string `json:"client,omitempty"`
	User     string `json:"user,omitempty"` // whom the client acts for
	Steps    []Step `json:"steps"`
	Mend     *Mend  `json:"mend,omitempty"`
}

// A Step is one check.
type Step struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // why it failed, as a code
	Detail  string  `json:"detail,omitempty"` // what was found
}

// An Outcome says how a check went.
type Outcome string

// The outcomes. A check is skipped when it needs what a failed one should have found.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// A Mend is the next step after a refusal.
type Mend struct {
	What    string `json:"what"`              // in words
	Command string `json:"command,omitempty"` // to type; may have several lines
}

func (r *Report) add(name string, ok bool, detail string) {
	outcome := Passed
	if !ok {
		outcome = Failed
	}
	r.Steps = append(r.Steps, Step{Name: name, Outcome: outcome, Detail: detail})
}

// conclude sets the verdict from the guard's steps. Those of the directory come after it:
// a token that was good when it was issued stays so until it expires.
func (r *Report) conclude() {
	first := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Outcome == Failed })
	r.Accepted = first < 0
	if !r.Accepted {
		r.Reason = r.Steps[first].Reason
	}
}
