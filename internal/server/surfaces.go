package server

import (
	"net"
	"net/http"
	"strings"
)

// authoritySurface is the name of the surface that gives out tokens.
const authoritySurface = "authority"

// opsSurface is the name of the surface for operators, which stops last.
const opsSurface = "ops"

// A surfacePlan is a row of the table of surfaces. The admin socket is not among them: it
// has no port.
type surfacePlan struct {
	name     string
	offset   int                                            // from the base port
	tls      bool                                           // with a certificate of the data folder's authority
	public   bool                                           // at Config.Listen, not only on the loopback interface
	fronted  bool                                           // at Config.PublicURL, if there is one
	endpoint func(*Endpoints) *string                       // where its URL is kept
	build    func(*Server, *http.Server) (answering, error) // what answers there; may set up the HTTP server
}

// surfacePlans is the table of surfaces, in the order in which they are built: the
// authority first, because the others use it.
func surfacePlans() []surfacePlan {
	return []surfacePlan{
		{authoritySurface, 0, true, true, true, func(e *Endpoints) *string { return &e.Authority }, (*Server).buildAuthority},
		{"graph", 1, true, true, false, func(e *Endpoints) *string { return &e.Graph }, (*Server).buildGraph},
		{"resource manager", 2, true, true, false, func(e *Endpoints) *string { return &e.ResourceManager }, (*Server).buildManager},
		{"managed identity", 4, false, false, false, func(e *Endpoints) *string { return &e.ManagedIdentity }, (*Server).buildIdentities},
		{opsSurface, 5, false, false, false, func(e *Endpoints) *string { return &e.Ops }, (*Server).buildOps},
	}
}

// answering is what answers on a surface, which may serve several host names.
type answering struct {
	byHost    map[string]http.Handler // by host name, in lower case and without a port
	byDefault http.Handler            // for all other names
}

func (a answering) handler() http.Handler {
	if len(a.byHost) == 0 {
		return a.byDefault
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := a.byHost[hostName(r.Host)]; ok {
			h.ServeHTTP(w, r)
			return
		}
		a.byDefault.ServeHTTP(w, r)
	})
}

// hostName is the name in a Host header, without port, trailing dot or capitals.
func hostName(header string) string {
	name, _, err := net.SplitHostPort(header)
	if err != nil {
		name = header
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
