package launch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that is in no folder that can be searched is not there, as shells say too; one
// that is there and may not be run is another matter.
func TestFoldersThatCannotBeSearchedHoldNothing(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp("", "launch-") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	closed, open := filepath.Join(base, "closed"), filepath.Join(base, "open")
	for _, err := range []error{
		os.Chmod(base, 0o755), os.Mkdir(closed, 0), os.Mkdir(open, 0o755), os.WriteFile(filepath.Join(open, "document"), []byte("x"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 { // to root no folder is closed
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setfsuid(0); err != nil {
				t.Fatal(err)
			}
		}()
	}
	path := []string{"PATH=" + closed + string(os.PathListSeparator) + open}
	if _, err := lookPath("nothing", path); !errors.Is(err, exec.ErrNotFound) || exitNotStarted(err) != exitNotFound {
		t.Errorf("a program that is nowhere: got %v", err)
	}
	if _, err := lookPath("document", path); exitNotStarted(err) != exitNotExecutable {
		t.Errorf("a file that is no program: got %v", err)
	}
}
