package publicnames

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// A gateway whose requests are answered in its own process gives the handler what a server of that
// name would, and nothing of the way that they came.
func TestHandler(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s %s %s %s from %s%s", r.Method, r.URL, r.RequestURI, r.Host, from, r.Header.Get("X-Forwarded-For")+r.Header.Get("Proxy-Connection"))
	})
	w := newWorld(t)
	gateway, err := NewGateway(GatewayConfig{Hosts: []string{login}, Handler: handler})
	w.must(err)
	t.Cleanup(func() { w.must(gateway.Close()) })
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return gateway.Dial(login), nil },
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: gateway.Pool()},
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("https://" + login + "/common?x=1")
	w.must(err)
	body, err := io.ReadAll(response.Body)
	w.must(err)
	response.Body.Close()
	if want := "GET /common?x=1 /common?x=1 " + login + " from 127.0.0.1"; string(body) != want {
		t.Errorf("within the process: got %q, want %q", body, want)
	}

	proxy, err := Listen(t.Context(), ProxyConfig{Gateway: gateway, Admit: func(net.Conn) error { return nil }})
	w.must(err)
	t.Cleanup(func() { w.must(proxy.Close()) })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.Address())
	w.must(err)
	defer conn.Close()
	_, absolute := ask(t, conn, bufio.NewReader(conn), "GET https://"+login+"/common?x=1 HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-For: 192.0.2.1\r\nProxy-Connection: keep-alive\r\n\r\n")
	if absolute != string(body) {
		t.Errorf("in absolute form: got %q, want %q", absolute, body)
	}

	for name, cfg := range map[string]GatewayConfig{"neither": {Hosts: []string{login}}, "both": {Hosts: []string{login}, Handler: handler, Next: echo{}}} {
		if _, err := NewGateway(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
