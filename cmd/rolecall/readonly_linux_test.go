package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rolecall-auth/rolecall/internal/command"
)

// asOrdinary runs a command without root's right to write everywhere: its child inherits
// what the thread that starts it may still get.
func asOrdinary(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_DAC_OVERRIDE, 0, 0, 0); err != nil {
				ended <- err
				return
			}
		}
		ended <- cmd.Run()
	}()
	return <-ended
}

// TestCommandsReadAFolderThatCannotBeWritten is a mounted snapshot, say.
func TestCommandsReadAFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	serving := serveProgram(t, dir) // makes keys
	if code, _, messages := finished(t, dir, "apply", "-f", writeManifest(t, "job")); code != command.ExitOK {
		t.Fatalf("apply: %d\n%s", code, messages)
	}
	if err := errors.Join(serving.Process.Signal(os.Interrupt), serving.Wait()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	before := names(t, dir)
	for _, tt := range []struct {
		args      []string
		code      int
		out, said string
	}{
		{[]string{"keys", "list", "-o", "tsv"}, command.ExitOK, "current", ""},
		{[]string{"signins"}, command.ExitOK, "[]", ""},
		{[]string{"audit", "verify"}, command.ExitOK, `"whole": true`, ""},
		{[]string{"grant", "orders-server", "orders-server/Orders.Read"}, command.ExitFailed, "", "cannot be written"},
	} {
		var out, messages strings.Builder
		cmd := program(t.Context(), t, dir, tt.args...)
		cmd.Stdout, cmd.Stderr = &out, &messages
		err := asOrdinary(t, cmd)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Skipf("nobody can be an ordinary user here: %v", err)
		}
		if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(messages.String(), tt.said) {
			t.Errorf("%s: %d, want %d\n%s\n%s", tt.args, code, tt.code, &out, &messages)
		}
	}
	if after := names(t, dir); after != before {
		t.Errorf("the folder has %s, and had %s", after, before)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}
