package guardserver_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// ops asks the guard's surface for operators.
func (w *world) ops(path string) (status int, body string) {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + w.server.OpsAddr().String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestSettingsAreReadAgainAndWrongOnesAreNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	admin := "Authorization: Bearer " + w.token("Orders.Admin")
	status := func() int {
		resp, _ := w.get("/api/GetOrders", admin)
		return resp.StatusCode
	}
	if got := status(); got != http.StatusForbidden {
		t.Fatalf("before: %d", got)
	}
	wider := strings.Replace(w.settings("", ordersRules), "roles: [Orders.Read]", "roles: [Orders.Read, Orders.Admin]", 1)
	w.write(wider)
	until(t, "the new rules", func() bool { return status() == http.StatusOK })
	for _, tt := range []struct{ name, content, said string }{
		{"no YAML", "rules: [", "it is no YAML"},
		{"a wrong member", wider + "rulez: []\n", "there is no member"},
		{"rules that mean nothing", strings.Replace(wider, "Orders.Admin", "\"two words\"", 1), "holds a space"},
		{"another address", strings.Replace(wider, "listen: 127.0.0.1:0", "listen: 127.0.0.1:1", 1), "listen is another one, which counts only at the start"},
		{"half of the file", wider[:strings.Index(wider, "rules:")], "rules are missing"},
		{"nothing", "", "it is empty"},
	} {
		w.write(tt.content)
		until(t, tt.name, func() bool {
			_, body := w.ops("/readyz")
			return strings.Contains(body, `"settings"`) && strings.Contains(body, tt.said)
		})
		if got := status(); got != http.StatusOK {
			t.Errorf("%s: %d: the settings from before are gone", tt.name, got)
		}
	}
	w.write(wider)
	until(t, "that all is well", func() bool {
		_, body := w.ops("/readyz")
		return !strings.Contains(body, `"settings"`)
	})
	if _, body := w.ops("/metrics"); !strings.Contains(body, `rolecall_guard_reloads_total{result="taken"} 1`) {
		t.Errorf("metrics:\n%s", body)
	}
	if n := strings.Count(w.log.String(), "the new settings are not used"); n != 6 {
		t.Errorf("said %d times that settings are wrong, want 6:\n%s", n, w.log)
	}
}

// ConfigMaps are folders behind a link; the link is what changes.
func TestALinkIsSwapped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folders := []string{filepath.Join(w.folder, "..1"), filepath.Join(w.folder, "..2")}
	closed := w.settings("", ordersRules)
	for i, content := range []string{closed, closed + "  - {path: /open, anonymous: true}\n"} {
		if err := os.Mkdir(folders[i], 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folders[i], "guard.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(w.folder, "..data")
	if err := os.Symlink(folders[0], data); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if err := os.Symlink(filepath.Join("..data", "guard.yaml"), filepath.Join(w.folder, "linked.yaml")); err != nil {
		t.Fatal(err)
	}
	w.file = filepath.Join(w.folder, "linked.yaml")
	w.start(closed)
	if resp, _ := w.get("/open"); resp.StatusCode != http.StatusForbidden {
		t.Fatalf("before: %d", resp.StatusCode)
	}
	next := filepath.Join(w.folder, "..next")
	if err := os.Symlink(folders[1], next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, data); err != nil {
		t.Fatal(err)
	}
	until(t, "the settings behind the link", func() bool {
		resp, _ := w.get("/open")
		return resp.StatusCode == http.StatusOK
	})
}

// A client that waits for an answer gets it, and /readyz sends the others elsewhere.
func TestAGuardStopsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, finish := make(chan struct{}), make(chan struct{})
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		close(arrived)
		<-finish
		_, _ = io.WriteString(rw, "late orders")
	}
	w.start(w.settings("", ordersRules), func(cfg *guardserver.Config) { cfg.Grace = 300 * time.Millisecond })
	got := make(chan string)
	bearer := "Authorization: Bearer " + w.token("Orders.Read")
	go func() {
		_, body := w.get("/api/GetOrders", bearer)
		got <- body
	}()
	<-arrived
	if status, body := w.ops("/readyz"); status != http.StatusOK {
		t.Errorf("before: %d %s", status, body)
	}
	w.stop()
	until(t, "that it stops", func() bool {
		status, body := w.ops("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
	if resp, _ := w.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("within the grace: %d", resp.StatusCode)
	}
	close(finish)
	if body := <-got; body != "late orders" {
		t.Errorf("the request under way got %q", body)
	}
	w.end()
}

// An upstream that hangs holds up neither others nor the end.
func TestAnUpstreamThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, never := make(chan struct{}, 20), make(chan struct{})
	defer close(never)
	w.answer = func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		arrived <- struct{}{}
		<-never
	}
	w.start(w.settings("", ordersRules), func(cfg *guardserver.Config) { cfg.Drain = 200 * time.Millisecond })
	bearer := "Bearer " + w.token("Orders.Read")
	gone := make(chan struct{}, 20)
	for range 20 {
		go func() {
			req, err := http.NewRequest(http.MethodGet, w.url+"/api/GetOrders", nil)
			if err != nil {
				t.Error(err)
			}
			req.Header.Set("Authorization", bearer)
			if resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
				t.Errorf("an answer from nobody: %s", resp.Status)
				_ = resp.Body.Close()
			}
			gone <- struct{}{}
		}()
	}
	for range 20 {
		<-arrived
	}
	if resp, _ := w.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("meanwhile: %d", resp.StatusCode)
	}
	w.end()
	for range 20 {
		<-gone
	}
	if !strings.Contains(w.log.String(), "requests were cut off that took longer than the drain") {
		t.Errorf("the log does not say so:\n%s", w.log)
	}
}

