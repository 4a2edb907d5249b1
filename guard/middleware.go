package guard

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// Require returns middleware that lets in callers of the configured kind that
// hold at least one of roles. Without roles it lets in every such caller that
// holds any role at all. No caller holds an empty role.
//
//	mux.Handle("GET /api/orders", g.Require("Orders.Read")(orders))
func (g *Guard) Require(roles ...string) func(http.Handler) http.Handler {
	rule := &Rule{Roles: append([]string(nil), roles...), Caller: g.cfg.Caller}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in := RequestOf(r) // the rule holds whatever the path, but a signed request has to be for it
			d := g.decide(r.Context(), &in, rule)
			d.rule = rule
			g.conclude(r.Context(), &in, &d)
			g.respond(w, r, &d, next)
		})
	}
}

// Handler puts rules before next. The first rule for the path and method of a
// request decides; where there is none the request is refused, and so is one
// whose path could be read in two ways. Headers by which a client could claim
// an identity, a method or a path never reach next, nor do trailers. What must
// be answered without a token, such as a browser's preflight request, belongs
// before the guard or gets an anonymous rule. The document of [Guard.Metadata] is
// answered to everybody.
func (g *Guard) Handler(rules []Rule, next http.Handler) (http.Handler, error) {
	policy, err := g.Policy(rules)
	if err != nil {
		return nil, err
	}
	if next == nil {
		return nil, errors.New("guard: no handler to protect")
	}
	path, document := g.Metadata()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := RequestOf(r)
		if document != nil && in.Path == path && isRead(r.Method) {
			publish(w, r.Method, document)
			return
		}
		d := policy.Decide(r.Context(), in)
		g.respond(w, r, &d, next)
	}), nil
}

// MetadataHandler answers with the document of [Guard.Metadata], whatever the
// path: it belongs at the one that Metadata returns, before the guard. Without
// Config.Resource nothing is there.
func (g *Guard) MetadataHandler() http.Handler {
	_, document := g.Metadata()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case document == nil:
			http.NotFound(w, r)
		case !isRead(r.Method):
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			publish(w, r.Method, document)
		}
	})
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// publish answers with a document that everybody may read, also in a browser.
func publish(w http.ResponseWriter, method string, document []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "public, max-age=3600")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(document)))
	if method != http.MethodHead {
		_, _ = w.Write(document) // a client that has gone needs no answer
	}
}

// RequestOf returns what a guard looks at in an HTTP request, for
// [Policy.Decide]. The path is that of the URL, not of the request line, because
// an outer handler may have rewritten the URL, which is what handlers look at. A
// target that is not a path, such as http://host/path, gives a Request that is
// refused.
func RequestOf(r *http.Request) Request {
	in := Request{Method: r.Method, Query: r.URL.RawQuery, Header: r.Header}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		in.Certificate = r.TLS.PeerCertificates[0].Raw
	}
	if r.URL.Host == "" && r.URL.Scheme == "" && r.URL.Opaque == "" { // not GET http://host/path, nor CONNECT host
		in.Path = rawPath(r.URL)
	}
	return in
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

// respond passes a request on or answers it.
func (g *Guard) respond(w http.ResponseWriter, r *http.Request, d *Decision, next http.Handler) {
	if d.Outcome == Allow {
		next.ServeHTTP(w, g.admitted(r, d))
		return
	}
	answer, header := d.Answer(), w.Header()
	for name, lines := range answer.Header {
		header[name] = lines
	}
	w.WriteHeader(answer.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(answer.Body) // a client that has gone needs no answer
	}
}

// admitted returns the request as the protected handler sees it. Trailers
// arrive after the decision and could name an identity, so there are none.
func (g *Guard) admitted(r *http.Request, d *Decision) *http.Request {
	out := r.WithContext(d.Context(r.Context()))
	out.Header = Sanitize(r.Header)
	if _, present := out.Header["Authorization"]; present && !g.cfg.ForwardToken {
		if len(out.Header) == len(r.Header) { // nothing was removed, so it may be the map of the request
			out.Header = maps.Clone(out.Header)
		}
		delete(out.Header, "Authorization")
		delete(out.Header, headerProof)
	}
	out.Trailer = nil
	return out
}
