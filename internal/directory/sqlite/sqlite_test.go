package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
	"github.com/rolecall-auth/rolecall/internal/directory/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) directory.Store {
		return open(t, filepath.Join(t.TempDir(), "rolecall.db"))
	})
}

func TestReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	first := open(t, path)
	o := storetest.Object("t", "app", "1", "name/a")
	err := errors.Join(
		update(t, first, func(tx directory.Tx) error {
			_, err := tx.Put(t.Context(), o)
			return errors.Join(err, tx.Audit(t.Context(), audit.Signer{}, audit.Event{Actor: "test", Action: "app.create"}))
		}),
		first.AppendSignIns(t.Context(), []directory.SignIn{{CorrelationID: "1"}}),
		first.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}

	second := open(t, path)
	defer closeStore(t, second)
	if got, err := second.Lookup(t.Context(), "t", "app", "name/a"); err != nil || string(got.Body) != string(o.Body) {
		t.Errorf("look up: got %+v, %v", got, err)
	}
	err = update(t, second, func(tx directory.Tx) error {
		return tx.Audit(t.Context(), audit.Signer{}, audit.Event{Actor: "test", Action: "app.update"})
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := second.AuditRows(t.Context(), 0, 0)
	if err != nil || len(rows) != 2 {
		t.Fatalf("audit rows: got %v, %v", rows, err)
	}
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Error(err)
	}
	if n, err := second.Sequence(t.Context()); n != 1 || err != nil {
		t.Errorf("sequence: got %d, %v", n, err)
	}
	if signIns, err := second.SignIns(t.Context(), directory.SignInFilter{}); len(signIns) != 1 || err != nil {
		t.Errorf("sign-ins: got %v, %v", signIns, err)
	}
}

func update(t *testing.T, s *sqlite.Store, f func(directory.Tx) error) error {
	t.Helper()
	_, err := s.Update(t.Context(), f)
	return err
}

func TestFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	dir := t.TempDir()
	fresh, loose := filepath.Join(dir, "fresh.db"), filepath.Join(dir, "loose?#%41.db")
	if err := os.WriteFile(loose, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fresh, loose} {
		s := open(t, path)
		defer closeStore(t, s)
		if err := s.AppendSignIns(t.Context(), []directory.SignIn{{Code: 1}}); err != nil {
			t.Fatal(err)
		}
		for _, beside := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + beside)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("%s has mode %o, want 600", path+beside, mode)
			}
		}
	}
}

func TestOpenedByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer closeStore(t, s)
			err = update(t, s, func(tx directory.Tx) error {
				_, err := tx.Put(t.Context(), storetest.Object("t", "app", fmt.Sprint(i), fmt.Sprintf("id/%d", i)))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := open(t, path)
	defer closeStore(t, s)
	if objects, _, err := s.List(t.Context(), "t", "app", "id/", "", 0); len(objects) != 8 || err != nil {
		t.Errorf("got %d objects, %v, want 8", len(objects), err)
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"a newer schema", newerSchema, "newer Rolecall"},
		{"not a database", func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600) }, "not a database"},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		{"a folder that is not there", func(path string) error { return nil }, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rolecall.db")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if tt.want == "no such file" {
				path = filepath.Join(path, "below", "rolecall.db")
			}
			_, err := sqlite.Open(t.Context(), path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want it to say %q and name the file", err, tt.want)
			}
		})
	}
}

// TestOlderSchema opens a database of the first version, in which what is short-lived was
// kept among the objects.
func TestOlderSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	first := open(t, path)
	err := errors.Join(update(t, first, func(tx directory.Tx) error {
		_, app := tx.Put(t.Context(), storetest.Object("t", "app", "1", "name/a"))
		_, old := tx.Put(t.Context(), storetest.Object("t", "ticket", "1", "id/1"))
		return errors.Join(app, old)
	}), first.Close())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`DROP TABLE token_records; DROP TABLE store; DROP TABLE audit_head; DROP INDEX keys_of_principals; DROP INDEX signins_tenant; DELETE FROM schema_version WHERE version > 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	second := open(t, path)
	defer closeStore(t, second)
	if _, err := second.Lookup(t.Context(), "t", "app", "name/a"); err != nil {
		t.Errorf("an object: %v", err)
	}
	if _, err := second.Lookup(t.Context(), "t", "ticket", "id/1"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("an old record: got %v", err)
	}
	if n, err := second.Sequence(t.Context()); n != 2 || err != nil {
		t.Errorf("sequence: got %d, %v", n, err)
	}
	err = update(t, second, func(tx directory.Tx) error {
		_, err := tx.PutTokenRecord(t.Context(), directory.TokenRecord{Tenant: "t", Kind: "code", ID: "1"})
		return err
	})
	if err != nil {
		t.Errorf("a new record: %v", err)
	}
}

// The condition of an index that a parameter could satisfy makes SQLite prepare every query of
// its table again, each time. BenchmarkLookup shows the cost.
func TestConditionsOfIndexesLeaveQueriesPrepared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	closeStore(t, open(t, path))
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, db)
	var names string
	err = db.QueryRowContext(t.Context(), `SELECT COALESCE(group_concat(name), '') FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %' AND sql NOT LIKE '% || %'`).Scan(&names)
	if err != nil || names != "" {
		t.Errorf("the indexes %q compare a column, not an expression (%v)", names, err)
	}
	var id, parent, unused int
	var plan string
	err = db.QueryRowContext(t.Context(), `EXPLAIN QUERY PLAN SELECT tenant FROM keys WHERE kind || '' = 'servicePrincipal' AND key = ? ORDER BY tenant`, "k").Scan(&id, &parent, &unused, &plan)
	if err != nil || !strings.Contains(plan, "COVERING INDEX keys_of_principals") {
		t.Errorf("the tenants of a principal are read by %q, %v", plan, err)
	}
}

// newerSchema leaves a database as a later version of this program would.
func newerSchema(path string) error {
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	_, err = db.Exec(`INSERT INTO schema_version (version) VALUES (1000)`)
	return errors.Join(err, db.Close())
}

func Example() {
	dir, err := os.MkdirTemp("", "rolecall")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(context.Background(), filepath.Join(dir, "rolecall.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println(store.Sequence(context.Background()))
	// Output: 0 <nil>
}
