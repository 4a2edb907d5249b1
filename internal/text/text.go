// Package text makes texts from outside fit for a log line, a message or a terminal.
//
// It owns which characters are shown and how a text is shortened: no control characters
// (which forge lines and move the cursor), no format characters (which reorder or hide what
// is beside them), no invalid UTF-8. It refuses to own escaping for a language such as HTML,
// YAML or a shell, which their writers do, and rules on names, which are those of package
// directory.
//
// Start at [Line].
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Replacement is shown for each character that is not shown itself. It is ASCII, so that it
// reaches every log and every terminal.
const Replacement = '?'

// Limits, in bytes, for what is shown of a text from outside.
const (
	MaxShown  = 80  // in messages that quote it with %q
	MaxQuoted = 256 // in [Quote]
)

// Clean replaces what is invisible, including line breaks and tabs.
func Clean(s string) string { return strings.Map(visible, s) }

// CleanLines is Clean for a text of several lines: it keeps the line feeds.
func CleanLines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return visible(r)
	}, s)
}

// Clip shortens a text to at most limit bytes, without cutting a character in half, and marks
// that with an ellipsis. It does not clean: what it returns is for %q or for Clean.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := max(0, limit)
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Shown clips a text for a message that quotes it with %q.
func Shown(s string) string { return Clip(s, MaxShown) }

// Line makes one clean line of at most limit bytes, without the ellipsis that marks a cut.
func Line(s string, limit int) string { return Clean(Clip(s, limit)) }

// Quote puts a clean line of the text between single quotes. A line break at its end, which
// comes from reading a file or from echo, is said and not shown.
func Quote(s string) string {
	bare := strings.TrimRight(s, "\r\n")
	quoted := "'" + Line(bare, MaxQuoted) + "'"
	if bare != s {
		quoted += " (it ends in a line break)"
	}
	return quoted
}

// Invisible reports whether a character is a control or format character, such as a
// bidirectional override or a zero-width space, with which one text can pass for another.
func Invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// visible is r, or the replacement of what is invisible, unassigned or not valid UTF-8.
func visible(r rune) rune {
	if r == utf8.RuneError || !unicode.IsGraphic(r) {
		return Replacement
	}
	return r
}
