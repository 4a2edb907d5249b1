package aadsts

import (
	"errors"
	"fmt"
	"net/http"
)

// A Problem is a refusal. It speaks to two audiences: the caller gets the number, what
// is wrong and how to fix it; the log gets the cause as well.
type Problem struct {
	Code     int    // AADSTS number; 0 when there is none
	OAuth    string // the "error" member
	Status   int    // of the HTTP answer
	SubError string // the "suberror" member, if any
	What     string // what is wrong, one sentence
	Advice   string // how to fix it, one sentence; what Fix returns
	Cause    error  // for the log only
	// RetryAfter is how many seconds the caller should wait; 0 says nothing.
	RetryAfter int
}

// MaxNoted is how much of a short value from outside, such as an id or a method, goes into a
// text, a log line or a sign-in row, in bytes.
const MaxNoted = 128

// Error gives what the caller is told.
func (p *Problem) Error() string {
	says := p.What
	if p.Advice != "" {
		says += " " + p.Advice
	}
	if p.Code == 0 {
		return says
	}
	return fmt.Sprintf("AADSTS%d: %s", p.Code, says)
}

// Unwrap returns the cause, which the caller is not told.
func (p *Problem) Unwrap() error { return p.Cause }

// Because adds the cause for the log.
func (p *Problem) Because(cause error) *Problem {
	p.Cause = cause
	return p
}

// Fix says how to fix what is wrong, in one sentence.
func (p *Problem) Fix() string { return p.Advice }

// IsOutage reports whether the authority could not tell, as opposed to a refusal.
func (p *Problem) IsOutage() bool { return p.Status >= http.StatusInternalServerError }

// Of returns the problem that an error is. Any other error becomes [Unavailable], which
// keeps it for the log and hides it from the caller.
func Of(err error) *Problem {
	if problem, ok := errors.AsType[*Problem](err); ok {
		return problem
	}
	return Unavailable(err)
}

// The values of the "error" member.
const (
	InvalidRequest         = "invalid_request"
	InvalidClient          = "invalid_client"
	InvalidGrant           = "invalid_grant"
	invalidScope           = "invalid_scope"
	invalidResource        = "invalid_resource"
	InvalidTenant          = "invalid_tenant"
	invalidInstance        = "invalid_instance"
	notFound               = "not_found"
	serverError            = "server_error"
	temporarilyUnavailable = "temporarily_unavailable"
	unauthorizedClient     = "unauthorized_client"
	unsupportedGrantType   = "unsupported_grant_type"
)

// Code returns the AADSTS number of an error; 0 when there is no error.
func Code(err error) int {
	if err == nil {
		return 0
	}
	return Of(err).Code
}
