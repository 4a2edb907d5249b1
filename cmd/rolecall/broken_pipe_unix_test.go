//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// A command whose reader goes away, as head does, closes the folder before it ends. Otherwise the
// next one would have to look at all of the database.
func TestAReaderThatGoesAwayLeavesTheFolderClosed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), manifestName)
	if err := os.WriteFile(file, []byte(manifest.Starter), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := testCLI(streamsOf(noEnvironment(t), nil, io.Discard, io.Discard)).run(t.Context(), []string{"apply", "-f", file, "--data", dir}); code != 0 {
		t.Fatalf("apply: exit code %d", code)
	}
	mark := filepath.Join(dir, "closed.json")
	before, err := os.Stat(mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"tsv", "json"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := program(t.Context(), t, dir, "app", "list", "-o", format)
		cmd.Stdout = writer
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text, readErr := io.ReadAll(said)
		err = cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != brokenPipe || len(text) > 0 || readErr != nil {
			t.Errorf("%s: %v, %v, and it says %q; want the exit code %d and nothing said", format, err, readErr, text, brokenPipe)
		}
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
		after, err := os.Stat(mark)
		if err != nil {
			t.Fatalf("%s: the folder was not closed: %v", format, err)
		}
		if !after.ModTime().After(before.ModTime()) {
			t.Errorf("%s: the folder is marked as it was before", format)
		}
		before = after
	}
}
