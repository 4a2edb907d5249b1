package odata

import (
	"slices"
	"strings"
	"time"
)

// A Lookup is a condition that everything a filter keeps fulfils, in a form that a key of a
// store can answer: a member, or an element of a collection, equals one of the values, or
// begins with one.
type Lookup struct {
	Member  string // in lower case: "appid", "api/requestedaccesstokenversion"
	Element bool   // one element of the member fulfils it
	Prefix  bool
	Values  []string
}

// Lookups returns the conditions of a filter that keys may answer. What they find still has to
// be held against the filter.
func Lookups(e Expr) []Lookup {
	parts := []Expr{e}
	if all, is := e.(And); is {
		parts = all
	}
	var found []Lookup
	for _, part := range parts {
		if l, ok := lookupOf(part, ""); ok {
			found = append(found, l)
		}
	}
	return found
}

// lookupOf reads one condition. The variable is the element it is about, within a lambda.
func lookupOf(e Expr, variable string) (l Lookup, ok bool) {
	switch e := e.(type) {
	case *Compare:
		if e.Op == "eq" {
			return lookupIn(e.Member, variable, false, e.Value)
		}
	case *In:
		return lookupIn(e.Member, variable, false, e.Values...)
	case *Call:
		if e.Function == "startswith" {
			return lookupIn(e.Member, variable, true, e.Value)
		}
	case *Lambda:
		if variable != "" || e.All || e.Condition == nil || e.Member.Variable != "" {
			return l, false
		}
		l, ok = lookupOf(e.Condition, e.Variable)
		l.Member, l.Element = pathOf(e.Member), true
		return l, ok
	case Or:
		return lookupEither(e, variable)
	}
	return l, false
}

// lookupEither joins conditions on one member.
func lookupEither(e Or, variable string) (l Lookup, ok bool) {
	for i, part := range e {
		one, is := lookupOf(part, variable)
		if !is || i > 0 && (one.Member != l.Member || one.Element != l.Element || one.Prefix != l.Prefix) {
			return Lookup{}, false
		}
		l.Member, l.Element, l.Prefix = one.Member, one.Element, one.Prefix
		l.Values = append(l.Values, one.Values...)
	}
	return l, true
}

func lookupIn(m *Member, variable string, prefix bool, values ...Literal) (l Lookup, ok bool) {
	if m.Count || m.Variable != variable || variable != "" && len(m.Names) > 0 {
		return l, false
	}
	l = Lookup{Member: pathOf(m), Prefix: prefix}
	for _, v := range values {
		if v.Kind != String && v.Kind != GUID {
			return Lookup{}, false
		}
		l.Values = append(l.Values, v.Text)
	}
	return l, true
}

func pathOf(m *Member) string { return strings.ToLower(strings.Join(m.Names, "/")) }

// Members calls f for each member that a filter names, with the whole way to it: within a
// lambda, the collection's name goes before those of its elements' members. It ends at the
// first error.
func Members(e Expr, f func(m *Member, way []string) error) error {
	return members(e, map[string][]string{}, f)
}

func members(e Expr, variables map[string][]string, f func(*Member, []string) error) error {
	way := func(m *Member) []string { return slices.Concat(variables[m.Variable], m.Names) }
	visit := func(m *Member) error { return f(m, way(m)) }
	each := func(parts []Expr) error {
		for _, part := range parts {
			if err := members(part, variables, f); err != nil {
				return err
			}
		}
		return nil
	}
	switch e := e.(type) {
	case And:
		return each(e)
	case Or:
		return each(e)
	case *Not:
		return members(e.Operand, variables, f)
	case *Compare:
		return visit(e.Member)
	case *In:
		return visit(e.Member)
	case *Call:
		return visit(e.Member)
	case *Lambda:
		if err := visit(e.Member); err != nil || e.Condition == nil {
			return err
		}
		variables[e.Variable] = way(e.Member)
		defer delete(variables, e.Variable)
		return members(e.Condition, variables, f)
	}
	return nil
}

// From returns the earliest time that a member has in everything a filter keeps, if the filter
// says so.
func From(e Expr, member string) (from time.Time, has bool) {
	parts := []Expr{e}
	if all, is := e.(And); is {
		parts = all
	}
	for _, part := range parts {
		c, is := part.(*Compare)
		if !is || c.Value.Kind != Date || c.Member.Variable != "" || !strings.EqualFold(pathOf(c.Member), member) {
			continue
		}
		if c.Op != "ge" && c.Op != "gt" && c.Op != "eq" {
			continue
		}
		if t, ok := parseDate(c.Value.Text); ok && t.After(from) {
			from, has = t, true
		}
	}
	return from, has
}
