package authority

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/directory"
)

// An endpoint answers one path. Answers and problems are written elsewhere.
type endpoint struct {
	method string // GET, which HEAD may stand for, or POST
	serve  func(*Authority, context.Context, *exchange) (answer, error)
}

// endpoints gives the URL space, in lower case. Paths that begin with a tenant stand
// without it; "/common/discovery/instance" and the like exist there only.
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/.well-known/openid-configuration":      {http.MethodGet, (*Authority).metadataV1},
		"/v2.0/.well-known/openid-configuration": {http.MethodGet, (*Authority).metadataV2},
		"/discovery/keys":                        {http.MethodGet, (*Authority).keysV1},
		"/discovery/v2.0/keys":                   {http.MethodGet, (*Authority).keysV2},
		"/oauth2/token":                          {http.MethodPost, (*Authority).tokenV1},
		"/oauth2/v2.0/token":                     {http.MethodPost, (*Authority).tokenV2},
	}
}

const (
	errorPath     = "/error"
	instancePath  = "/common/discovery/instance"
	userRealmPath = "/common/userrealm/"
)

// route finds the endpoint of a path and the tenant it begins with. Case, doubled
// slashes and a slash at the end do not matter.
func (a *Authority) route(requested string) (endpoint, string, *Problem) {
	cleaned := cleanPath(requested)
	lower := strings.ToLower(cleaned)
	switch {
	case lower == errorPath:
		return endpoint{http.MethodGet, (*Authority).errorPage}, "", nil
	case lower == instancePath:
		return endpoint{http.MethodGet, (*Authority).instance}, "", nil
	case strings.HasPrefix(lower, userRealmPath):
		return endpoint{http.MethodGet, (*Authority).userRealm}, aliasCommon, nil
	}
	tenant, rest, _ := strings.Cut(cleaned[1:], "/")
	if found, ok := a.endpoints[strings.ToLower("/"+rest)]; ok {
		return found, tenant, nil
	}
	if _, ok := a.endpoints[lower]; ok {
		return endpoint{}, "", problemNoTenant()
	}
	return endpoint{}, "", problemNoEndpoint(cleaned)
}

// cleanPath takes doubled slashes, dots and a slash at the end out of a path.
func cleanPath(requested string) string { return path.Clean("/" + requested) }

// An exchange is one HTTP request on its way to its one answer.
type exchange struct {
	http        *http.Request
	writer      http.ResponseWriter // ends the connection of a body that is too large; see answer.go for what writes
	tenant      string              // as the path names it
	allow       string              // the methods of the endpoint, for the one who chose another
	trace       string              // names this answer
	correlation string              // the caller's name for the request, else ours
	start       time.Time
	source      string           // network address of the caller
	attempted   bool             // a credential was tried, and counted as a failure
	signIn      directory.SignIn // token endpoints: what is known so far
}

// serve is the one way in and out: route, answer, write, log.
func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{http: r, writer: w, trace: newGUID(), correlation: correlationOf(r), source: a.cfg.Source(r), start: a.now()}
	response, err := a.answer(r.Context(), x)
	if x.correlation == "" {
		x.correlation = newGUID()
	}
	a.finish(x, err)
	if err != nil {
		a.writeProblem(w, x, problemOf(err))
		return
	}
	writeAnswer(w, x, response)
}

// answer calls the endpoint of the request. A panic below becomes an answer too.
func (a *Authority) answer(ctx context.Context, x *exchange) (response answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = problemInternal(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	target, tenant, problem := a.route(x.http.URL.Path)
	if problem != nil {
		return answer{}, problem
	}
	x.tenant = tenant
	if method := x.http.Method; method != target.method && (method != http.MethodHead || target.method != http.MethodGet) {
		x.allow = allowed(target.method)
		return answer{}, problemMethod(method, target.method)
	}
	return target.serve(a, ctx, x)
}

// allowed is the value of the Allow header for an endpoint's method.
func allowed(method string) string {
	if method == http.MethodGet {
		return "GET, HEAD"
	}
	return method
}

// problemOf gives the problem that an error is, or hides what it is.
func problemOf(err error) *Problem {
	if problem, ok := errors.AsType[*Problem](err); ok {
		return problem
	}
	return problemUnavailable(err)
}

// correlationOf gives the caller's name for its request: from the header, else from the
// query (MSAL for Node). The form, where it may stand as well, is read later. Anything
// but a GUID is ignored.
func correlationOf(r *http.Request) string {
	if id := r.Header.Get("client-request-id"); isGUID(id) {
		return id
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	if id := r.URL.Query().Get("client-request-id"); isGUID(id) {
		return id
	}
	return ""
}
