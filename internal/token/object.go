package token

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Kind is the JSON type of a [Value].
type Kind uint8

// The kinds of JSON value. Invalid is the kind of the zero Value.
const (
	Invalid Kind = iota
	String
	Number
	Bool
	Null
	Array
	ObjectKind
)

// A Value is the text of one JSON value that has passed the strict reader.
type Value struct{ text string }

// Kind returns the JSON type of v.
func (v Value) Kind() Kind {
	if v.text == "" {
		return Invalid
	}
	switch v.text[0] {
	case '"':
		return String
	case '{':
		return ObjectKind
	case '[':
		return Array
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	default:
		return Number
	}
}

// Raw returns the JSON text of v as it was received.
func (v Value) Raw() string { return v.text }

// String returns the decoded string, and false if v is not a JSON string.
func (v Value) String() (string, bool) {
	if v.Kind() != String {
		return "", false
	}
	return unquote(v.text), true
}

// Integer returns v if it is a plain non-negative integer below 2^53: no sign,
// fraction, exponent or leading zero. Such numbers mean the same to every
// reader; all others depend on who parses them.
func (v Value) Integer() (int64, bool) {
	if len(v.text) == 0 || len(v.text) > 16 {
		return 0, false
	}
	for i := range len(v.text) {
		if v.text[i] < '0' || v.text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	return n, err == nil && n < 1<<53
}

// Bool returns the truth value, and false as second result if v is not one.
func (v Value) Bool() (value, ok bool) {
	return v.text == "true", v.Kind() == Bool
}

// Elements returns the elements of a JSON array, and false if v is not one.
func (v Value) Elements() ([]Value, bool) {
	if v.Kind() != Array {
		return nil, false
	}
	var out []Value
	ok := v.each(func(element Value) bool {
		out = append(out, element)
		return true
	})
	return out, ok
}

// Strings returns the elements of an array of strings, and false if v is
// anything else, including an array with an element of another type.
func (v Value) Strings() ([]string, bool) {
	if v.Kind() != Array {
		return nil, false
	}
	out := make([]string, 0, min(1+strings.Count(v.text, ","), 16))
	ok := v.each(func(element Value) bool {
		text, isString := element.String()
		out = append(out, text)
		return isString
	})
	if !ok {
		return nil, false
	}
	return out, true
}

// each passes on the elements of an array until keep returns false, and
// reports whether it reached the end.
func (v Value) each(keep func(Value) bool) bool {
	s := scanner{text: v.text, pos: 1, depth: len(v.text), members: len(v.text)}
	for s.space(); s.peek() != ']'; {
		start := s.pos
		if s.value(0) != nil || !keep(Value{s.text[start:s.pos]}) {
			return false
		}
		if done, err := s.separator(']'); done || err != nil {
			return err == nil
		}
	}
	return true
}

// Object returns v as an [Object], and false if it is not a JSON object.
func (v Value) Object() (Object, bool) {
	if v.Kind() != ObjectKind {
		return Object{}, false
	}
	o, err := parseObject(v.text, len(v.text), len(v.text), nil)
	return o, err == nil
}

// An Object is a JSON object with exact, distinct member names in the order
// in which they came. The zero Object is empty.
type Object struct {
	members []member
	text    string
	endless bool
}

type member struct {
	name  string
	value Value
}

// ParseObject reads b, which must be one JSON object in valid UTF-8 and
// nothing else. It refuses duplicate names at any depth, lone surrogates,
// nesting beyond maxDepth, objects of more than maxMembers, and names that
// look like a security claim to a reader that ignores case (such as "ISS" or
// "roleſ", which encoding/json takes for "iss" and "roles").
// A returned error is an [*Error].
func ParseObject(b []byte, maxDepth, maxMembers int) (Object, error) {
	o, err := parseObject(string(b), maxDepth, maxMembers, claimNames)
	if err != nil {
		return Object{}, refuse(reasonJSON, err.Error())
	}
	return o, nil
}

// Get returns the member of exactly that name.
func (o Object) Get(name string) (Value, bool) {
	for i := range o.members {
		// Most claims have three letters: the last one tells nearly all apart
		// without a call.
		m := &o.members[i]
		if last := len(name) - 1; last == len(m.name)-1 && (last < 0 || m.name[last] == name[last]) && m.name == name {
			return m.value, true
		}
	}
	return Value{}, false
}

// Endless reports whether a number in o, at any depth, is too large for a
// double. To some readers it is infinite, to some the largest there is, and
// some refuse it (RFC 8259 section 6).
func (o Object) Endless() bool { return o.endless }

// Names returns the member names in order.
func (o Object) Names() []string {
	names := make([]string, len(o.members))
	for i, m := range o.members {
		names[i] = m.name
	}
	return names
}

// Len returns the number of members.
func (o Object) Len() int { return len(o.members) }

// Raw returns the JSON text of o as it was received. Strings taken from o
// share its memory.
func (o Object) Raw() string { return o.text }

// claimNames are the claims on which a decision depends. They are all lower case,
// which looksReserved relies on.
var claimNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "tid", "oid", "uti", "appid", "azp", "appidacr", "azpacr",
	"roles", "scp", "scope", "idtyp", "ver", "cnf", "acr", "acrs", "groups", "wids", "xms_cc", "nonce",
	"client_id", "events",
}

// headerNames are the header parameters on which a decision depends.
var headerNames = []string{
	"alg", "kid", "typ", "crit", "b64", "zip", "cty", "enc", "jku", "x5u", "jwk", "x5c", "x5t",
}

// looksReserved reports whether name equals one of reserved only when case is
// ignored the way encoding/json ignores it.
func looksReserved(name string, reserved []string) bool {
	plain := true
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain { // then folding changes nothing
		return false
	}
	for _, r := range reserved {
		if strings.EqualFold(name, r) {
			return true
		}
	}
	return false
}
