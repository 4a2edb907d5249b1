package managedidentity

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// handler answers the endpoint's own requests and, if it is a proxy too, those for one.
func (e *Endpoint) handler() http.Handler {
	own := e.service.cfg.Wrap(http.HandlerFunc(e.serve))
	if e.proxy == nil {
		return own
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.isForProxy(r) {
			own.ServeHTTP(w, r)
			return
		}
		for _, check := range []func(*http.Request) *refusal{e.checkFrom, e.checkOwner} {
			if p := check(r); p != nil {
				http.Error(w, "This proxy is for other programs than this one.", http.StatusForbidden)
				return
			}
		}
		e.proxy.ServeHTTP(w, r)
	})
}

// isForProxy reports whether a request is one that only proxies get (RFC 9112 section 3.2). Those
// for the metadata service are the endpoint's own where it stands for that.
func (e *Endpoint) isForProxy(r *http.Request) bool {
	switch {
	case r.Method == http.MethodConnect:
		return true
	case strings.HasPrefix(r.RequestURI, "/"), r.RequestURI == "*":
		return false
	}
	return e.kind != directory.PlatformIMDS || !isMetadataTarget(r)
}
