// Package expression reads the claims-matching expressions of flexible federated credentials,
// such as
//
//	claims['sub'] matches 'repo:contoso/orders:*' and claims['job_workflow_ref'] eq 'x'
//
// It owns their grammar and what they match. It refuses to own which credential has one, and whose
// tokens it is asked about. Start at [Parse].
package expression

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// Bounds of an expression.
const (
	MaxLength = 600 // bytes
	MaxTerms  = 10
	maxClaim  = 64
)

// An Expression is a conjunction of terms.
type Expression struct{ terms []term }

// A term compares one claim with a text, or with a pattern.
type term struct {
	claim    string
	operator string
	want     string
}

// The operators.
const (
	equal   = "eq"
	matches = "matches"
)

// An Error says where an expression cannot be read, and what is allowed there.
type Error struct {
	Column int // from 1, in characters
	Want   string
}

func (e *Error) Error() string { return fmt.Sprintf("at column %d: %s", e.Column, e.Want) }

// Parse reads an expression (version 1 of the language): terms joined by " and ", each of the
// form claims['NAME'] eq 'TEXT' or claims['NAME'] matches 'PATTERN', with one space on either
// side of the operator. The error is an *Error.
func Parse(source string) (Expression, error) {
	if len(source) > MaxLength {
		return Expression{}, &Error{1, fmt.Sprintf("it is longer than %d bytes", MaxLength)}
	}
	if !utf8.ValidString(source) {
		return Expression{}, &Error{1, "it is not UTF-8"}
	}
	p := &parser{text: source}
	if at := strings.IndexFunc(source, text.Invisible); at >= 0 {
		p.at = at
		return Expression{}, p.fail("only visible characters are allowed, and this is a control or format character")
	}
	var e Expression
	for {
		t, err := p.term()
		if err != nil {
			return Expression{}, err
		}
		e.terms = append(e.terms, t)
		if p.at == len(source) {
			return e, nil
		}
		if len(e.terms) == MaxTerms {
			return Expression{}, p.fail(fmt.Sprintf("it has more than %d terms", MaxTerms))
		}
		if err := p.take(" and ", `the expression ends after a term, or continues with " and " and another term`); err != nil {
			return Expression{}, err
		}
	}
}

// Claims returns the names of the claims that are compared.
func (e Expression) Claims() []string {
	names := make([]string, len(e.terms))
	for i, t := range e.terms {
		names[i] = t.claim
	}
	return names
}

// Match reports whether every term holds. The lookup returns the text of a claim, and false for
// a claim that is missing or is not a text. Case counts. The zero Expression matches nothing.
func (e Expression) Match(claim func(name string) (string, bool)) bool {
	for _, t := range e.terms {
		value, ok := claim(t.claim)
		if !ok || !t.holds(value) {
			return false
		}
	}
	return len(e.terms) > 0
}

func (t term) holds(value string) bool {
	if t.operator == equal {
		return value == t.want
	}
	return like([]rune(t.want), []rune(value))
}

// like reports whether all of a text is like a pattern, in which ? stands for any one character
// and * for any number of them. Its work is at most the product of both lengths.
func like(pattern, text []rune) bool {
	p, t, star, retry := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0: // let the last asterisk take one character more
			retry++
			p, t = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(string(pattern[p:]), "*") == ""
}

// A parser stands somewhere in an expression.
type parser struct {
	text string
	at   int // in bytes
}

func (p *parser) fail(want string) error {
	return &Error{utf8.RuneCountInString(p.text[:p.at]) + 1, want}
}

// take steps over a text, or fails with what was wanted.
func (p *parser) take(text, want string) error {
	if !strings.HasPrefix(p.text[p.at:], text) {
		return p.fail(want)
	}
	p.at += len(text)
	return nil
}

func (p *parser) term() (t term, err error) {
	if err := p.take("claims['", "a term begins with claims['NAME']"); err != nil {
		return t, err
	}
	name := p.text[p.at:]
	if end := strings.IndexFunc(name, func(r rune) bool { return !isClaimRune(r) }); end >= 0 {
		name = name[:end]
	}
	if name == "" || len(name) > maxClaim {
		return t, p.fail(fmt.Sprintf("the name of a claim has 1 to %d letters, digits and characters of _ - . : /", maxClaim))
	}
	t.claim = name
	p.at += len(name)
	if err := p.take("'] ", "'] and one space come after the name of a claim"); err != nil {
		return t, err
	}
	for _, operator := range []string{equal, matches} {
		if strings.HasPrefix(p.text[p.at:], operator+" '") {
			t.operator = operator
			p.at += len(operator) + len(" '")
		}
	}
	if t.operator == "" {
		return t, p.fail("an operator comes here, then one space and a text in single quotes: eq 'TEXT' or matches 'PATTERN'")
	}
	end := strings.IndexByte(p.text[p.at:], '\'')
	switch {
	case end < 0:
		return t, p.fail("the single quote that ends this text is missing")
	case end == 0:
		return t, p.fail("the text is empty")
	}
	t.want = p.text[p.at : p.at+end]
	p.at += end + 1
	return t, nil
}

func isClaimRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.:/", r)
}
