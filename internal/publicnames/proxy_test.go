package publicnames

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Programs come to the names through the proxy without resolving them, by HTTP/1.1 and HTTP/2.
func TestThroughTheProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.client()
	for _, host := range []string{login, sts, strings.ToUpper(login)} {
		response, err := client.Get("https://" + host + "/common/v2.0?x=1")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if want := "GET https://" + strings.ToLower(host) + "/common/v2.0?x=1 at " + strings.ToLower(host); string(body) != want || response.ProtoMajor != 2 {
			t.Errorf("%s by %s: got %q, want %q", host, response.Proto, body, want)
		}
	}
}

// What merely looks like one of the names is not one of them, and one of them is never left.
func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, target, serverName, host string
		want                           int // 0: the handshake fails
	}{
		{"the name", login + ":443", login, login, 200},
		{"its other name", sts + ":443", sts, sts, 200},
		{"upper case", "LOGIN.MicrosoftOnline.COM:443", "LOGIN.microsoftonline.com", "Login.MicrosoftOnline.com", 200},
		{"a dot at the end", login + ".:443", login, login + ".", 200},
		{"the port in the Host header", login + ":443", login, login + ":443", 200},
		{"no name in the handshake", login + ":443", "", login, 200},
		{"another name in the handshake", login + ":443", sts, login, 0},
		{"a foreign name in the handshake", login + ":443", "evil.test", login, 0},
		{"another Host header", login + ":443", login, sts, 421},
		{"a foreign Host header", login + ":443", login, "evil.test", 421},
		{"a Host header with another port", login + ":443", login, login + ":8443", 421},
		{"another port", login + ":8443", login, login, 403},
		{"port 80", login + ":80", login, login, 403},
		{"our name below another", login + ".evil.test:443", login, login, 403},
		{"another name that ends in ours", "evil-" + login + ":443", login, login, 403},
		{"a name below ours", "westus." + login + ":443", login, login, 403},
		{"punycode", "xn--login-1ua.microsoftonline.com:443", login, login, 403},
		{"letters that look alike", "l\u043egin.microsoftonline.com:443", login, login, 400},
		{"an address with the name in the handshake", "192.0.2.1:443", login, login, 403},
		{"this machine with the name in the handshake", "127.0.0.1:443", login, login, 403},
		{"this machine by name", "localhost:443", login, login, 403},
		{"this machine, IPv6", "[::1]:443", login, login, 403},
		{"this machine, IPv4 in IPv6", "[::ffff:127.0.0.1]:443", login, login, 403},
		{"no address", "0.0.0.0:443", login, login, 403},
		{"the metadata service", "169.254.169.254:80", login, login, 403},
		{"a neighbour of the metadata service", "169.254.169.253:80", login, login, 403},
		{"a closed name", "graph.microsoft.com:443", "graph.microsoft.com", "graph.microsoft.com", 403},
		{"no port", login, login, login, 400},
		{"no host", ":443", login, login, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, err := w.through(tt.target, tt.serverName, tt.host)
			if (err != nil) != (tt.want == 0) || status != tt.want {
				t.Errorf("got %d, %v: %s", status, err, body)
			}
			if status == http.StatusOK && !strings.HasPrefix(body, "GET https://") {
				t.Errorf("answered %q", body)
			}
		})
	}
	for _, line := range []string{"evil.test:443 (--offline)", "its Host header says evil.test", "TLS handshake", "reached without the proxy", "must not leave this machine"} {
		if !w.heard(line) {
			t.Errorf("nobody was told: %s", line)
		}
	}
}

