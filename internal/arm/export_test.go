package arm

import "strings"

// A Route is a row of the table of routes, for tests.
type Route struct{ Method, Form, Action string }

// Routes is the table of routes.
func Routes() (all []Route) {
	for _, r := range routes() {
		all = append(all, Route{r.method, r.form, r.action})
	}
	return all
}

// MatchPath reads a path and compares it with every form there is.
func MatchPath(escaped string) (segments []string, found []map[string]string, err error) {
	segments, err = parsePath(escaped)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range routes() {
		if at := r.pattern.match(segments); at != nil {
			found = append(found, at)
		}
	}
	return segments, found, elsewhere(segments)
}

// CheckJSON is the strict look at a body.
func CheckJSON(raw string) error { return checkJSON([]byte(raw)) }

// JoinPath joins segments.
func JoinPath(segments []string) string { return "/" + strings.Join(segments, "/") }
