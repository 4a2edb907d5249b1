package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// TestAFileThatWasRemovedIsWrittenToNoMore removes the files of an open database: what was
// read before goes on being read, and nothing is acknowledged that would be lost.
func TestAFileThatWasRemovedIsWrittenToNoMore(t *testing.T) {
	for _, tt := range []struct{ name, with string }{{"all of it", "*"}, {"the main file", ""}} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rolecall.db")
			s := open(t, path)
			defer closeStore(t, s)
			if err := putNumbered(t.Context(), s, 1); err != nil {
				t.Fatal(err)
			}
			if err := s.InPlace(); err != nil {
				t.Errorf("before: %v", err)
			}
			files, err := filepath.Glob(path + tt.with)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			checkOutOfPlace(t, s)
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("another file was made: %v", err)
			}
		})
	}
}

func TestAFileThatWasReplacedIsWrittenToNoMore(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "rolecall.db"), filepath.Join(dir, "other.db")
	closeStore(t, open(t, other))
	s := open(t, path)
	defer closeStore(t, s)
	if err := putNumbered(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	checkOutOfPlace(t, s)
}

func checkOutOfPlace(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.InPlace(); !errors.Is(err, directory.ErrReplaced) {
		t.Errorf("in place: got %v, want %v", err, directory.ErrReplaced)
	}
	if err := putNumbered(t.Context(), s, 2); !errors.Is(err, directory.ErrReplaced) {
		t.Errorf("change: got %v, want %v", err, directory.ErrReplaced)
	}
	if err := s.AppendSignIns(t.Context(), []directory.SignIn{{}}); !errors.Is(err, directory.ErrReplaced) {
		t.Errorf("sign-in: got %v, want %v", err, directory.ErrReplaced)
	}
	for range 20 {
		if _, err := s.Get(t.Context(), "t", "app", "1"); err != nil {
			t.Fatalf("read: %v", err)
		}
	}
}

func TestAStoreKeepsItsID(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "rolecall.db"), filepath.Join(dir, "copy.db")
	s := open(t, path)
	id := s.ID()
	closeStore(t, s)
	if err := sqlite.Snapshot(t.Context(), path, copied); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, copied} {
		again := open(t, file)
		if len(id) != 32 || again.ID() != id {
			t.Errorf("%s: id %q, want %q", file, again.ID(), id)
		}
		closeStore(t, again)
	}
	other := open(t, filepath.Join(dir, "other.db"))
	defer closeStore(t, other)
	if other.ID() == id {
		t.Error("two stores have one id")
	}
}

func TestDamageIsSaidAsWhatItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); !errors.Is(err, directory.ErrDamaged) {
		t.Errorf("got %v, want %v", err, directory.ErrDamaged)
	}
}