// Requests in absolute form reach the names alone, by https.
func TestAbsoluteForm(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("this machine was reached") }))
	defer inside.Close()
	w := newWorld(t)
	for target, want := range map[string]int{
		"https://" + login + "/common": 200, "https://" + login + ":443/common": 200, "https://" + strings.ToUpper(sts) + "./": 200,
		"http://" + login + "/common": 403, "https://" + login + ":8443/": 400, "https://evil.test/": 400, "http://evil.test/": 403,
		inside.URL + "/": 403, "http://localhost/": 403, "http://[::1]/": 403, "http://0.0.0.0/": 403, "http://127.1/": 403,
		"http://169.254.169.254/metadata/identity/oauth2/token": 403, "unix:///admin.sock": 400, "http+unix://admin.sock/": 400, "ftp://" + login + "/": 400,
		"/common": 400, "*": 400,
	} {
		conn, in := w.dial()
		method := "GET"
		if target == "*" {
			method = "OPTIONS"
		}
		response, body := ask(t, conn, in, method+" "+target+" HTTP/1.1\r\nHost: "+login+"\r\nProxy-Connection: keep-alive\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
		if response.StatusCode != want {
			t.Errorf("%s: got %d, want %d: %s", target, response.StatusCode, want, body)
		}
		for _, name := range response.Header["Seen"] {
			if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded") {
				t.Errorf("%s: the header %s was handed on", target, name)
			}
		}
		if target == "http://169.254.169.254/metadata/identity/oauth2/token" && !strings.Contains(body, "unreachable") {
			t.Errorf("libraries look for the word unreachable in %q", body)
		}
	}
}

// The proxy is no way to this machine, also where all other hosts can be reached.
func TestThisMachineIsNotReached(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("this machine was reached") }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(cfg *ProxyConfig) { cfg.Offline = false })
	for _, host := range []string{"127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "[::1]", "[::1%25lo]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254"} {
		if _, status := w.connect(strings.ReplaceAll(host, "%25", "%") + ":" + port); status != http.StatusForbidden && status != http.StatusBadRequest { // as a zone is
			t.Errorf("CONNECT %s: got %d", host, status)
		}
		conn, in := w.dial()
		if response, _ := ask(t, conn, in, "GET http://"+host+":"+port+"/ HTTP/1.1\r\nHost: x\r\n\r\n"); response.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s: got %d", host, response.StatusCode)
		}
	}
}

// In place of the metadata service, the endpoint of the run answers, in both forms.
func TestMetadata(t *testing.T) {
	t.Parallel()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "metadata at "+r.Host+" "+r.Header.Get("Metadata"))
	}))
	defer endpoint.Close()
	w := newWorld(t, func(cfg *ProxyConfig) { cfg.Metadata = endpoint.Listener.Addr().String() })
	const request = "/metadata/identity/oauth2/token HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n\r\n"
	conn, in := w.dial()
	if _, body := ask(t, conn, in, "GET http://169.254.169.254"+request); body != "metadata at 169.254.169.254 true" {
		t.Errorf("in absolute form: %q", body)
	}
	conn, status := w.connect("169.254.169.254:80")
	if status != http.StatusOK {
		t.Fatalf("by a tunnel: %d", status)
	}
	if _, body := ask(t, conn, bufio.NewReader(conn), "GET "+request); body != "metadata at 169.254.169.254 true" {
		t.Errorf("by a tunnel: %q", body)
	}
}

// Without the credential nobody is served. Clients that send it only when asked do so on the same
// connection.
func TestCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *ProxyConfig) { cfg.Admit = nil })
	at, err := url.Parse(w.proxy.URL())
	w.must(err)
	right := at.User.String()
	for _, header := range []string{"X: y", basicOf(""), basicOf("run:"), basicOf("run"), basicOf("run:wrong"), basicOf("other" + strings.TrimPrefix(right, "run")), basicOf(right + "x"), "Proxy-Authorization: Bearer " + right, "Authorization: Basic x"} {
		if _, status := w.connect(login+":443", header); status != http.StatusProxyAuthRequired {
			t.Errorf("%s: got %d", header, status)
		}
	}
	conn, in := w.dial()
	request := "CONNECT " + login + ":443 HTTP/1.1\r\nHost: " + login + ":443\r\n"
	first, _ := ask(t, conn, in, request+"\r\n")
	second, _ := ask(t, conn, in, request+basicOf(right)+"\r\n\r\n")
	if first.StatusCode != http.StatusProxyAuthRequired || first.Header.Get("Proxy-Authenticate") == "" || second.StatusCode != http.StatusOK {
		t.Errorf("asked %d, then %d", first.StatusCode, second.StatusCode)
	}
	if w.heard(at.User.Username() + ":") {
		t.Error("the credential was said")
	}
	response, err := w.client().Get("https://" + login + "/")
	w.must(err)
	response.Body.Close()
}

