package audit_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// chain returns n rows that follow one another.
func chain(t testing.TB, n int) []audit.Row {
	t.Helper()
	var rows []audit.Row
	var last audit.Row
	for i := range n {
		next, err := audit.Chain(last.Sequence, last.Hash, audit.Event{
			Time: time.Date(2026, 11, 23, 8, i, 0, 123456789, time.FixedZone("", 3600)), Tenant: "contoso", Actor: "cli:apply",
			Action: "application.create", Kind: "application", Target: fmt.Sprint(i), Name: "orders", Detail: "a",
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, last = append(rows, next), next
	}
	return rows
}

func TestVerify(t *testing.T) {
	t.Parallel()
	if err := audit.Verify(0, nil, nil); err != nil {
		t.Errorf("no rows: %v", err)
	}
	rows := chain(t, 5)
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Errorf("all rows: %v", err)
	}
	if err := audit.Verify(2, rows[1].Hash, rows[2:]); err != nil {
		t.Errorf("the rest: %v", err)
	}
	body, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	var again []audit.Row
	if err := json.Unmarshal(body, &again); err != nil {
		t.Fatal(err)
	}
	if err := audit.Verify(0, nil, again); err != nil {
		t.Errorf("written out and read again: %v", err)
	}
}

func TestTampering(t *testing.T) {
	t.Parallel()
	edits := map[string]func(e *audit.Event){
		"time":   func(e *audit.Event) { e.Time = e.Time.Add(time.Microsecond) },
		"tenant": func(e *audit.Event) { e.Tenant = "" },
		"actor":  func(e *audit.Event) { e.Actor = "nobody" },
		"action": func(e *audit.Event) { e.Action += " " },
		"kind":   func(e *audit.Event) { e.Kind = "x" },
		"target": func(e *audit.Event) { e.Target = "x" },
		"name":   func(e *audit.Event) { e.Name = "ordersa" },
		"detail": func(e *audit.Event) { e.Detail = "" },
	}
	for i := range 4 {
		for name, edit := range edits {
			rows := chain(t, 5)
			edit(&rows[i].Event)
			caught(t, fmt.Sprintf("the %s of row %d edited", name, i+1), rows, i+1)
		}
		rows := chain(t, 5)
		rows[i].Hash[31] ^= 1
		caught(t, fmt.Sprintf("the hash of row %d edited", i+1), rows, i+1)

		caught(t, fmt.Sprintf("row %d removed", i+1), slices.Delete(chain(t, 5), i, i+1), i+1)

		rows = chain(t, 5)
		rows[i], rows[i+1] = rows[i+1], rows[i]
		caught(t, fmt.Sprintf("rows %d and %d swapped", i+1, i+2), rows, i+1)

		rows = chain(t, 5)
		rows = slices.Insert(rows, i, rows[i])
		caught(t, fmt.Sprintf("row %d doubled", i+1), rows, i+1)

		rows = slices.Delete(chain(t, 5), i, i+1)
		for j := i; j < len(rows); j++ {
			rows[j].Sequence--
		}
		caught(t, fmt.Sprintf("row %d removed and the rest counted anew", i+1), rows, i+1)
	}
}

// caught wants an error that names a row, no later than the one after the first
// tampered with.
func caught(t *testing.T, what string, rows []audit.Row, first int) {
	t.Helper()
	err := audit.Verify(0, nil, rows)
	if err == nil {
		t.Errorf("%s: not noticed", what)
		return
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("row %d ", first)) && !strings.Contains(err.Error(), fmt.Sprintf("row %d ", first+1)) {
		t.Errorf("%s: got %v", what, err)
	}
}

func Example() {
	first, err := audit.Chain(0, nil, audit.Event{Actor: "cli:apply", Action: "tenant.create"})
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := audit.Chain(first.Sequence, first.Hash, audit.Event{Actor: "cli:apply", Action: "tenant.delete"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(audit.Verify(0, nil, []audit.Row{first, second}))
	second.Actor = "nobody"
	fmt.Println(audit.Verify(0, nil, []audit.Row{first, second}))
	// Output:
	// <nil>
	// audit row 2 does not match its hash: it or a row before it was edited
}
