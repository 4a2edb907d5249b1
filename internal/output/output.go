// Package output prints what a command found: for people as a table that fits their screen,
// for programs as JSON, YAML, tab-separated values or bare names, whole or what a JMESPath
// query chooses of it.
//
// It owns the formats of -o, the language of --query, and the screen. It refuses to own what a
// command has to say: messages go through the command that prints.
//
// Start at [Printer.Print].
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Format is a value of -o that is one of those a command offers, and the --query beside it.
type Format struct {
	Value   string
	Offered []string
	query   Query
}

// Lists are the formats of commands that print a list.
func Lists() []string { return []string{"table", "json", "yaml", "tsv", "name"} }

// String is the value.
func (f *Format) String() string { return f.Value }

// Type lists the values there are.
func (f *Format) Type() string { return strings.Join(f.Offered, "|") }

// Set takes a value that is offered.
func (f *Format) Set(s string) error {
	if !slices.Contains(f.Offered, s) {
		return fmt.Errorf("unknown format %q; there are %s", s, strings.Join(f.Offered, ", "))
	}
	f.Value = s
	return nil
}

// Ignores reports whether the value is a format of other commands: set for all in the
// environment, it does not concern this one.
func (f *Format) Ignores(value string) bool {
	return !slices.Contains(f.Offered, value) && slices.Contains(Lists(), value)
}

// Query is the value of --query, a flag of its own.
func (f *Format) Query() *Query { return &f.query }

// Queried reports whether there is a query.
func (f *Format) Queried() bool { return f.query.given() }

// ForPeople reports whether a command prints in its own words: as a table, and all of it.
func (f *Format) ForPeople() bool { return f.Value == "table" && !f.query.given() }

// Check refuses formats that a query does not go with.
func (f *Format) Check() error {
	if f.query.given() && f.Value == "name" {
		return fmt.Errorf("-o name prints names, and --query chooses something else; use -o tsv with the query")
	}
	return nil
}

// A Printer prints what a command found.
type Printer struct {
	Out    io.Writer
	Screen Screen
	Say    func(format string, args ...any) // for what is no data
}

// A Listing is what a command found, for people (Columns) and for programs (Value).
type Listing struct {
	Columns []string
	Rows    [][]string
	Name    int    // the column that -o name prints
	Value   any    // what json and yaml print
	Empty   string // what people read when there are no rows
	More    string // what people read below rows that are not all; empty: they are all

	// On a narrow screen these columns are left out, one after the other, and then these are cut.
	Spare, Cut []int
}

// Print prints a listing in a format.
func (p Printer) Print(f *Format, l Listing) error {
	if f.query.given() {
		return p.printChosen(f, l.Value)
	}
	switch f.Value {
	case "tsv":
		return writeTSV(p.Out, l.Rows)
	case "name":
		for _, row := range l.Rows {
			if _, err := fmt.Fprintln(p.Out, row[l.Name]); err != nil {
				return err
			}
		}
		return nil
	case "table":
		p.table(l)
		return nil
	}
	return p.PrintValue(f, l.Value)
}

// PrintValue prints what is no list: as YAML where that is the format, and as JSON otherwise.
func (p Printer) PrintValue(f *Format, value any) error {
	switch {
	case f.query.given():
		return p.printChosen(f, value)
	case f.Value == "yaml":
		return YAML(p.Out, value)
	}
	return JSON(p.Out, value)
}

// table prints a table, and says which columns the screen had no room for.
func (p Printer) table(l Listing) {
	if len(l.Rows) == 0 {
		if l.Empty != "" {
			p.Say("%s", l.Empty)
		}
		return
	}
	fitted := l.fitting(p.Screen.Width)
	p.Screen.table(p.Out, fitted.columns, fitted.rows)
	if note := fitted.note(p.Screen.Width); note != "" {
		p.Say("%s", note)
	}
	if l.More != "" {
		p.Say("%s", l.More)
	}
}

// A fitted listing is what of it a screen shows.
type fitted struct {
	columns []string
	rows    [][]string
	left    []string // columns that are left out
	cut     []string // columns whose values are cut
}

// note says what is missing.
func (f fitted) note(width int) string {
	var missing []string
	if len(f.left) > 0 {
		missing = append(missing, "left out: "+strings.Join(f.left, ", "))
	}
	if len(f.cut) > 0 {
		missing = append(missing, "cut short: "+strings.Join(f.cut, ", "))
	}
	if missing == nil {
		return ""
	}
	return fmt.Sprintf("to fit %d columns, %s; -o json has everything", width, strings.Join(missing, "; "))
}

// fitting is what of the listing a screen of that width shows.
func (l Listing) fitting(width int) fitted {
	f := fitted{columns: l.Columns, rows: cloned(l.Rows)}
	over := func() int {
		total := -2
		for _, w := range widths(filled(f.columns, f.rows)) {
			total += w + 2
		}
		return total - width
	}
	for _, column := range l.Spare {
		if over() <= 0 {
			break
		}
		shown := false
		for _, row := range f.rows {
			shown = shown || row[column] != ""
			row[column] = ""
		}
		if shown {
			f.left = append(f.left, l.Columns[column])
		}
	}
	whole := cloned(f.rows)
	for _, column := range l.Cut {
		if excess := over(); excess > 0 {
			f.shorten(column, excess)
		}
	}
	if over() > 0 { // it becomes no table, and has room for everything
		f.rows, f.cut = whole, nil
	}
	return f
}

func cloned(rows [][]string) [][]string {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i] = slices.Clone(rows[i])
	}
	return rows
}

// shorten cuts the values of a column by the excess, as far as enough of them is left.
func (f *fitted) shorten(column, excess int) {
	kept := max(widths(f.columns, f.rows)[column]-excess, shortest)
	cut := false
	for _, row := range f.rows {
		if value := []rune(row[column]); len(value) > kept {
			row[column] = string(value[:kept-1]) + "…"
			cut = true
		}
	}
	if cut {
		f.cut = append(f.cut, f.columns[column])
	}
}

// shortest is to what length a value is cut at most.
const shortest = 12

// JSON writes a value as indented JSON.
func JSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// YAML writes a value by way of JSON, so that both have the same members in the same order.
func YAML(w io.Writer, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(b, &node); err != nil {
		return err
	}
	blockStyle(&node)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return err
	}
	return e.Close()
}

func blockStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle | yaml.DoubleQuotedStyle
	for _, child := range n.Content {
		blockStyle(child)
	}
}

// writeTSV writes the rows without a header; tabs and line ends inside a value become blanks.
func writeTSV(w io.Writer, rows [][]string) error {
	var b bytes.Buffer
	clean := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	for _, row := range rows {
		for i, value := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(clean.Replace(value))
		}
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}
