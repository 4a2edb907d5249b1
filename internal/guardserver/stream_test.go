package guardserver_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// dial opens a connection to the guard and sends bytes as they are.
func (w *world) dial(request string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		w.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func TestStreamsArriveAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	more := make(chan struct{})
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		for _, event := range []string{"one", "two"} {
			_, _ = io.WriteString(rw, event)
			_ = http.NewResponseController(rw).Flush()
			<-more
		}
	}
	w.start(w.settings("", ordersRules))
	req, err := http.NewRequest(http.MethodGet, w.url+"/api/GetOrders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("Orders.Read"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Vary") != "Authorization" {
		t.Errorf("Vary %q", resp.Header.Get("Vary"))
	}
	for _, want := range []string{"one", "two"} {
		got := make([]byte, 3)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q while the upstream writes on", got, err, want)
		}
		more <- struct{}{}
	}
}

func TestWebsockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			http.Error(rw, "no upgrade", http.StatusTeapot)
			return
		}
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	}
	w.start(w.settings("", ordersRules))
	const upgrade = "GET /api/GetOrders HTTP/1.1\r\nHost: orders.test\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: x\r\n%s\r\n"
	good := "Authorization: Bearer " + w.token("Orders.Read") + "\r\n"
	conn, reader := w.dial(fmt.Sprintf(upgrade, "websocket", good))
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := reader.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
	_ = w.requests()
	for _, authorization := range []string{"", "Authorization: Bearer " + w.login.Bad().Expired("client", "orders", "Orders.Read") + "\r\n"} {
		_, reader := w.dial(fmt.Sprintf(upgrade, "websocket", authorization))
		if resp, err := http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a good token: %v, %v", resp, err)
		}
	}
	if n := len(w.requests()); n != 0 {
		t.Errorf("the upstream was asked %d times for upgrades that were refused", n)
	}
	// An upgrade to another protocol would carry requests that nobody decides on.
	for _, protocol := range []string{"h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "h2c, websocket", "tcp"} {
		_, reader := w.dial(fmt.Sprintf(upgrade, protocol, good))
		resp, err := http.ReadResponse(reader, nil)
		if err != nil || resp.StatusCode != http.StatusTeapot {
			t.Errorf("%q: %v, %v", protocol, resp, err)
		}
		for _, r := range w.requests() {
			if r.Header.Get("Upgrade") != "" || r.Header.Get("Http2-Settings") != "" {
				t.Errorf("%q: the upstream got %v", protocol, r.Header)
			}
		}
	}
}

// http2 is a client that speaks HTTP/2 alone, with and without TLS.
func http2(t testing.TB) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A call of gRPC goes through with its trailers, and its refusal is one that clients of gRPC
// understand.
func TestCallsOfGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/grpc")
		rw.Header().Set("Trailer", "Grpc-Status")
		_, _ = fmt.Fprintf(rw, "HTTP/%d %s", r.ProtoMajor, r.Header.Get("Te"))
		rw.Header().Set("Grpc-Status", "0")
	}
	w.start(w.settings("upstream: h2c://"+w.upstream.Listener.Addr().String(), ordersRules))
	client := http2(t)
	call := func(authorization string) (*http.Response, string) {
		req, err := http.NewRequest(http.MethodPost, w.url+"/api/GetOrders", strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/grpc+proto")
		req.Header.Set("Te", "trailers")
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	resp, body := call("Bearer " + w.token("Orders.Read"))
	if resp.StatusCode != http.StatusOK || body != "HTTP/2 trailers" || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %s %q, trailers %v", resp.Status, body, resp.Trailer)
	}
	for authorization, want := range map[string]string{
		"": "16", "Bearer " + w.login.Bad().NoRole("client", "orders"): "7", "Bearer a b": "3",
	} {
		resp, body := call(authorization)
		if resp.StatusCode != http.StatusOK || body != "" || resp.Header.Get("Grpc-Status") != want || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") || resp.Header.Get("Grpc-Message") == "" {
			t.Errorf("refused with %s %q %v, want %s", resp.Status, body, resp.Header, want)
		}
	}
}

