package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// names is a Resolver with fixed answers.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	texts, ok := n[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// issuer is an https server on loopback and a client that may reach it.
func issuer(tb testing.TB, handler http.HandlerFunc) (*httptest.Server, *Client) {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	tb.Cleanup(server.Close)
	return server, New(Config{Allow: []string{host(tb, server.URL)}, RootCAs: pool(server)})
}

func pool(server *httptest.Server) func() *x509.CertPool {
	return func() *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(server.Certificate())
		return p
	}
}

// host returns the host:port of a URL.
func host(tb testing.TB, raw string) string {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return u.Host
}

func TestGet(t *testing.T) {
	t.Parallel()
	server, client := issuer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("Accept-Encoding is %q, want none", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, `{"path":"`, r.URL.Path, `"}`)
	})
	body, _, err := client.GetJSON(t.Context(), server.URL+"/keys?x=1", 0)
	if err != nil || string(body) != `{"path":"/keys"}` {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestGetRefusesAnswers(t *testing.T) {
	t.Parallel()
	megabyte := new(bytes.Buffer)
	zip := gzip.NewWriter(megabyte)
	if _, err := zip.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := bytes.Repeat(megabyte.Bytes(), 64) // what gzip reads as one file
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"not found", http.NotFound, "status 404"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		{"html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "want application/json"},
		{"no type", func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil; fmt.Fprint(w, "{}") }, "want application/json"},
		{"declared too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10737418240")
			w.WriteHeader(200)
		}, "larger than"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}, "larger than"},
		{"compressed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, "compressed"},
		{"compressed and undeclared", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/gzip")
			_, _ = w.Write(bomb)
		}, "application/json"},
		{"huge header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 64<<10))
		}, "header"},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{}")
		}, "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, client := issuer(t, tt.answer)
			if _, _, err := client.GetJSON(t.Context(), server.URL, 128<<10); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestSizeLimitIsExact(t *testing.T) {
	t.Parallel()
	server, client := issuer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flushed" { // no Content-Length
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write(make([]byte, 100))
	})
	for _, path := range []string{"/", "/flushed"} {
		if body, _, err := client.Get(t.Context(), server.URL+path, 100); err != nil || len(body) != 100 {
			t.Errorf("%s at the limit: %d bytes, %v", path, len(body), err)
		}
		if _, _, err := client.Get(t.Context(), server.URL+path, 99); err == nil {
			t.Errorf("%s over the limit: accepted", path)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		other, _ := issuer(t, func(http.ResponseWriter, *http.Request) { t.Error("the other origin was reached") })
		plain := httptest.NewServer(other.Config.Handler)
		t.Cleanup(plain.Close)
		server, client := issuer(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/same":
				http.Redirect(w, r, "/end", status)
			case "/twice":
				http.Redirect(w, r, "/same", status)
			case "/loop":
				http.Redirect(w, r, "/loop", status)
			case "/other":
				http.Redirect(w, r, other.URL, status)
			case "/plain":
				http.Redirect(w, r, plain.URL, status)
			case "/downgrade":
				http.Redirect(w, r, "http://"+r.Host+"/end", status)
			case "/name":
				http.Redirect(w, r, "https://localhost:"+strings.Split(r.Host, ":")[1]+"/end", status)
			case "/user":
				http.Redirect(w, r, "https://a:b@"+r.Host+"/end", status)
			case "/inside":
				http.Redirect(w, r, "http://10.0.0.1/", status)
			case "/file":
				http.Redirect(w, r, "file:///etc/passwd", status)
			}
		})
		client.allow.networks = append(client.allow.networks, allowedNetwork{prefix: netip.MustParsePrefix("127.0.0.0/8")})
		if _, _, err := client.Get(t.Context(), server.URL+"/same", 0); err != nil {
			t.Errorf("%d within the origin: %v", status, err)
		}
		for _, path := range []string{"/twice", "/loop", "/other", "/plain", "/downgrade", "/name", "/user", "/inside", "/file"} {
			if _, _, err := client.Get(t.Context(), server.URL+path, 0); err == nil {
				t.Errorf("%d %s: followed", status, path)
			}
		}
	}
}

