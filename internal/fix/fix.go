// Package fix finds the next step that an error knows, whichever package the error is from.
//
// It owns how an error says so, which is a method Fix, and how that is told apart from what
// happened. It refuses to own what the steps are: the errors know.
//
// Start at [Of].
package fix

import (
	"errors"
	"strings"
)

// An Error knows what to do about it.
type Error interface {
	error
	Fix() string // the next step, as a clause or a sentence
}

// Of returns the next step that an error, or one that it wraps, knows. It is empty when
// none does.
func Of(err error) string {
	if e, ok := errors.AsType[Error](err); ok {
		return e.Fix()
	}
	return ""
}

// What returns the text of an error without its next step, with which some texts end.
func What(err error) string {
	if step := Of(err); step != "" {
		return strings.TrimSuffix(err.Error(), " "+step)
	}
	return err.Error()
}

// InOneLine returns what happened and the next step.
func InOneLine(err error) string {
	what, step := What(err), Of(err)
	switch {
	case step == "":
		return what
	case strings.HasSuffix(what, "."):
		return what + " " + step
	default:
		return what + ": " + step
	}
}
