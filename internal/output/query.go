package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/jmespath-community/go-jmespath/pkg/api"
	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// A Query is an expression of JMESPath that chooses from what JSON would have. The zero value
// chooses everything.
type Query struct {
	text     string
	compiled api.JMESPath
}

// String is the expression.
func (q *Query) String() string { return q.text }

// Type is what help calls it.
func (q *Query) Type() string { return "JMESPATH" }

// Set takes an expression without formal faults.
func (q *Query) Set(text string) error {
	if text == "" {
		return errors.New("the expression is empty")
	}
	if len(text) > longest {
		return fmt.Errorf("the expression has %d bytes, more than %d", len(text), longest)
	}
	var called []string
	var compiled api.JMESPath
	err := guarded(func() (err error) {
		parsed, err := parsing.NewParser().Parse(text)
		if err == nil {
			called = functionsIn(parsed)
			compiled, err = api.Compile(text)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("no expression of JMESPath: %w; one looks like [].name", err)
	}
	known := functions.GetDefaultFunctions()
	for _, name := range called {
		if !slices.ContainsFunc(known, func(f functions.FunctionEntry) bool { return f.Name == name }) {
			return fmt.Errorf("JMESPath has no function %q", name)
		}
	}
	q.text, q.compiled = text, compiled
	return nil
}

// functionsIn lists the functions that an expression calls. The library looks for them when it
// comes to them, which is after a command has made its change.
func functionsIn(of parsing.ASTNode) (names []string) {
	if name, ok := of.Value.(string); ok && of.NodeType == parsing.ASTFunctionExpression {
		names = append(names, name)
	}
	for _, child := range of.Children {
		names = append(names, functionsIn(child)...)
	}
	return names
}

// longest is how long an expression may be, in bytes: the library descends into it.
const longest = 10_000

// guarded makes an error of a panic: the library has some for expressions that it should refuse.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it means nothing here")
		}
	}()
	return f()
}

func (q *Query) given() bool { return q.compiled != nil }

// choose returns what the query finds in a value, in the types of JSON.
func (q *Query) choose(value any) (any, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return nil, err
	}
	var found any
	err = guarded(func() (err error) {
		found, err = q.compiled.Search(plain)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("--query %q: %w", q.text, err)
	}
	return found, nil
}

// printChosen prints what the query finds, in any format.
func (p Printer) printChosen(f *Format, value any) error {
	found, err := f.query.choose(value)
	if err != nil {
		return err
	}
	switch f.Value {
	case "table":
		p.table(tableOf(found))
		return nil
	case "tsv":
		return writeTSV(p.Out, tableOf(found).Rows)
	case "yaml":
		return YAML(p.Out, found)
	}
	return JSON(p.Out, found)
}

// tableOf sets out a value: a row for each element of a list, and of an object a column for
// each member, in the order of their names.
func tableOf(found any) Listing {
	l := Listing{Empty: "nothing matches the query"}
	rows, isList := found.([]any)
	if !isList {
		if found == nil {
			return l
		}
		rows = []any{found}
	}
	if members := membersOf(rows); members != nil {
		l.Columns = members
		for _, row := range rows {
			object, _ := row.(map[string]any)
			var cells []string
			for _, member := range members {
				cells = append(cells, cell(object[member]))
			}
			l.Rows = append(l.Rows, cells)
		}
		return l
	}
	width := 0
	for _, row := range rows {
		if list, is := row.([]any); is {
			width = max(width, len(list))
		}
	}
	for i := range width {
		l.Columns = append(l.Columns, "column"+strconv.Itoa(i+1))
	}
	if width == 0 {
		width, l.Columns = 1, []string{"result"}
	}
	for _, row := range rows {
		cells := make([]string, width)
		if list, is := row.([]any); is {
			for i, value := range list {
				cells[i] = cell(value)
			}
		} else {
			cells[0] = cell(row)
		}
		l.Rows = append(l.Rows, cells)
	}
	return l
}

// membersOf returns the names of all members of a list of objects, sorted; nil where something
// else is among them.
func membersOf(rows []any) []string {
	names := make(map[string]bool)
	for _, row := range rows {
		object, is := row.(map[string]any)
		if !is {
			return nil
		}
		for name := range object {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// cell is a value within a row.
func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil { // which of JSON's types none does
		return fmt.Sprint(value)
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