// Connections that send nothing end without anybody's doing, and cost the others nothing.
func TestIdleConnectionsEndWithTheGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules), func(cfg *guardserver.Config) { cfg.Drain = 200 * time.Millisecond })
	var silent []net.Conn
	for i := range 300 {
		conn, _ := w.dial([]string{"", "GET /healthz HTTP/1.1\r\nHost: a\r\n"}[i%2])
		silent = append(silent, conn)
	}
	if resp, _ := w.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("meanwhile: %d", resp.StatusCode)
	}
	w.end()
	for _, conn := range silent {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a silent connection outlived the guard")
		}
	}
}

func TestOperatorsSeeKeysAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", "\n  - {path: /healthz, roles: [Orders.Admin], shadow: true}\n"+strings.TrimPrefix(ordersRules, "\n")))
	w.get("/healthz")
	w.get("/api/GetOrders", "X-Forwarded-Host: evil")
	w.get("/api/GetOrders", "Authorization: Bearer "+w.token("Orders.Read"))
	w.get("/evil/"+strings.Repeat("x", 100), "Host: evil.test")
	status, body := w.ops("/readyz")
	var ready struct {
		Status  string
		Issuers []struct {
			Issuer string
			Keys   int
			Usable bool
		}
	}
	if err := json.Unmarshal([]byte(body), &ready); err != nil || status != http.StatusOK || ready.Status != "ready" || len(ready.Issuers) != 2 || ready.Issuers[0].Keys == 0 || !ready.Issuers[1].Usable {
		t.Errorf("%d %s", status, body)
	}
	_, metrics := w.ops("/metrics")
	for _, want := range []string{
		`rolecall_guard_decisions_total{host="",route="/api/GetOrders",outcome="allow",reason="",shadow="false"} 1`,
		`rolecall_guard_decisions_total{host="",route="/api/GetOrders",outcome="unauthenticated",reason="token_missing",shadow="false"} 1`,
		`rolecall_guard_decisions_total{host="",route="/healthz",outcome="allow",reason="",shadow="false"} 1`,
		`rolecall_guard_decisions_total{host="",route="/healthz",outcome="unauthenticated",reason="token_missing",shadow="true"} 1`,
		`rolecall_guard_decisions_total{host="",route="",outcome="forbidden",reason="no_policy",shadow="false"} 1`,
		`rolecall_guard_keys{issuer="` + ready.Issuers[0].Issuer + `"}`, "# TYPE rolecall_guard_decisions_total counter",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, "evil") {
		t.Errorf("a client's words are in the metrics:\n%s", metrics)
	}
	if !strings.Contains(w.log.String(), `msg="shadow decision"`) {
		t.Errorf("the log has no decision of the shadow:\n%s", w.log)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+w.server.OpsAddr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.evil.test"
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by another name: %d", resp.StatusCode)
	}
	if status, _ := w.ops("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
}

func TestSettingsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.settings("", ordersRules)
	for _, tt := range []struct{ name, old, new, want string }{
		{"no upstream", "upstream: " + w.upstream.URL, "", "upstream is missing"},
		{"an authority without TLS", "authority: https", "authority: http", "authority"},
		{"revocation", "rules:", "revocation: follow\nrules:", "revocation: follow needs a credential"},
		{"a signed header without a place for its key", "ops: 127.0.0.1:0", "identity: signed", "identity: signed has no ops"},
		{"no bundle", w.login.CABundle(), "none.pem", "none.pem"},
		{"a taken address", "listen: 127.0.0.1:0", "listen: " + strings.TrimPrefix(w.upstream.URL, "http://"), "address already in use"},
		{"no certificate", "rules:", "tls: {cert: a.pem, key: b.pem}\nrules:", "a.pem"},
		{"several tenants", w.api.Config().Authority, "https://login.microsoftonline.com/common", "Tenants"},
	} {
		content := strings.Replace(good, tt.old, tt.new, 1)
		if content == good {
			t.Fatalf("%s changes nothing", tt.name)
		}
		w.write(content)
		if _, err := guardserver.New(t.Context(), guardserver.Config{File: w.file}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no network")
}

// A guard that starts while its authority is down works with the keys that it kept.
func TestAStartWithoutTheAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := "Authorization: Bearer " + w.token("Orders.Read")
	for _, tt := range []struct {
		settings string
		cut      bool
		want     int
	}{{"", true, http.StatusServiceUnavailable}, {"stateDir: state", false, http.StatusOK}, {"stateDir: state", true, http.StatusOK}, {"stateDir: other", true, http.StatusServiceUnavailable}} {
		w.start(w.settings(tt.settings, ordersRules), func(cfg *guardserver.Config) {
			if tt.cut {
				cfg.HTTPClient = &http.Client{Transport: noNetwork{}}
			}
		})
		if resp, body := w.get("/api/GetOrders", good); resp.StatusCode != tt.want {
			t.Errorf("%q, cut off %v: %d %s", tt.settings, tt.cut, resp.StatusCode, body)
		}
		w.end()
	}
}
