package aadsts

import (
	"cmp"
	"slices"
	"strings"
)

// A Row is one line of the table of errors: a [Problem] with {placeholders} where an
// answer names what was presented.
type Row struct {
	Code   int
	Status int
	OAuth  string
	What   string
	Fix    string
}

// Table returns every refusal that the authority knows, by number.
func Table() []Row {
	var rows []Row
	for _, problems := range [][]*Problem{requestProblems(), clientProblems(), assertionProblems(), userProblems()} {
		for _, p := range problems {
			rows = append(rows, Row{Code: p.Code, Status: p.Status, OAuth: p.OAuth, What: p.What, Fix: p.Advice})
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Status, b.Status), strings.Compare(a.What, b.What))
	})
	return rows
}
