package graph

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A member is a member of a JSON object.
type member struct {
	name  string
	value any
}

// An object is a JSON object whose members have an order: that in which the service gives
// them.
type object []member

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := o.write(&b)
	return b.Bytes(), err
}

func (o object) write(b *bytes.Buffer) error {
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(b, m.name); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := encode(b, m.value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// get returns a member's value.
func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// replace returns the object with another value of a member that it has.
func (o object) replace(name string, value any) object {
	next := slices.Clone(o)
	for i := range next {
		if next[i].name == name {
			next[i].value = value
		}
	}
	return next
}

// encode writes a value without the escapes that HTML needs. What most members hold it writes
// by itself: package json would write and check each object once for every object around it.
func encode(b *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case nil:
		b.WriteString("null")
		return nil
	case bool:
		b.WriteString(strconv.FormatBool(v))
		return nil
	case object:
		return v.write(b)
	case []object:
		b.WriteByte('[')
		for i := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := v[i].write(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case string:
		if isPlain(v) {
			b.WriteByte('"')
			b.WriteString(v)
			b.WriteByte('"')
			return nil
		}
	}
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line break
	return nil
}

// isPlain reports whether a text stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// orEmpty gives an empty collection for none: clients index it without looking.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// orNull gives null for an empty text.
func orNull[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

// date is a time as the service writes it: UTC, with only the digits that it needs.
func date(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	written := t.UTC().Format("2006-01-02T15:04:05.999999999")
	return strings.TrimSuffix(written, ".") + "Z"
}
