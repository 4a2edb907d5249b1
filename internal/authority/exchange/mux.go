package exchange

import (
	"context"
	"net/http"
	"path"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// An Endpoint answers one path. Its answers and refusals are written by [Server].
type Endpoint struct {
	Method string // GET, which HEAD may stand for, or POST, or GetOrPost
	Serve  func(context.Context, *Exchange) (Answer, error)
	Page   bool // people look at it: refusals are pages too
}

// GetOrPost is the method of an endpoint that takes both.
const GetOrPost = "GET or POST"

// A Mux finds the endpoint of a path. Case, doubled slashes and a slash at the end do not
// matter. Paths are mounted in lower case.
type Mux struct {
	tenant map[string]Endpoint // by the path behind the tenant
	root   map[string]Endpoint // of no tenant
	below  map[string]Endpoint // of no tenant, with anything behind them
}

// NewMux returns a Mux without endpoints.
func NewMux() *Mux {
	return &Mux{tenant: map[string]Endpoint{}, root: map[string]Endpoint{}, below: map[string]Endpoint{}}
}

// Tenant mounts an endpoint that each tenant has.
func (m *Mux) Tenant(path string, e Endpoint) { m.tenant[path] = e }

// Root mounts an endpoint that belongs to no tenant.
func (m *Mux) Root(path string, e Endpoint) { m.root[path] = e }

// Below mounts an endpoint of no tenant that answers every path below one, which ends in a
// slash.
func (m *Mux) Below(path string, e Endpoint) { m.below[path] = e }

// A route is what a path leads to.
type route struct {
	Endpoint
	name   string // as it was mounted
	tenant string // as the path names it
}

// find looks a path up.
func (m *Mux) find(requested string) (route, error) {
	cleaned := CleanPath(requested)
	lower := strings.ToLower(cleaned)
	if found, ok := m.root[lower]; ok {
		return route{found, lower, ""}, nil
	}
	for prefix, found := range m.below {
		if strings.HasPrefix(lower, prefix) {
			return route{found, prefix, ""}, nil
		}
	}
	tenant, rest, _ := strings.Cut(cleaned[1:], "/")
	name := strings.ToLower("/" + rest)
	if found, ok := m.tenant[name]; ok {
		return route{found, name, tenant}, nil
	}
	if _, ok := m.tenant[lower]; ok {
		return route{}, aadsts.NoTenant()
	}
	return route{}, aadsts.NoEndpoint(cleaned)
}

// CleanPath takes doubled slashes, dots and a slash at the end out of a path.
func CleanPath(requested string) string { return path.Clean("/" + requested) }

// takes reports whether an endpoint answers a method.
func (e Endpoint) takes(method string) bool {
	switch method {
	case http.MethodPost:
		return e.Method == http.MethodPost || e.Method == GetOrPost
	case http.MethodGet, http.MethodHead:
		return e.Method == http.MethodGet || e.Method == GetOrPost
	}
	return false
}

// allowed is the value of the Allow header for an endpoint's method.
func allowed(method string) string {
	switch method {
	case http.MethodGet:
		return "GET, HEAD"
	case GetOrPost:
		return "GET, HEAD, POST"
	}
	return method
}
