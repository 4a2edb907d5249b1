package guard

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// canonicalPath returns the decoded path of a request if no server behind the
// guard can read it as another path. Where there is any doubt it returns
// false: the guard never mends a path, because what it mends and what is
// forwarded could differ.
func canonicalPath(r *http.Request) (string, bool) {
	if r.URL.Host != "" || r.URL.Scheme != "" || r.URL.Opaque != "" { // GET http://host/path, CONNECT host
		return "", false
	}
	raw, path := rawPath(r.URL), r.URL.Path
	if !cleanEscapes(raw) || !cleanPath(path) {
		return "", false
	}
	return path, true
}

// rawPath returns the path as it was sent. EscapedPath alone would not do:
// where a byte beyond ASCII was sent as it is, it escapes the path anew, and
// the %2f that was sent with it is gone.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		if path, err := url.PathUnescape(u.RawPath); err == nil && path == u.Path {
			return u.RawPath
		}
	}
	return u.EscapedPath()
}

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
		if segment == "." || segment == ".." || segment == "" && more {
			return false
		}
	}
	return true
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

// A route is a rule ready to be matched.
type route struct {
	rule    Rule
	pattern pattern
}

// match returns the first rule for the request.
func (g *Guard) match(routes []route, r *http.Request) (*Rule, Reason) {
	path, ok := canonicalPath(r)
	if !ok {
		return nil, PathNotCanonical
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range routes {
		if !routes[i].pattern.match(path, g.cfg.IgnoreCase) {
			continue
		}
		for _, m := range routes[i].rule.Methods {
			if m == method {
				return &routes[i].rule, ""
			}
		}
	}
	return nil, NoPolicy
}
