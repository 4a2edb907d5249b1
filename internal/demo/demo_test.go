package demo_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/demo"
)

// build builds the program that the demo runs as managed identities.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "rolecall.exe") // Windows requires the ending
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/rolecall")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return program
}

func TestEveryRowIsAsItShouldBe(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Config{Dir: t.TempDir(), Program: build(t)})
	if err != nil {
		t.Fatal(err)
	}
	report := d.Run(t.Context())
	for _, way := range report.Ways {
		if !way.OK {
			t.Errorf("%s: %v (%+v)", way.Way, way.Problem, way)
		}
	}
	for _, refusal := range report.Refusals {
		if !refusal.OK {
			t.Errorf("%s: %v", refusal.Case, refusal.Problem)
		}
	}
	if !report.OK() {
		t.Error("the report is not OK")
	}
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
