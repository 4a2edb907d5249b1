package odata

import (
	"cmp"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// An Object is a thing as it is on the wire. Values are nil, texts, booleans, numbers, times,
// Objects, or slices of these. A text is a date where a filter compares it with one.
type Object interface {
	// Member returns the value of a member, whose name has no case.
	Member(name string) (value any, ok bool)
}

// A Map is an Object with the members of a map.
type Map map[string]any

// Member implements [Object].
func (m Map) Member(name string) (value any, ok bool) {
	if value, ok = m[name]; ok {
		return value, true
	}
	for key, value := range m {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return nil, false
}

// Match reports whether a filter keeps a thing. Texts are compared without regard to case.
// What is null equals null alone, and is neither greater nor less than anything. An error
// tells of a filter that does not fit the thing: a member that it does not have, or one that
// is of another type than the value it is compared with.
func Match(e Expr, of Object) (bool, error) {
	s := scope{object: of}
	return s.match(e)
}

// A scope is what names mean at a place in a filter.
type scope struct {
	object  Object
	around  *scope // of an element
	name    string // of the element
	element any
}

func (s *scope) match(e Expr) (bool, error) {
	switch e := e.(type) {
	case And:
		for _, part := range e {
			if ok, err := s.match(part); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	case Or:
		for _, part := range e {
			if ok, err := s.match(part); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case *Not:
		ok, err := s.match(e.Operand)
		return !ok && err == nil, err
	case *Compare:
		return s.compare(e)
	case *In:
		for _, value := range e.Values {
			if ok, err := s.compare(&Compare{e.Member, "eq", value}); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case *Call:
		return s.call(e)
	case *Lambda:
		return s.lambda(e)
	}
	return false, fmt.Errorf("odata: a filter has a part of type %T", e)
}

func misfit(m *Member, message string) error {
	return &Error{Part: "$filter", Pos: m.Pos, Message: message}
}

// value follows the way to a member.
func (s *scope) value(m *Member) (any, error) {
	var value any = s.object
	if m.Variable != "" {
		at := s
		for at != nil && at.name != m.Variable {
			at = at.around
		}
		if at == nil {
			return nil, misfit(m, "the variable "+quote(m.Variable)+" is not known here.")
		}
		value = at.element
	}
	for _, name := range m.Names {
		if value == nil {
			return nil, nil
		}
		if plain, is := value.(map[string]any); is {
			value = Map(plain)
		}
		object, is := value.(Object)
		if !is {
			return nil, misfit(m, "there is no "+quote(name)+" within what stands before it.")
		}
		next, has := object.Member(name)
		if !has {
			return nil, UnknownMember(m, name)
		}
		value = next
	}
	if !m.Count {
		return scalar(value), nil
	}
	elements, is := elementsOf(value)
	if !is {
		return nil, misfit(m, quote(m.String())+" is the number of elements of a collection, which this is not.")
	}
	return float64(len(elements)), nil
}

// UnknownMember is the error for a member that a thing does not have.
func UnknownMember(m *Member, name string) error {
	return misfit(m, "Could not find a property named "+quote(name)+".")
}

// elementsOf returns the elements of a collection; null has none.
func elementsOf(value any) (elements []any, is bool) {
	switch value := value.(type) {
	case nil:
		return nil, true
	case []any:
		return value, true
	case Object:
		return nil, false
	}
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 {
		return nil, false
	}
	elements = make([]any, v.Len())
	for i := range elements {
		elements[i] = v.Index(i).Interface()
	}
	return elements, true
}

func (s *scope) lambda(l *Lambda) (bool, error) {
	value, err := s.value(l.Member)
	if err != nil {
		return false, err
	}
	elements, is := elementsOf(value)
	if !is {
		return false, misfit(l.Member, quote(l.Member.String())+" is no collection: it has neither any nor all.")
	}
	if l.Condition == nil {
		return len(elements) > 0, nil
	}
	for _, element := range elements {
		within := scope{object: s.object, around: s, name: l.Variable, element: element}
		if ok, err := within.match(l.Condition); err != nil || ok != l.All {
			return ok, err
		}
	}
	return l.All, nil
}

func (s *scope) call(c *Call) (bool, error) {
	value, err := s.value(c.Member)
	if err != nil || value == nil {
		return false, err
	}
	text, is := value.(string)
	if !is {
		return false, misfit(c.Member, c.Function+" is for texts, and "+quote(c.Member.String())+" is none."+hintAny(value))
	}
	text, want := strings.ToLower(text), strings.ToLower(c.Value.Text)
	switch c.Function {
	case "startswith":
		return strings.HasPrefix(text, want), nil
	case "endswith":
		return strings.HasSuffix(text, want), nil
	}
	return strings.Contains(text, want), nil
}

func hintAny(value any) string {
	if _, is := elementsOf(value); is {
		return " It is a collection: use any(x:…)."
	}
	return ""
}

func (s *scope) compare(c *Compare) (bool, error) {
	value, err := s.value(c.Member)
	if err != nil {
		return false, err
	}
	if value == nil || c.Value.Kind == Null {
		return c.Op == "ne" && (value != nil || c.Value.Kind != Null) ||
			c.Op == "eq" && value == nil && c.Value.Kind == Null, nil
	}
	n, ok := order(value, c.Value)
	if !ok {
		return false, misfit(c.Member, "A value of another type than that of "+quote(c.Member.String())+" is compared with it: "+quote(c.Value.String())+"."+hintAny(value))
	}
	switch c.Op {
	case "eq":
		return n == 0, nil
	case "ne":
		return n != 0, nil
	case "gt":
		return n > 0, nil
	case "ge":
		return n >= 0, nil
	case "lt":
		return n < 0, nil
	}
	return n <= 0, nil
}

// scalar reduces a value to a string, bool, float64, time.Time or nil; others it returns
// as they are.
func scalar(value any) any {
	switch value := value.(type) {
	case nil, string, bool, float64, time.Time:
		return value
	}
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		return scalar(v.Elem().Interface())
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return v.Float()
	}
	return value
}

// order compares a value with a literal, if they are of one type.
func order(value any, with Literal) (n int, ok bool) {
	switch value := value.(type) {
	case string:
		switch with.Kind {
		case String, GUID:
			return compareTexts(value, with.Text), true
		case Date:
			t, is := parseDate(value)
			if !is {
				return 0, false
			}
			return order(t, with)
		default:
		}
	case bool:
		if with.Kind == Bool {
			return compareBools(value, with.Text == "true"), true
		}
	case float64:
		if with.Kind == Number {
			number, err := strconv.ParseFloat(with.Text, 64)
			return cmp.Compare(value, number), err == nil
		}
	case time.Time:
		if with.Kind == Date || with.Kind == String {
			t, is := parseDate(with.Text)
			return value.Compare(t), is
		}
	}
	return 0, false
}

func compareTexts(a, b string) int {
	if strings.EqualFold(a, b) {
		return 0
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Sorted compares two things by the members of $orderby, for [slices.SortStableFunc]. Null
// comes first.
func Sorted(by []Order, a, b Object) int {
	for _, o := range by {
		left, _ := (&scope{object: a}).value(o.Path)
		right, _ := (&scope{object: b}).value(o.Path)
		n := compareValues(left, right)
		if o.Descending {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

func compareValues(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch a := a.(type) {
	case string:
		if b, is := b.(string); is {
			return compareTexts(a, b)
		}
	case bool:
		if b, is := b.(bool); is {
			return compareBools(a, b)
		}
	case float64:
		if b, is := b.(float64); is {
			return cmp.Compare(a, b)
		}
	case time.Time:
		if b, is := b.(time.Time); is {
			return a.Compare(b)
		}
	}
	return 0
}
