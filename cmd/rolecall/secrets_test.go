package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// everySecret is what tokens, assertions, generated secrets, keys of endpoints and private
// keys look like.
var everySecret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}|rc_[A-Za-z0-9_-]{8,}|[0-9a-f]{64}|PRIVATE KEY|MII[A-Za-z0-9+/]{40,}`)

// Whatever is asked for, and however much is to be said about it, only what is asked for a
// secret prints one.
func TestVerboseCommandsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	dir, config := t.TempDir(), filepath.Join(t.TempDir(), "rolecall.yaml")
	content := `tenants:
  - name: contoso
    domains: [contoso.test]
    applications:
      - name: orders-server
        identifierUris: [api://orders]
        appRoles: [{value: Orders.Read, displayName: Read orders, members: [Application]}]
      - name: orders-client
        secrets: [{name: ci, generate: true}]
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
    managedIdentities: [{name: orders-client-mi, type: system}]
`
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	running, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: newTestKeys(), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	do := func(args ...string) (code int, out, said string) {
		var o, e bytes.Buffer
		code = testCLI(streamsOf(noEnvironment(t), strings.NewReader(""), &o, &e)).run(t.Context(), append([]string{"--verbose", "--data", dir}, args...))
		return code, o.String(), e.String()
	}
	const api, client, identity, scope = "orders-server", "orders-client", "orders-client-mi", "api://orders/.default"
	if code, _, said := do("apply", "-f", config); code != command.ExitOK { // it prints the secret that it generates
		t.Fatalf("apply: exit code %d", code)
	} else if everySecret.MatchString(said) {
		t.Error("apply says a secret")
	}
	_, token, said := do("token", "--as", client, "--scope", scope) // it prints a token
	if token = strings.TrimSpace(token); !everySecret.MatchString(token) || everySecret.MatchString(said) {
		t.Error("token prints no token, or says one")
	}
	for _, via := range runas.LastingVias() { // they print variables
		if _, _, said := do("env", "--as", client, "--via", via); everySecret.MatchString(said) {
			t.Errorf("env --via %s says a secret", via)
		}
	}
	for _, args := range [][]string{
		{"apply", "-f", config}, {"apply", "-f", config, "--dry-run"}, {"grant", identity, api + "/Orders.Read"}, {"revoke", identity, api + "/Orders.Read"}, {"grant", identity, api + "/None"},
		{"token", "--as", client, "--scope", "api://nothing/.default"}, {"token", "--as", client, "--scope", scope, "-o", "claims"}, {"token", "--as", client, "--resource", "api://orders", "--way", "adal", "-o", "claims"},
		{"call", "--as", client, "http://127.0.0.1:1/"}, {"call", "--as", client, running.Endpoints().Ops + "/status"},
		{"run", "--as", client, "--", "true"}, {"run", "--as", client, "--via", "certificate", "--", "true"}, {"run", "--as", client, "--via", "workload", "--", "true"}, {"run", "--as", client, "--via", "cli", "--", "true"},
		{"run", "--as", identity, "--", "true"}, {"run", "--as", identity, "--via", "imds", "--", "true"}, {"run", "--as", identity, "--via", "workload", "--", "true"}, {"run", "--as", identity, "--", "no-such-program"},
		{"explain", token, "--api", api}, {"explain", token[:len(token)-4], "--api", api}, {"explain", "--connection-string", "RunAs=App;AppId=x;TenantId=y;AppKey=rc_notasecretreally"},
		{"signins", "-o", "json"}, {"keys", "list"}, {"keys", "rotate"}, {"env", "--as", client, "--remove"}, {"version", "-o", "json"},
	} {
		_, out, said := do(args...)
		if found := everySecret.FindString(out + said); found != "" {
			t.Errorf("%s %s prints what looks like a secret: %.3s…", args[0], strings.SplitN(args[1], "eyJ", 2)[0], found)
		}
	}
	if everySecret.MatchString(log.String()) {
		t.Error("the server's log holds a secret")
	}
	if !strings.Contains(log.String(), "bound") {
		t.Error("the server's log holds nothing")
	}
}

// lockedBuffer takes what several write at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *lockedBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }
