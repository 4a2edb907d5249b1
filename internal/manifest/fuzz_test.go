package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/manifest"
)

// Whatever the bytes: no panic, and an error is a list of problems with their places.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		content, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(app("appId: x", "secrets: [{name: ci, "+canary+"}]")))
	f.Add([]byte("tenants: &a [*a]\n"))
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\ntenants: *b\n"))
	f.Add([]byte("---\n...\n---\n"))
	f.Add([]byte("tenants: !!binary aGk=\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Add([]byte("\xff\xfet\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := manifest.Parse("config/rolecall.yaml", content, environment, readFile)
		if err == nil {
			return
		}
		var problems manifest.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("got a %T, want problems", err)
		}
		lines := strings.Count(string(content), "\n") + strings.Count(string(content), "\r") + 1
		for _, p := range problems {
			if p.What == "" || p.Fix() == "" || p.Line < 0 || p.Column < 0 {
				t.Errorf("an incomplete problem: %+v", p)
			}
			if p.Line > 2*lines+2 {
				t.Errorf("line %d of a file of %d", p.Line, lines)
			}
		}
	})
}
