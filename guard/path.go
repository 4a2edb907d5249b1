package guard

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// cleanEscapes looks at the path as it was sent: no escape may hide a
// character that means something to a path.
func cleanEscapes(raw string) bool {
	for {
		_, rest, found := strings.Cut(raw, "%")
		if !found {
			return true
		}
		if len(rest) < 2 {
			return false
		}
		switch strings.ToLower(rest[:2]) {
		case "2f", "5c", "2e", "00", "3b", "3f", "23": // / \ . NUL ; ? #
			return false
		}
		raw = rest[2:]
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// cleanPath looks at the decoded path.
func cleanPath(path string) bool {
	if path == "" || path[0] != '/' || !utf8.ValidString(path) {
		return false
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c < ' ', c == 0x7f, c == '\\', c == ';', c == '?', c == '#':
			return false
		case c == '%' && len(path) > i+2 && isHex(path[i+1]) && isHex(path[i+2]): // encoded twice
			return false
		}
	}
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more || isDots(segment) {
			return false
		}
	}
	return true
}

// isDots reports whether a server may read a segment as one of those that lead
// elsewhere. Some cut off the spaces around a name.
func isDots(segment string) bool {
	if segment == "" || segment[0] != '.' && segment[0] != ' ' {
		return false
	}
	bare := strings.Trim(segment, " ")
	return bare == "." || bare == ".."
}

// A pattern is the compiled path of a rule.
type pattern struct {
	segments []string // an empty one matches any segment
	below    bool     // and everything below
}

func parsePattern(path string) (pattern, error) {
	if u, err := url.ParseRequestURI(path); err != nil || u.Path != path || !cleanPath(path) {
		return pattern{}, fmt.Errorf("the path %q is not a plain absolute path, decoded, such as /api/orders", path)
	}
	var p pattern
	trimmed := strings.Trim(path, "/")
	if trimmed == "*" || strings.HasSuffix(trimmed, "/*") {
		p.below = true
		trimmed = strings.TrimSuffix(strings.TrimSuffix(trimmed, "*"), "/")
	}
	if trimmed == "" {
		return p, nil
	}
	for segment := range strings.SplitSeq(trimmed, "/") {
		switch {
		case strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && len(segment) > 2:
			segment = ""
		case strings.ContainsAny(segment, "*{}"):
			return pattern{}, fmt.Errorf("the path %q uses a wildcard in a way that has no meaning: write {name} for one segment, or end in /*", path)
		}
		p.segments = append(p.segments, segment)
	}
	return p, nil
}

func (p pattern) match(path string, ignoreCase bool) bool {
	rest := strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	for _, want := range p.segments {
		if rest == "" {
			return false
		}
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if want != "" && segment != want && (!ignoreCase || !strings.EqualFold(segment, want)) {
			return false
		}
	}
	return rest == "" || p.below
}
