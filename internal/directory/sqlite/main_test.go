package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// The test binary runs itself again as a process that writes to a database, when these
// variables say so.
const (
	childPath  = "SQLITE_TEST_CHILD_PATH"
	childActor = "SQLITE_TEST_CHILD_ACTOR"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := runWriters(context.Background(), path, os.Getenv(childActor)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is the command that runs this binary as a writing process.
func child(t *testing.T, path, actor string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), childPath+"="+path, childActor+"="+actor, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// openDirectory opens a directory on the file; the caller closes the store.
func openDirectory(ctx context.Context, path string) (*directory.Directory, *sqlite.Store, error) {
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	d, err := directory.Open(ctx, directory.Config{Store: store, SecretKey: make([]byte, 32)})
	return d, store, err
}
