package guardserver

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// checkPath is where proxies ask about requests.
const checkPath = "/guard/check"

// forwardAuth is the form in which a proxy asks about each request by one of its own. Which
// request is judged, the proxy says in headers of its dialect; a peer that is not trusted is
// not believed, and neither is a header that is there twice or contradicts another.
func (s *Server) forwardAuth(w http.ResponseWriter, r *http.Request, now *setup) {
	if r.URL.Path != checkPath {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "not_found", "error_description": "Proxies ask at " + checkPath + "."})
		return
	}
	var j judged
	asked, host, problem := toldBy(now.file.Dialect, r)
	asked = now.certified(r, asked)
	switch {
	case !now.trusts(r):
		j = s.refuse(r.Context(), host, asked, r.RemoteAddr, "the peer is none of trustedPeers, so it may not say which request is judged")
	case problem != "":
		j = s.refuse(r.Context(), host, asked, r.RemoteAddr, problem)
	default:
		j = s.judge(r.Context(), now, host, asked, r.RemoteAddr)
	}
	s.end(&j, 0)
	if !j.Allowed() {
		refusal := j.Answer()
		if now.file.Dialect == guardfile.DialectNginx && refusal.Status == http.StatusBadRequest {
			refusal.Status = http.StatusUnauthorized // any other status than this and 403 is an error to nginx
		}
		answer(w, r, refusal)
		return
	}
	allow(w.Header(), &j)
	w.WriteHeader(http.StatusOK)
}

// allow sets every header that there may be for the upstream, an empty one where it says nothing:
// a proxy that copies them must not leave a client's in place.
func allow(header http.Header, j *judged) {
	for _, t := range j.identify() {
		header[t.name] = t.lines
	}
	header.Set("Cache-Control", "no-store")
}

// toldBy returns the request that a proxy asks about, and its host, or what is wrong with how it
// asks.
func toldBy(dialect guardfile.Dialect, r *http.Request) (asked guard.Request, host, problem string) {
	method, target := "X-Forwarded-Method", "X-Forwarded-Uri"
	if dialect == guardfile.DialectNginx {
		method, target = "X-Original-Method", "X-Original-Uri"
		if len(r.Header["X-Original-Url"]) > 0 {
			if len(r.Header[target]) > 0 {
				return asked, "", "there are both X-Original-URL and X-Original-URI: the proxy sets one of them, and has to remove the other"
			}
			target = "X-Original-Url"
		}
	}
	asked.Header = r.Header
	var ok bool
	if asked.Method, ok = single(r.Header, method); !ok {
		return asked, "", "the proxy says by which method the request came in one header " + method + ": let it set that"
	}
	uri, ok := single(r.Header, target)
	if !ok {
		return asked, "", "the proxy says what was asked for in one header " + target + ": let it set that"
	}
	host = r.Host
	if named, ok := single(r.Header, "X-Forwarded-Host"); ok && dialect != guardfile.DialectNginx {
		host = named
	} else if len(r.Header["X-Forwarded-Host"]) > 0 && dialect != guardfile.DialectNginx {
		return asked, "", "the proxy says for which host the request was in one header X-Forwarded-Host: let it set that"
	}
	if !strings.HasPrefix(uri, "/") {
		at, rest, ok := cutOrigin(uri)
		if !ok {
			return asked, host, "what was asked for is neither a path nor a URL"
		}
		host, uri = at, rest
	}
	asked.Path, asked.Query, _ = strings.Cut(uri, "?")
	return asked, host, ""
}

// cutOrigin cuts a URL into its host and what comes after.
func cutOrigin(address string) (host, rest string, ok bool) {
	_, after, found := strings.Cut(address, "://")
	if !found {
		return "", "", false
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	host, rest = after[:end], after[end:]
	if u, err := url.Parse("http://" + host); err != nil || u.Host != host || u.User != nil || host == "" {
		return "", "", false
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return host, rest, true
}

// single returns the value of a header that is there once.
func single(header http.Header, name string) (string, bool) {
	lines := header[name]
	if len(lines) != 1 || lines[0] == "" {
		return "", false
	}
	return lines[0], true
}
