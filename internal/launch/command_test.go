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
	t.Parallel()
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

// The program's own environment says where it is searched, by the last of two search paths
// as for every reader of an environment; the current folder is not searched.
func TestCommandIsSearched(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	for _, folder := range []string{"first", "last", "here"} {
		if err := os.Mkdir(filepath.Join(base, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, folder, "searched"), []byte("#!/bin/sh\necho "+folder+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(base, "here", "searched"), filepath.Join(base, "here-only")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	env := []string{"PATH=" + base + "/first", "PATH=" + base + "/last"}
	if _, err := (Command{Args: []string{"searched"}, Env: env, Out: &out}).Run(nil); err != nil || out.String() != "last\n" {
		t.Errorf("got %q, %v", &out, err)
	}
	for _, path := range []string{"", ".", ":", "::/nowhere", "first/.."} {
		if code, err := (Command{Args: []string{"here-only"}, Env: []string{"PATH=" + path}}).Run(nil); code != 127 || err == nil {
			t.Errorf("with the search path %q: got %d, %v", path, code, err)
		}
	}
	if code, err := (Command{Args: []string{"searched"}, Env: []string{"PATH=first"}}).Run(nil); code != 127 || err == nil {
		t.Errorf("with a folder of the current one: got %d, %v", code, err)
	}
	if code, err := (Command{Args: []string{"./here-only"}, Env: nil}).Run(nil); code != 0 || err != nil {
		t.Errorf("by a path: got %d, %v", code, err)
	}
}

func TestCommandPassesSignals(t *testing.T) {
	t.Parallel()
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
