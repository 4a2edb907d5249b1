package authority

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// An endpoint answers one path. Answers and problems are written elsewhere.
type endpoint struct {
	method string // GET, which HEAD may stand for, or POST, or both
	serve  func(*Authority, context.Context, *exchange) (answer, error)
	page   bool // people look at it: refusals are pages too
}

// getOrPost is the method of what takes both.
const getOrPost = "GET or POST"

// endpoints gives the URL space, in lower case. Paths that begin with a tenant stand
// without it; "/common/discovery/instance" and the like exist there only.
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/.well-known/openid-configuration":          {method: http.MethodGet, serve: (*Authority).metadataV1},
		"/v2.0/.well-known/openid-configuration":     {method: http.MethodGet, serve: (*Authority).metadataV2},
		"/discovery/keys":                            {method: http.MethodGet, serve: (*Authority).keysV1},
		"/discovery/v2.0/keys":                       {method: http.MethodGet, serve: (*Authority).keysV2},
		"/workload/.well-known/openid-configuration": {method: http.MethodGet, serve: (*Authority).workloadMetadata},
		"/workload/keys":                             {method: http.MethodGet, serve: (*Authority).workloadKeys},
		"/oauth2/token":                              {method: http.MethodPost, serve: (*Authority).tokenV1},
		"/oauth2/v2.0/token":                         {method: http.MethodPost, serve: (*Authority).tokenV2},
		"/oauth2/devicecode":                         {method: http.MethodPost, serve: (*Authority).deviceV1},
		"/oauth2/v2.0/devicecode":                    {method: http.MethodPost, serve: (*Authority).deviceV2},
		"/oauth2/authorize":                          {method: getOrPost, serve: (*Authority).authorizeV1, page: true},
		"/oauth2/v2.0/authorize":                     {method: getOrPost, serve: (*Authority).authorizeV2, page: true},
		"/oauth2/logout":                             {method: http.MethodGet, serve: (*Authority).logout, page: true},
		"/oauth2/v2.0/logout":                        {method: http.MethodGet, serve: (*Authority).logout, page: true},
		"/openid/userinfo":                           {method: getOrPost, serve: (*Authority).userInfo},
	}
}

// places gives the paths that are no tenant's.
func places() map[string]endpoint {
	return map[string]endpoint{
		errorPath:    {method: http.MethodGet, serve: (*Authority).errorPage, page: true},
		devicePath:   {method: getOrPost, serve: (*Authority).device, page: true},
		confirmPath:  {method: http.MethodPost, serve: (*Authority).confirmForm, page: true},
		signInPath:   {method: http.MethodPost, serve: (*Authority).signInForm, page: true},
		consentPath:  {method: http.MethodPost, serve: (*Authority).consentForm, page: true},
		signOutPath:  {method: http.MethodPost, serve: (*Authority).signOutForm, page: true},
		stylePath:    {method: http.MethodGet, serve: (*Authority).style},
		instancePath: {method: http.MethodGet, serve: (*Authority).instance},
	}
}

const (
	errorPath     = "/error"
	devicePath    = "/devicelogin"
	confirmPath   = "/confirm"
	signInPath    = "/signin"
	consentPath   = "/consent"
	signOutPath   = "/signout"
	stylePath     = "/rolecall.css"
	instancePath  = "/common/discovery/instance"
	userRealmPath = "/common/userrealm/"
)

// route finds the endpoint of a path and the tenant it begins with. Case, doubled
// slashes and a slash at the end do not matter.
func (a *Authority) route(requested string) (endpoint, string, error) {
	cleaned := cleanPath(requested)
	lower := strings.ToLower(cleaned)
	if found, ok := a.places[lower]; ok {
		return found, "", nil
	}
	if strings.HasPrefix(lower, userRealmPath) {
		return endpoint{method: http.MethodGet, serve: (*Authority).userRealm}, aliasCommon, nil
	}
	tenant, rest, _ := strings.Cut(cleaned[1:], "/")
	if found, ok := a.endpoints[strings.ToLower("/"+rest)]; ok {
		return found, tenant, nil
	}
	if _, ok := a.endpoints[lower]; ok {
		return endpoint{}, "", aadsts.NoTenant()
	}
	return endpoint{}, "", aadsts.NoEndpoint(cleaned)
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
	turn        func()           // gives back the turn of a slow check; nil: none was taken
	signIn      directory.SignIn // token endpoints: what is known so far
	page        bool             // a person looks at the answer
	cookies     []*http.Cookie   // to be set
}

// serve is the one way in and out: route, answer, write, log.
func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{http: r, writer: w, trace: guid.New(), correlation: correlationOf(r), source: a.cfg.Source(r), start: a.now()}
	response, err := a.answer(r.Context(), x)
	if x.correlation == "" {
		x.correlation = guid.New()
	}
	a.finish(r.Context(), x, err)
	switch {
	case err != nil && x.page:
		response = a.problemPage(x, aadsts.Of(err))
	case err != nil:
		a.writeProblem(w, x, aadsts.Of(err))
		return
	}
	writeAnswer(w, x, response)
}

// answer calls the endpoint of the request. A panic below becomes an answer too.
func (a *Authority) answer(ctx context.Context, x *exchange) (response answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = aadsts.Internal(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	target, tenant, err := a.route(x.http.URL.Path)
	if err != nil {
		return answer{}, err
	}
	x.tenant = tenant
	if method := x.http.Method; !target.takes(method) {
		x.allow = allowed(target.method)
		return answer{}, aadsts.Method(method, target.method)
	}
	x.page = target.page
	return target.serve(a, ctx, x)
}

// takes reports whether an endpoint answers a method.
func (e endpoint) takes(method string) bool {
	switch method {
	case http.MethodPost:
		return e.method == http.MethodPost || e.method == getOrPost
	case http.MethodGet, http.MethodHead:
		return e.method == http.MethodGet || e.method == getOrPost
	}
	return false
}

// allowed is the value of the Allow header for an endpoint's method.
func allowed(method string) string {
	switch method {
	case http.MethodGet:
		return "GET, HEAD"
	case getOrPost:
		return "GET, HEAD, POST"
	}
	return method
}

// correlationOf gives the caller's name for its request: from the header, else from the
// query (MSAL for Node). The form, where it may stand as well, is read later. Anything
// but a GUID is ignored.
func correlationOf(r *http.Request) string {
	if id := r.Header.Get("client-request-id"); guid.Is(id) {
		return id
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	if id := r.URL.Query().Get("client-request-id"); guid.Is(id) {
		return id
	}
	return ""
}
