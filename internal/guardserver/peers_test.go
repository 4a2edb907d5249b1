package guardserver_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// A peer is a proxy that asks the guard, as docs/guard has it, or a balancer before the guard.
type peer struct {
	program  string
	file     string // in docs/guard; empty: wrap is all of it
	settings string
	args     func(file, folder string) []string
	wrap     string // around the file's text, where %s is it
}

// peers are those that have to be here, and those that happen to be: the setup of CI brings nginx,
// Caddy and Apache, and the suite envoy of compat/run brings Envoy.
func peers() []peer {
	all := []peer{
		{"nginx", "nginx.conf", "mode: forward-auth\ndialect: nginx", func(file, folder string) []string {
			return []string{"-p", folder, "-c", file, "-g", "daemon off; error_log stderr;"}
		}, "worker_processes 1;\npid nginx.pid;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n%s}\n"},
		{"caddy", "Caddyfile", "mode: forward-auth\ndialect: caddy", func(file, _ string) []string {
			return []string{"run", "--config", file, "--adapter", "caddyfile"}
		}, "{\n\tadmin off\n\tauto_https off\n}\n%s"},
		{"envoy", "envoy.yaml", "mode: ext-authz", func(file, _ string) []string {
			return []string{"-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"}
		}, "%s"},
		{"apache2", "apache.conf", "trustedPeers: [127.0.0.1]", func(file, folder string) []string {
			modules := filepath.Join(filepath.Dir(find("apache2")), "..", "lib", "apache2", "modules")
			return []string{"-d", folder, "-f", file, "-C", "Define MODULES " + modules, "-DFOREGROUND"}
		}, "LoadModule mpm_event_module ${MODULES}/mod_mpm_event.so\nLoadModule authz_core_module ${MODULES}/mod_authz_core.so\nLoadModule headers_module ${MODULES}/mod_headers.so\n" +
			"LoadModule proxy_module ${MODULES}/mod_proxy.so\nLoadModule proxy_http_module ${MODULES}/mod_proxy_http.so\n" +
			"DefaultRuntimeDir .\nPidFile apache.pid\nErrorLog /dev/stderr\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nUser nobody\n%s"},
		{"haproxy", "", "trustedPeers: [127.0.0.1]", func(file, _ string) []string { return []string{"-f", file, "-db"} },
			"defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\nfrontend f\n  bind 127.0.0.1:PORT\n  default_backend b\nbackend b\n  option forwardfor\n  server s GUARD\n%s"},
	}
	here := func(p peer) bool {
		return slices.Contains([]string{"nginx", "caddy", "apache2"}, p.program) || find(p.program) != ""
	}
	return slices.DeleteFunc(all, func(p peer) bool { return !here(p) })
}

// find returns where a program is: in PATH, where servers are on Debian, or where .ci/setup has
// unpacked it; empty if it is not here.
func find(program string) string {
	if at, err := exec.LookPath(program); err == nil {
		return at
	}
	for _, folder := range []string{"/usr/sbin", "../../.cache/peers/usr/sbin", "../../.cache/peers/usr/bin"} {
		if at, err := filepath.Abs(filepath.Join(folder, program)); err == nil {
			if info, err := os.Stat(at); err == nil && info.Mode()&0o111 != 0 {
				return at
			}
		}
	}
	return ""
}

// start starts the peer in front of the world's guard and upstream, and returns its address.
func (p peer) start(t *testing.T, w *world) string {
	t.Helper()
	program := find(p.program)
	var text []byte
	if p.file != "" {
		whole, err := os.ReadFile(filepath.Join("..", "..", "docs", "guard", p.file))
		if err != nil {
			t.Fatal(err)
		}
		text = whole[bytes.IndexByte(whole, '\n'):] // the first line speaks of the marks
	}
	address := freeAddress(t)
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	upstream, guarded := w.upstream.Listener.Addr().String(), w.server.Addr().String()
	content := strings.NewReplacer("UPSTREAM_PORT", port(upstream), "GUARD_PORT", port(guarded), "PORT", port(address), "UPSTREAM", upstream, "GUARD", guarded).Replace(fmt.Sprintf(p.wrap, text))
	folder := t.TempDir()
	file := filepath.Join(folder, "settings"+filepath.Ext(p.file))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, p.args(file, folder)...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	if beside, err := filepath.Glob(filepath.Join(filepath.Dir(program), "..", "lib", "*-linux-gnu")); err == nil && strings.Contains(program, ".cache") {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+strings.Join(beside, ":")) // of what was unpacked with it
	}
	run(t, address, cmd)
	return address
}

