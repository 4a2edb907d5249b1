package directory

import (
	"fmt"
	"slices"
	"strings"
)

// A detail gathers what an update changes, in words for the audit log and a dry run.
type detail struct{ parts []string }

func (d *detail) add(format string, args ...any) {
	d.parts = append(d.parts, fmt.Sprintf(format, args...))
}

// changed notes a plain value that differs.
func (d *detail) changed(what string, old, next any) {
	if old != next {
		d.add("%s: %v → %v", what, old, next)
	}
}

// lists notes what came to and went from a list.
func (d *detail) lists(what string, old, next []string) {
	for _, v := range next {
		if !slices.Contains(old, v) {
			d.add("%s: +%s", what, v)
		}
	}
	for _, v := range old {
		if !slices.Contains(next, v) {
			d.add("%s: -%s", what, v)
		}
	}
}

func (d *detail) String() string { return strings.Join(d.parts, ", ") }
