package odata

import (
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// An Error says what is wrong with a part of a URL.
type Error struct {
	Part    string // "path", "$filter" …
	Pos     int    // which byte of the part, counted from 1; 0: no place in particular
	Message string
	// Unsupported means that the service could understand it, but does not do it.
	Unsupported bool
}

// Error implements error.
func (e *Error) Error() string {
	if e.Pos > 0 {
		return fmt.Sprintf("Invalid %s at position %d: %s", e.Part, e.Pos, e.Message)
	}
	return fmt.Sprintf("Invalid %s: %s", e.Part, e.Message)
}

// quote shows a text from outside within a sentence.
func quote(s string) string { return text.Quote(text.Shown(s)) }
