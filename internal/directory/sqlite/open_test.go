package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Each reader has the file and its log open from the beginning, so that none opens what has come
// to stand under their names since.
func TestReadersOpenTheirFilesAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.AppendSignIns(t.Context(), []directory.SignIn{{}}); err != nil { // it is in the log
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	var connections []*sql.Conn
	for range readers {
		conn, err := s.reader.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		connections = append(connections, conn)
		var rows int
		if err := conn.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM signins`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("reader %d found %d rows, %v, and not one", len(connections), rows, err)
		}
	}
	for _, conn := range connections {
		_ = conn.Close()
	}
}