func TestSlowAnswerTimesOut(t *testing.T) {
	t.Parallel()
	server, client := issuer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // else the body would end well just after the client gave up
	})
	client.cfg.Timeout = 50 * time.Millisecond
	if _, _, err := client.Get(t.Context(), server.URL, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline error", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	server.TLS.MaxVersion = 0x0302 // 1.1
	client := New(Config{Allow: []string{host(t, server.URL)}, RootCAs: pool(server)})
	if _, _, err := client.Get(t.Context(), server.URL, 0); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("got %v, want a refused protocol version", err)
	}
}

func TestUntrustedCertificateIsRefused(t *testing.T) {
	t.Parallel()
	server, _ := issuer(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	client := New(Config{Allow: []string{host(t, server.URL)}, RootCAs: x509.NewCertPool})
	if _, _, err := client.Get(t.Context(), server.URL, 0); err == nil {
		t.Error("an unknown certificate was trusted")
	}
}

func TestProxySettingsAreIgnored(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was used") }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	server, client := issuer(t, func(http.ResponseWriter, *http.Request) {})
	if _, _, err := client.Get(t.Context(), server.URL, 0); err != nil {
		t.Error(err)
	}
}

// A slow host keeps its own callers waiting and nobody else's.
func TestBulkheadSeparatesHosts(t *testing.T) {
	t.Parallel()
	var inside, most atomic.Int64
	release := make(chan struct{})
	entered := make(chan struct{}, 16)
	slow := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		entered <- struct{}{}
		<-release
		inside.Add(-1)
	}))
	t.Cleanup(slow.Close)
	quick := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(quick.Close)
	client := New(Config{Allow: []string{"127.0.0.1"}, RootCAs: pool(slow), PerHost: 2, Timeout: time.Minute})

	done := make(chan error)
	for range 6 {
		go func() {
			_, _, err := client.Get(t.Context(), slow.URL, 0)
			done <- err
		}()
	}
	<-entered
	<-entered
	if _, _, err := client.Get(t.Context(), quick.URL, 0); err != nil {
		t.Errorf("the quick host: %v", err)
	}
	close(release)
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d fetches at a time from one host, want at most 2", most.Load())
	}
	if n := len(client.hosts.slots); n != 0 {
		t.Errorf("%d hosts are remembered, want none", n)
	}
}

func TestWaitingForTheBulkheadEnds(t *testing.T) {
	t.Parallel()
	client := New(Config{Allow: []string{"127.0.0.1"}, PerHost: 1, Timeout: 20 * time.Millisecond})
	leave, err := client.hosts.enter(t.Context(), "https://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if _, _, err := client.Get(t.Context(), "https://127.0.0.1:1/", 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline error", err)
	}
}

func TestBadConfigurationFetchesNothing(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{Allow: []string{"local host"}}, {Allow: []string{""}}, {Allow: []string{"*.127.0.0.1"}}, {Allow: []string{"a:0"}},
		{Allow: []string{"https://localhost"}}, {Allow: []string{"10.0.0.0/33"}}, {Allow: []string{"0x7f.1"}},
		{Timeout: -1}, {MaxBytes: -1}, {PerHost: -1},
	} {
		if cfg.Check() == nil {
			t.Errorf("%+v: accepted", cfg)
		}
		if _, _, err := New(cfg).Get(t.Context(), "https://localhost", 0); err == nil {
			t.Errorf("%+v: fetched", cfg)
		}
	}
}

// A server that never fetches need not read the system's certificates, of which there are many.
func TestCertificatesAreReadAtTheFirstFetch(t *testing.T) {
	t.Parallel()
	server, _ := issuer(t, func(http.ResponseWriter, *http.Request) {})
	read := 0
	client := New(Config{Allow: []string{host(t, server.URL)}, RootCAs: func() *x509.CertPool {
		read++
		return pool(server)()
	}})
	for fetched := range 3 {
		if want := min(fetched, 1); read != want {
			t.Errorf("after %d fetches: read %d times, want %d", fetched, read, want)
		}
		if _, _, err := client.Get(t.Context(), server.URL, 0); err != nil {
			t.Fatal(err)
		}
	}
}
