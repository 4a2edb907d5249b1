package aadsts

import (
	"strings"
	"unicode"
)

// Longest values, in bytes, that go from a request into a log line or a sign-in row and
// into the text of a problem.
const (
	MaxNoted  = 128
	MaxQuoted = 256
)

// clean makes a value from outside fit for a log line: no control, format or separator
// characters (which forge lines or reorder what a terminal shows), and not too long.
func Clean(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar, unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), !unicode.IsGraphic(r):
			return '?'
		}
		return r
	}, s)
	if cut {
		s += "…"
	}
	return s
}

// quoted puts a value from outside between quotes for the text of a problem.
func Quoted(s string) string { return "'" + Clean(s, MaxQuoted) + "'" }
