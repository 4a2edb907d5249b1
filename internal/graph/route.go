package graph

import (
	"net/url"
	"slices"
	"strings"
)

// The versions of the API. Both have the same routes, but for those that only beta has.
const (
	version1    = "v1.0"
	versionBeta = "beta"
)

// A route is a row of the table of routes.
type route struct {
	method string
	path   string // template: applications/{application}/owners/{owner}/$ref
	permit *permit
	answer func(*call) (answer, error)
}

// routes is the table of routes: each resource has its part of it in its own file.
func routes() []route {
	return slices.Concat(applicationRoutes())
}

// A router finds the route of a request. It never changes.
type router struct {
	routes    []route
	templates [][]string // segments of each route's path, literals in lower case
}

func newRouter(routes []route) *router {
	r := &router{routes: routes}
	for _, row := range routes {
		segments := strings.Split(row.path, "/")
		for i, segment := range segments {
			if !isPlaceholder(segment) {
				segments[i] = strings.ToLower(segment)
			}
		}
		r.templates = append(r.templates, segments)
	}
	return r
}

// A match is the route of a request, and what the path names.
type match struct {
	route   *route
	version string
	refs    map[string]ref
}

// find returns the route of a request.
func (r *router) find(method string, at *url.URL) (match, error) {
	path, err := parsePath(at)
	if err != nil {
		return match{}, err
	}
	var allowed []string
	best := match{}
	bestLiterals := -1
	for i := range r.routes {
		refs, literals, ok := fit(r.templates[i], path.segments)
		switch {
		case !ok:
		case r.routes[i].method != method:
			allowed = append(allowed, r.routes[i].method)
		case literals > bestLiterals: // applications/delta goes before applications/{application}
			best, bestLiterals = match{&r.routes[i], path.version, refs}, literals
		}
	}
	switch {
	case best.route != nil:
		return best, nil
	case len(allowed) > 0:
		return match{}, notAllowed(allowed)
	}
	return match{}, r.unknown(path)
}

// unknown says which segment of a path is not there.
func (r *router) unknown(path parsedPath) error {
	if len(path.segments) > 0 && path.segments[0].name == "groups" {
		return noGroups()
	}
	for n := len(path.segments); n > 0; n-- {
		for _, template := range r.templates {
			if len(template) < n {
				continue
			}
			if _, _, ok := fit(template[:n], path.segments[:n]); ok {
				if n == len(path.segments) {
					return noSegment(path.segments[n-1].name)
				}
				return noSegment(path.segments[n].name)
			}
		}
	}
	if len(path.segments) == 0 {
		return noSegment("")
	}
	return noSegment(path.segments[0].name)
}

// fit holds a path against a template. A key in parentheses fills the placeholder that
// follows: applications(appId='…') is applications/{application}.
func fit(template []string, path []segment) (refs map[string]ref, literals int, ok bool) {
	refs = map[string]ref{}
	i := 0
	for _, s := range path {
		if i == len(template) {
			return nil, 0, false
		}
		switch want := template[i]; {
		case isPlaceholder(want) && s.key == nil:
			refs[want[1:len(want)-1]] = ref{value: s.given}
		case want == s.name:
			literals++
		default:
			return nil, 0, false
		}
		i++
		if s.key == nil {
			continue
		}
		if i == len(template) || !isPlaceholder(template[i]) {
			return nil, 0, false
		}
		refs[template[i][1:len(template[i])-1]] = *s.key
		i++
	}
	return refs, literals, i == len(template)
}

func isPlaceholder(segment string) bool { return strings.HasPrefix(segment, "{") }

// A parsedPath is a path in its parts.
type parsedPath struct {
	version  string
	segments []segment
}

// A segment of a path, with the key in parentheses behind it, if there is one.
type segment struct {
	given string // as it was sent, decoded
	name  string // in lower case, without the key
	key   *ref
}

const (
	maxPath     = 4096 // bytes
	maxSegments = 16
)

// parsePath takes a path apart. Segments are separated before they are decoded, so that a
// name may hold a slash; slashes that follow each other count once.
func parsePath(at *url.URL) (parsedPath, error) {
	var path parsedPath
	raw := at.EscapedPath()
	if len(raw) > maxPath {
		return path, badURL("The URL is too long.")
	}
	for part := range strings.SplitSeq(raw, "/") {
		if part == "" {
			continue
		}
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return path, badURL("The URL is malformed.")
		}
		if path.version == "" {
			path.version = strings.ToLower(decoded)
			continue
		}
		s, err := parseSegment(decoded)
		if err != nil {
			return path, err
		}
		if path.segments = append(path.segments, s); len(path.segments) > maxSegments {
			return path, badURL("The URL has too many segments.")
		}
	}
	switch path.version {
	case version1, versionBeta:
		return path, nil
	}
	return path, badURL("Invalid version: " + quote(path.version) + ". This API has v1.0 and beta.")
}

// parseSegment parts a segment from the key behind it: applications(appId='…').
func parseSegment(decoded string) (segment, error) {
	s := segment{given: decoded, name: strings.ToLower(decoded)}
	name, rest, has := strings.Cut(decoded, "(")
	if !has {
		return s, nil
	}
	inside, closed := strings.CutSuffix(rest, ")")
	if !closed || name == "" {
		return s, badURL("The parentheses in the URL do not match.")
	}
	s.name = strings.ToLower(name)
	if inside == "" {
		return s, nil // a function: delta()
	}
	var key ref
	if before, value, named := strings.Cut(inside, "="); named && !strings.ContainsAny(before, `'"`) {
		key.by, inside = strings.ToLower(strings.TrimSpace(before)), strings.TrimSpace(value)
	}
	quoted, ok := strings.CutPrefix(inside, "'")
	if ok {
		quoted, ok = strings.CutSuffix(quoted, "'")
	}
	if !ok || strings.Contains(strings.ReplaceAll(quoted, "''", ""), "'") {
		return s, badURL("The key in the URL is malformed: write it as applications(appId='…').")
	}
	key.value = strings.ReplaceAll(quoted, "''", "'")
	if key.by == "id" {
		key.by = ""
	}
	s.key = &key
	return s, nil
}