// A process outside is refused, whatever it asks for, and the reason is said.
func TestOutsiders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *ProxyConfig) {
		cfg.Admit = func(net.Conn) error { return errors.New("the process of somebody else") }
	})
	for _, request := range []string{
		"CONNECT " + login + ":443 HTTP/1.1\r\nHost: " + login + "\r\n\r\n", "GET https://" + login + "/ HTTP/1.1\r\nHost: " + login + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.test\r\n\r\n",
	} {
		conn, in := w.dial()
		if response, body := ask(t, conn, in, request); response.StatusCode != http.StatusForbidden {
			t.Errorf("%.30s: got %d: %s", request, response.StatusCode, body)
		}
	}
	if !w.heard("the process of somebody else") {
		t.Error("the reason was not said")
	}
}

// A proxy that was there before is used for other hosts, and for none of the names.
func TestUpstream(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 16)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(w, "from outside")
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello")
	}))
	defer upstream.Close()
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("corp", "secret")
	w := newWorld(t, func(cfg *ProxyConfig) {
		cfg.Offline, cfg.Allow = false, []string{"api.corp.test", "*.partner.test"}
		cfg.Upstream = func(*url.URL) (*url.URL, error) { return at, nil }
	})
	for target, want := range map[string]int{
		"api.corp.test:443": 200, "API.corp.test:8443": 200, "a.b.partner.test:443": 200,
		"partner.test:443": 403, "evilpartner.test:443": 403, "corp.test:443": 403, "api.corp.test.evil.test:443": 403, "graph.microsoft.com:443": 403, login + ":8443": 403,
	} {
		conn, status := w.connect(target)
		if status != want {
			t.Errorf("%s: got %d, want %d", target, status, want)
		}
		if status != http.StatusOK {
			continue
		}
		if hello, _ := io.ReadAll(conn); string(hello) != "hello" {
			t.Errorf("%s: through the tunnel came %q", target, hello)
		}
		if got := <-asked; got != "CONNECT "+target+" Basic Y29ycDpzZWNyZXQ=" {
			t.Errorf("the proxy was asked %q", got)
		}
	}
	conn, in := w.dial()
	if response, body := ask(t, conn, in, "GET http://api.corp.test/x HTTP/1.1\r\nHost: api.corp.test\r\n\r\n"); response.StatusCode != http.StatusOK || body != "from outside" {
		t.Errorf("in absolute form: %d %q", response.StatusCode, body)
	}
	<-asked
	if _, _, err := w.through(login+":443", login, login); err != nil {
		t.Error(err)
	}
	select {
	case got := <-asked:
		t.Errorf("the proxy was asked for one of the names: %s", got)
	default:
	}
}

// A refusal is said once, however often a program tries.
func TestRefusalsAreSaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.connect("evil.test:443")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.said) != 1 {
		t.Errorf("said %q", w.said)
	}
}

// A request that is too long ends before anybody reads it.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, in := w.dial()
	if _, err := io.WriteString(conn, "CONNECT "+login+":443 HTTP/1.1\r\nHost: "+login+"\r\nX: "+strings.Repeat("x", 40<<10)+"\r\n\r\n"); err != nil {
		return // it ended while it was written
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return // or before its answer could be read
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", response.StatusCode)
	}
}

// After the end there is nothing, neither the proxy nor a tunnel.
func TestClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, status := w.connect(login + ":443")
	if status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	w.must(w.proxy.Close())
	w.must(w.gateway.Close())
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the tunnel is still there")
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.proxy.Address()); err == nil {
		conn.Close()
		t.Error("the proxy still listens")
	}
}
