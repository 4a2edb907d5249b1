package manage

import (
	"errors"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

// A server that nobody has signed in to is not found, and the folder of this machine does not
// stand in for it.
func TestUnknownServersAreNotFound(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	line := command.New(command.Streams{Lookup: func(name string) (string, bool) { return home, name == "HOME" }})
	line.Dir, line.Server = t.TempDir(), "team"
	place, err := Open(t.Context(), line, "app list", "")
	if !errors.Is(err, remote.ErrUnknown) || command.ExitCode(err) != command.ExitNotFound || place != nil {
		t.Errorf("got %v, %v", place, err)
	}
}
