package main

import (
	"os/exec"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/demo"
)

// The demo runs this program as managed identities, which is why its test is here.
func TestEveryRowOfTheDemoIsAsExpected(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("rolecall") // this test's own program, by the name of the command
	if err != nil {
		t.Fatal(err)
	}
	d, err := demo.Start(t.Context(), demo.Config{Dir: t.TempDir(), Program: program})
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
