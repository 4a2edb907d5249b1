package credential

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A recorder is an API that remembers the Authorization headers it got.
type recorder struct {
	*httptest.Server
	got    chan string
	answer http.HandlerFunc // nil means 200
}

func record(t *testing.T, start func(http.Handler) *httptest.Server) *recorder {
	t.Helper()
	r := &recorder{got: make(chan string, 10)}
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.got <- req.Header.Get("Authorization")
		if r.answer != nil {
			r.answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// trusting is a base that trusts every server of httptest.
func trusting(t *testing.T) *http.Transport {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.Client().Transport.(*http.Transport).Clone()
}

func clientWith(t *testing.T, cred azcore.TokenCredential) (*http.Client, *Transport) {
	t.Helper()
	transport := NewTransport(cred, testScope)
	transport.Base = trusting(t)
	client := &http.Client{Transport: transport}
	t.Cleanup(client.CloseIdleConnections)
	return client, transport
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTransportSendsTheToken(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(http.Handler) *httptest.Server{"https": httptest.NewTLSServer, "loopback http": httptest.NewServer} {
		t.Run(name, func(t *testing.T) {
			api := record(t, start)
			client, _ := clientWith(t, &script{})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer somebody-else")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := <-api.got; got != "Bearer token-1" {
				t.Errorf("the API got %q", got)
			}
			if got := req.Header.Get("Authorization"); got != "Bearer somebody-else" {
				t.Errorf("the caller's request was changed to %q", got)
			}
		})
	}
}

func TestTokenStaysAtItsOrigin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		path func(here, elsewhere, plain string) []string // redirects, one after the other
		want []string                                     // Authorization at here, in order
	}{
		{"same origin", func(here, _, _ string) []string { return []string{here + "/b"} }, []string{"Bearer token-1", "Bearer token-1"}},
		{"relative", func(_, _, _ string) []string { return []string{"/b"} }, []string{"Bearer token-1", "Bearer token-1"}},
		{"other port", func(_, elsewhere, _ string) []string { return []string{elsewhere} }, []string{"Bearer token-1", ""}},
		{"other scheme", func(_, _, plain string) []string { return []string{plain} }, []string{"Bearer token-1", ""}},
		{"other host", func(here, _, _ string) []string {
			return []string{strings.Replace(here, "127.0.0.1", "localhost", 1)}
		}, []string{"Bearer token-1", ""}},
		{"there and back", func(here, elsewhere, _ string) []string {
			return []string{elsewhere, here + "/c"}
		}, []string{"Bearer token-1", "", ""}},
		{"there, back and on", func(here, elsewhere, _ string) []string {
			return []string{elsewhere, here + "/c", here + "/d"}
		}, []string{"Bearer token-1", "", "", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hops []string
			var hop atomic.Int32
			redirect := func(w http.ResponseWriter, r *http.Request) {
				if n := int(hop.Add(1)) - 1; n < len(hops) {
					http.Redirect(w, r, hops[n], http.StatusTemporaryRedirect)
				}
			}
			got := make(chan string, 10)
			start := func(serve func(http.Handler) *httptest.Server) *httptest.Server {
				s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got <- r.Header.Get("Authorization")
					redirect(w, r)
				}))
				t.Cleanup(s.Close)
				return s
			}
			here, elsewhere, plain := start(httptest.NewTLSServer), start(httptest.NewTLSServer), start(httptest.NewServer)
			hops = tt.path(here.URL, elsewhere.URL, plain.URL)
			client, transport := clientWith(t, &script{})
			transport.Base.(*http.Transport).TLSClientConfig.ServerName = "example.com" // localhost is not on httptest's certificate
			get(t, client, here.URL)
			for i, want := range tt.want {
				if auth := <-got; auth != want {
					t.Errorf("stop %d got %q, want %q", i+1, auth, want)
				}
			}
		})
	}
}

func TestOriginConfines(t *testing.T) {
	t.Parallel()
	api, other := record(t, httptest.NewTLSServer), record(t, httptest.NewTLSServer)
	client, transport := clientWith(t, &script{})
	transport.Origin = strings.ToUpper(api.URL[:5]) + api.URL[5:] + "/ignored/path"
	get(t, client, api.URL)
	get(t, client, other.URL)
	if got := <-api.got; got != "Bearer token-1" {
		t.Errorf("the API got %q", got)
	}
	if got := <-other.got; got != "" {
		t.Errorf("another host got %q", got)
	}
	transport.Origin = "orders"
	if _, err := client.Get(api.URL); err == nil {
		t.Error("an Origin without a scheme was accepted")
	}
}

func TestNoTokenInClear(t *testing.T) {
	t.Parallel()
	cred := &script{}
	transport := NewTransport(cred, testScope)
	transport.Base = roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("the request was sent")
		return nil, errors.New("sent")
	})
	for _, target := range []string{"http://orders.contoso.test/", "http://10.0.0.1/", "http://localhost.contoso.test/", "http://127.0.0.1.contoso.test/", "http://orders.localhost/",
		"http://localhost./", "http://LOCALHOST/", "ftp://localhost/"} {
		body := &closeRecorder{Reader: strings.NewReader("x")}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, body)
		_, err := transport.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), "use https") || !body.closed {
			t.Errorf("%s: %v, body closed: %t", target, err, body.closed)
		}
	}
	if cred.count() != 0 {
		t.Error("a token was asked for")
	}
}

// Proxies are for other machines, but one can be configured for this one, too.
func TestNoTokenInClearToAProxy(t *testing.T) {
	t.Parallel()
	transport := NewTransport(&script{}, testScope)
	transport.Base = &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }}
	resp, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1:1/")
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "a proxy would get the token") {
		t.Errorf("got %v", err)
	}
}

