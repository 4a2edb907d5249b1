package token

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errSyntax    = errors.New("the text is not JSON (RFC 8259)")
	errNotObject = errors.New("the JSON text is not one object and nothing else")
	errDepth     = errors.New("the JSON text is nested deeper than the limit")
	errMembers   = errors.New("an object has more members than the limit")
	errDuplicate = errors.New("an object has two members of the same name")
	errLookalike = errors.New("a member name differs from a security-relevant name only in case")
	errString    = errors.New("a string holds a control character, a bad escape, a lone surrogate or invalid UTF-8")
)

// parseObject reads text in one pass, allocating only the list of members.
func parseObject(text string, depth, members int, reserved []string) (Object, error) {
	s := scanner{text: text, depth: depth, members: members}
	s.space()
	if s.peek() != '{' {
		return Object{}, errNotObject
	}
	expected := min(strings.Count(text, ",")+1, members, 64)
	out := make([]member, 0, expected)
	if err := s.object(1, &out); err != nil {
		return Object{}, err
	}
	s.space()
	if s.pos != len(text) {
		return Object{}, errNotObject
	}
	for i := range out {
		if looksReserved(out[i].name, reserved) {
			return Object{}, errLookalike
		}
	}
	return Object{members: out, text: text, endless: s.endless}, nil
}

// A scanner walks JSON text, accepting exactly the grammar of RFC 8259.
type scanner struct {
	text    string
	pos     int
	depth   int      // deepest nesting allowed
	members int      // most members of one object allowed
	names   []string // of members in the inner objects being read, innermost last
	endless bool     // whether a number is too large for a double
}

// peek returns the next byte, or 0 at the end: 0 begins no JSON token.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth + 1)
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case c == '-' || isDigit(c):
		return s.number()
	default:
		return errSyntax
	}
}

// object reads an object, and keeps its members if keep is not nil.
func (s *scanner) object(depth int, keep *[]member) error {
	if depth > s.depth {
		return errDepth
	}
	outer := len(s.names)
	s.pos++ // {
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for count := 1; ; count++ {
		name, err := s.name()
		if err != nil {
			return err
		}
		if count > s.members {
			return errMembers
		}
		if count <= linearNames && s.seen(name, outer, keep) {
			return errDuplicate
		}
		if keep == nil {
			s.names = append(s.names, name)
		}
		start := s.pos
		if err := s.value(depth); err != nil {
			return err
		}
		if keep != nil {
			*keep = append(*keep, member{name, Value{s.text[start:s.pos]}})
		}
		if done, err := s.separator('}'); done || err != nil {
			if count > linearNames && s.twice(outer, keep) {
				return errDuplicate
			}
			s.names = s.names[:outer]
			return err
		}
	}
}

// linearNames is the number of members of an object up to which each name is
// compared with all before it. Ordinary tokens have no more. In larger objects,
// which only strangers send, the names are sorted at the end: comparing all with
// all would let a small token cost more than a signature.
const linearNames = 32

// seen reports whether the object being read has had a member of that name.
// The names of kept members are found there; those of others, which may lie
// within each other, are on a stack where this object's begin at outer.
func (s *scanner) seen(name string, outer int, keep *[]member) bool {
	if keep == nil {
		return slices.Contains(s.names[outer:], name)
	}
	for i := range *keep {
		if (*keep)[i].name == name {
			return true
		}
	}
	return false
}

// twice reports whether two members of the object that has been read have the
// same name. It is the last that is done with the object's names.
func (s *scanner) twice(outer int, keep *[]member) bool {
	if keep != nil {
		for i := range *keep {
			s.names = append(s.names, (*keep)[i].name)
		}
	}
	names := s.names[outer:]
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return true
		}
	}
	return false
}

// name reads a member name and its colon.
func (s *scanner) name() (string, error) {
	if s.peek() != '"' {
		return "", errSyntax
	}
	start := s.pos
	if err := s.str(); err != nil {
		return "", err
	}
	name := unquote(s.text[start:s.pos])
	s.space()
	if s.peek() != ':' {
		return "", errSyntax
	}
	s.pos++
	s.space()
	return name, nil
}

func (s *scanner) array(depth int) error {
	if depth > s.depth {
		return errDepth
	}
	s.pos++ // [
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if done, err := s.separator(']'); done || err != nil {
			return err
		}
	}
}

// separator reads what follows an element: a comma, or the end.
func (s *scanner) separator(end byte) (done bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return false, nil
	case end:
		s.pos++
		return true, nil
	default:
		return false, errSyntax
	}
}

func (s *scanner) literal(word string) error {
	if !strings.HasPrefix(s.text[s.pos:], word) {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// number reads a number, and notes one that no double can hold.
func (s *scanner) number() error {
	start, large := s.pos, false
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case isDigit(c):
		s.digits()
	default:
		return errSyntax
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return errSyntax
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		large = true
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return errSyntax
		}
	}
	const surely = 300 // digits fit
	if text := s.text[start:s.pos]; large || len(text) > surely {
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			s.endless = true
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// str reads a string including both quotes.
func (s *scanner) str() error {
	s.pos++
	start, ascii := s.pos, true
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			if !ascii && !utf8.ValidString(s.text[start:s.pos]) {
				return errString
			}
			s.pos++
			return nil
		case c == '\\':
			if !s.escape() {
				return errString
			}
		case c < ' ':
			return errString
		default:
			ascii = ascii && c < utf8.RuneSelf
			s.pos++
		}
	}
	return errSyntax
}

// escape reads one escape sequence, or a pair of them that is a surrogate pair.
func (s *scanner) escape() bool {
	rest := s.text[s.pos:]
	if len(rest) < 2 {
		return false
	}
	if strings.IndexByte(`"\/bfnrt`, rest[1]) >= 0 {
		s.pos += 2
		return true
	}
	r, ok := hexEscape(rest)
	if !ok {
		return false
	}
	s.pos += 6
	if !utf16.IsSurrogate(r) {
		return true
	}
	low, ok := hexEscape(s.text[s.pos:])
	s.pos += 6
	return ok && utf16.DecodeRune(r, low) != utf8.RuneError
}

// hexEscape reads \uXXXX at the start of s.
func hexEscape(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		c := s[i]
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a string that str has accepted. Without escapes the result
// shares the memory of the text.
func unquote(quoted string) string {
	body := quoted[1 : len(quoted)-1]
	i := strings.IndexByte(body, '\\')
	if i < 0 {
		return body
	}
	var b strings.Builder
	b.Grow(len(body))
	for ; i >= 0; i = strings.IndexByte(body, '\\') {
		b.WriteString(body[:i])
		body = body[i:]
		if body[1] != 'u' {
			b.WriteByte(unescaped(body[1]))
			body = body[2:]
			continue
		}
		r, _ := hexEscape(body)
		body = body[6:]
		if utf16.IsSurrogate(r) {
			low, _ := hexEscape(body)
			r, body = utf16.DecodeRune(r, low), body[6:]
		}
		b.WriteRune(r)
	}
	b.WriteString(body)
	return b.String()
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // " \ /
		return c
	}
}
