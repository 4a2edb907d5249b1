package odata

import "strings"

// String implements Expr.
func (e And) String() string { return join(e, " and ") }

// String implements Expr.
func (e Or) String() string { return join(e, " or ") }

func join(parts []Expr, word string) string {
	all := make([]string, len(parts))
	for i, part := range parts {
		all[i] = part.String()
		switch part.(type) {
		case And, Or:
			all[i] = "(" + all[i] + ")"
		}
	}
	return strings.Join(all, word)
}

// String implements Expr.
func (e *Not) String() string {
	switch e.Operand.(type) {
	case And, Or:
		return "not (" + e.Operand.String() + ")"
	}
	return "not " + e.Operand.String()
}

// String implements Expr.
func (e *Compare) String() string { return e.Member.String() + " " + e.Op + " " + e.Value.String() }

// String implements Expr.
func (e *In) String() string {
	values := make([]string, len(e.Values))
	for i, v := range e.Values {
		values[i] = v.String()
	}
	return e.Member.String() + " in (" + strings.Join(values, ",") + ")"
}

// String implements Expr.
func (e *Call) String() string {
	return e.Function + "(" + e.Member.String() + "," + e.Value.String() + ")"
}

// String implements Expr.
func (e *Lambda) String() string {
	word := "/any("
	if e.All {
		word = "/all("
	}
	if e.Condition == nil {
		return e.Member.String() + word + ")"
	}
	return e.Member.String() + word + e.Variable + ":" + e.Condition.String() + ")"
}

// String writes the way to a member.
func (m *Member) String() string {
	names := m.Names
	if m.Variable != "" {
		names = append([]string{m.Variable}, names...)
	}
	way := strings.Join(names, "/")
	if m.Count {
		way += "/$count"
	}
	return way
}

// String writes a value as it stands in a filter.
func (l Literal) String() string {
	if l.Kind == String {
		return "'" + strings.ReplaceAll(l.Text, "'", "''") + "'"
	}
	return l.Text
}
