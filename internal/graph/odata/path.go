package odata

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// Limits of paths.
const (
	MaxPath     = 4096 // bytes, as sent
	MaxSegments = 16
	maxKeys     = 4 // in the parentheses of one segment
)

// A Path is the path of a request in its parts.
type Path struct {
	Version  string // as sent, in lower case: "v1.0"
	Segments []Segment
}

// A Segment is what stands between two slashes: a name, an id, or a name with keys.
type Segment struct {
	Text string // the whole of it, decoded
	// Name is what stands before the parentheses, in lower case, without "microsoft.graph.".
	// Names have no case; ids and keys keep theirs.
	Name string
	// Qualified segments began with "microsoft.graph.": a cast to a type, or a function.
	Qualified bool
	// Called segments have parentheses, with keys or without.
	Called bool
	Keys   []Key
}

// A Key is what parentheses name a thing by: applications(appId='…'). It has no name where it
// stands alone: applications('…').
type Key struct {
	Name  string // in lower case
	Value string
}

const qualifier = "microsoft.graph."

// ParsePath takes a path apart, as it was sent ([url.URL.EscapedPath]). Segments are separated
// before they are decoded, and decoded once. Slashes that follow each other count once, and
// those at the end for nothing.
func ParsePath(escaped string) (*Path, error) {
	if len(escaped) > MaxPath {
		return nil, pathError(0, fmt.Sprintf("it is longer than %d bytes.", MaxPath))
	}
	path := &Path{}
	for rest := strings.TrimLeft(escaped, "/"); rest != ""; {
		part, after, _ := strings.Cut(rest, "/")
		pos := len(escaped) - len(rest) + 1
		rest = strings.TrimLeft(after, "/")
		decoded, err := decodeSegment(part)
		if err != nil {
			return nil, pathError(pos, err.Error())
		}
		if path.Version == "" {
			path.Version = strings.ToLower(decoded)
			continue
		}
		s, problem := parseSegment(decoded)
		if problem != "" {
			return nil, pathError(pos, problem)
		}
		if path.Segments = append(path.Segments, s); len(path.Segments) > MaxSegments {
			return nil, pathError(pos, fmt.Sprintf("it has more than %d segments.", MaxSegments))
		}
	}
	return path, nil
}

func pathError(pos int, message string) *Error {
	return &Error{Part: "path", Pos: pos, Message: message}
}

// A wording is an error whose text is for the client.
type wording string

func (w wording) Error() string { return string(w) }

func decodeSegment(part string) (string, error) {
	decoded, err := url.PathUnescape(part)
	switch {
	case err != nil:
		return "", wording("a percent sign is not followed by two hexadecimal digits. Write the sign itself as %25.")
	case !utf8.ValidString(decoded):
		return "", wording("it is not valid UTF-8.")
	case strings.ContainsFunc(decoded, unicode.IsControl):
		return "", wording("there is a control character in it.")
	case decoded == "." || decoded == "..":
		return "", wording("the segment " + quote(decoded) + " goes nowhere. Write the path out.")
	case strings.Contains(decoded, `\`):
		return "", wording("there is a backslash in it. Segments are separated by slashes.")
	case strings.TrimSpace(decoded) != decoded:
		return "", wording("the segment " + quote(decoded) + " begins or ends with a space.")
	}
	return decoded, nil
}

// parseSegment parts a segment from what stands in parentheses behind it. Only names have
// parentheses: an id with one in it could be read in two ways.
func parseSegment(decoded string) (s Segment, problem string) {
	s.Text = decoded
	name, inside, called := strings.Cut(decoded, "(")
	if strings.Contains(name, "/") || !called && strings.Contains(name, ")") {
		return s, "the segment " + quote(decoded) + " has a slash or a parenthesis in it that belongs to no key."
	}
	s.Name, s.Qualified = strings.CutPrefix(strings.ToLower(name), qualifier)
	if s.Qualified && s.Name == "" {
		return s, "a type or function is missing behind " + quote(qualifier) + "."
	}
	if !called {
		return s, ""
	}
	if !isIdentifier(strings.TrimPrefix(name[len(name)-len(s.Name):], "$")) {
		return s, "parentheses belong behind a name, such as applications(appId='…'), and not behind " + quote(name) + "."
	}
	s.Called = true
	s.Keys, problem = parseKeys(inside)
	return s, problem
}

// parseKeys reads what follows an opening parenthesis.
func parseKeys(inside string) (keys []Key, problem string) {
	rest := inside
	if rest == ")" {
		return nil, "" // a function: delta()
	}
	for {
		key, after, problem := parseKey(rest)
		if problem != "" {
			return nil, problem
		}
		for _, other := range keys {
			if other.Name == key.Name {
				return nil, "the key " + quote(key.Name) + " is given twice."
			}
		}
		keys = append(keys, key)
		switch {
		case len(keys) > maxKeys:
			return nil, fmt.Sprintf("there are more than %d keys.", maxKeys)
		case after == ")" && len(keys) > 1 && (keys[0].Name == "" || key.Name == ""):
			return nil, "each of several keys has a name."
		case after == ")":
			return keys, ""
		case !strings.HasPrefix(after, ","):
			return nil, "the parentheses must hold keys such as appId='…', separated by commas, and be closed."
		}
		rest = after[1:]
	}
}

// parseKey reads one key and returns what follows it.
func parseKey(rest string) (key Key, after, problem string) {
	rest = strings.TrimLeft(rest, " ")
	if end := strings.IndexAny(rest, "=',)"); end > 0 && rest[end] == '=' {
		name := strings.TrimRight(rest[:end], " ")
		if !isIdentifier(name) {
			return key, "", quote(name) + " is no name of a key."
		}
		key.Name, rest = strings.ToLower(name), strings.TrimLeft(rest[end+1:], " ")
	}
	if strings.HasPrefix(rest, "'") {
		value, n := unquoteAt(rest)
		if n == 0 {
			return key, "", "the parentheses are not closed, for a quoted key has no end. A quote within it is written twice."
		}
		key.Value, after = value, strings.TrimLeft(rest[n:], " ")
	} else {
		end := strings.IndexAny(rest, ",)")
		if end < 0 {
			return key, "", "the parentheses are not closed."
		}
		key.Value, after = strings.TrimRight(rest[:end], " "), rest[end:]
		if key.Value != "" && !guid.Is(key.Value) {
			return key, "", "the key " + quote(key.Value) + " is malformed. Write it between single quotes."
		}
	}
	if key.Value == "" {
		return key, "", "a key is empty."
	}
	return key, after, ""
}

// unquoteAt reads the quoted text that s begins with, in which a quote is written twice, and
// returns how many bytes it takes: 0 if it has no end.
func unquoteAt(s string) (value string, n int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1
	}
	return "", 0
}

// isIdentifier reports whether s is an OData identifier of ASCII characters.
func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i], i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func isNameByte(c byte, first bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || !first && '0' <= c && c <= '9'
}
