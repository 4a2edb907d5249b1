package graph

import (
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/graph/odata"
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
	return slices.Concat(applicationRoutes(), principalRoutes(), roleAssignmentRoutes(), userRoutes(), objectRoutes(), grantRoutes(), organizationRoutes(), deletedRoutes(), memberRoutes(), batchRoutes(), logRoutes(), policyRoutes(), deltaRoutes(), metadataRoutes(), lendingRoutes(), explanationRoutes())
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
	dryRun  bool
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
			best, bestLiterals = match{&r.routes[i], path.version, refs, path.dryRun}, literals
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
	dryRun   bool // what follows is to change nothing
	segments []segment
}

// A segment of a path, with the key in parentheses behind it, if there is one.
type segment struct {
	given string // as it was sent, decoded
	name  string // in lower case, without the key
	key   *ref
}

// ownTenant is the segment that names the caller's own tenant, which is the one of all paths. CLI
// for Microsoft 365 writes it.
const ownTenant = "myorganization"

// parsePath takes a path apart.
func parsePath(at *url.URL) (parsedPath, error) {
	var path parsedPath
	parsed, err := odata.ParsePath(at.EscapedPath())
	if err != nil {
		return path, err
	}
	path.version = parsed.Version
	if first := parsed.Segments; len(first) > 0 && strings.EqualFold(first[0].Text, dryRun) {
		path.dryRun, parsed.Segments = true, first[1:]
	}
	if first := parsed.Segments; len(first) > 0 && strings.EqualFold(first[0].Text, ownTenant) {
		parsed.Segments = first[1:]
	}
	for _, s := range parsed.Segments {
		next, err := segmentOf(s)
		if err != nil {
			return path, err
		}
		path.segments = append(path.segments, next)
	}
	switch path.version {
	case version1, versionBeta:
		return path, nil
	}
	return path, badURL("Invalid version: " + quote(path.version) + ". This API has v1.0 and beta.")
}

// segmentOf names a segment as the table of routes does: functions without the name of the
// service, casts with it.
func segmentOf(s odata.Segment) (segment, error) {
	next := segment{given: s.Text, name: s.Name}
	if s.Qualified && !s.Called {
		next.name = "microsoft.graph." + s.Name
	}
	switch len(s.Keys) {
	case 0:
	case 1:
		next.key = &ref{by: s.Keys[0].Name, value: s.Keys[0].Value}
		if next.key.by == "id" {
			next.key.by = ""
		}
	default:
		return next, badURL("A thing is named by one key, such as applications(appId='…').")
	}
	return next, nil
}
