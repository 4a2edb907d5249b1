package odata

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// Limits of filters.
const (
	MaxFilter = 8 << 10 // bytes
	maxDepth  = 12      // parentheses, lambdas and "not" within each other
	maxNodes  = 600     // comparisons, operators and literals
)

// An Expr is a filter, or a part of one: And, Or, *Not, *Compare, *In, *Call or *Lambda.
type Expr interface {
	// String writes it as a filter that [ParseFilter] reads again.
	String() string
	expr()
}

// An And holds if all of its parts do. It has at least two.
type And []Expr

// An Or holds if one of its parts does. It has at least two.
type Or []Expr

// A Not holds if its operand does not.
type Not struct{ Operand Expr }

// A Compare compares a member with a value.
type Compare struct {
	Member *Member
	Op     string // "eq", "ne", "gt", "ge", "lt" or "le"
	Value  Literal
}

// An In holds if a member is one of the values.
type In struct {
	Member *Member
	Values []Literal
}

// A Call holds if a function of a text member says so.
type Call struct {
	Function string // "startswith", "endswith" or "contains"
	Member   *Member
	Value    Literal
}

// A Lambda holds if the condition does for one element of a collection, or for all of them.
type Lambda struct {
	Member    *Member
	All       bool   // rather than any
	Variable  string // what the condition calls the element
	Condition Expr   // nil: any element at all
}

// A Member is the way to a member: a/b is the member b of the object a.
type Member struct {
	Pos int // where it stands in the filter, counted from 1
	// Variable is the element of the lambda around it that the way begins at. Empty: the
	// thing itself. With a variable and without names it is the element itself.
	Variable string
	Names    []string
	Count    bool // the number of elements of the collection: tags/$count
}

// A Kind says what a literal is.
type Kind int

// The kinds of literals.
const (
	Null Kind = iota
	Bool
	Number
	String
	GUID
	Date
)

// A Literal is a value in a filter.
type Literal struct {
	Kind Kind
	Text string // of a String without quotes and escapes; of others as canonical as they get
}

func (And) expr()      {}
func (Or) expr()       {}
func (*Not) expr()     {}
func (*Compare) expr() {}
func (*In) expr()      {}
func (*Call) expr()    {}
func (*Lambda) expr()  {}

// and joins conditions; one alone stays as it is, and those of an inner And are taken out.
func and(parts []Expr) Expr {
	if len(parts) == 1 {
		return parts[0]
	}
	var all And
	for _, part := range parts {
		if inner, is := part.(And); is {
			all = append(all, inner...)
		} else {
			all = append(all, part)
		}
	}
	return all
}

func or(parts []Expr) Expr {
	if len(parts) == 1 {
		return parts[0]
	}
	var all Or
	for _, part := range parts {
		if inner, is := part.(Or); is {
			all = append(all, inner...)
		} else {
			all = append(all, part)
		}
	}
	return all
}

// ParseFilter reads a filter. Names of operators and functions have no case.
func ParseFilter(filter string) (Expr, error) {
	if len(filter) > MaxFilter {
		return nil, &Error{Part: "$filter", Message: fmt.Sprintf("it is longer than %d bytes.", MaxFilter)}
	}
	p := &parser{text: filter}
	if err := p.next(); err != nil {
		return nil, err
	}
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokenEnd {
		return nil, p.unexpected("and, or, or the end")
	}
	return e, nil
}

// A parser reads a filter from left to right. Its methods return at the first error.
type parser struct {
	text      string
	at        int   // behind the token
	token     token // the one to be read
	depth     int
	nodes     int
	variables []string // of the lambdas around
}

