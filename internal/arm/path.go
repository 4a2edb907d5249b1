package arm

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxPath    = 2048 // bytes
	maxSegment = 260  // bytes; the longest name in Resource Manager
)

// errPath is the error of a path that names nothing whatever is there.
var errPath = errors.New("the path is not one of resources")

// parsePath splits the path of a URL, escaped as it was sent, into its segments. A path with an
// empty segment, or with one that would lead elsewhere once it is unescaped, is refused. One slash
// at the end makes no difference.
func parsePath(escaped string) ([]string, error) {
	if len(escaped) > maxPath || !strings.HasPrefix(escaped, "/") {
		return nil, errPath
	}
	escaped = strings.TrimSuffix(escaped[1:], "/")
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		plain, err := url.PathUnescape(segment)
		if err != nil || !validSegment(plain) {
			return nil, errPath
		}
		segments[i] = plain
	}
	return segments, nil
}

func validSegment(s string) bool {
	return s != "" && len(s) <= maxSegment && s != "." && s != ".." && utf8.ValidString(s) &&
		!strings.ContainsAny(s, `/\?#%`) && !strings.ContainsFunc(s, text.Invisible)
}

// joinPath is the path of segments, as ids of resources have it: unescaped.
func joinPath(segments []string) string { return "/" + strings.Join(segments, "/") }

// A pattern is the form of the paths of a route. A segment in braces stands for any; "{scope...}",
// which comes first, for one or more.
type pattern struct {
	scope    bool
	segments []string // in lower case; of what is in braces, the name with an opening brace before it
}

func newPattern(form string) pattern {
	segments := strings.Split(strings.TrimPrefix(form, "/"), "/")
	p := pattern{scope: segments[0] == "{scope...}"}
	if p.scope {
		segments = segments[1:]
	}
	for _, segment := range segments {
		if strings.HasPrefix(segment, "{") {
			p.segments = append(p.segments, strings.TrimSuffix(segment, "}"))
			continue
		}
		p.segments = append(p.segments, strings.ToLower(segment))
	}
	return p
}

// scopeName is the name under which match files the scope.
const scopeName = "scope"

// match returns what stands for the braces, by name, or nil if the path has another form. Words
// are compared without regard to case.
func (p pattern) match(path []string) map[string]string {
	found := map[string]string{}
	if p.scope {
		if len(path) <= len(p.segments) {
			return nil
		}
		cut := len(path) - len(p.segments)
		found[scopeName] = joinPath(path[:cut])
		path = path[cut:]
	}
	if len(path) != len(p.segments) {
		return nil
	}
	for i, segment := range p.segments {
		name, open := strings.CutPrefix(segment, "{")
		switch {
		case open:
			found[name] = path[i]
		case segment != strings.ToLower(path[i]):
			return nil
		}
	}
	return found
}