// run runs a server until the test ends, and returns when it listens.
func run(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var said logged
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%.3000s", cmd.Path, said.String())
		}
	})
	until(t, cmd.Path+" listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %.3000s", cmd.Path, said.String())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// Behind real proxies, set up as the documentation says: who is let in, what arrives, and that no
// trick of a client's changes either.
func TestBehindRealProxies(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		t.Run(p.program, func(t *testing.T) {
			t.Parallel()
			if find(p.program) == "" {
				t.Skipf("%s is not installed here", p.program)
			}
			w := newWorld(t)
			w.start(w.settings(p.settings, "\n  - {path: /open/*, anonymous: true}\n  - {path: /api/GetOrders, methods: [GET], roles: [Orders.Read]}\n  - {path: /admin/*, roles: [Admin]}\n"))
			address := p.start(t, w)
			w.url = "http://" + address
			w.callThrough(t)
			w.spoofThrough(t)
			w.pathsThrough(t, address)
		})
	}
}

func (w *world) callThrough(t *testing.T) {
	const host = "Host: orders.corp.test"
	good := "Authorization: Bearer " + w.token("Orders.Read")
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
		reason             guard.Reason
	}{
		{"no token", "GET", "/api/GetOrders", nil, 401, guard.TokenMissing},
		{"in", "GET", "/api/GetOrders?x=1", []string{good}, 200, ""},
		{"another method", "POST", "/api/GetOrders", []string{good}, 403, guard.NoPolicy},
		{"no role", "GET", "/admin/x", []string{good}, 403, guard.RoleMissing},
		{"expired", "GET", "/api/GetOrders", []string{"Authorization: Bearer " + w.login.Bad().Expired("client", "orders", "Orders.Read")}, 401, guard.TokenExpired},
		{"anonymous", "GET", "/open/x", nil, 200, ""},
		{"two tokens", "GET", "/api/GetOrders", []string{good, "Authorization: Bearer x.y.z"}, 400, ""},
	} {
		resp, body := w.send(tt.method, tt.path, nil, append(tt.headers, host)...)
		asked := w.requests()
		refused := resp.StatusCode == tt.status || tt.status == 400 && resp.StatusCode < 500 && resp.StatusCode >= 400
		if !refused || len(asked) > 0 != (tt.status == 200) {
			t.Errorf("%s: got %d, want %d; the upstream was asked %d times; %.200s", tt.name, resp.StatusCode, tt.status, len(asked), body)
			continue
		}
		if tt.status == 401 && !strings.Contains(resp.Header.Get("Www-Authenticate"), "Bearer realm") {
			t.Errorf("%s: the challenge is %q", tt.name, resp.Header.Get("Www-Authenticate"))
		}
		if lines := w.log.String(); tt.reason != "" && !strings.Contains(lines, "reason="+string(tt.reason)) {
			t.Errorf("%s: the guard has not said %s", tt.name, tt.reason)
		}
		for _, r := range asked {
			if r.Header.Get("Authorization") != "" || tt.name == "in" && (r.Header.Get("X-Ms-Client-Principal-Idp") != "aad" || r.URL.RawQuery != "x=1") {
				t.Errorf("%s: the upstream got %s %v", tt.name, r.URL, r.Header)
			}
		}
	}
}

