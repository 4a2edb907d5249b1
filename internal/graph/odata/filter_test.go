package odata_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/graph/odata"
)

func TestParseFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ filter, want string }{
		{"appId eq 'x'", ""},
		{"  appId   EQ   'x' ", "appId eq 'x'"},
		{"displayName eq 'O''Brien'", ""},
		{"displayName eq 'a and b) or ('", ""},
		{"startswith(displayName,'x')", ""},
		{"startsWith(displayName, 'x') eq true", "startswith(displayName,'x')"},
		{"contains(displayName,'x') eq false", "not contains(displayName,'x')"},
		{"endswith(displayName,'x') ne true", "not endswith(displayName,'x')"},
		{"identifierUris/any(s:s eq 'api://x')", ""},
		{"identifierUris/ANY(uri: uri eq 'api://x')", "identifierUris/any(uri:uri eq 'api://x')"},
		{"alternativeNames/any(p:startswith(p,'/subscriptions/'))", ""},
		{"tags/all(t:t ne 'x')", ""},
		{"tags/any()", ""},
		{"tags/$count eq 0", ""},
		{"appRoles/any(r:r/value eq 'A' and r/isEnabled eq true)", ""},
		{"appRoles/any(r:r/allowedMemberTypes/any(m:m eq 'User'))", ""},
		{"clientId eq 'G' and resourceId eq 'H'", ""},
		{"a eq 1 and b eq 2 and c eq 3", ""},
		{"a eq 1 and (b eq 2 and c eq 3)", "a eq 1 and b eq 2 and c eq 3"},
		{"a eq 1 or b eq 2 and c eq 3", "a eq 1 or (b eq 2 and c eq 3)"},
		{"(a eq 1 or b eq 2) and c eq 3", ""},
		{"not (a eq 1 or b eq 2)", ""},
		{"not(a eq 1)", "not a eq 1"},
		{"not not a eq 1", ""},
		{"id in ('a','b')", ""},
		{"id IN ( 'a' , 'b' )", "id in ('a','b')"},
		{"resourceId eq 11111111-2222-3333-4444-ABCDEFABCDEF", "resourceId eq 11111111-2222-3333-4444-abcdefabcdef"},
		{"resourceId eq a1111111-2222-3333-4444-abcdefabcdef", ""},
		{"createdDateTime ge 2024-01-01", "createdDateTime ge 2024-01-01T00:00:00Z"},
		{"createdDateTime ge 2024-01-01t00:00:00.1234567z", "createdDateTime ge 2024-01-01T00:00:00.1234567Z"},
		{"createdDateTime lt 2024-01-01T02:00:00+02:00", "createdDateTime lt 2024-01-01T00:00:00Z"},
		{"a eq -1.5e3", ""},
		{"a eq NULL", "a eq null"},
		{"a ne True", "a ne true"},
		{"status/errorCode ne 0", ""},
		{"signInEventTypes/any(t: t eq 'servicePrincipal')", "signInEventTypes/any(t:t eq 'servicePrincipal')"},
	} {
		want := tt.want
		if want == "" {
			want = tt.filter
		}
		e, err := odata.ParseFilter(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if e.String() != want {
			t.Errorf("%s: got %s, want %s", tt.filter, e, want)
		}
	}
}

func TestParseFilterRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		filter, want string
		pos          int
	}{
		{"", "it ends where", 1},
		{"appId", "it ends where an operator", 6},
		{"appId eq", "it ends where a value", 9},
		{"appId eq x", "Write a text between single quotes", 10},
		{"appId eq 'x", "has no end", 10},
		{"appId eq 'x' 'y'", "and, or, or the end", 14},
		{"appId eq 'x')", "and, or, or the end", 13},
		{"(appId eq 'x'", "it ends where ')'", 14},
		{"appId = 'x'", "'=' does not belong here", 7},
		{`appId eq "x"`, "single quotes", 10},
		{"appId eq guid'x'", "Leave 'guid' out", 10},
		{"appId like 'x'", "'like' is not supported", 7},
		{"'x' eq appId", "a member, a function", 1},
		{"accountEnabled and appId eq 'x'", "Write it as accountEnabled eq true", 16},
		{"tolower(displayName) eq 'x'", "without regard to case", 1},
		{"substringof('x',displayName)", "not supported", 1},
		{"startswith(displayName)", "','", 23},
		{"startswith(displayName,3)", "between single quotes", 24},
		{"startswith(tags/$count,'x')", "is for texts", 12},
		{"startswith(displayName,'x') eq 3", "true or false", 32},
		{"a gt null", "has no order", 6},
		{"a lt true", "has no order", 6},
		{"tags/$count eq 'x'", "with a number", 16},
		{"tags/$count in (1)", "eq, ne", 1},
		{"tags/$sum eq 1", "not understood", 6},
		{"tags/any(t:t/any(u:u eq 'x'))", "is an element", 12},
		{"tags/any(t eq 'x')", "':'", 12},
		{"tags/any(t:t/x/any(t:t eq 'x'))", "variable of its own", 20},
		{"tags/all()", "variable of its own", 10},
		{"id in ()", "a value", 8},
		{"id in ('a'", "it ends where", 11},
		{"id in 'a'", "'('", 7},
		{"a eq 1 & b eq 2", "does not belong", 8},
		{"a\teq 1", "does not belong", 2},
		{"a/b/ eq 1", "the name of a member", 5},
		{"a eq 0x10", "no value", 6},
		{"createdDateTime ge 2024-13-01", "no value", 20},
		{"createdDateTime ge 2024-01-01T00:00:00 00:00", "no value", 20},
		{strings.Repeat("(", 200) + "a eq 1", "nested more than", 0},
		{strings.Repeat("not ", 200) + "a eq 1", "nested more than", 0},
		{"a eq 1" + strings.Repeat(" or a eq 1", 400), "more than 600 parts", 0},
		{"a in (1" + strings.Repeat(",1", 700) + ")", "more than 600 parts", 0},
		{"a eq '" + strings.Repeat("x", 9000) + "'", "longer than", 0},
		{strings.Repeat("a/", 40) + "a eq 1", "too long", 0},
	} {
		e, err := odata.ParseFilter(tt.filter)
		var is *odata.Error
		if !errors.As(err, &is) {
			t.Errorf("%.60s: got %v, %v; want an error", tt.filter, e, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || tt.pos > 0 && is.Pos != tt.pos {
			t.Errorf("%.60s: got %q at %d; want %q at %d", tt.filter, err, is.Pos, tt.want, tt.pos)
		}
	}
}

// withoutPlaces is a filter that does not tell where its members stood.
func withoutPlaces(e odata.Expr) odata.Expr {
	_ = odata.Members(e, func(m *odata.Member, _ []string) error { m.Pos = 0; return nil })
	return e
}

// A maker makes filters by chance.
type maker struct {
	*rand.Rand
	depth     int
	variables []string
}

func (m *maker) pick(all ...string) string { return all[m.IntN(len(all))] }

func (m *maker) member() *odata.Member {
	member := &odata.Member{}
	if n := len(m.variables); n > 0 && m.IntN(2) == 0 {
		member.Variable = m.variables[m.IntN(n)]
		if m.IntN(2) == 0 {
			return member
		}
	}
	for range 1 + m.IntN(2) {
		member.Names = append(member.Names, m.pick("appId", "displayName", "any", "eq", "_x1", "in", "Null"))
	}
	return member
}

func (m *maker) literal() odata.Literal {
	switch m.IntN(6) {
	case 0:
		return odata.Literal{Kind: odata.Null, Text: "null"}
	case 1:
		return odata.Literal{Kind: odata.Bool, Text: m.pick("true", "false")}
	case 2:
		return odata.Literal{Kind: odata.Number, Text: m.pick("0", "-1", "12.5", "1e9")}
	case 3:
		return odata.Literal{Kind: odata.GUID, Text: "0a111111-2222-3333-4444-555555555555"}
	case 4:
		return odata.Literal{Kind: odata.Date, Text: m.pick("2024-01-01T00:00:00Z", "2024-02-29T12:30:00.5Z")}
	}
	return m.text()
}

func (m *maker) text() odata.Literal {
	return odata.Literal{Kind: odata.String, Text: m.pick("", "x", "O'Brien", "''", "a and b", ") or (", "null", "日本", "%27", "a+b", "$count")}
}

func (m *maker) expr() odata.Expr {
	m.depth++
	defer func() { m.depth-- }()
	kind := m.IntN(7)
	if m.depth > 4 {
		kind = m.IntN(3)
	}
	switch kind {
	case 0:
		c := &odata.Compare{Member: m.member(), Op: m.pick("eq", "ne"), Value: m.literal()}
		if c.Value.Kind != odata.Null && c.Value.Kind != odata.Bool {
			c.Op = m.pick("eq", "ne", "gt", "ge", "lt", "le")
		}
		if c.Value.Kind == odata.Number && len(c.Member.Names) > 0 {
			c.Member.Count = m.IntN(2) == 0
		}
		return c
	case 1:
		in := &odata.In{Member: m.member()}
		for range 1 + m.IntN(3) {
			in.Values = append(in.Values, m.literal())
		}
		return in
	case 2:
		return &odata.Call{Function: m.pick("startswith", "endswith", "contains"), Member: m.member(), Value: m.text()}
	case 3:
		return &odata.Not{Operand: m.expr()}
	case 4:
		return m.lambda()
	case 5:
		var all odata.And
		for len(all) < 2+m.IntN(2) {
			if e := m.expr(); reflect.TypeOf(e) != reflect.TypeFor[odata.And]() {
				all = append(all, e)
			}
		}
		return all
	}
	var either odata.Or
	for len(either) < 2+m.IntN(2) {
		if e := m.expr(); reflect.TypeOf(e) != reflect.TypeFor[odata.Or]() {
			either = append(either, e)
		}
	}
	return either
}

func (m *maker) lambda() odata.Expr {
	l := &odata.Lambda{Member: m.member(), All: m.IntN(2) == 0}
	if len(l.Member.Names) == 0 {
		l.Member.Names = []string{"list"}
	}
	if m.IntN(5) == 0 {
		l.All = false
		return l
	}
	l.Variable = fmt.Sprintf("v%d", len(m.variables))
	m.variables = append(m.variables, l.Variable)
	l.Condition = m.expr()
	m.variables = m.variables[:len(m.variables)-1]
	return l
}

// TestPrintedFilterMeansTheSame prints filters made by chance and reads them again.
func TestPrintedFilterMeansTheSame(t *testing.T) {
	t.Parallel()
	m := &maker{Rand: rand.New(rand.NewPCG(1, 2))}
	whole := 0
	for range 5000 {
		e := m.expr()
		again, err := odata.ParseFilter(e.String())
		var is *odata.Error
		if errors.As(err, &is) && is.Unsupported {
			continue // deeper or larger than what is read
		}
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		if !reflect.DeepEqual(withoutPlaces(e), withoutPlaces(again)) {
			t.Fatalf("%s became %s", e, again)
		}
		whole++
	}
	if whole < 4000 {
		t.Fatalf("only %d filters were read again", whole)
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"appId eq 'x''y' and (tags/any(t:startswith(t,'a')) or not id in ('a',b1111111-2222-3333-4444-555555555555))",
		"createdDateTime ge 2024-01-01T00:00:00.5Z", "a/$count le -1.5e3", "contains(a,'b') eq false", "((((((((a eq null))))))))",
	} {
		f.Add(seed)
	}
	object := odata.Map{"appId": "x", "tags": []string{"a", "b"}, "createdDateTime": "2024-01-01T00:00:00Z", "a": nil, "id": 5, "o": odata.Map{"b": true}}
	f.Fuzz(func(t *testing.T, filter string) {
		e, err := odata.ParseFilter(filter)
		if err != nil {
			if !errors.As(err, new(*odata.Error)) {
				t.Fatalf("%q: an error of type %T", filter, err)
			}
			return
		}
		kept, problem := odata.Match(e, object)
		printed := e.String()
		again, err := odata.ParseFilter(printed)
		if err != nil {
			// Parentheses that print adds may be the ones too many.
			var is *odata.Error
			if errors.As(err, &is) && (is.Unsupported || len(printed) > odata.MaxFilter) {
				return
			}
			t.Fatalf("%q: printed as %q: %v", filter, printed, err)
		}
		if !reflect.DeepEqual(withoutPlaces(e), withoutPlaces(again)) {
			t.Fatalf("%q: printed as %q, which means %q", filter, printed, again)
		}
		if keptAgain, problemAgain := odata.Match(again, object); kept != keptAgain || (problem == nil) != (problemAgain == nil) {
			t.Fatalf("%q: keeps %t, printed as %q it keeps %t", filter, kept, printed, keptAgain)
		}
		for _, l := range odata.Lookups(e) {
			if len(l.Values) == 0 {
				t.Fatalf("%q: a look-up without values: %+v", filter, l)
			}
		}
	})
}
