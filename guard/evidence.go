package guard

import (
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Evidence is what a refusal rests on, for an operator: the request, what the
// rule demands, what the token claims, and the guard's clock. Claims are as the
// token has them, whether or not its signature was verified, so Evidence must
// not become part of an answer. Its texts are short and have no characters that
// cannot be seen. The token itself is not in it.
type Evidence struct {
	Method    string    // of the request; empty if only a token was looked at
	Path      string    // as it was sent, without the query; likewise
	Wanted    []string  // the roles and scopes that the rule names
	Audience  string    // aud
	Issuer    string    // iss
	IssuedAt  time.Time // iat; zero if it is absent
	NotBefore time.Time // nbf; likewise
	Expires   time.Time // exp; likewise
	Clock     time.Time // when the guard decided, by its own clock
}

// Evidence returns what a refusal rests on. It is empty if the request was
// allowed. The claims are there if the guard has a Log or an OnDecision.
func (d Decision) Evidence() Evidence {
	if d.Allowed() || d.refusal == nil {
		return Evidence{}
	}
	e := Evidence{
		Method: oneLine(d.refusal.method, maxMethod), Path: shownPath(d.refusal.path), Clock: time.Unix(d.refusal.at, 0).UTC(),
	}
	if d.rule != nil {
		e.Wanted = slices.Concat(d.rule.Roles, d.rule.AllRoles, d.rule.Scopes)
	}
	if claims := d.refusal.claims; claims != nil {
		e.Audience, e.Issuer = claimed(claims, "aud"), claimed(claims, "iss")
		e.IssuedAt, e.NotBefore, e.Expires = claimedTime(claims, "iat"), claimedTime(claims, "nbf"), claimedTime(claims, "exp")
	}
	return e
}

// Limits, in bytes, of what is shown of a request.
const (
	maxMethod = 20
	maxPath   = 200
)

// claimed returns a claim as it may be shown: a string without its quotes.
func claimed(claims *token.Object, name string) string {
	v, present := claims.Get(name)
	if !present {
		return ""
	}
	if s, ok := v.String(); ok {
		return oneLine(s, maxShown)
	}
	return shown(v)
}

func claimedTime(claims *token.Object, name string) time.Time {
	v, _ := claims.Get(name)
	seconds, ok := v.Integer()
	if !ok {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// oneLine returns at most limit bytes of s, marked where it is cut, with a
// question mark in place of each character that cannot be seen: control
// characters, which forge lines and move cursors, and those that hide or
// reorder what is beside them.
func oneLine(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 { // the first byte of a longer one
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
	if cut {
		s += "…"
	}
	return s
}

// shownPath returns a path as it may be shown. A token that somebody has put
// into it is left out, with the rest of its segment.
func shownPath(path string) string {
	shown := oneLine(path, maxPath)
	if !strings.Contains(shown, tokenStart) {
		return shown
	}
	segments := strings.Split(shown, "/")
	for i, segment := range segments {
		if at := strings.Index(segment, tokenStart); at >= 0 && looksLikeToken(segment[at:]) {
			segments[i] = segment[:at] + "(a token)"
		}
	}
	return strings.Join(segments, "/")
}

// tokenStart is how every JWT begins: base64url of a brace, a quote and a
// lower-case letter.
const tokenStart = "eyJ"

// looksLikeToken reports whether s begins as a token does, and is long enough
// to be one.
func looksLikeToken(s string) bool { return strings.HasPrefix(s, tokenStart) && len(s) > 16 }

// LogValue is what a guard logs of the evidence: no member that is empty.
func (e Evidence) LogValue() slog.Value {
	var attributes []slog.Attr
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, t.Format(time.RFC3339))
		}
	}
	add("method", e.Method)
	add("path", e.Path)
	add("wanted", strings.Join(e.Wanted, " ")) // of which a rule may want any or all
	add("aud", e.Audience)
	add("iss", e.Issuer)
	at("iat", e.IssuedAt)
	at("nbf", e.NotBefore)
	at("exp", e.Expires)
	at("clock", e.Clock)
	return slog.GroupValue(attributes...)
}

// maxSaid is how much of a detail or a fix, in bytes, is logged.
const maxSaid = 600

// explained is what the guard logs of a refusal: all that an operator needs.
func (d *Decision) explained() []slog.Attr {
	attributes := d.attributes()
	for _, said := range []struct{ name, text string }{{"detail", d.Detail()}, {"fix", d.Fix()}} {
		if said.text != "" {
			attributes = append(attributes, slog.String(said.name, oneLine(said.text, maxSaid)))
		}
	}
	return append(attributes, d.Evidence().LogValue().Group()...)
}
