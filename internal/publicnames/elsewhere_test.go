package publicnames

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// For programs that are elsewhere, nothing of this machine is reached, whatever name leads there: the
// server would ask in their place, and what listens there may trust its user.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	defer inside.Close()
	at := inside.Listener.Addr().String()
	for elsewhere, want := range map[bool]error{false: nil, true: errThisMachine} {
		w := newWorld(t, func(cfg *ProxyConfig) { cfg.Elsewhere = elsewhere })
		for name, dial := range map[string]func() (net.Conn, error){
			"for a tunnel":     func() (net.Conn, error) { return w.proxy.dialOut(t.Context(), at) },
			"in absolute form": func() (net.Conn, error) { return w.proxy.dialPlain(t.Context(), "tcp", at) },
		} {
			conn, err := dial()
			if !errors.Is(err, want) {
				t.Errorf("elsewhere %v, %s: got %v, want %v", elsewhere, name, err, want)
			}
			if err == nil {
				conn.Close()
			}
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range own {
		if network, ok := address.(*net.IPNet); ok {
			if to, _ := netip.AddrFromSlice(network.IP); !errors.Is(refuseThisMachine(to.Unmap()), errThisMachine) {
				t.Errorf("%s is an address of this machine", to)
			}
		}
	}
	for address, want := range map[string]error{"0.0.0.0": errThisMachine, "::": errThisMachine, "127.8.9.10": errThisMachine, "::1": errThisMachine, "192.0.2.1": nil, "2001:db8::1": nil} {
		if err := refuseThisMachine(netip.MustParseAddr(address)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", address, err, want)
		}
	}
}

// A proxy that the server's own environment names may be on this machine all the same.
func TestUpstreamHereForProgramsElsewhere(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusOK)
			return
		}
		_, _ = io.WriteString(w, "from outside")
	}))
	defer upstream.Close()
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(cfg *ProxyConfig) {
		cfg.Elsewhere, cfg.Offline, cfg.Upstream = true, false, func(*url.URL) (*url.URL, error) { return at, nil }
	})
	conn, in := w.dial()
	if response, body := ask(t, conn, in, "GET http://api.corp.test/x HTTP/1.1\r\nHost: api.corp.test\r\n\r\n"); response.StatusCode != http.StatusOK || body != "from outside" {
		t.Errorf("in absolute form: %d %q", response.StatusCode, body)
	}
	if _, status := w.connect("api.corp.test:443"); status != http.StatusOK {
		t.Errorf("a tunnel: %d", status)
	}
}

// A proxy that listens nowhere is asked by another server. Its credential is the one that it was
// given.
func TestProxyWithoutListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for credential, want := range map[string]int{"": http.StatusOK, "run:abc": http.StatusProxyAuthRequired} {
		p, err := NewProxy(ProxyConfig{Gateway: w.gateway, Credential: credential})
		w.must(err)
		server := httptest.NewServer(p)
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		w.must(err)
		in := bufio.NewReader(conn)
		const request = "GET https://" + login + "/common HTTP/1.1\r\nHost: " + login + "\r\n"
		if response, body := ask(t, conn, in, request+"\r\n"); response.StatusCode != want {
			t.Errorf("credential %q: got %d %s", credential, response.StatusCode, body)
		}
		if response, body := ask(t, conn, in, request+basicOf(credential)+"\r\n\r\n"); response.StatusCode != http.StatusOK {
			t.Errorf("credential %q, with it: got %d %s", credential, response.StatusCode, body)
		}
		if got, wanted := p.URLAt("build.test:1"), map[string]string{"": "http://build.test:1", "run:abc": "http://run:abc@build.test:1"}[credential]; got != wanted {
			t.Errorf("the URL is %s, want %s", got, wanted)
		}
		conn.Close()
		server.Close()
		w.must(p.Close())
	}
}
