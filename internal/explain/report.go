package explain

import "slices"

// A Report is an explanation.
type Report struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"` // the guard's code of the first failed check
	// Verdict says in plain words what became of it, and why: a clause that follows
	// "accepted" or "refused:".
	Verdict string `json:"verdict,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	API     string `json:"api,omitempty"`
	Client  string `json:"client,omitempty"`
	User    string `json:"user,omitempty"` // on whose behalf the client acts
	Steps   []Step `json:"steps"`
	Fix     *Fix   `json:"fix,omitempty"`
	// Compared puts what was presented beside what is registered.
	Compared []Comparison `json:"compared,omitempty"`
	// Hints are facts that lead to the cause, as sentences.
	Hints []string `json:"hints,omitempty"`
	// Note says what the token cannot tell: whose the service is that it is for.
	Note string `json:"note,omitempty"`
	// Disagreement is what follows when the API answered otherwise than the directory explains.
	Disagreement *Disagreement `json:"disagreement,omitempty"`
}

// A Comparison is a value that was presented, beside those that would have fitted.
type Comparison struct {
	What       string       `json:"what"` // "subject"
	Presented  string       `json:"presented"`
	Registered []Registered `json:"registered,omitempty"`
}

// A Registered value is one that a credential has.
type Registered struct {
	Name  string `json:"name"` // of the credential
	Value string `json:"value"`
	Note  string `json:"note,omitempty"` // how it differs, or when it ends
}

// A Step is one check.
type Step struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // why it failed, as a code
	Detail  string  `json:"detail,omitempty"` // what the check saw
}

// An Outcome says how a check went.
type Outcome string

// The outcomes. A check is skipped when it depends on the result of a check that failed.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// A Fix is the next step after a refusal.
type Fix struct {
	What    string `json:"what"`              // in words
	Command string `json:"command,omitempty"` // to run as it is: one command a line, or with a here-document
}

func (r *Report) add(name string, ok bool, detail string) {
	outcome := Passed
	if !ok {
		outcome = Failed
	}
	r.Steps = append(r.Steps, Step{Name: name, Outcome: outcome, Detail: detail})
}

// conclude sets the verdict from the guard's steps, before the directory's are added: a token
// that was valid when it was issued remains valid until it expires.
func (r *Report) conclude() {
	first := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Outcome == Failed })
	r.Accepted = first < 0
	if !r.Accepted {
		r.Reason = r.Steps[first].Reason
	}
}
