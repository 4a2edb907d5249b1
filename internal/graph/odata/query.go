package odata

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of queries.
const (
	MaxQuery   = 16 << 10 // bytes, as sent
	MaxTop     = 999
	maxOptions = 32
	maxNames   = 100 // in one $select
	maxExpand  = 8
	maxOrder   = 4
	maxTerms   = 8 // of $search
)

// A Query is the options that follow the question mark.
type Query struct {
	Filter     Expr     // nil: none
	Select     []string // names of members; none: the usual ones
	Expand     []Expand
	OrderBy    []Order
	Search     Expr // nil: none; compares members with contains
	Top        int  // 0: not given
	Count      bool
	SkipToken  string
	DeltaToken string
	Others     url.Values // options that are not OData's, by name as sent
}

// An Expand is a relation whose things are to be given with the thing itself.
type Expand struct {
	Name   string
	Select []string
}

// An Order is a member by which a list is to be sorted.
type Order struct {
	Path       *Member
	Descending bool
}

// ParseQuery reads a query as it was sent ([url.URL.RawQuery]), as HTML forms are encoded.
func ParseQuery(raw string) (*Query, error) {
	q := &Query{Others: url.Values{}}
	if len(raw) > MaxQuery {
		return nil, &Error{Part: "query", Message: fmt.Sprintf("it is longer than %d bytes.", MaxQuery)}
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, err := decodeOption(pair)
		if err != nil {
			return nil, err
		}
		option := strings.ToLower(name)
		if !strings.HasPrefix(option, "$") {
			if isOption("$" + option) {
				return nil, &Error{Part: "query", Message: "options begin with a dollar sign. Write $" + option + " in place of " + option + "."}
			}
			q.Others.Add(name, value)
			continue
		}
		if seen[option] {
			return nil, &Error{Part: option, Message: "it is given twice."}
		}
		if seen[option] = true; len(seen) > maxOptions {
			return nil, &Error{Part: "query", Message: "it has too many options."}
		}
		if err := q.set(option, value); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func decodeOption(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	name, nameErr := url.QueryUnescape(name)
	value, valueErr := url.QueryUnescape(value)
	switch {
	case nameErr != nil || valueErr != nil:
		return "", "", &Error{Part: "query", Message: "a percent sign is not followed by two hexadecimal digits. Write the sign itself as %25."}
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return "", "", &Error{Part: "query", Message: "it is not valid UTF-8."}
	}
	return name, value, nil
}

func isOption(name string) bool {
	switch name {
	case "$filter", "$select", "$expand", "$orderby", "$search", "$top", "$skip", "$count", "$skiptoken", "$deltatoken", "$format":
		return true
	}
	return false
}

// set reads the value of one option.
func (q *Query) set(option, value string) (err error) {
	switch option {
	case "$filter":
		q.Filter, err = ParseFilter(value)
	case "$select":
		q.Select, err = parseSelect(option, value)
	case "$expand":
		q.Expand, err = parseExpand(value)
	case "$orderby":
		q.OrderBy, err = parseOrder(value)
	case "$search":
		q.Search, err = parseSearch(value)
	case "$top":
		q.Top, err = parseTop(value)
	case "$count":
		q.Count, err = parseCount(value)
	case "$skiptoken":
		q.SkipToken, err = parseToken(option, value)
	case "$deltatoken":
		q.DeltaToken, err = parseToken(option, value)
	case "$format":
		if kind := strings.ToLower(strings.TrimSpace(value)); kind != "json" && !strings.HasPrefix(kind, "application/json") {
			err = &Error{Part: option, Message: "answers are JSON.", Unsupported: true}
		}
	case "$skip":
		err = &Error{Part: option, Message: "it is not supported for directory objects. Follow @odata.nextLink.", Unsupported: true}
	default:
		err = &Error{Part: "query", Message: "the option " + quote(option) + " is not supported.", Unsupported: true}
	}
	return err
}

func parseToken(option, value string) (string, error) {
	if value == "" {
		return "", &Error{Part: option, Message: "it is empty. Follow the link that the service gave."}
	}
	return value, nil
}

func parseTop(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxTop || value[0] == '+' {
		return 0, &Error{Part: "$top", Message: fmt.Sprintf("it must be a number from 1 to %d.", MaxTop)}
	}
	return n, nil
}

func parseCount(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &Error{Part: "$count", Message: "it must be true or false."}
}

// parseSelect reads names that are separated by commas. An asterisk stands for the usual
// members, as no names do.
func parseSelect(option, value string) ([]string, error) {
	var names []string
	all := false
	for part := range strings.SplitSeq(value, ",") {
		name := strings.TrimSpace(part)
		switch {
		case name == "*":
			all = true
			continue
		case !isIdentifier(name):
			return nil, &Error{Part: option, Message: quote(part) + " is no name of a member."}
		case len(names) == maxNames:
			return nil, &Error{Part: option, Message: fmt.Sprintf("there are more than %d names.", maxNames)}
		}
		names = append(names, name)
	}
	if all {
		return nil, nil
	}
	return names, nil
}

// parseExpand reads relations, each perhaps with options of its own in parentheses, of which
// there is $select alone.
func parseExpand(value string) ([]Expand, error) {
	var all []Expand
	rest := value
	for {
		end := strings.IndexAny(rest, ",(")
		e := Expand{}
		if end < 0 {
			e.Name, rest = strings.TrimSpace(rest), ""
		} else {
			e.Name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		if !isIdentifier(e.Name) {
			return nil, &Error{Part: "$expand", Pos: len(value) - len(rest) + 1, Message: quote(e.Name) + " is no name of a relation."}
		}
		if strings.HasPrefix(rest, "(") {
			inside, after, closed := strings.Cut(rest[1:], ")")
			if !closed || strings.Contains(inside, "(") {
				return nil, &Error{Part: "$expand", Pos: len(value) - len(rest) + 1, Message: "only one level can be expanded, with $select in the parentheses.", Unsupported: closed}
			}
			var err error
			if e.Select, err = parseNested(inside); err != nil {
				return nil, err
			}
			rest = strings.TrimLeft(after, " ")
		}
		if all = append(all, e); len(all) > maxExpand {
			return nil, &Error{Part: "$expand", Message: fmt.Sprintf("more than %d relations cannot be expanded at once.", maxExpand)}
		}
		if rest == "" {
			return all, nil
		}
		if rest[0] != ',' {
			return nil, &Error{Part: "$expand", Pos: len(value) - len(rest) + 1, Message: "relations are separated by commas."}
		}
		rest = rest[1:]
	}
}

func parseNested(inside string) ([]string, error) {
	name, value, _ := strings.Cut(inside, "=")
	if option := strings.ToLower(strings.TrimSpace(name)); option != "$select" || strings.Contains(value, ";") {
		return nil, &Error{Part: "$expand", Message: "the parentheses of a relation may hold $select alone.", Unsupported: true}
	}
	return parseSelect("$expand", value)
}

func parseOrder(value string) ([]Order, error) {
	var all []Order
	for part := range strings.SplitSeq(value, ",") {
		words := strings.Fields(part)
		o := Order{}
		if len(words) == 2 {
			switch strings.ToLower(words[1]) {
			case "asc":
			case "desc":
				o.Descending = true
			default:
				return nil, &Error{Part: "$orderby", Message: quote(words[1]) + " must be asc or desc."}
			}
		} else if len(words) != 1 {
			return nil, &Error{Part: "$orderby", Message: "write members separated by commas, each perhaps with asc or desc."}
		}
		o.Path = &Member{}
		for name := range strings.SplitSeq(words[0], "/") {
			if !isIdentifier(name) {
				return nil, &Error{Part: "$orderby", Message: quote(words[0]) + " is no name of a member."}
			}
			o.Path.Names = append(o.Path.Names, name)
		}
		if all = append(all, o); len(all) > maxOrder {
			return nil, &Error{Part: "$orderby", Message: fmt.Sprintf("there are more than %d members.", maxOrder)}
		}
	}
	return all, nil
}

// parseSearch reads "member:words", several of them joined by AND and OR. A term is found
// anywhere in the member.
func parseSearch(value string) (Expr, error) {
	fail := func(rest, message string) error {
		return &Error{Part: "$search", Pos: len(value) - len(rest) + 1, Message: message}
	}
	var either Or
	var all And
	terms := 0
	for rest := strings.TrimLeft(value, " "); ; {
		if !strings.HasPrefix(rest, `"`) {
			return nil, fail(rest, `a term is written "member:words", between double quotes.`)
		}
		term, n := unquoteTerm(rest)
		name, words, colon := strings.Cut(term, ":")
		if n == 0 || !colon || !isIdentifier(name) || strings.TrimSpace(words) == "" {
			return nil, fail(rest, `a term is written "member:words", between double quotes.`)
		}
		if terms++; terms > maxTerms {
			return nil, fail(rest, fmt.Sprintf("there are more than %d terms.", maxTerms))
		}
		all = append(all, &Call{Function: "contains", Member: &Member{Names: []string{name}}, Value: Literal{Kind: String, Text: strings.TrimSpace(words)}})
		rest = strings.TrimLeft(rest[n:], " ")
		if rest == "" {
			break
		}
		joint, after, _ := strings.Cut(rest, " ")
		switch joint {
		case "AND":
		case "OR":
			either, all = append(either, and(all)), nil
		default:
			return nil, fail(rest, "terms are joined by AND or OR.")
		}
		rest = strings.TrimLeft(after, " ")
	}
	return or(append(either, and(all))), nil
}

// unquoteTerm reads a text between double quotes, in which a backslash keeps what follows it.
func unquoteTerm(s string) (term string, n int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", 0
}
