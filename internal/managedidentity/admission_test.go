package managedidentity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

// everyPlatform opens an endpoint of each platform.
func everyPlatform(t *testing.T, w *world) map[directory.Platform]*Endpoint {
	t.Helper()
	hosts := map[directory.Platform]*Endpoint{}
	for _, platform := range directory.Platforms() {
		hosts[platform] = w.endpoint(platform)
	}
	return hosts
}

// A proxy, or an application that can be tricked into fetching a URL, gets no token.
func TestForwardedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		for _, name := range []string{
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "x-forwarded-for", "Forwarded", "Via", "X-Real-IP",
			"X-Acme-Forwarded-Client", "X-Original-Forwarded-For", "X-Original-URL", "CF-Connecting-IP",
		} {
			t.Run(string(platform)+"/"+name, func(t *testing.T) {
				w.ask(h, good(h).set(name, "10.0.0.1")).refusedWith(t, http.StatusBadRequest)
				w.ask(h, good(h).set(name, "")).refusedWith(t, http.StatusBadRequest)
			})
		}
	}
}

// A web page gets no token, whatever name it uses for the loopback address.
func TestWebPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		for name, q := range map[string]question{
			"origin":              good(h).set("Origin", "https://evil.test"),
			"no origin":           good(h).set("Origin", "null"),
			"own origin":          good(h).set("Origin", "http://127.0.0.1:1234"),
			"referer":             good(h).set("Referer", "https://evil.test/"),
			"fetch site":          good(h).set("Sec-Fetch-Site", "none"),
			"fetch destination":   good(h).set("Sec-Fetch-Dest", "empty"),
			"fetch mode":          good(h).set("Sec-Fetch-Mode", "navigate"),
			"fetch modes":         good(h).set("Sec-Fetch-Mode", "cors", "navigate"),
			"fetch user":          good(h).set("Sec-Fetch-User", "?1"),
			"client hint":         good(h).set("Sec-CH-UA", `"Browser"`),
			"preflight":           good(h).set("Access-Control-Request-Method", "GET"),
			"another host":        good(h).set("Host", "evil.test"),
			"another host's port": good(h).set("Host", "evil.test:1234"),
			"no host":             good(h).set("Host", ""),
			"a host like ours":    good(h).set("Host", "localhost.evil.test"),
			"a rooted name":       good(h).set("Host", "localhost."),
			"an address like one": good(h).set("Host", "127.0.0.1.evil.test"),
			"a private address":   good(h).set("Host", "10.0.0.1"),
			"a zone":              good(h).set("Host", "[::1%25lo]"),
		} {
			t.Run(string(platform)+"/"+name, func(t *testing.T) { w.ask(h, q).refusedWith(t, http.StatusBadRequest) })
		}
		for _, host := range []string{"127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST:1234", "[::1]", "[::1]:1234"} {
			if got := w.ask(h, good(h).set("Host", host)); got.status >= 300 && (platform != directory.PlatformArc || got.status != http.StatusUnauthorized) {
				t.Errorf("%s: host %s: got %d: %s", platform, host, got.status, got.raw)
			}
		}
	}
}

// Node's fetch, which MSAL for Node uses, sends one header that browsers send too.
func TestNodeFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformAppService)
	q := good(h).set("Sec-Fetch-Mode", "cors").set("Accept-Language", "*").set("User-Agent", "node")
	if got := w.ask(h, q); got.status != http.StatusOK {
		t.Errorf("got %d: %s", got.status, got.raw)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		for _, method := range []string{"HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "POST"} {
			q := good(h)
			if q.method == method {
				continue
			}
			q.method = method
			t.Run(string(platform)+"/"+method, func(t *testing.T) {
				got := w.ask(h, q)
				got.refusedWith(t, http.StatusMethodNotAllowed)
				if got.header.Get("Allow") == "" {
					t.Error("the answer does not say which methods are allowed")
				}
			})
		}
	}
}

func TestMetadataHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, platform := range []directory.Platform{directory.PlatformIMDS, directory.PlatformArc, directory.PlatformCloudShell} {
		h := w.endpoint(platform)
		for name, q := range map[string]question{
			"none": good(h).set("Metadata"), "empty": good(h).set("Metadata", ""), "a number": good(h).set("Metadata", "1"),
			"false": good(h).set("Metadata", "false"), "twice": good(h).set("Metadata", "true", "true"), "a list": good(h).set("Metadata", "true, true"),
		} {
			t.Run(string(platform)+"/"+name, func(t *testing.T) { w.ask(h, q).refusedWith(t, http.StatusBadRequest) })
		}
	}
}

func TestSecretHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for _, platform := range []directory.Platform{directory.PlatformAppService, directory.PlatformAzureML, directory.PlatformServiceFabric} {
		h, other := w.endpoint(platform), w.endpoint(platform)
		name := map[directory.Platform]string{directory.PlatformAppService: "X-IDENTITY-HEADER", directory.PlatformAzureML: "secret", directory.PlatformServiceFabric: "Secret"}[platform]
		for what, q := range map[string]question{
			"none": good(h).set(name), "empty": good(h).set(name, ""), "a prefix": good(h).set(name, h.secret[:40]), "longer": good(h).set(name, h.secret+"0"),
			"upper case": good(h).set(name, strings.ToUpper(h.secret)), "another host's": good(h).set(name, other.secret),
			"two values": good(h).set(name, h.secret, h.secret), "two in one": good(h).set(name, h.secret+", "+h.secret),
			"under another name": good(h).set(name).set("X-Identity", h.secret), "in the query": good(h).set(name).with("secret=" + h.secret),
		} {
			t.Run(string(platform)+"/"+what, func(t *testing.T) { w.ask(h, q).refusedWith(t, http.StatusUnauthorized) })
		}
	}
	h := w.endpoint(directory.PlatformAppService)
	for name, q := range map[string]question{
		"both":        good(h).set("Secret", h.secret),
		"lower case":  good(h).set("X-IDENTITY-HEADER").set("x-identity-header", h.secret),
		"and another": good(h).set("Metadata", "true"),
	} {
		if got := w.ask(h, q); got.status != http.StatusOK {
			t.Errorf("%s: got %d: %s", name, got.status, got.raw)
		}
	}
	w.ask(h, good(h).set("Secret", "wrong")).refusedWith(t, http.StatusUnauthorized)
}

// The common surface identifies endpoints by their secrets alone.
func TestCommonSurface(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, machine := w.endpoint(directory.PlatformAppService), w.endpoint(directory.PlatformIMDS)
	ask := func(q question) reply {
		t.Helper()
		return answerOf(t, w.Handler(), q.method, q.target, q.body, q.header)
	}
	if got := ask(good(h)); got.status != http.StatusOK {
		t.Errorf("got %d: %s", got.status, got.raw)
	}
	ask(good(h).set("X-IDENTITY-HEADER", newSecret())).refusedWith(t, http.StatusUnauthorized)
	ask(good(h).set("X-IDENTITY-HEADER")).refusedWith(t, http.StatusUnauthorized)
	ask(good(h).set("X-IDENTITY-HEADER", machine.secret)).refusedWith(t, http.StatusUnauthorized)
	ask(good(machine)).refusedWith(t, http.StatusBadRequest)
	ask(question{http.MethodGet, metadataInfoPath + "?api-version=2018-02-01", "", headers("Metadata", "true")}).refusedWith(t, http.StatusBadRequest)
	ask(good(h).set("Origin", "https://evil.test")).refusedWith(t, http.StatusBadRequest)
	w.must(h.Close())
	ask(good(h)).refusedWith(t, http.StatusUnauthorized)
}

