package demo_test

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/demo"
)

func TestEveryRowIsAsItShouldBe(t *testing.T) {
	stage, err := demo.Start(t.Context(), demo.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	report := stage.Tell(t.Context())
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
	if err := stage.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
