package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A field is a row of the table of a resource's members: how one stands on the wire, and how
// it is set there.
type field[T any] struct {
	name string
	read func(T) any
	// write sets the member; nil: clients cannot. It is given null for what is to be unset.
	write func(T, input) error
	// inner are the members of an object that is set member by member, in place of read and
	// write.
	inner []field[T]
	// silent lets clients send a member that they cannot set, whatever it says: tools send
	// back what they have read.
	silent bool
}

// render returns a resource as it is on the wire, with its members in the order of the table.
func render[T any](fields []field[T], of T) object {
	o := make(object, 0, len(fields))
	for _, f := range fields {
		if f.inner != nil {
			o = append(o, member{f.name, render(f.inner, of)})
			continue
		}
		o = append(o, member{f.name, f.read(of)})
	}
	return o
}

// apply sets what a client sent. Members that it leaves out stay as they are, also those of
// objects within; a collection is replaced whole.
func apply[T any](fields []field[T], to T, in input) error {
	object, err := in.object()
	if err != nil {
		return err
	}
	for _, one := range object {
		if strings.Contains(one.path, "@odata.") {
			continue // annotations; those that bind are read by who understands them
		}
		i := slices.IndexFunc(fields, func(f field[T]) bool { return strings.EqualFold(f.name, one.name()) })
		if i < 0 {
			return invalid(one.path, "Invalid property "+quote(one.path)+".")
		}
		if err := fields[i].set(to, one); err != nil {
			return err
		}
	}
	return nil
}

func (f *field[T]) set(to T, in input) error {
	switch {
	case f.inner != nil && in.value == nil:
		for i := range f.inner {
			if inner := &f.inner[i]; inner.write != nil || inner.inner != nil {
				if err := inner.set(to, input{in.path + "." + inner.name, nil}); err != nil {
					return err
				}
			}
		}
		return nil
	case f.inner != nil:
		return apply(f.inner, to, in)
	case f.write != nil:
		return f.write(to, in)
	case f.silent || in.value == nil || sameJSON(in.value, f.read(to)):
		return nil
	}
	return invalid(in.path, "Property "+quote(in.path)+" is read-only and cannot be set.")
}

// sameJSON reports whether a value that a client sent is what it was given.
func sameJSON(given, stored any) bool {
	var a, b bytes.Buffer
	if encode(&a, given) != nil || encode(&b, stored) != nil {
		return false
	}
	return bytes.Equal(a.Bytes(), b.Bytes())
}

// MarshalJSON implements json.Marshaler.
func (b body) MarshalJSON() ([]byte, error) {
	o := make(object, len(b))
	for i, m := range b {
		o[i] = member(m)
	}
	return o.MarshalJSON()
}

// An input is a value that a client sent, with the path to its member.
type input struct {
	path  string // api.oauth2PermissionScopes[2].value
	value any
}

// name is the last part of the path.
func (in input) name() string { return in.path[strings.LastIndexByte(in.path, '.')+1:] }

func (in input) wrong(want string) error {
	return invalid(in.path, fmt.Sprintf("%s Property %s must be %s.", saysInvalid, quote(in.path), want))
}

func (in input) text() (string, error) {
	s, ok := in.value.(string)
	if !ok {
		return "", in.wrong("a string")
	}
	return s, nil
}

// optionalText is a text, empty for null.
func (in input) optionalText() (string, error) {
	if in.value == nil {
		return "", nil
	}
	s, ok := in.value.(string)
	if !ok {
		return "", in.wrong("a string or null")
	}
	return s, nil
}

func (in input) bool() (bool, error) {
	b, ok := in.value.(bool)
	if !ok {
		return false, in.wrong("true or false")
	}
	return b, nil
}

// optionalBool is a boolean, false for null.
func (in input) optionalBool() (bool, error) {
	if in.value == nil {
		return false, nil
	}
	return in.bool()
}

func (in input) integer() (int, error) {
	number, ok := in.value.(json.Number)
	if !ok {
		return 0, in.wrong("a whole number")
	}
	n, err := number.Int64()
	if err != nil || int64(int(n)) != n {
		return 0, in.wrong("a whole number")
	}
	return int(n), nil
}

func (in input) guid() (string, error) {
	s, ok := in.value.(string)
	if !ok {
		return "", in.wrong("a GUID")
	}
	id, ok := guid.Parse(s)
	if !ok {
		return "", in.wrong("a GUID")
	}
	return id, nil
}

// list is the elements of an array, none for null.
func (in input) list() ([]input, error) {
	if in.value == nil {
		return nil, nil
	}
	array, ok := in.value.([]any)
	if !ok {
		return nil, in.wrong("an array")
	}
	all := make([]input, len(array))
	for i, value := range array {
		all[i] = input{fmt.Sprintf("%s[%d]", in.path, i), value}
	}
	return all, nil
}

// texts is an array of texts.
func (in input) texts() ([]string, error) { return each(in, input.text) }

// each reads the elements of an array.
func each[T any](in input, read func(input) (T, error)) ([]T, error) {
	all, err := in.list()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	values := make([]T, len(all))
	for i, one := range all {
		if values[i], err = read(one); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// object is the members of an object.
func (in input) object() ([]input, error) {
	b, ok := in.value.(body)
	if !ok {
		return nil, in.wrong("an object")
	}
	all := make([]input, len(b))
	for i, m := range b {
		path := m.name
		if in.path != "" {
			path = in.path + "." + m.name
		}
		all[i] = input{path, m.value}
	}
	return all, nil
}

// names are those of the members.
func names[T any](fields []field[T]) []string {
	all := make([]string, len(fields))
	for i := range fields {
		all[i] = fields[i].name
	}
	return all
}

// The tables of members, made once. They never change.
var (
	applicationTable = applicationFields()
	roleTable        = roleFields()
	scopeTable       = scopeFields()
	claimTable       = claimFields()
	federatedTable   = federatedFields()
	principalTable   = principalFields()
	userTable        = userFields()
)
