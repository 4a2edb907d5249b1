package authority

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is a refusal. It speaks to two audiences: the caller gets the number, what
// is wrong and how to mend it; the log gets the cause as well.
type Problem struct {
	Code     int    // AADSTS number; 0 when there is none
	OAuth    string // the "error" member
	Status   int    // of the HTTP answer
	SubError string // the "suberror" member, if any
	What     string // what is wrong, one sentence
	Fix      string // how to mend it, one sentence
	Cause    error  // for the log only
	// RetryAfter is how many seconds the caller should wait; 0 says nothing.
	RetryAfter int
}

// Error gives what the caller is told.
func (p *Problem) Error() string {
	text := p.What
	if p.Fix != "" {
		text += " " + p.Fix
	}
	if p.Code == 0 {
		return text
	}
	return fmt.Sprintf("AADSTS%d: %s", p.Code, text)
}

// Unwrap returns the cause, which the caller is not told.
func (p *Problem) Unwrap() error { return p.Cause }

// because adds the cause for the log.
func (p *Problem) because(cause error) *Problem {
	p.Cause = cause
	return p
}

// A ProblemRow is one line of the table of refusals: a Problem with {placeholders} where
// an answer names what was presented.
type ProblemRow struct {
	Code   int
	Status int
	OAuth  string
	What   string
	Fix    string
}

// Problems returns every refusal this authority knows, by number.
func Problems() []ProblemRow {
	var rows []ProblemRow
	for _, problems := range [][]*Problem{requestProblems(), clientProblems(), assertionProblems(), userProblems()} {
		for _, p := range problems {
			rows = append(rows, ProblemRow{Code: p.Code, Status: p.Status, OAuth: p.OAuth, What: p.What, Fix: p.Fix})
		}
	}
	slices.SortStableFunc(rows, func(a, b ProblemRow) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Status, b.Status), strings.Compare(a.What, b.What))
	})
	return rows
}

// The values of the "error" member.
const (
	invalidRequest         = "invalid_request"
	invalidClient          = "invalid_client"
	invalidGrant           = "invalid_grant"
	invalidScope           = "invalid_scope"
	invalidResource        = "invalid_resource"
	invalidTenant          = "invalid_tenant"
	invalidInstance        = "invalid_instance"
	notFound               = "not_found"
	serverError            = "server_error"
	temporarilyUnavailable = "temporarily_unavailable"
	unauthorizedClient     = "unauthorized_client"
	unsupportedGrantType   = "unsupported_grant_type"
)
