package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/directory"
	"github.com/rolecall-auth/rolecall/directory/sqlite"
	"github.com/rolecall-auth/rolecall/directory/storetest"
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
