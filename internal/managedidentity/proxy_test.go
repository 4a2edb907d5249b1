package managedidentity

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

// openProxied opens an endpoint that is a proxy too, which says so.
func (w *world) openProxied(platform directory.Platform, owner int, from ...netip.Prefix) *Endpoint {
	w.t.Helper()
	h, err := w.Open(w.t.Context(), EndpointConfig{
		Tenant: fixture.TenantID, Identities: w.identities(fixture.IdentityID), Platform: platform, Owner: owner, From: from,
		Proxy: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the proxy") }),
	})
	w.must(err)
	return h
}

// send writes a request as it stands and returns all of the answer.
func (w *world) send(h *Endpoint, request string) string {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", h.Address())
	w.must(err)
	defer conn.Close()
	_, err = io.WriteString(conn, strings.Replace(request, "\n", " HTTP/1.1\r\nConnection: close\r\n", 1)+"\r\n\r\n")
	w.must(err)
	answer, err := io.ReadAll(conn)
	w.must(err)
	return string(answer)
}

// What only proxies are asked is for the proxy, and everything else for the endpoint, as if there
// were none.
func TestProxyAtAnEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := netip.MustParsePrefix("127.0.0.0/8")
	const metadata = metadataTokenPath + "?api-version=2018-02-01&resource=api://orders\nHost: 169.254.169.254\r\nMetadata: true"
	for _, tt := range []struct {
		name     string
		platform directory.Platform
		request  string
		want     string
	}{
		{"a tunnel", "app-service", "CONNECT login.microsoftonline.com:443\nHost: login.microsoftonline.com:443", "the proxy"},
		{"an absolute target", "app-service", "GET http://evil.test/\nHost: evil.test", "the proxy"},
		{"an absolute target by https", "app-service", "GET https://login.microsoftonline.com/common\nHost: login.microsoftonline.com", "the proxy"},
		{"the metadata service, which this is not", "app-service", "GET http://169.254.169.254" + metadata, "the proxy"},
		{"the metadata service, which this is", "imds", "GET http://169.254.169.254" + metadata, `"access_token"`},
		{"another path there", "imds", "GET http://169.254.169.254/\nHost: 169.254.169.254", "the proxy"},
		{"a tunnel on another platform", "imds", "CONNECT login.microsoftonline.com:443\nHost: login.microsoftonline.com:443", "the proxy"},
		{"the endpoint's own", "imds", "GET " + metadata, `"access_token"`},
		{"without the secret", "app-service", "GET /msi/token?api-version=2019-08-01&resource=api://orders\nHost: 127.0.0.1", "401 "},
		{"another host", "app-service", "GET /msi/token\nHost: login.microsoftonline.com", "400 "},
		{"no target", "app-service", "OPTIONS *\nHost: 127.0.0.1", "400 "},
	} {
		h := w.openProxied(tt.platform, anyUser, here)
		if answer := w.send(h, tt.request); !strings.Contains(answer, tt.want) || tt.want != "the proxy" && strings.Contains(answer, "the proxy") {
			t.Errorf("%s: got %s", tt.name, answer)
		}
	}
	if _, err := w.Open(t.Context(), EndpointConfig{Tenant: fixture.TenantID, Platform: directory.PlatformServiceFabric, Proxy: http.NotFoundHandler()}); err == nil {
		t.Error("a proxy that speaks TLS was opened")
	}
}

// The proxy is for those whom the endpoint is for.
func TestProxyOfAnEndpointIsNotForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const request = "CONNECT login.microsoftonline.com:443\nHost: login.microsoftonline.com:443"
	if answer := w.send(w.openProxied("app-service", anyUser, netip.MustParsePrefix("192.0.2.0/24")), request); !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
		t.Errorf("from another network: %s", answer)
	}
	if !peer.Tells() {
		return
	}
	if answer := w.send(w.openProxied("app-service", 4711), request); !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
		t.Errorf("of another user: %s", answer)
	}
}
