package folder

import (
	"os"
	"path/filepath"
	"testing"
)

// What a process holds is abandoned once its lock is free and its file is still there.
func TestHold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.held")
	abandoned := func(when string, want bool) {
		t.Helper()
		if got, err := Abandoned(path); got != want || err != nil {
			t.Errorf("%s: abandoned %t, %v; want %t", when, got, err, want)
		}
	}
	abandoned("before", false)
	release, err := Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	abandoned("held", false)
	if _, err := Hold(path); err == nil {
		t.Error("it is held twice")
	}
	abandoned("still held", false)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	abandoned("released", false)
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as a process that was killed leaves it
		t.Fatal(err)
	}
	abandoned("left", true)
}
