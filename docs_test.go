package rolecall

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestDocumentedPrograms builds every whole program in the documentation, as it stands there.
func TestDocumentedPrograms(t *testing.T) {
	block := regexp.MustCompile("(?s)```go\n(// Command [^`]*?package main\n.*?)```")
	text, err := os.ReadFile("docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := block.FindAllSubmatch(text, -1)
	if len(programs) < 2 {
		t.Fatalf("found %d programs in docs/quickstart.md, want the API and the daemon", len(programs))
	}
	for i, program := range programs {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, program[1], 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
			if err != nil {
				t.Errorf("go vet: %v\n%s", err, out)
			}
		})
	}
}
