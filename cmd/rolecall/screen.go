package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// A screen is what the data is shown on: a terminal of some width, or a file or pipe.
type screen struct {
	terminal bool
	colour   bool
	width    int
}

// screenOf looks at the writer. COLUMNS overrides the width; NO_COLOR and TERM=dumb turn
// colour off.
func screenOf(w io.Writer, lookup func(string) (string, bool)) screen {
	s := screen{width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal, s.colour = true, true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.width = width
		}
	}
	if text, ok := lookup("COLUMNS"); ok {
		if width, err := strconv.Atoi(text); err == nil && width > 0 {
			s.width = width
		}
	}
	if text, ok := lookup("NO_COLOR"); ok && text != "" {
		s.colour = false
	}
	if text, _ := lookup("TERM"); text == "dumb" {
		s.colour = false
	}
	return s
}

// The colours in use, as SGR parameters.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

// paint colours text where the screen has colour.
func (s screen) paint(sgr, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// mark is a tick or a cross.
func (s screen) mark(ok bool) string {
	if ok {
		return s.paint(green, "✓")
	}
	return s.paint(red, "✗")
}

// table writes rows under their columns where they fit, and one below the other, a
// line for each value, where they do not. A column without any value is left out.
func (s screen) table(w io.Writer, columns []string, rows [][]string) {
	columns, rows = filled(columns, rows)
	widths := widths(columns, rows)
	total := 0
	for _, width := range widths {
		total += width + 2
	}
	if total-2 > s.width {
		s.records(w, columns, rows)
		return
	}
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = strings.ToUpper(column)
	}
	fmt.Fprintln(w, s.paint(bold, line(header, widths)))
	for _, row := range rows {
		fmt.Fprintln(w, line(row, widths))
	}
}

// widths are those that the columns need, in characters.
func widths(columns []string, rows [][]string) []int {
	all := make([]int, len(columns))
	for i, column := range columns {
		all[i] = utf8.RuneCountInString(column)
		for _, row := range rows {
			all[i] = max(all[i], utf8.RuneCountInString(row[i]))
		}
	}
	return all
}

// filled returns the columns that have a value in some row.
func filled(columns []string, rows [][]string) ([]string, [][]string) {
	var kept []int
	for i := range columns {
		if len(rows) == 0 || slices.ContainsFunc(rows, func(row []string) bool { return row[i] != "" }) {
			kept = append(kept, i)
		}
	}
	pick := func(row []string) []string {
		picked := make([]string, len(kept))
		for j, i := range kept {
			picked[j] = row[i]
		}
		return picked
	}
	picked := make([][]string, len(rows))
	for j, row := range rows {
		picked[j] = pick(row)
	}
	return pick(columns), picked
}

func line(values []string, widths []int) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(pad(text.Clean(value), widths[i]))
	}
	return strings.TrimRight(b.String(), " ")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func (s screen) records(w io.Writer, columns []string, rows [][]string) {
	width := 0
	for _, column := range columns {
		width = max(width, utf8.RuneCountInString(column))
	}
	for i, row := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for j, value := range row {
			if value != "" {
				fmt.Fprintf(w, "%s  %s\n", s.paint(bold, pad(columns[j], width)), text.Clean(value))
			}
		}
	}
}
