package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// A format is a value of -o that is one of those a command offers.
type format struct {
	value   string
	offered []string
}

func (f *format) String() string { return f.value }
func (f *format) Type() string   { return strings.Join(f.offered, "|") }

func (f *format) Set(s string) error {
	if !slices.Contains(f.offered, s) {
		return fmt.Errorf("unknown format %q; there are %s", s, strings.Join(f.offered, ", "))
	}
	f.value = s
	return nil
}

// ignores reports whether the value is a format of other commands: set for all in the
// environment, it does not concern this one.
func (f *format) ignores(value string) bool {
	return !slices.Contains(f.offered, value) && slices.Contains(listFormats, value)
}

// listFormats are those of commands that print a list. It is never written to.
var listFormats = []string{"table", "json", "yaml", "tsv", "name"}

// outputFlag adds -o to a command. Without it the format is the fallback, or, when that
// is empty, a table on a terminal and JSON otherwise.
func (c *cli) outputFlag(cmd *cobra.Command, fallback string, offered ...string) *format {
	if fallback == "" {
		fallback = "json"
		if c.screen.terminal {
			fallback = "table"
		}
	}
	f := &format{value: fallback, offered: offered}
	cmd.Flags().VarP(f, "output", "o", "output format")
	return f
}

// A listing is what a command found, for people (columns) and for programs (value).
type listing struct {
	columns []string
	rows    [][]string
	name    int    // the column that -o name prints
	value   any    // what json and yaml print
	empty   string // what people read when there are no rows

	// On a narrow screen these columns are left out, one after the other, and then one is cut.
	spare []int
	cut   int // its index + 1; 0: none
}

func (c *cli) print(f *format, l listing) error {
	switch f.value {
	case "json":
		return printJSON(c.out, l.value)
	case "yaml":
		return printYAML(c.out, l.value)
	case "tsv":
		return printTSV(c.out, l.rows)
	case "name":
		for _, row := range l.rows {
			fmt.Fprintln(c.out, row[l.name])
		}
		return nil
	}
	if len(l.rows) == 0 {
		c.say("%s", l.empty)
		return nil
	}
	columns, rows := l.fitting(c.screen.width)
	c.screen.table(c.out, columns, rows)
	return nil
}

// fitting is what of the listing a screen of that width shows.
func (l listing) fitting(width int) ([]string, [][]string) {
	columns, rows := l.columns, slices.Clone(l.rows)
	for i := range rows {
		rows[i] = slices.Clone(rows[i])
	}
	over := func() int {
		total := -2
		for _, w := range widths(filled(columns, rows)) {
			total += w + 2
		}
		return total - width
	}
	for _, column := range l.spare {
		if over() <= 0 {
			break
		}
		for _, row := range rows {
			row[column] = ""
		}
	}
	if excess := over(); excess > 0 && l.cut > 0 {
		column := l.cut - 1
		kept := widths(columns, rows)[column] - excess
		for _, row := range rows {
			if value := []rune(row[column]); len(value) > kept && kept >= shortest {
				row[column] = string(value[:kept-1]) + "…"
			}
		}
	}
	return columns, rows
}

// shortest is to what length a value is cut at most.
const shortest = 12

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// printYAML goes by way of JSON, so that both have the same members in the same order.
func printYAML(w io.Writer, value any) error {
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

// printTSV writes the rows without a header; tabs and line ends inside a value become blanks.
func printTSV(w io.Writer, rows [][]string) error {
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
