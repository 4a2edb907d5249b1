package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
	"github.com/rolecall-auth/rolecall/internal/directory/storetest"
)

// putNumbered puts one object and its audit row; the n-th such change is number n of the feed.
func putNumbered(ctx context.Context, s *sqlite.Store, n int64) error {
	_, err := s.Update(ctx, func(tx directory.Tx) error {
		id := fmt.Sprint(n)
		_, err := tx.Put(ctx, storetest.Object("t", "app", id, "name/"+id))
		return errors.Join(err, tx.Audit(ctx, audit.Signer{}, audit.Event{Actor: "test", Action: "app.create", Target: id}))
	})
	return err
}

// TestSnapshotsAreWholeWhileOthersWrite copies a database again and again that another
// store, with connections of its own, is writing to as fast as it can.
func TestSnapshotsAreWholeWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rolecall.db")
	s := open(t, path)
	defer closeStore(t, s)
	var acknowledged atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() {
		for n := int64(1); ; n++ {
			if err := putNumbered(t.Context(), s, n); err != nil || ctx.Err() != nil {
				written <- err
				return
			}
			acknowledged.Store(n)
		}
	}()
	for round := range 5 {
		for before := acknowledged.Load(); acknowledged.Load() < before+20; { // something for each copy to miss
			time.Sleep(time.Millisecond)
		}
		target := filepath.Join(dir, fmt.Sprint("copy", round))
		atLeast := acknowledged.Load()
		if err := sqlite.Snapshot(t.Context(), path, target); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the copy is %v, %v; want it private", info, err)
		}
		checkNumbered(t, target, atLeast)
	}
	stop()
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// checkNumbered looks whether a copy holds the changes up to one moment, and all of each.
func checkNumbered(t *testing.T, path string, atLeast int64) {
	t.Helper()
	s := open(t, path)
	defer closeStore(t, s)
	newest, err := s.Sequence(t.Context())
	if err != nil || newest < atLeast {
		t.Errorf("the copy is at %d, %v; %d changes were acknowledged before it was begun", newest, err, atLeast)
	}
	rows, err := s.AuditRows(t.Context(), 0, 0)
	if err := errors.Join(err, audit.Verify(0, nil, rows)); err != nil || int64(len(rows)) != newest {
		t.Errorf("%d audit rows for %d changes, %v", len(rows), newest, err)
	}
	objects, _, err := s.List(t.Context(), "t", "app", "name/", "", 0)
	if err != nil || int64(len(objects)) != newest {
		t.Errorf("%d objects after %d changes, %v", len(objects), newest, err)
	}
	verifyFeed(t, s)
}

func TestSnapshotNeedsADatabaseAndAFreePlace(t *testing.T) {
	dir := t.TempDir()
	path, empty := filepath.Join(dir, "rolecall.db"), filepath.Join(dir, "empty")
	closeStore(t, open(t, path))
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, source, target string }{
		{"no file", filepath.Join(dir, "none"), filepath.Join(dir, "a")},
		{"an empty file", empty, filepath.Join(dir, "b")},
		{"a folder", dir, filepath.Join(dir, "c")},
	} {
		if err := sqlite.Snapshot(t.Context(), tt.source, tt.target); err == nil {
			t.Errorf("%s: copied", tt.name)
		}
		if _, err := os.Stat(tt.target); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is left: %v", tt.name, err)
		}
	}
	if err := sqlite.Snapshot(t.Context(), path, empty); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was overwritten: %v", err)
	}
	if info, err := os.Stat(empty); err != nil || info.Size() != 0 {
		t.Errorf("the file that was in the way is %v, %v; want it left alone", info, err)
	}
}

// TestDamageIsFound overwrites one page after another of a closed database, each in a
// file of its own, and looks whether all of it is found.
func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rolecall.db")
	s := open(t, path)
	for n := range int64(200) {
		if err := putNumbered(t.Context(), s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Check(t.Context(), path); err != nil {
		t.Fatalf("before: %v", err)
	}
	const page = 4096
	for n := range len(whole) / page {
		damaged := bytes.Clone(whole)
		for i := range page {
			damaged[n*page+i] = byte(i * 7)
		}
		file := filepath.Join(dir, fmt.Sprint("damaged", n))
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := sqlite.Check(t.Context(), file); !errors.Is(err, directory.ErrDamaged) {
			t.Errorf("page %d: got %v, want %v", n, err, directory.ErrDamaged)
		}
		target := filepath.Join(dir, "copy")
		if err := sqlite.Snapshot(t.Context(), file, target); !errors.Is(err, directory.ErrDamaged) {
			t.Errorf("page %d was copied: %v", n, err)
		}
		if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("page %d: a damaged copy is left: %v", n, err)
		}
	}
}

func TestASnapshotCanBeStopped(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "rolecall.db"), filepath.Join(dir, "copy")
	closeStore(t, open(t, path))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := sqlite.Snapshot(ctx, path, target); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}