// Clients with a fixed address of the metadata service are brought here by a proxy variable.
// Their requests are answered here; nothing is ever dialed.
func TestAbsoluteTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	machine, site := w.endpoint(directory.PlatformIMDS), w.endpoint(directory.PlatformAppService)
	query := "?api-version=2018-02-01&resource=api%3A%2F%2Forders"
	header := headers("Metadata", "true")
	for target, want := range map[string]int{
		"http://169.254.169.254" + metadataTokenPath + query:         200,
		"http://169.254.169.254:80" + metadataTokenPath + query:      200,
		"http://169.254.169.254/" + metadataTokenPath + "/" + query:  200,
		"http://169.254.169.254" + metadataPlatformPath + query:      404,
		"http://169.254.169.254/latest/meta-data":                    400,
		"http://169.254.169.254:8080" + metadataTokenPath + query:    400,
		"https://169.254.169.254" + metadataTokenPath + query:        400,
		"http://user@169.254.169.254" + metadataTokenPath + query:    400,
		"http://169.254.169.253" + metadataTokenPath + query:         400,
		"http://evil.test" + metadataTokenPath + query:               400,
		"http://127.0.0.1:1234" + metadataTokenPath + query:          400,
		"ftp://169.254.169.254" + metadataTokenPath + query:          400,
		"http://169.254.169.254.evil.test" + metadataTokenPath + "?": 400,
	} {
		t.Run(target, func(t *testing.T) {
			if got := w.call(machine, "GET", target, "", header); got.status != want {
				t.Errorf("got %d, want %d: %s", got.status, want, got.raw)
			}
		})
	}
	w.call(site, "GET", "http://169.254.169.254/msi/token"+query, "", headers("X-Identity-Header", site.secret)).refusedWith(t, http.StatusBadRequest)
}

// The same over the wire, with raw requests that no client of net/http sends.
func TestProxyRequestsOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.endpoint(directory.PlatformIMDS)
	query := metadataTokenPath + "?api-version=2018-02-01&resource=api%3A%2F%2Forders"
	for request, want := range map[string]string{
		"GET http://169.254.169.254" + query + " HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nProxy-Connection: close\r\n\r\n": "200",
		"GET " + query + " HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n\r\n":                                                  "200",
		"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\nMetadata: true\r\n\r\n":                                              "400",
		"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\nMetadata: true\r\n\r\n":                                      "405",
		"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n":                                                            "405",
		"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nMetadata: true\r\n\r\n":                                                                "4",
		"GET " + query + " HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\nMetadata: true\r\n\r\n":                                     "400",
	} {
		t.Run(strings.Join(strings.Fields(request)[:2], " "), func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", h.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, request)
			line := make([]byte, len("HTTP/1.1 400"))
			if _, err := io.ReadFull(conn, line); err != nil {
				t.Fatal(err)
			}
			if status, _ := strings.CutPrefix(string(line), "HTTP/1.1 "); !strings.HasPrefix(status, want) {
				t.Errorf("got %s, want %s", status, want)
			}
		})
	}
}

func TestNothingListensBeyondLoopback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCertificate(t))
	for platform, h := range everyPlatform(t, w) {
		host, _, err := net.SplitHostPort(h.address)
		if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() {
			t.Errorf("%s listens on %s", platform, h.address)
		}
	}
}

// A service that closes while endpoints are being opened closes those too.
func TestAServiceEndsWhileEndpointsAreOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		s, err := New(w.cfg)
		w.must(err)
		opened := make(chan struct{}, 1)
		var opening sync.WaitGroup
		for range 4 {
			opening.Go(func() {
				for range 100 {
					_, err := s.Open(t.Context(), EndpointConfig{Tenant: fixture.TenantID, Identities: w.identities(fixture.IdentityID), Platform: directory.PlatformArc, Owner: anyUser})
					if errors.Is(err, errClosed) {
						return
					}
					if err != nil {
						t.Error(err)
					}
					select {
					case opened <- struct{}{}:
					default:
					}
				}
			})
		}
		<-opened
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		opening.Wait()
		if len(s.endpoints) != 0 {
			t.Errorf("%d hosts are left", len(s.endpoints))
		}
	}
}

// An endpoint serves its owner alone.
func TestNoOwnerNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.endpointOwned(directory.PlatformIMDS, 0)
	w.ask(root, good(root)).refusedWith(t, http.StatusBadRequest) // nothing is known about the connection
	h := w.endpointOwned(directory.PlatformIMDS, 4711)
	w.ask(h, good(h)).refusedWith(t, http.StatusBadRequest)
	r, err := http.NewRequestWithContext(context.WithValue(t.Context(), connKey{}, func() (int, error) { return 0, peer.ErrUnknown }), http.MethodGet, "/", nil)
	w.must(err)
	if p := h.checkOwner(r); p != nil {
		t.Errorf("on a system that does not tell: %s", p.message)
	}
}
