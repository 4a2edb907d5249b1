package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A Stream is a listing whose rows come one after the other, and which nobody holds whole: its
// Rows and Value are left empty.
type Stream struct {
	Listing
	// Each calls yield with each row and what json and yaml print of it.
	Each func(yield func(row []string, value any) error) error
}

// measured is how many rows decide how wide the columns of a streamed table are.
const measured = 500

// Stream prints rows as they come: at once, but for yaml and queries, which need all of them,
// and for a table, whose first rows decide how wide it is.
func (p Printer) Stream(f *Format, s Stream) error {
	switch {
	case f.query.given() || f.Value == "yaml":
		all := []any{}
		if err := s.Each(func(_ []string, value any) error { all = append(all, value); return nil }); err != nil {
			return err
		}
		return p.PrintValue(f, all)
	case f.Value == "json":
		return streamJSON(p.Out, s)
	case f.Value == "table":
		return p.streamTable(s)
	}
	return s.Each(func(row []string, value any) error {
		return p.Print(f, Listing{Rows: [][]string{row}, Name: s.Name, Value: value})
	})
}

// streamJSON writes the elements of a list as JSON writes the list.
func streamJSON(w io.Writer, s Stream) error {
	separator := "[\n  "
	err := s.Each(func(_ []string, value any) error {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("  ", "  ")
		if err := e.Encode(value); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s%s", separator, bytes.TrimRight(b.Bytes(), "\n"))
		separator = ",\n  "
		return err
	})
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(separator, "["):
		_, err = fmt.Fprintln(w, "[]")
	default:
		_, err = fmt.Fprintln(w, "\n]")
	}
	return err
}

// streamTable prints the first rows as a table, and the others with the columns of those.
func (p Printer) streamTable(s Stream) error {
	l := s.Listing
	var write func(row []string)
	begin := func() {
		f := l.fitting(p.Screen.Width)
		columns, _ := filled(f.columns, f.rows)
		shown := map[string]bool{}
		for _, c := range columns {
			shown[c] = true
		}
		at := widths(f.columns, f.rows)
		p.table(l)
		write = func(row []string) {
			var values []string
			var sizes []int
			for i, c := range l.Columns {
				if shown[c] {
					values, sizes = append(values, shortened(row[i], at[i])), append(sizes, at[i])
				}
			}
			fmt.Fprintln(p.Out, Line(values, sizes))
		}
	}
	err := s.Each(func(row []string, _ any) error {
		if write != nil {
			write(row)
			return nil
		}
		if l.Rows = append(l.Rows, row); len(l.Rows) == measured {
			begin()
		}
		return nil
	})
	if err == nil && write == nil {
		p.table(l)
	}
	return err
}

// shortened is a value that is cut to a width.
func shortened(value string, width int) string {
	runes := []rune(value)
	if len(runes) <= width || width < 1 {
		return value
	}
	return string(runes[:width-1]) + "…"
}
