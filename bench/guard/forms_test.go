package guardbench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

// A world is an authority, a token that may read orders, the API behind the guard, and the
// program.
type world struct {
	login    *authoritytest.Authority
	api      *authoritytest.API
	raw      string // the token
	upstream string // host:port
	program  string // rolecall
	folder   string
}

func newWorld(b *testing.B) *world {
	b.Helper()
	w := &world{login: authoritytest.Start(b), folder: b.TempDir()}
	w.api = w.login.API("orders")
	w.raw = w.login.Token("client", "orders", "Orders.Read")
	_, w.upstream = w.bare(b, "bare-upstream", "")
	var err error
	if w.program, err = measure.Build(b.Context(), w.folder); err != nil {
		b.Fatal(err)
	}
	return w
}

// run runs a server that listens at an address until the benchmark ends.
func (w *world) run(b *testing.B, address, program string, args ...string) *measure.Process {
	b.Helper()
	process, err := measure.Listen(context.WithoutCancel(b.Context()), address, program, args...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := process.Stop(); err != nil {
			b.Error(err)
		}
	})
	return process
}

// bare starts one of the bare servers.
func (w *world) bare(b *testing.B, name, argument string) (*measure.Process, string) {
	b.Helper()
	address := freeAddress(b)
	return w.run(b, address, os.Args[0], name, address, argument), address
}

// guard starts a guard; the lines come before the rest of its settings.
func (w *world) guard(b *testing.B, lines string) (*measure.Process, string) {
	b.Helper()
	address := freeAddress(b)
	settings := fmt.Sprintf("listen: %s\n%s\nauthority: %s\naudience: [%s, %s]\ncaBundle: %s\nrules:\n  - {path: /api/orders, methods: [GET], roles: [Orders.Read]}\n",
		address, lines, w.api.Config().Authority, w.api.AppID, w.api.Identifier, w.login.CABundle())
	return w.run(b, address, w.program, "guard", "--config", w.file(b, address+".yaml", settings)), address
}

// file writes a file of settings.
func (w *world) file(b *testing.B, name, text string) string {
	b.Helper()
	name = filepath.Join(w.folder, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}

// freeAddress returns an address of this machine where nobody listens.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// A subject is what is measured: a load, and the processes that it costs CPU time.
type subject struct {
	name      string
	processes []*measure.Process
	load      func(b *testing.B, count int)
	count     int // of requests in a turn
}

// spent is the CPU time that the processes have used so far.
func (s *subject) spent(b *testing.B) (total time.Duration) {
	b.Helper()
	for _, p := range s.processes {
		used, err := p.CPU()
		if err != nil {
			b.Fatal(err)
		}
		total += used
	}
	return total
}

const rounds = 5

// byTurns loads the subjects one after the other, five times over, and reports what the first one
// costs: the CPU time of a request, and its ratio to that of each other. The medians of the rounds
// count.
func byTurns(b *testing.B, subjects ...subject) {
	b.Helper()
	costs := make([][]float64, len(subjects))
	for _, s := range subjects {
		s.load(b, s.count/4) // so that everything is warm, and the token seen
	}
	for b.Loop() {
		for range rounds {
			for i, s := range subjects {
				before := s.spent(b)
				s.load(b, s.count)
				costs[i] = append(costs[i], float64(s.spent(b)-before)/float64(s.count))
			}
		}
	}
	first := median(costs[0])
	b.ReportMetric(first, subjects[0].name+"-cpu-ns")
	for i, s := range subjects[1:] {
		b.ReportMetric(first/median(costs[i+1]), subjects[0].name+"/"+s.name)
	}
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkProxy measures the proxy form with a token seen before, with its log.
func BenchmarkProxy(b *testing.B) {
	w := newWorld(b)
	request := message("/api/orders", "Authorization", "Bearer "+w.raw)
	guarded, at := w.guard(b, "upstream: http://"+w.upstream)
	bare, bareAt := w.bare(b, "bare-proxy", "http://"+w.upstream)
	subjects := []subject{
		{"proxy", []*measure.Process{guarded}, overHTTP(at, request), 16_000},
		{"bare-proxy", []*measure.Process{bare}, overHTTP(bareAt, request), 16_000},
	}
	if peer, peerAt := w.oauth2Proxy(b); peer != nil {
		subjects = append(subjects, subject{"oauth2-proxy", []*measure.Process{peer}, overHTTP(peerAt, request), 4_000})
	}
	byTurns(b, subjects...)
}

// oauth2Proxy starts oauth2-proxy, which takes the token as its bearer mode does, with the
// subject in place of an email address: an application has none.
func (w *world) oauth2Proxy(b *testing.B) (*measure.Process, string) {
	b.Helper()
	program := filepath.Join(w.folder, "oauth2-proxy")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, "github.com/oauth2-proxy/oauth2-proxy/v7")
	build.Dir = "oauth2-proxy"
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build oauth2-proxy: %v\n%s", err, out)
	}
	address := freeAddress(b)
	return w.run(b, address, program, "--http-address", address, "--upstream", "http://"+w.upstream, "--provider", "oidc", "--oidc-issuer-url", w.api.Config().Authority+"/v2.0",
		"--client-id", w.api.AppID, "--client-secret", "unused", "--cookie-secret", "0123456789abcdef", "--skip-jwt-bearer-tokens", "--oidc-email-claim", "sub", "--email-domain", "*",
		"--oidc-groups-claim", "roles", "--allowed-group", "Orders.Read", "--provider-ca-file", w.login.CABundle(), "--redirect-url", "http://"+address+"/oauth2/callback"), address
}

