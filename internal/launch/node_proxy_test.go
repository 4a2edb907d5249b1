package launch

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

// Libraries make agents of their own, and no request of theirs may go past the proxy. The name
// exists nowhere: a look-up of it fails.
func TestNodeTakesTheProxy(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	const host = "login.rolecall.invalid"
	ca, err := pki.Temporary([]string{host}, nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	bundle := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(bundle, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	behind := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "by tunnel") }))
	behind.TLS = ca.TLSConfig()
	behind.StartTLS()
	t.Cleanup(behind.Close)
	proxy := httptest.NewServer(connectTo(behind.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	direct := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "directly") }))
	t.Cleanup(direct.Close)
	variables, _, err := ProxyVariables(folder, nil, proxy.URL, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	variables = append(variables, Variable{"NODE_EXTRA_CA_CERTS", bundle})

	for _, tt := range []struct{ name, module, url, options, want string }{
		{"global agent", "https", "https://" + host + "/", "{}", "by tunnel"},
		{"no agent", "https", "https://" + host + "/", "{agent: false}", "by tunnel"},
		{"an agent of its own", "https", "https://" + host + "/", "{agent: new m.Agent({keepAlive: true})}", "by tunnel"},
		{"an agent of a class of its own", "https", "https://" + host + "/", "{agent: new (class extends m.Agent {})()}", "by tunnel"},
		{"plain, global agent", "http", "http://" + host + "/x", "{}", "http://" + host + "/x"},
		{"plain, an agent of its own", "http", "http://" + host + ":81/x", "{agent: new m.Agent()}", "http://" + host + ":81/x"},
		{"fetch", "http", "https://" + host + "/", "fetch", "by tunnel"},
		{"this machine", "http", direct.URL, "{agent: new m.Agent()}", "directly"},
		{"a form made absolute before", "http", proxy.URL, "{path: 'http://" + host + "/y', headers: {host: '" + host + "'}}", "http://" + host + "/y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := `const m = require("` + tt.module + `"); m.get("` + tt.url + `", ` + tt.options + `, (r) => r.pipe(process.stdout));`
			if tt.options == "fetch" {
				script = `fetch("` + tt.url + `").then((r) => r.text()).then(console.log);`
			}
			cmd := exec.CommandContext(t.Context(), node, "-e", script)
			cmd.Env = Environment([]string{"PATH=" + os.Getenv("PATH")}, variables)
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

// connectTo is a proxy whose tunnels all lead to one address. Of a request in absolute form it
// tells the URL.
func connectTo(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(w, r.RequestURI)
			return
		}
		outer, err := new(net.Dialer).DialContext(r.Context(), "tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer outer.Close()
		inner, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer inner.Close()
		_, _ = io.WriteString(inner, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(outer, bufio.NewReader(buffered)) }()
		_, _ = io.Copy(inner, outer)
	})
}
