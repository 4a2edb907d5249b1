package guardserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
)

// headersToRemove is how Envoy learns over HTTP which headers of the client's must not go on.
const headersToRemove = "X-Envoy-Auth-Headers-To-Remove"

// extAuthz is the form in which Envoy asks over HTTP, by a request with the method and the path
// of the one that is judged. It takes 200 alone for a yes.
func (s *Server) extAuthz(w http.ResponseWriter, r *http.Request, now *setup) {
	request := now.certified(r, guard.RequestOf(r))
	var j judged
	if now.trusts(r) {
		j = s.judge(r.Context(), now, r.Host, request, r.RemoteAddr)
	} else {
		j = s.refuse(r.Context(), r.Host, request, r.RemoteAddr, "the peer is none of trustedPeers, so it may not say which request is judged")
	}
	s.end(&j, 0)
	if !j.Allowed() {
		answer(w, r, j.Answer())
		return
	}
	identity := j.identify()
	setIdentity(w.Header(), identity)
	if cookies, changed := j.cookies(); changed && cookies != "" {
		w.Header().Set("Cookie", cookies)
	}
	if remove := j.removed(identity); len(remove) > 0 {
		w.Header().Set(headersToRemove, strings.Join(remove, ","))
	}
	w.WriteHeader(http.StatusOK)
}

// removed returns the headers, in lower case, that a request must not take along to its
// upstream: those by which a client says what only the guard may say, as the request has them,
// those of the guard that are not set, and the credential.
func (j *judged) removed(set map[string]string) []string {
	gone := map[string]bool{}
	var remove []string
	add := func(name string) {
		if _, ours := set[http.CanonicalHeaderKey(name)]; !ours && !gone[name] {
			gone[name] = true
			remove = append(remove, name)
		}
	}
	clean := guard.Sanitize(j.request.Header)
	for name := range j.request.Header {
		if _, kept := clean[name]; !kept {
			add(strings.ToLower(name))
		}
	}
	if cookies, changed := j.cookies(); changed && cookies == "" {
		add("cookie")
	}
	for _, name := range j.api.identity.names() {
		add(strings.ToLower(name))
	}
	if !j.api.forward {
		add("authorization")
		add("dpop")
	}
	return remove
}

// cookies returns the cookies that may go on, and whether those of the request are others. If
// none may, the header is among those that are removed.
func (j *judged) cookies() (cookies string, changed bool) {
	sent := j.request.Header["Cookie"]
	kept := guard.Sanitize(j.request.Header)["Cookie"]
	return strings.Join(kept, "; "), !slices.Equal(sent, kept)
}
