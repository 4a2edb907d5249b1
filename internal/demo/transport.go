package demo

import (
	"net/http"
	"strings"
	"sync"
)

// A notingTransport records the path to which a library sends its token request, which is the
// last request that it makes for a token.
type notingTransport struct {
	next http.RoundTripper

	mu   sync.Mutex
	path string // guarded by mu
}

// RoundTrip implements http.RoundTripper.
func (n *notingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.path = r.URL.Path
	n.mu.Unlock()
	return n.next.RoundTrip(r)
}

func (n *notingTransport) endpoint(tenant string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Trim(strings.TrimPrefix(n.path, "/"+tenant+"/"), "/")
}
