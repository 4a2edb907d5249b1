package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A problem is a refusal as Resource Manager words it: a code that clients compare, and a message
// for people.
type problem struct {
	status  int
	code    string
	message string
	header  http.Header // further headers
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func refusal(status int, code, format string, args ...any) *problem {
	return &problem{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// problemOf words an error of the directory. What is not one is no business of the caller's.
func problemOf(err error) *problem {
	var (
		known    *problem
		rule     *directory.RuleError
		missing  *directory.NotFoundError
		unmet    *directory.ForbiddenError
		internal = refusal(http.StatusServiceUnavailable, "ServiceUnavailable", "The directory does not answer at the moment. Try again.")
	)
	internal.header = http.Header{"Retry-After": {"1"}}
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &rule) && errors.Is(err, directory.ErrDuplicate):
		return refusal(http.StatusConflict, "Conflict", "%s", rule.Error())
	case errors.As(err, &rule):
		return refusal(http.StatusBadRequest, "BadRequest", "%s", rule.Error())
	case errors.As(err, &missing):
		return refusal(http.StatusNotFound, "ResourceNotFound", "%s", sentence(missing.Error()))
	case errors.As(err, &unmet):
		return refusal(http.StatusForbidden, "AuthorizationFailed", "%s. %s", unmet.Error(), unmet.Fix())
	case errors.Is(err, directory.ErrConflict):
		return refusal(http.StatusConflict, "Conflict", "The resource was changed by somebody else at the same time. Try again.")
	}
	return internal
}

// sentence is a clause with a full stop and without more than a line.
func sentence(clause string) string { return text.Line(clause, 500) + "." }

// list is the envelope of every list.
type list[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	answer(w, p.status, map[string]any{"error": map[string]string{"code": p.code, "message": p.message}})
}

// answer writes a body, or none if it is nil.
func answer(w http.ResponseWriter, status int, body any) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if body == nil {
		w.WriteHeader(status)
		return
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}
