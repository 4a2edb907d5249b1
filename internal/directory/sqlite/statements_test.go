package sqlite

import (
	"path/filepath"
	"testing"
)

// Queries are prepared when they are first needed, so what is wrong with one is not seen when a
// store opens. Here it is.
func TestEveryQueryCanBePrepared(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for pool, statements := range map[string]*statements{"reader": s.read, "writer": s.write} {
		for _, q := range statements.texts() {
			if _, err := (*q.query).statement(t.Context()); err != nil { //nolint:sqlclosecheck // it is closed with the pool
				t.Errorf("%s: %v\n%s", pool, err, q.text)
			}
		}
	}
}

// A transaction prepares for itself what no earlier one has needed, and the next one finds that
// on the pool.
func TestQueriesOfTransactionsArePrepared(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i, want := range []bool{false, true} {
		if err := s.AppendSignIns(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := s.write.signInSequence.prepared.Load() != nil; got != want {
			t.Errorf("after transaction %d: prepared is %v, want %v", i+1, got, want)
		}
	}
	if n := len(s.write.wanted); n != 0 {
		t.Errorf("%d queries are still wanted", n)
	}
}
