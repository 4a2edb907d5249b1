package publicnames

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	login = "login.microsoftonline.com"
	sts   = "sts.windows.net"
)

// A world is a gateway and a proxy, and what they said.
type world struct {
	t       testing.TB
	gateway *Gateway
	proxy   *Proxy
	roots   *x509.CertPool

	mu   sync.Mutex
	said []string
}

// echo answers a request with what it asked for.
type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	fmt.Fprintf(w, "%s %s at %s", r.Method, r.URL, r.Host)
	for name := range r.Header {
		w.Header().Add("Seen", name)
	}
	return w.Result(), nil
}

func newWorld(t testing.TB, change ...func(*ProxyConfig)) *world {
	t.Helper()
	w := &world{t: t, roots: x509.NewCertPool()}
	var err error
	if w.gateway, err = NewGateway(GatewayConfig{Hosts: []string{login, sts}, Next: echo{}, Say: w.say}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.must(w.gateway.Close()) })
	if !w.roots.AppendCertsFromPEM(w.gateway.CA()) {
		t.Fatal("the gateway's certificate cannot be read")
	}
	cfg := ProxyConfig{
		Gateway: w.gateway, Closed: []string{"graph.microsoft.com"}, Offline: true, Say: w.say,
		Admit: func(net.Conn) error { return nil },
	}
	for _, f := range change {
		f(&cfg)
	}
	if w.proxy, err = Listen(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.must(w.proxy.Close()) })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, line)
}

// heard reports whether something was said that has a text in it.
func (w *world) heard(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.said, "\n"), text)
}

// dial connects to the proxy.
func (w *world) dial() (net.Conn, *bufio.Reader) {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", w.proxy.Address())
	w.must(err)
	w.must(conn.SetDeadline(time.Now().Add(10 * time.Second)))
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

// ask sends a request as it stands and returns the answer with its body.
func ask(t testing.TB, conn net.Conn, in *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodConnect && response.StatusCode == http.StatusOK {
		return response, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// connect asks for a tunnel and returns its status.
func (w *world) connect(target string, headers ...string) (net.Conn, int) {
	w.t.Helper()
	conn, in := w.dial()
	response, _ := ask(w.t, conn, in, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
	return &resumed{conn, in}, response.StatusCode
}

// through asks for a URL through a tunnel, with any name in the TLS handshake and in the Host header.
// An error of the handshake is returned.
func (w *world) through(target, serverName, host string) (status int, body string, err error) {
	w.t.Helper()
	conn, status := w.connect(target)
	if status != http.StatusOK {
		return status, "", nil
	}
	secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: w.roots, DNSName: login})
		return err
	}})
	if err := secured.HandshakeContext(w.t.Context()); err != nil {
		return 0, "", err
	}
	response, body := ask(w.t, secured, bufio.NewReader(secured), "GET /common HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	return response.StatusCode, body, nil
}

// client is one that uses the proxy as programs do.
func (w *world) client() *http.Client {
	at, err := url.Parse(w.proxy.URL())
	w.must(err)
	transport := &http.Transport{Proxy: http.ProxyURL(at), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.roots}, ForceAttemptHTTP2: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func basicOf(userinfo string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
}