// BenchmarkForwardAuth measures forward-auth beside a handler that answers with the same header.
func BenchmarkForwardAuth(b *testing.B) {
	w := newWorld(b)
	request := message("/guard/check", "Authorization", "Bearer "+w.raw, "X-Original-Method", "GET", "X-Original-URI", "/api/orders", "X-Forwarded-For", "192.0.2.1")
	guarded, at := w.guard(b, "mode: forward-auth\ndialect: nginx")
	bare, bareAt := w.bare(b, "bare-handler", w.headerOf(b, at))
	byTurns(b,
		subject{"forward-auth", []*measure.Process{guarded}, overHTTP(at, request), 24_000},
		subject{"bare-handler", []*measure.Process{bare}, overHTTP(bareAt, request), 24_000})
}

// headerOf returns with what header a guard answers, as JSON, but for what any server adds.
func (w *world) headerOf(b *testing.B, address string) string {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/guard/check", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + w.raw}, "X-Original-Method": {"GET"}, "X-Original-Uri": {"/api/orders"}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Ms-Client-Principal") == "" {
		b.Fatalf("the guard answers %s %v", resp.Status, resp.Header)
	}
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	text, err := json.Marshal(resp.Header)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// BenchmarkExtAuthz measures ext_authz over gRPC beside a server of grpc-go and go-control-plane
// that looks at nothing.
func BenchmarkExtAuthz(b *testing.B) {
	w := newWorld(b)
	guarded, at := w.guard(b, "mode: ext-authz")
	bare, bareAt := w.bare(b, "bare-ext-authz", "")
	byTurns(b,
		subject{"ext-authz", []*measure.Process{guarded}, overGRPC(b, at, w.raw), 24_000},
		subject{"bare-ext-authz", []*measure.Process{bare}, overGRPC(b, bareAt, w.raw), 24_000})
}

// BenchmarkEnvoy measures one Envoy with the guard, of which it asks about each request, beside
// the same with its own filter jwt_authn: CPU time of all that it takes.
func BenchmarkEnvoy(b *testing.B) {
	program := envoy()
	if program == "" {
		b.Skip("no envoy in PATH or .cache: compat/run --envoy brings it")
	}
	w := newWorld(b)
	request := message("/api/orders", "Authorization", "Bearer "+w.raw)
	start := func(filter, clusters string) (*measure.Process, string) {
		address := freeAddress(b)
		settings := strings.NewReplacer("LISTEN_PORT", port(address), "UPSTREAM_PORT", port(w.upstream), "FILTER", filter, "CLUSTERS", clusters).Replace(envoySettings)
		return w.run(b, address, program, "-c", w.file(b, "envoy-"+address+".yaml", settings), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"), address
	}
	guarded, guardAt := w.guard(b, "mode: ext-authz")
	asking, askingAt := start(askGuard, fmt.Sprintf(guardCluster, port(guardAt)))
	own, ownAt := start(fmt.Sprintf(jwtAuthn, w.api.Config().Authority+"/v2.0", w.api.AppID, w.keys(b)), "")
	byTurns(b,
		subject{"envoy+guard", []*measure.Process{asking, guarded}, overHTTP(askingAt, request), 16_000},
		subject{"envoy+jwt_authn", []*measure.Process{own}, overHTTP(ownAt, request), 16_000})
}