// certificate writes a certificate for localhost that signs itself.
func certificate(t testing.TB, folder string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLSWithFilesThatAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	certificate(t, w.folder, 1)
	w.start(w.settings("tls: {cert: tls.crt, key: tls.key}", ordersRules))
	serial := func() int64 {
		conn, err := tls.Dial("tcp", w.server.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if p := conn.ConnectionState().NegotiatedProtocol; p != "h2" {
			t.Errorf("protocol %q", p)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	resp, err := http2(t).Get("https://" + w.server.Addr().String() + "/healthz")
	if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if got := w.requests()[0].Header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("X-Forwarded-Proto %q", got)
	}
	certificate(t, w.folder, 2)
	w.login.Clock().Advance(2 * time.Second) // in which a pair is taken to be unchanged
	until(t, "the new certificate", func() bool { return serial() == 2 })
}

func TestUnixSockets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder, err := os.MkdirTemp("", "guard") // short, as sockets' names have to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	upstream, guarded := filepath.Join(folder, "api.sock"), filepath.Join(folder, "guard.sock")
	listener, err := net.Listen("unix", upstream)
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	behind := httptest.NewUnstartedServer(http.HandlerFunc(w.echo))
	_ = behind.Listener.Close()
	behind.Listener = listener
	behind.Start()
	t.Cleanup(behind.Close)
	stale, err := net.Listen("unix", guarded) // of a guard that was killed
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()
	w.start(w.settings("listen: unix:"+guarded+"\nupstream: unix:"+upstream, ordersRules))
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", guarded)
	}}
	req, err := http.NewRequest(http.MethodGet, "http://orders.test/api/GetOrders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("Orders.Read"))
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if asked := w.requests(); len(asked) != 1 || asked[0].Host != "orders.test" {
		t.Errorf("the upstream was asked %v", asked)
	}
	if info, err := os.Stat(guarded); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info, err)
	}
}

func TestAnUpstreamOverTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	behind := httptest.NewUnstartedServer(http.HandlerFunc(w.echo))
	behind.EnableHTTP2 = true
	cert, key := certificate(t, t.TempDir(), 7) // of its own: that of httptest is the authority's too
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	behind.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	behind.StartTLS()
	t.Cleanup(behind.Close)
	bundle, err := os.ReadFile(w.login.CABundle())
	if err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(w.folder, "both.pem")
	bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: behind.Certificate().Raw})...)
	if err := os.WriteFile(both, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := w.settings("upstream: "+behind.URL, ordersRules)
	w.start(strings.Replace(settings, w.login.CABundle(), both, 1))
	if resp, body := w.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if asked := w.requests(); asked[0].ProtoMajor != 2 {
		t.Errorf("the upstream was asked by %s", asked[0].Proto)
	}
	other := w.beside(t)
	other.start(settings)
	if resp, body := other.get("/healthz"); resp.StatusCode != http.StatusBadGateway || strings.Contains(body, "127.0.0.1") {
		t.Errorf("an upstream that is not trusted: %d %s", resp.StatusCode, body)
	}
}

func TestAnUpstreamThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nobody := httptest.NewServer(nil)
	nobody.Close()
	w.start(w.settings("upstream: "+nobody.URL, ordersRules))
	resp, body := w.get("/healthz")
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "bad_gateway") || strings.Contains(body, nobody.URL) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := w.get("/api/GetOrders"); resp.StatusCode != http.StatusUnauthorized || reasonOf(body) != guard.TokenMissing {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A client that asks before it sends a body is told to send it only if it is let in.
func TestABodyIsAskedForOnlyOfThoseLetIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	const request = "POST /api/GetOrders HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n%s\r\n"
	_, reader := w.dial(fmt.Sprintf(request, ""))
	if resp, err := http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %v, %v", resp, err)
	}
	conn, reader := w.dial(fmt.Sprintf(request, "Authorization: Bearer "+w.token("Orders.Read")+"\r\n"))
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusContinue {
		t.Fatalf("with a good token: %v, %v", resp, err)
	}
	if _, err := io.WriteString(conn, "abcde"); err != nil {
		t.Fatal(err)
	}
	if resp, err = http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("after the body: %v, %v", resp, err)
	}
}
