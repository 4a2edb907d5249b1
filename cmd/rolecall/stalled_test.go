//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// program returns this program as a process of its own, in an environment without settings.
func program(ctx context.Context, t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = "rolecall" // see TestMain
	cmd.Env = append(os.Environ(), "ROLECALL_DATA="+dir, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// serveProgram runs a server on a folder and returns once it is ready.
func serveProgram(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := program(context.Background(), t, dir, "serve", "--port", "0", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the server says nothing: %v\n%s", err, &messages)
	}
	return cmd
}

func writeManifest(t *testing.T, app string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rolecall.yaml")
	content := `tenants:
  - name: contoso
    applications:
      - name: orders-server
        appRoles: [{value: Orders.Read, displayName: Read orders, members: [Application]}]
      - name: ` + app + `
        secrets: [{name: ci, generate: true}]
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// finished runs a command to its end.
func finished(t *testing.T, dir string, args ...string) (code int, out, messages string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := program(ctx, t, dir, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// TestCommandsBesideAStalledServer stops a server, as a debugger or a laptop that sleeps
// does, and looks what commands make of it: what is made is shown, and what was taken away
// is not called gone.
func TestCommandsBesideAStalledServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if code, _, messages := finished(t, dir, "apply", "-f", writeManifest(t, "reports")); code != command.ExitOK {
		t.Fatalf("apply: %d\n%s", code, messages)
	}
	serving := serveProgram(t, dir)
	if err := serving.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	manifest := writeManifest(t, "job")
	var all sync.WaitGroup
	for _, tt := range []struct {
		args      []string
		code      int
		out, said string
	}{
		{[]string{"apply", "-f", manifest, "-o", "json"}, command.ExitOK, `"value": "`, "warning: the change is made, but the server of"},
		{[]string{"grant", "orders-server", "orders-server/Orders.Read"}, command.ExitOK, `"granted"`, "does not answer"},
		{[]string{"revoke", "reports", "orders-server/Orders.Read"}, command.ExitFailed, `"revoked"`, "the change is made, but the server of"},
		{[]string{"signins"}, command.ExitOK, "", "has not written yet are missing"},
	} {
		all.Go(func() {
			code, out, messages := finished(t, dir, tt.args...)
			if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(messages, tt.said) {
				t.Errorf("%s: %d, want %d\n%s\n%s", tt.args, code, tt.code, out, messages)
			}
		})
	}
	all.Wait()
	if err := serving.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code, _, messages := finished(t, dir, "grant", "job", "orders-server/Orders.Read"); code != command.ExitOK || strings.Contains(messages, "warning") {
		t.Errorf("once it runs again: %d\n%s", code, messages)
	}
}

// TestTracesOfACrashStallNobody leaves server.json and a lock that nobody holds.
func TestTracesOfACrashStallNobody(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	serving := serveProgram(t, dir)
	if err := serving.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = serving.Wait() // it was killed
	if code, _, messages := finished(t, dir, "apply", "-f", writeManifest(t, "job"), "-o", "json"); code != command.ExitOK || strings.Contains(messages, "answer") {
		t.Errorf("%d\n%s", code, messages)
	}
}

var shownSecret = regexp.MustCompile(`"value": "([^"]+)"`)

// TestNoSecretIsCommittedAndUnshown kills `rolecall apply`, and in every other round the
// server as well, at any moment, and looks whether each secret that came to be valid was
// printed or is in the file that the next apply names.
func TestNoSecretIsCommittedAndUnshown(t *testing.T) {
	few := 10
	if testing.Short() {
		few = 3
	}
	rounds := fixture.Rounds(t, fixture.Kills, few)
	dir := filepath.Join(t.TempDir(), "data")
	began := time.Now()
	if code, _, messages := finished(t, dir, "apply", "-f", writeManifest(t, "first")); code != command.ExitOK {
		t.Fatalf("apply: %d\n%s", code, messages)
	}
	whole := time.Since(began)
	committed, unshown := 0, 0
	for round := range rounds {
		var serving *exec.Cmd
		if round%2 == 1 {
			serving = serveProgram(t, dir)
		}
		app := fmt.Sprint("job-", round)
		manifest := writeManifest(t, app)
		out := applyAndKill(t, dir, manifest, whole/8+rand.N(whole/2))
		if serving != nil {
			_ = serving.Process.Kill()
			_ = serving.Wait() // it was killed
		}
		code, again, messages := finished(t, dir, "apply", "-f", manifest, "-o", "json")
		if code != command.ExitOK {
			t.Fatalf("round %d: the next apply: %d\n%s", round, code, messages)
		}
		values := valuesIn(t, dir, out+again, messages)
		if committedBefore := len(shownSecret.FindAllString(again, -1)) == 0; committedBefore {
			committed++
			if !strings.Contains(out, `"value"`) {
				unshown++
			}
		}
		checkKnown(t, dir, app, values)
	}
	t.Logf("of %d, %d were committed before the kill, %d of them not printed", rounds, committed, unshown)
}

// applyAndKill runs an apply, kills it after a while, and returns what it had printed.
func applyAndKill(t *testing.T, dir, manifest string, after time.Duration) string {
	t.Helper()
	cmd := program(context.Background(), t, dir, "apply", "-f", manifest, "-o", "json")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()
	return out.String()
}

var namedFile = regexp.MustCompile(`move it from (\S+) to where`)

// valuesIn collects the secrets that were printed, and those of files that were named.
func valuesIn(t *testing.T, dir, out, messages string) (values []string) {
	t.Helper()
	for _, match := range shownSecret.FindAllStringSubmatch(out, -1) {
		values = append(values, match[1])
	}
	for _, match := range namedFile.FindAllStringSubmatch(messages, -1) {
		content, err := os.ReadFile(match[1])
		if err != nil || !strings.HasPrefix(match[1], dir) {
			t.Errorf("the file that was named: %v", err)
		}
		values = append(values, strings.TrimSpace(string(content)))
	}
	return values
}

// checkKnown looks whether the secret of an application is among those that are known.
func checkKnown(t *testing.T, dir, name string, values []string) {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	}()
	tenants, err := data.Directory.View(t.Context()).Tenants().All()
	if err != nil {
		t.Fatal(err)
	}
	var app *directory.Application
	for _, tenant := range tenants {
		if found, err := data.Directory.View(t.Context()).Applications().Find(tenant.ID, name); err == nil {
			app = found
		}
	}
	if app == nil || len(app.Secrets) != 1 {
		t.Fatalf("%s: %+v, want one secret", name, app)
	}
	for _, value := range values {
		if _, err := data.Directory.CheckSecret(t.Context(), app, value); err == nil {
			return
		}
	}
	t.Errorf("%s has a secret that was never shown; %d others are known", name, len(values))
}
