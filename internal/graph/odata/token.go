package odata

import "unicode/utf8"

type tokenKind int

const (
	tokenEnd    tokenKind = iota
	tokenName             // eq, displayName
	tokenValue            // what is no name and not quoted: a number, a date, a GUID
	tokenString           // quoted
	tokenSymbol           // ( ) , : /
	tokenCount            // $count
)

// A token is a word of a filter.
type token struct {
	kind tokenKind
	text string // of a string without quotes and escapes
	pos  int    // counted from 1
}

// next reads the next token.
func (p *parser) next() error {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	rest := p.text[p.at:]
	p.token = token{pos: p.at + 1}
	if rest == "" {
		return nil
	}
	n := 1
	switch rest[0] {
	case '(', ')', ',', ':', '/':
		p.token.kind, p.token.text = tokenSymbol, rest[:1]
	case '\'':
		p.token.kind = tokenString
		if p.token.text, n = unquoteAt(rest); n == 0 {
			return p.fail(p.token.pos, "a text has no end. A quote within it is written twice.")
		}
	case '$':
		n = len("$count")
		if len(rest) < n || rest[:n] != "$count" {
			return p.fail(p.token.pos, "%s is not understood.", quote(rest))
		}
		p.token.kind, p.token.text = tokenCount, rest[:n]
	default:
		if n = bareLength(rest); n == 0 {
			r, _ := utf8.DecodeRuneInString(rest)
			return p.fail(p.token.pos, "the character %q does not belong here. Write a text between single quotes.", r)
		}
		p.token.kind, p.token.text = tokenValue, rest[:n]
		if isIdentifier(p.token.text) {
			p.token.kind = tokenName
		}
	}
	p.at += n
	return nil
}

// bareLength is how many bytes of s are a word without quotes. A colon belongs to a word that
// begins with a digit, which is a time; elsewhere it parts a variable from a condition.
func bareLength(s string) int {
	number := '0' <= s[0] && s[0] <= '9' || s[0] == '-'
	for i := range len(s) {
		switch c := s[i]; {
		case isNameByte(c, false), c == '-', c == '.', c == '+':
		case c == ':' && number:
		default:
			return i
		}
	}
	return len(s)
}
