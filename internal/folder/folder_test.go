package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/folder"
)

// aFolder is a data folder with a database in it that was closed.
func aFolder(t *testing.T) (dir, database string) {
	t.Helper()
	dir = t.TempDir()
	database = filepath.Join(dir, "rolecall.db")
	write(t, database, "pages")
	end(t, take(t, dir, database))
	return dir, database
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, dir, database string) *folder.Use {
	t.Helper()
	u, err := folder.Take(dir, database)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func end(t *testing.T, u *folder.Use) {
	t.Helper()
	if err := u.End(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsAsItWasLeftIsNotDoubted(t *testing.T) {
	dir, database := aFolder(t)
	for range 2 {
		u := take(t, dir, database)
		if doubt := u.Doubt(); doubt != "" {
			t.Errorf("doubted: %s", doubt)
		}
		end(t, u)
	}
}

func TestANewFolderIsNotDoubted(t *testing.T) {
	dir := t.TempDir()
	u := take(t, dir, filepath.Join(dir, "rolecall.db"))
	if doubt := u.Doubt(); doubt != "" {
		t.Errorf("doubted: %s", doubt)
	}
	write(t, filepath.Join(dir, "rolecall.db"), "pages")
	end(t, u)
}

func TestWhatIsNotAsItWasLeftIsDoubted(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(t *testing.T, dir string) (movedTo string)
	}{
		{"a log is left", "not closed", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "rolecall.db-wal"), "frames")
			return dir
		}},
		{"another length", "changed after", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "rolecall.db"), "other pages")
			return dir
		}},
		{"another time", "changed after", func(t *testing.T, dir string) string {
			if err := os.Chtimes(filepath.Join(dir, "rolecall.db"), time.Time{}, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"moved", "moved or copied", func(t *testing.T, dir string) string {
			moved := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(dir, moved); err != nil {
				t.Fatal(err)
			}
			return moved
		}},
		{"copied over it", "moved or copied", func(t *testing.T, dir string) string {
			database := filepath.Join(dir, "rolecall.db")
			info, err := os.Stat(database)
			if err != nil {
				t.Fatal(err)
			}
			write(t, database+".new", "pages")
			if err := errors.Join(os.Chtimes(database+".new", time.Time{}, info.ModTime()), os.Rename(database+".new", database)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"no mark", "nothing says", func(t *testing.T, dir string) string {
			if err := os.Remove(filepath.Join(dir, "closed.json")); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a torn mark", "cannot be read", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "closed.json"), `{"path":`)
			return dir
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.name == "copied over it" {
				t.Skip("files have no number here")
			}
			dir, _ := aFolder(t)
			dir = tt.change(t, dir)
			u := take(t, dir, filepath.Join(dir, "rolecall.db"))
			defer end(t, u)
			if !strings.Contains(u.Doubt(), tt.want) {
				t.Errorf("doubt %q, want %q", u.Doubt(), tt.want)
			}
		})
	}
}

// TestOnlyTheFirstDoubtsAndOnlyTheLastVouches has two use the folder at once.
func TestOnlyTheFirstDoubtsAndOnlyTheLastVouches(t *testing.T) {
	dir, database := aFolder(t)
	write(t, database+"-wal", "frames") // as while it is open
	first, second := take(t, dir, database), take(t, dir, database)
	if first.Doubt() == "" || second.Doubt() != "" {
		t.Errorf("first %q, second %q", first.Doubt(), second.Doubt())
	}
	if alone, err := folder.Alone(dir, func() error { return nil }); alone || err != nil {
		t.Errorf("alone beside two: %v, %v", alone, err)
	}
	write(t, database, "more pages")
	end(t, first)
	mark, err := os.ReadFile(filepath.Join(dir, "closed.json"))
	if err != nil || !strings.Contains(string(mark), `"size":5`) {
		t.Errorf("the first to end left %s, %v", mark, err)
	}
	end(t, second)
	if mark, err = os.ReadFile(filepath.Join(dir, "closed.json")); err != nil || !strings.Contains(string(mark), `"size":10`) {
		t.Errorf("the last to end left %s, %v", mark, err)
	}
	ran := false
	if alone, err := folder.Alone(dir, func() error { ran = true; return nil }); !alone || err != nil || !ran {
		t.Errorf("alone: %v, %v", alone, err)
	}
}

func TestADroppedUseVouchesForNothing(t *testing.T) {
	dir, database := aFolder(t)
	write(t, database, "other pages")
	u := take(t, dir, database)
	if err := u.Drop(); err != nil {
		t.Error(err)
	}
	u = take(t, dir, database)
	defer end(t, u)
	if u.Doubt() == "" {
		t.Error("not doubted")
	}
}

func TestWhatKilledProcessesLeftIsSwept(t *testing.T) {
	dir, database := aFolder(t)
	if err := os.MkdirAll(filepath.Join(dir, "credentials", ".new-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	left := []string{".server.json-1", ".kek-2", ".ca.key-3", ".ca.pem-4", ".ca-bundle.pem-5", ".closed.json", "credentials/.new-6"}
	kept := []string{"kek", "server.json", "ca.key", ".first-start", ".other", "credentials/a.pem"}
	for _, name := range slices.Concat(left, kept) {
		write(t, filepath.Join(dir, name), "")
	}
	user := take(t, dir, database)
	for _, name := range left {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	for _, name := range kept {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	write(t, filepath.Join(dir, ".new-7"), "") // being written by the one who uses the folder
	end(t, take(t, dir, database))
	if _, err := os.Stat(filepath.Join(dir, ".new-7")); err != nil {
		t.Error(err)
	}
	end(t, user)
}

func TestAFirstStart(t *testing.T) {
	dir := t.TempDir()
	if folder.IsFirstStart(dir) {
		t.Error("before it began")
	}
	if err := folder.BeginFirstStart(dir); err != nil || !folder.IsFirstStart(dir) {
		t.Errorf("once it began: %v", err)
	}
	if err := errors.Join(folder.EndFirstStart(dir), folder.EndFirstStart(dir)); err != nil || folder.IsFirstStart(dir) {
		t.Errorf("once it ended: %v", err)
	}
}

func TestWhatBelongsToAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	mine, theirs, link, theirLink := filepath.Join(dir, "mine"), filepath.Join(dir, "theirs"), filepath.Join(dir, "link"), filepath.Join(dir, "their-link")
	write(t, mine, "")
	write(t, theirs, "")
	if err := errors.Join(os.Chown(theirs, 65534, 0), os.Symlink(theirs, link), os.Symlink(mine, theirLink), os.Lchown(theirLink, 65534, 0)); err != nil {
		t.Fatal(err)
	}
	if err := folder.CheckOwner(mine, filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	for _, path := range []string{theirs, link, theirLink} {
		err := folder.CheckOwner(mine, path)
		var owner *folder.OwnerError
		if !errors.As(err, &owner) || owner.Owner != 65534 || !strings.Contains(owner.Fix(), "chown") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