func (w *world) spoofThrough(t *testing.T) {
	evil := []string{
		"X-MS-CLIENT-PRINCIPAL: evil", "X-MS-CLIENT-PRINCIPAL-ID: evil", "X-MS-CLIENT-PRINCIPAL-NAME: evil", "X-MS-CLIENT-PRINCIPAL-IDP: evil", "X-MS-TOKEN-AAD-ACCESS-TOKEN: evil",
		"X-Original-Method: DELETE", "X-Original-URI: /open/x", "X-Original-URL: http://orders.corp.test/open/x", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /open/x", "X-Forwarded-Host: other.test",
		"Connection: X-Ms-Client-Principal-Id, X-Original-URI, X-Original-Method, X-Forwarded-Uri, close",
	}
	good := "Authorization: Bearer " + w.token("Orders.Read")
	for _, path := range []string{"/admin/x", "/api/GetOrders", "/open/x"} {
		resp, body := w.get(path, append(evil, good, "Host: orders.corp.test")...)
		asked := w.requests()
		if path == "/admin/x" {
			if resp.StatusCode != http.StatusForbidden || len(asked) > 0 {
				t.Errorf("%s with headers of a proxy: %d, asked %d times; %.200s", path, resp.StatusCode, len(asked), body)
			}
			continue
		}
		if resp.StatusCode != http.StatusOK || len(asked) != 1 {
			t.Errorf("%s: %d, asked %d times; %.200s", path, resp.StatusCode, len(asked), body)
			continue
		}
		for name, lines := range asked[0].Header {
			if strings.HasPrefix(name, "X-Ms-") && strings.Contains(strings.Join(lines, ""), "evil") {
				t.Errorf("%s: the upstream got %s: %q", path, name, lines)
			}
		}
		if want := path == "/api/GetOrders"; (asked[0].Header.Get("X-Ms-Client-Principal-Idp") == "aad") != want {
			t.Errorf("%s: the upstream got %v", path, asked[0].Header)
		}
	}
	// Spellings with underscores are another header to the proxy, and the same to many a server.
	resp, body := w.get("/open/x", "X_MS_CLIENT_PRINCIPAL: evil", "X_MS_CLIENT_PRINCIPAL_ID: evil", "Host: orders.corp.test")
	for _, r := range w.requests() {
		for name, lines := range r.Header {
			if strings.Contains(strings.Join(lines, ""), "evil") {
				t.Errorf("the upstream got %s: %q", name, lines)
			}
		}
	}
	if resp.StatusCode >= 500 {
		t.Errorf("underscores: %d %.200s", resp.StatusCode, body)
	}
}

// spellings are ways to write /admin by way of /open, and /open itself.
func spellings() []string {
	dots := []string{"..", "%2e%2e", ".%2e", "%2E.", "..;", "..;x=1", "..%00", "%252e%252e", "%c0%ae%c0%ae", "．．", "..%20", "...", ".", "%2e", "..%0d%0a", "..%09", "..%5c", "..\\"}
	slashes := []string{"/", "//", "%2f", "%2F", "\\", "%5c", "/./", "/;/", "%252f", "%c0%af", "／", "/%2e/", "\\/", "/\\", "%00/", "/%00", ";/", "/%20/"}
	admins := []string{"admin/x", "Admin/x", "%61dmin/x", "admin;v=1/x", "admin%2fx", "admin%00/x", "admin./x", "admin%20/x", "admin?x", "admin%3fx", "admin%23x", "admin#x", "ａdmin/x", "adm%69n/x"}
	var all []string
	for _, dot := range dots {
		for _, slash := range slashes {
			for _, admin := range admins[:4] {
				all = append(all, "/open"+slash+dot+slash+admin, "/open/x"+slash+dot+slash+dot+"/"+admin, slash+dot+"/"+admin)
			}
		}
		for _, admin := range admins {
			all = append(all, "/open/"+dot+"/"+admin, "/"+dot+"/"+admin)
		}
	}
	for _, slash := range slashes {
		for _, admin := range admins {
			all = append(all, "/"+slash+admin, "/open"+slash+admin, slash+admin, "/open/x?"+slash+admin, "/open/x#"+slash+admin)
		}
	}
	for _, dot := range dots {
		for _, before := range slashes {
			for _, after := range slashes {
				for _, admin := range admins[:4] {
					all = append(all, "/open"+before+dot+after+admin)
				}
			}
		}
	}
	return append(all, "http://orders.corp.test/admin/x", "http://other.test/admin/x", "//orders.corp.test/admin/x", "/open/%", "/open/%zz", "/open/\x7f", "/open/é", "/open/x", "/open/a.b", "/open/%41")
}

// someSpellings are as many of them as fixture.Attacks says.
func someSpellings(t testing.TB) []string {
	all := spellings()
	if len(all) < 20000 {
		t.Fatalf("only %d spellings", len(all))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all)-10, func(i, j int) { all[i], all[j] = all[j], all[i] }) // but for the last, some of which are let in
	return all[max(0, len(all)-fixture.Rounds(t, fixture.Attacks, 800)):]
}

