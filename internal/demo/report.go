package demo

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/rolecall-auth/rolecall/examples/orders"
)

// A Report is what the demo saw.
type Report struct {
	Ways     []Way     `json:"ways"`
	Refusals []Refusal `json:"refusals"`
}

// A Way is one way to get a token, and its result.
type Way struct {
	Way        string   `json:"way"`
	Library    string   `json:"library"`
	Endpoint   string   `json:"endpoint"`   // to which the library sent its request, below the tenant
	Credential string   `json:"credential"` // as the authority recorded it
	Version    string   `json:"ver"`
	Audience   string   `json:"aud"`
	Roles      []string `json:"roles"`
	Status     int      `json:"status"` // of the API's answer
	Orders     int      `json:"orders"` // in it
	OK         bool     `json:"ok"`
	Problem    error    `json:"-"` // why not OK
}

// A Refusal is a call that must not succeed, and how it was refused.
type Refusal struct {
	Case    string `json:"case"`
	Status  int    `json:"status"`
	Reason  string `json:"reason"`
	OK      bool   `json:"ok"`
	Problem error  `json:"-"` // why not OK
}

// OK reports whether every row is as expected.
func (r *Report) OK() bool {
	for _, way := range r.Ways {
		if !way.OK {
			return false
		}
	}
	for _, refusal := range r.Refusals {
		if !refusal.OK {
			return false
		}
	}
	return len(r.Ways) > 0 && len(r.Refusals) > 0
}

// judge compares what was seen with what was expected.
func (w *Way) judge(want expectation) {
	if w.Problem != nil {
		return
	}
	switch {
	case w.Endpoint != want.endpoint:
		w.Problem = fmt.Errorf("the library sent its request to %q, want %q", w.Endpoint, want.endpoint)
	case w.Credential != want.credential:
		w.Problem = fmt.Errorf("the authority recorded the credential %q, want %q", w.Credential, want.credential)
	case w.Version != want.version:
		w.Problem = fmt.Errorf("the token has version %q, want %q", w.Version, want.version)
	case w.Audience != want.audience:
		w.Problem = fmt.Errorf("the token is for %q, want %q", w.Audience, want.audience)
	case !slices.Equal(w.Roles, []string{orders.ReadRole}):
		w.Problem = fmt.Errorf("the token carries the roles %q, want %q alone", w.Roles, orders.ReadRole)
	case w.Status != http.StatusOK:
		w.Problem = fmt.Errorf("the API answered %d, want 200", w.Status)
	case w.Orders != len(orders.Sample()):
		w.Problem = fmt.Errorf("the API gave %d orders, want %d", w.Orders, len(orders.Sample()))
	}
	w.OK = w.Problem == nil
}

func (r *Refusal) judge(status int, reason string) {
	if r.Problem == nil && (r.Status != status || r.Reason != reason) {
		r.Problem = fmt.Errorf("refused with %d %s, want %d %s", r.Status, r.Reason, status, reason)
	}
	r.OK = r.Problem == nil
}

// An expectation is the right result of a way.
type expectation struct {
	endpoint, credential, version, audience string
}
