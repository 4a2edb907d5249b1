package guardserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// A world is an authority, an upstream that tells what it was asked, and a guard between them.
type world struct {
	t      testing.TB
	login  *authoritytest.Authority
	api    *authoritytest.API
	log    *logged
	folder string
	file   string // guard.yaml

	upstream *httptest.Server
	mu       sync.Mutex
	asked    []*http.Request // what the upstream was asked; guarded by mu
	answer   http.HandlerFunc

	server *guardserver.Server
	url    string
	stop   context.CancelFunc
	ended  chan error
}

// logged is a log that tests read while it is written.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

const ordersRules = `
  - {path: /api/GetOrders, methods: [GET, POST], roles: [Orders.Read]}
  - {path: /healthz, anonymous: true}
`

// newWorld returns a world whose guard does not run yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, login: authoritytest.Start(t), log: &logged{}, folder: t.TempDir()}
	w.api = w.login.API("orders")
	w.file = filepath.Join(w.folder, "guard.yaml")
	w.upstream = httptest.NewUnstartedServer(http.HandlerFunc(w.echo))
	w.upstream.Config.Protocols = new(http.Protocols)
	w.upstream.Config.Protocols.SetHTTP1(true)
	w.upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	w.upstream.Start()
	t.Cleanup(w.upstream.Close)
	return w
}

// echo notes a request and answers it.
func (w *world) echo(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	w.mu.Lock()
	w.asked = append(w.asked, r)
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		answer(rw, r)
		return
	}
	_, _ = io.WriteString(rw, "orders")
}

// requests returns what the upstream was asked since the last call.
func (w *world) requests() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// settings returns a guard.yaml for the world's API: what is given, and the rest.
func (w *world) settings(lines string, rules string) string {
	if !strings.Contains(lines, "upstream:") && !strings.Contains(lines, "mode:") {
		lines += "\nupstream: " + w.upstream.URL
	}
	if !strings.Contains(lines, "listen:") {
		lines += "\nlisten: 127.0.0.1:0"
	}
	return fmt.Sprintf("%s\nauthority: %s\naudience: [%s, %s]\ncaBundle: %s\nops: 127.0.0.1:0\nrules:%s", lines, w.api.Config().Authority, w.api.AppID, w.api.Identifier, w.login.CABundle(), rules)
}

func (w *world) write(content string) {
	w.t.Helper()
	file := w.file
	if at, err := filepath.EvalSymlinks(file); err == nil {
		file = at
	}
	next := file + ".next" // whole at once: tests count what a guard says of a file
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		w.t.Fatal(err)
	}
}

// start starts the guard with these settings.
func (w *world) start(content string, changes ...func(*guardserver.Config)) {
	w.t.Helper()
	w.write(content)
	cfg := guardserver.Config{File: w.file, Now: w.login.Clock().Now, Look: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(w.log, nil))}
	for _, change := range changes {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	server, err := guardserver.New(ctx, cfg)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	w.server, w.stop, w.ended = server, cancel, make(chan error, 1)
	w.url = "http://" + server.Addr().String()
	go func() { w.ended <- server.Run(ctx) }()
	w.t.Cleanup(w.end)
}

// end stops the guard, once.
func (w *world) end() {
	if w.ended == nil {
		return
	}
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
	w.ended = nil
}

func (w *world) token(roles ...string) string { return w.login.Token("client", "orders", roles...) }

// get asks the guard for a path; each header is "Name: value".
func (w *world) get(path string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.send(http.MethodGet, path, nil, headers...)
}

func (w *world) send(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header[name] = append(req.Header[name], value) // as it is written
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

// until waits for something that happens beside the test.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-look.C {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// beside returns a world with the same authority, upstream and API, and a guard of its own.
func (w *world) beside(t testing.TB) *world {
	folder := t.TempDir()
	return &world{t: t, login: w.login, api: w.api, log: &logged{}, folder: folder, file: filepath.Join(folder, "guard.yaml"), upstream: w.upstream}
}
