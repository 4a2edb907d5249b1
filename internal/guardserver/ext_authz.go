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
	told := j.identify()
	setIdentity(w.Header(), told)
	remove, cookies := j.changes(told)
	if cookies != "" {
		w.Header().Set("Cookie", cookies)
	}
	if len(remove) > 0 {
		w.Header().Set(headersToRemove, strings.Join(remove, ","))
	}
	w.WriteHeader(http.StatusOK)
}

// changes returns the headers, in lower case, that a request must not take along to its
// upstream: those by which a client says what only the guard may say, as the request has them,
// those of the guard that say nothing, and the credential. Where some of the cookies may go on
// and others not, it returns those that may.
func (j *judged) changes(identity []told) (remove []string, cookies string) {
	remove = make([]string, 0, len(identity)+2)
	sent := j.request.Header
	clean := guard.Sanitize(sent)
	if len(clean) < len(sent) {
		for name := range sent {
			if _, kept := clean[name]; !kept && !slices.ContainsFunc(identity, func(t told) bool { return t.name == name }) {
				remove = append(remove, strings.ToLower(name))
			}
		}
	}
	if !slices.Equal(sent["Cookie"], clean["Cookie"]) {
		if cookies = strings.Join(clean["Cookie"], "; "); cookies == "" {
			remove = append(remove, "cookie")
		}
	}
	for _, t := range identity {
		if !t.said {
			remove = append(remove, t.lower)
		}
	}
	if !j.api.forward {
		remove = append(remove, "authorization", "dpop")
	}
	return remove, cookies
}
