package guard

import (
	"log/slog"
	"net/url"
	"strings"
)

// A Request is what a decision is about: the parts of an HTTP request that a
// guard looks at, wherever they come from. A server has them from the request
// itself, an authorization endpoint from what its proxy reports.
//
// The host is not among them. Each API has a guard of its own, so a server of
// several APIs chooses the guard by host, and no challenge repeats anything
// that the client has sent.
type Request struct {
	// Method is the method as it was sent. Methods are case-sensitive.
	Method string

	// Path is the path as it was sent: percent-encoded, without the query. A
	// target that is not a path, such as http://host/path, is refused.
	Path string

	// Query is what follows the question mark, as it was sent.
	Query string

	// Certificate is the certificate (DER) that the client has shown on its TLS
	// connection, whose key it has there: that of r.TLS.PeerCertificates[0], or
	// the one that a proxy at which TLS ends has passed on
	// ([ForwardedCertificate]). Empty means none. Who has issued it does not
	// matter.
	Certificate []byte

	// Header has every line of every header, with the names in the canonical
	// form of net/http ("Authorization"). An http.Header is one; lines from
	// elsewhere go through its Add method. It is only read.
	Header map[string][]string
}

// CanonicalPath returns the decoded path of the request if no server behind
// the guard can read it as another path. Where there is any doubt it reports
// false: the guard never repairs a path, because what it decides on and what
// is forwarded could then differ.
func (r Request) CanonicalPath() (path string, ok bool) { return canonicalPath(r.Path) }

// canonicalPath is CanonicalPath of a path as it was sent.
func canonicalPath(raw string) (string, bool) {
	path := raw
	if strings.Contains(raw, "%") {
		if !cleanEscapes(raw) {
			return "", false
		}
		var err error
		if path, err = url.PathUnescape(raw); err != nil {
			return "", false
		}
	}
	if !cleanPath(path) {
		return "", false
	}
	return path, true
}

// credential returns the one token that the request carries, or the signed
// request with a token in it, by one of the schemes that are taken, or why it
// carries none. Whether isB64Token is left to the caller: it costs more than all
// the rest.
func (r *Request) credential(taken []scheme) (raw string, by scheme, reason Reason) {
	lines := r.Header["Authorization"]
	if len(lines) > 1 {
		return "", 0, MultipleCredentials
	}
	if r.Query != "" && tokenInQuery(r.Query) {
		return "", 0, TokenInQuery
	}
	if len(lines) == 0 {
		return "", 0, TokenMissing
	}
	return parseAuthorization(lines[0], taken)
}

// trace returns the trace that the request belongs to (W3C Trace Context), or
// a new one.
func (r *Request) trace() string {
	if lines := r.Header["Traceparent"]; len(lines) > 0 {
		if id, ok := traceOf(lines[0]); ok {
			return id
		}
	}
	return newTrace()
}

// LogValue is the method and the path, as they may be logged: short, without a
// token that somebody has put into the path. Query and headers are left out.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", oneLine(r.Method, maxMethod)), slog.String("path", shownPath(r.Path)))
}

// Refuse returns the decision that refuses a request for a reason found before
// any guard was asked, such as a host that no API has.
func Refuse(r Request, reason Reason) Decision {
	return Decision{Outcome: reason.Outcome(), Reason: reason, TraceID: r.trace()}
}