func (p *parser) fail(pos int, format string, args ...any) error {
	return &Error{Part: "$filter", Pos: pos, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) unexpected(want string) error {
	if p.token.kind == tokenEnd {
		return p.fail(p.token.pos, "it ends where %s is expected.", want)
	}
	return p.fail(p.token.pos, "%s stands where %s is expected.", quote(p.token.text), want)
}

// count limits the number of parts.
func (p *parser) count() error {
	if p.nodes++; p.nodes > maxNodes {
		return &Error{Part: "$filter", Pos: p.token.pos, Message: fmt.Sprintf("it has more than %d parts.", maxNodes), Unsupported: true}
	}
	return nil
}

// enter limits the depth; what it returns is to be called on the way out.
func (p *parser) enter() (leave func(), err error) {
	if p.depth++; p.depth > maxDepth {
		return nil, &Error{Part: "$filter", Pos: p.token.pos, Message: fmt.Sprintf("it is nested more than %d deep.", maxDepth), Unsupported: true}
	}
	return func() { p.depth-- }, nil
}

// word reports whether the token is a word of the language.
func (p *parser) word(word string) bool {
	return p.token.kind == tokenName && strings.EqualFold(p.token.text, word)
}

func (p *parser) symbol(symbol string) bool {
	return p.token.kind == tokenSymbol && p.token.text == symbol
}

// take requires a symbol and goes on.
func (p *parser) take(symbol string) error {
	if !p.symbol(symbol) {
		return p.unexpected("'" + symbol + "'")
	}
	return p.next()
}

func (p *parser) disjunction() (Expr, error) { return p.joined("or", p.conjunction, or) }

func (p *parser) conjunction() (Expr, error) { return p.joined("and", p.condition, and) }

func (p *parser) joined(word string, operand func() (Expr, error), join func([]Expr) Expr) (Expr, error) {
	var parts []Expr
	for {
		part, err := operand()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !p.word(word) {
			return join(parts), nil
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
}

// condition reads what stands between "and" and "or".
func (p *parser) condition() (Expr, error) {
	leave, err := p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := p.count(); err != nil {
		return nil, err
	}
	switch {
	case p.symbol("("):
		return p.group()
	case p.word("not") && p.followed():
		if err := p.next(); err != nil {
			return nil, err
		}
		operand, err := p.condition()
		if err != nil {
			return nil, err
		}
		return &Not{operand}, nil
	case p.token.kind != tokenName:
		return nil, p.unexpected("a member, a function or 'not'")
	case strings.HasPrefix(p.text[p.at:], "("):
		return p.call()
	}
	return p.comparison()
}

// followed reports whether a token is followed by a space or a parenthesis, as "not" is.
func (p *parser) followed() bool {
	return p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '(')
}

func (p *parser) group() (Expr, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	return e, p.take(")")
}

// call reads startswith(member,'text'), also where it is compared with true or false.
func (p *parser) call() (Expr, error) {
	c := &Call{Function: strings.ToLower(p.token.text)}
	switch c.Function {
	case "startswith", "endswith", "contains":
	case "tolower", "toupper":
		return nil, &Error{Part: "$filter", Pos: p.token.pos, Message: "texts are compared without regard to case. Leave " + c.Function + " out.", Unsupported: true}
	default:
		return nil, &Error{Part: "$filter", Pos: p.token.pos, Message: "the function " + quote(p.token.text) + " is not supported. There are startswith, endswith and contains.", Unsupported: true}
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.take("("); err != nil {
		return nil, err
	}
	var err error
	if c.Member, err = p.member(); err != nil {
		return nil, err
	}
	if c.Member.Count {
		return nil, p.fail(c.Member.Pos, "%s is for texts.", c.Function)
	}
	if err := p.take(","); err != nil {
		return nil, err
	}
	pos := p.token.pos
	if c.Value, err = p.literal(); err != nil {
		return nil, err
	}
	if c.Value.Kind != String {
		return nil, p.fail(pos, "the second argument of %s is a text between single quotes.", c.Function)
	}
	if err := p.take(")"); err != nil {
		return nil, err
	}
	return p.truth(c)
}

// truth reads the "eq true" that some clients write behind a function.
func (p *parser) truth(e Expr) (Expr, error) {
	if !p.word("eq") && !p.word("ne") {
		return e, nil
	}
	equal := p.word("eq")
	if err := p.next(); err != nil {
		return nil, err
	}
	pos := p.token.pos
	value, err := p.literal()
	switch {
	case err != nil:
		return nil, err
	case value.Kind != Bool:
		return nil, p.fail(pos, "a function is compared with true or false.")
	case (value.Text == "true") == equal:
		return e, nil
	}
	return &Not{e}, nil
}

// member reads the way to a member. The lambda of a collection is not part of it.
func (p *parser) member() (*Member, error) {
	m := &Member{Pos: p.token.pos}
	for first := true; ; first = false {
		switch {
		case p.token.kind == tokenName && first && p.variable(p.token.text):
			m.Variable = p.token.text
		case p.token.kind == tokenName:
			m.Names = append(m.Names, p.token.text)
		case p.token.kind == tokenCount && !first:
			m.Count = true
			return m, p.next()
		default:
			return nil, p.unexpected("the name of a member")
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		if !p.symbol("/") || p.lambdaFollows() {
			return m, nil
		}
		if strings.HasPrefix(p.text[p.at:], " ") {
			return nil, p.fail(p.at+1, "a space stands where the name of a member is expected.")
		}
		if len(m.Names) == maxDepth {
			return nil, p.fail(m.Pos, "the way to the member is too long.")
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
}

func (p *parser) variable(name string) bool {
	for _, v := range p.variables {
		if v == name {
			return true
		}
	}
	return false
}

// lambdaFollows reports whether any(…) or all(…) stands behind the slash.
func (p *parser) lambdaFollows() bool {
	rest := p.text[p.at:]
	return len(rest) >= 4 && (strings.EqualFold(rest[:4], "any(") || strings.EqualFold(rest[:4], "all("))
}

// comparison reads a member and what it is compared with.
func (p *parser) comparison() (Expr, error) {
	m, err := p.member()
	if err != nil {
		return nil, err
	}
	if p.symbol("/") {
		return p.lambda(m)
	}
	op := strings.ToLower(p.token.text)
	if p.token.kind != tokenName {
		return nil, p.unexpected("an operator, such as eq,")
	}
	switch op {
	case "in":
		return p.in(m)
	case "eq", "ne", "gt", "ge", "lt", "le":
	case "and", "or":
		return nil, p.fail(p.token.pos, "a member alone is no condition. Write it as %s eq true.", m)
	default:
		return nil, &Error{Part: "$filter", Pos: p.token.pos, Message: "the operator " + quote(p.token.text) + " is not supported. There are eq, ne, gt, ge, lt, le and in.", Unsupported: true}
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	pos := p.token.pos
	value, err := p.literal()
	if err != nil {
		return nil, err
	}
	ordered := op != "eq" && op != "ne"
	switch {
	case m.Count && value.Kind != Number:
		return nil, p.fail(pos, "a number of elements is compared with a number.")
	case ordered && (value.Kind == Null || value.Kind == Bool):
		return nil, p.fail(pos, "%s has no order. Use eq or ne.", value)
	}
	return &Compare{m, op, value}, nil
}

// in reads a list of values.
func (p *parser) in(m *Member) (Expr, error) {
	in := &In{Member: m}
	if m.Count {
		return nil, p.fail(m.Pos, "a number of elements is compared by eq, ne, gt, ge, lt and le.")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.take("("); err != nil {
		return nil, err
	}
	for {
		value, err := p.literal()
		if err != nil {
			return nil, err
		}
		in.Values = append(in.Values, value)
		if p.symbol(")") {
			return in, p.next()
		}
		if err := p.take(","); err != nil {
			return nil, err
		}
	}
}

// lambda reads any(v:condition) behind a collection.
func (p *parser) lambda(m *Member) (Expr, error) {
	if m.Variable != "" && len(m.Names) == 0 {
		return nil, p.fail(m.Pos, "%s is an element, not a collection.", m.Variable)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	l := &Lambda{Member: m, All: p.word("all")}
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.take("("); err != nil {
		return nil, err
	}
	if p.symbol(")") && !l.All {
		return l, p.next()
	}
	if p.token.kind != tokenName || p.variable(p.token.text) {
		return nil, p.unexpected("a variable of its own")
	}
	l.Variable = p.token.text
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.take(":"); err != nil {
		return nil, err
	}
	p.variables = append(p.variables, l.Variable)
	var err error
	if l.Condition, err = p.disjunction(); err != nil {
		return nil, err
	}
	p.variables = p.variables[:len(p.variables)-1]
	return l, p.take(")")
}

// literal reads a value.
func (p *parser) literal() (Literal, error) {
	if err := p.count(); err != nil {
		return Literal{}, err
	}
	if p.token.kind == tokenString {
		value := Literal{String, p.token.text}
		return value, p.next()
	}
	if p.token.kind == tokenName || p.token.kind == tokenValue {
		if value, ok := bareLiteral(p.token.text); ok {
			return value, p.next()
		}
		if p.at < len(p.text) && p.text[p.at] == '\'' {
			return Literal{}, p.fail(p.token.pos, "values have no prefix. Leave %s out.", quote(p.token.text))
		}
		return Literal{}, p.fail(p.token.pos, "%s is no value. Write a text between single quotes.", quote(p.token.text))
	}
	return Literal{}, p.unexpected("a value")
}

// bareLiteral reads a value that is not quoted.
func bareLiteral(s string) (Literal, bool) {
	switch strings.ToLower(s) {
	case "null":
		return Literal{Null, "null"}, true
	case "true", "false":
		return Literal{Bool, strings.ToLower(s)}, true
	}
	if id, is := guid.Parse(s); is {
		return Literal{GUID, id}, true
	}
	if t, is := parseDate(s); is {
		return Literal{Date, t.Format(dateLayout)}, true
	}
	if isNumber(s) {
		return Literal{Number, s}, true
	}
	return Literal{}, false
}

func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || len(s) > 40 || strings.ContainsAny(s, "xXpP_") {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

const dateLayout = "2006-01-02T15:04:05.999999999Z07:00"

// parseDate reads a time with its zone, or a day, which begins at midnight UTC. The
// seconds may have up to nine digits behind the point; and may be left out.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 40 || len(s) < len("2006-01-02") || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, strings.ToUpper(s)); err == nil {
			t = t.UTC()
			return t, t.Year() >= 0 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}