// reading is how the most willing of servers may read a path.
func reading(target string) string {
	target, _, _ = strings.Cut(target, "?")
	target, _, _ = strings.Cut(target, "#")
	for range 3 {
		if decoded, err := url.PathUnescape(target); err == nil {
			target = decoded
		}
	}
	var segments []string
	for segment := range strings.SplitSeq(strings.ReplaceAll(target, `\`, "/"), "/") {
		segment, _, _ = strings.Cut(segment, ";")
		segments = append(segments, strings.TrimRight(segment, "\x00 \t\r\n"))
	}
	return strings.ToLower(path.Clean("/" + strings.Join(segments, "/")))
}

// pathsThrough sends every spelling as it is. Nothing that arrives without a token can be read as
// a path outside of /open.
func (w *world) pathsThrough(t *testing.T, address string) {
	arrived := 0
	var conn net.Conn
	var reader *bufio.Reader
	for _, target := range someSpellings(t) {
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", address); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			reader = bufio.NewReader(conn)
		}
		if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: orders.corp.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err != nil || resp.Close {
			_ = conn.Close()
			conn = nil
		}
		for _, r := range w.requests() {
			arrived++
			if got := reading(r.RequestURI); got != "/open" && !strings.HasPrefix(got, "/open/") {
				t.Errorf("%q arrived as %q, which can be read as %q", target, r.RequestURI, got)
			}
		}
	}
	if conn != nil {
		_ = conn.Close()
	}
	if arrived < 10 {
		t.Errorf("only %d requests arrived", arrived)
	}
}

// freeAddress is one that nobody listens at, and that the system does not give to a listener on any free port.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		if free, err := net.Listen("tcp", address); err == nil {
			_ = free.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// Programs for Node and Python find out by their own means which path is asked for, and who calls.
func TestUpstreamsOfOtherLanguages(t *testing.T) {
	t.Parallel()
	for _, program := range [][]string{{"node", "echo.js"}, {"python3", "echo.py"}} {
		t.Run(program[0], func(t *testing.T) {
			t.Parallel()
			binary, err := exec.LookPath(program[0])
			if err != nil {
				t.Skipf("%s is not installed here", program[0])
			}
			address := freeAddress(t)
			run(t, address, exec.Command(binary, filepath.Join("testdata", "upstream", program[1]), address[strings.LastIndexByte(address, ':')+1:]))
			w := newWorld(t)
			w.start(w.settings("upstream: http://"+address, "\n  - {path: /open/*, anonymous: true}\n  - {path: /api/GetOrders, roles: [Orders.Read]}\n"))
			var echo struct{ Path, Caller string }
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			let := 0
			for _, target := range someSpellings(t) {
				if strings.Contains(target, "://") {
					continue // of a URL the client would send the path alone
				}
				req := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: w.server.Addr().String(), Opaque: target}, Header: http.Header{"X_ms_client_principal_id": {"evil"}}}
				resp, err := transport.RoundTrip(req)
				if err != nil {
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					continue
				}
				let++
				if err := json.Unmarshal(body, &echo); err != nil {
					t.Fatalf("%v in %q", err, body)
				}
				if low := strings.ToLower(echo.Path); low != "/open" && !strings.HasPrefix(low, "/open/") || echo.Caller != "" {
					t.Errorf("%q is %q to the upstream, and the caller %q", target, echo.Path, echo.Caller)
				}
			}
			if let < 5 {
				t.Errorf("only %d requests arrived", let)
			}
			_, body := w.get("/api/GetOrders", "Authorization: Bearer "+w.token("Orders.Read"), "X_MS_CLIENT_PRINCIPAL_ID: evil")
			if err := json.Unmarshal([]byte(body), &echo); err != nil || len(echo.Caller) != 36 || echo.Path != "/api/GetOrders" {
				t.Errorf("%s, %v", body, err)
			}
		})
	}
}

// The same at the proxy form, where nothing is in between.
func TestNoPathArrivesAsAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", "\n  - {path: /open/*, anonymous: true}\n  - {path: /admin/*, roles: [Admin]}\n"))
	w.pathsThrough(t, w.server.Addr().String())
}
