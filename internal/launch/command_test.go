//go:build unix

package launch

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCommandExitCodes(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/usr/bin:/bin:" + filepath.Dir(plain)}
	for name, tt := range map[string]struct {
		args []string
		want int
		err  error
	}{
		"its own":             {[]string{"sh", "-c", "exit 7"}, 7, nil},
		"of a signal":         {[]string{"sh", "-c", "kill -TERM $$"}, 143, nil},
		"not there":           {[]string{"no-such-program"}, 127, nil},
		"not there by a path": {[]string{"/no/such/program"}, 127, fs.ErrNotExist},
		"not executable":      {[]string{"plain"}, 126, fs.ErrPermission},
	} {
		got, err := Command{Args: tt.args, Env: env}.Run(nil)
		if got != tt.want || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: got %d, %v; want %d", name, got, err, tt.want)
		}
	}
}

func TestCommandPassesSignals(t *testing.T) {
	signals := make(chan os.Signal, 1)
	var out bytes.Buffer
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	go func() { // as soon as it is ready
		if _, err := read.Read(make([]byte, 1)); err == nil {
			signals <- syscall.SIGUSR1
		}
	}()
	got, err := Command{
		Args: []string{"sh", "-c", `trap "echo trapped; exit 5" USR1; echo ready >&2; while :; do sleep 0.01; done`},
		Env:  []string{"PATH=/usr/bin:/bin"}, Out: &out, Err: write,
	}.Run(signals)
	if err := write.Close(); err != nil {
		t.Error(err)
	}
	if err != nil || got != 5 || strings.TrimSpace(out.String()) != "trapped" {
		t.Errorf("got %d, %v, %q", got, err, &out)
	}
}