func TestCredentialErrorClosesTheBody(t *testing.T) {
	t.Parallel()
	transport := NewTransport(&script{answer: down}, testScope)
	body := &closeRecorder{Reader: strings.NewReader("x")}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://orders.contoso.test", body)
	_, err := transport.RoundTrip(req)
	if err == nil || !body.closed {
		t.Errorf("got %v, body closed: %t", err, body.closed)
	}
}

// A proxy is told where to connect to, and nothing else.
func TestProxySeesNoToken(t *testing.T) {
	t.Parallel()
	api := record(t, httptest.NewTLSServer)
	var seen atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(fmt.Sprint(r.Method, r.Header))
		tunnel(w, r.Host)
	}))
	defer proxy.Close()
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, transport := clientWith(t, &script{})
	base := transport.Base.(*http.Transport)
	base.Proxy = http.ProxyURL(proxyURL)
	get(t, client, api.URL)
	if got := <-api.got; got != "Bearer token-1" {
		t.Errorf("the API got %q", got)
	}
	if got, _ := seen.Load().(string); !strings.HasPrefix(got, "CONNECT") || strings.Contains(got, "token") {
		t.Errorf("the proxy saw %q", got)
	}
}

func tunnel(w http.ResponseWriter, host string) {
	upstream, err := net.Dial("tcp", host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	down, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, buffered)
		upstream.Close()
	}()
	go func() {
		_, _ = io.Copy(down, upstream)
		down.Close()
	}()
}

func TestCertificateOfAnotherHostGetsNoToken(t *testing.T) {
	t.Parallel()
	api := record(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the handshake
		s.StartTLS()
		return s
	})
	client, _ := clientWith(t, &script{})
	_, err := client.Get(strings.Replace(api.URL, "127.0.0.1", "localhost", 1))
	if err == nil {
		t.Error("a certificate for another name was accepted")
	}
	if len(api.got) != 0 {
		t.Error("a request arrived")
	}
}

func TestClaimsChallengeIsMetOnce(t *testing.T) {
	t.Parallel()
	claims := `{"access_token":{"nbf":{"essential":true,"value":"1795442000"}}}`
	challenge := `Bearer realm="", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
	for _, tt := range []struct {
		name     string
		body     io.Reader
		accept   string // the token the API is content with
		status   int
		requests int
	}{
		{"no body", nil, "token-2", 200, 2},
		{"body that can be read again", strings.NewReader("content"), "token-2", 200, 2},
		{"body that cannot", io.MultiReader(strings.NewReader("content")), "token-2", 401, 1},
		{"API that is never content", nil, "none", 401, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := record(t, httptest.NewTLSServer)
			api.answer = func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if tt.body != nil && string(body) != "content" {
					t.Errorf("the API got the body %q", body)
				}
				if r.Header.Get("Authorization") != "Bearer "+tt.accept {
					w.Header().Set("WWW-Authenticate", challenge)
					w.WriteHeader(http.StatusUnauthorized)
				}
			}
			cred := &script{}
			client, _ := clientWith(t, cred)
			resp, err := client.Post(api.URL, "text/plain", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.status || len(api.got) != tt.requests {
				t.Errorf("got %d after %d requests, want %d after %d", resp.StatusCode, len(api.got), tt.status, tt.requests)
			}
			if tt.requests == 2 && cred.calls[1].Claims != claims {
				t.Errorf("asked with claims %q", cred.calls[1].Claims)
			}
		})
	}
}

func TestChallengeThatCannotBeMetIsTheCallers(t *testing.T) {
	t.Parallel()
	api := record(t, httptest.NewTLSServer)
	api.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_claims", claims="e30"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, "because")
	}
	client, _ := clientWith(t, &script{answer: func(n int, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
		if opts.Claims != "" {
			return down(n, opts)
		}
		return hourly(n, opts)
	}})
	resp, err := client.Get(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || string(body) != "because" {
		t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
	}
}

func TestClaimsChallenge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, header, want string }{
		{"padded", `Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="`, `{"a":1}`},
		{"unpadded", `Bearer error="insufficient_claims", claims="eyJhIjoxfQ"`, `{"a":1}`},
		{"tokens", `bearer error=insufficient_claims,claims=e30`, `{}`},
		{"second scheme", `Basic realm="a, b", Bearer realm="", error="insufficient_claims", claims="e30"`, `{}`},
		{"second Bearer", `Bearer error="invalid_token", Bearer error="insufficient_claims", claims="e30"`, `{}`},
		{"escapes", `Bearer realm="a\"b", error="insufficient_claims", claims="e30"`, `{}`},
		{"another error", `Bearer error="invalid_token", claims="e30"`, ``},
		{"another scheme", `PoP error="insufficient_claims", claims="e30"`, ``},
		{"no JSON", `Bearer error="insufficient_claims", claims="////"`, ``},
		{"no base64", `Bearer error="insufficient_claims", claims="{}"`, ``},
		{"open quote", `Bearer error="insufficient_claims", claims="e30`, ``},
		{"open escape", `Bearer error="insufficient_claims", claims="e30\`, ``},
		{"nothing", ``, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := claimsChallenge(http.Header{"Www-Authenticate": {tt.header}}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzClaimsChallenge(f *testing.F) {
	f.Add(`Basic realm="a, b", Bearer realm="", error="insufficient_claims", claims="e30"`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, params := range bearerChallenges(line) {
			if len(params) > len(line) {
				t.Errorf("%d parameters in %q", len(params), line)
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }
