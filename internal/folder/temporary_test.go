package folder

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a killed process left is removed by the next one of its kind; what a process holds, is
// about to hold, or never was such a folder, stays.
func TestMakeTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const prefix = "rolecall-test-"
	left := func(name string, age time.Duration, files ...string) string {
		t.Helper()
		path := filepath.Join(os.TempDir(), name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(path, file), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held, remove, err := MakeTemporary(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(held); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(held, old, old); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{
		left(prefix+"killed", time.Hour, heldName, "client.pem"):     false,
		left(prefix+"killed-at-once", time.Hour):                     false,
		left(prefix+"begun", time.Second):                            true,
		left(prefix+"begun-too", time.Second, heldName):              true,
		left("other-"+prefix, time.Hour, heldName, "somebody's own"): true,
		held: true,
	} {
		another, end, err := MakeTemporary(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v, want that it stays: %t", filepath.Base(path), err, stays)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(another); !os.IsNotExist(err) {
			t.Errorf("%s: %v after its end", another, err)
		}
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}
