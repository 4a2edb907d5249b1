package authority

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// golden compares what came out with a file, or rewrites the file when UPDATE is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; UPDATE=1 go test ./internal/authority writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is meant, UPDATE=1 go test ./internal/authority rewrites it\ngot:\n%s", name, got)
	}
}
