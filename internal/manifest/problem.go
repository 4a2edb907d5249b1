package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing wrong with a file. It never holds a secret.
type Problem struct {
	File   string
	Line   int    // from 1; 0 when unknown
	Column int    // from 1, in characters; 0 when unknown
	What   string // is wrong
	Advice string // how to fix it, one sentence; what Fix returns
	Cause  error  // the directory's error, where it was the one to object
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Column > 0 {
		fmt.Fprintf(&b, ":%d", p.Column)
	}
	fmt.Fprintf(&b, ": %s %s", p.What, p.Advice)
	return b.String()
}

// Fix says what to do next.
func (p *Problem) Fix() string { return p.Advice }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// Problems are all that is wrong with a file, in the order of its lines.
type Problems []*Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Fix says what to do next about a problem that is the only one. Of several, each says it in its
// own line.
func (ps Problems) Fix() string {
	if len(ps) != 1 {
		return ""
	}
	return ps[0].Fix()
}

// Unwrap returns each problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// A position is a place in a file; the zero value is no place.
type position struct{ line, column int }

// A report collects the problems of one file.
type report struct {
	file     string
	problems Problems
}

// maxProblems bounds what a file that is wrong throughout can say.
const maxProblems = 100

func (r *report) add(at position, what, fix string) {
	if r.full() {
		return
	}
	r.problems = append(r.problems, &Problem{File: r.file, Line: at.line, Column: at.column, What: what, Advice: fix})
}

// full reports whether there is no use in looking further.
func (r *report) full() bool { return len(r.problems) >= maxProblems }

// err returns the problems in the order of their places, or nil.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.problems
}
