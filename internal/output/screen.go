package output

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

// A Screen is what the data is shown on: a terminal of some width, or a file or pipe.
type Screen struct {
	Terminal bool
	Colour   bool
	Width    int
}

// ScreenOf looks at the writer. COLUMNS overrides the width; NO_COLOR and TERM=dumb turn
// colour off.
func ScreenOf(w io.Writer, lookup func(string) (string, bool)) Screen {
	s := Screen{Width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.Terminal, s.Colour = true, true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.Width = width
		}
	}
	if text, ok := lookup("COLUMNS"); ok {
		if width, err := strconv.Atoi(text); err == nil && width > 0 {
			s.Width = width
		}
	}
	if text, ok := lookup("NO_COLOR"); ok && text != "" {
		s.Colour = false
	}
	if text, _ := lookup("TERM"); text == "dumb" {
		s.Colour = false
	}
	return s
}

// Bold, Dim, Red and Green are the styles in use, as SGR parameters.
const (
	Bold  = "1"
	Dim   = "2"
	Red   = "31"
	Green = "32"
)

// Paint colours text where the screen has colour.
func (s Screen) Paint(sgr, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// Mark is a tick or a cross.
func (s Screen) Mark(ok bool) string {
	if ok {
		return s.Paint(Green, "✓")
	}
	return s.Paint(Red, "✗")
}

// table writes rows under their columns where they fit, and one below the other, a
// line for each value, where they do not. A column without any value is left out.
func (s Screen) table(w io.Writer, columns []string, rows [][]string) {
	columns, rows = filled(columns, rows)
	widths := widths(columns, rows)
	total := 0
	for _, width := range widths {
		total += width + 2
	}
	if total-2 > s.Width {
		s.records(w, columns, rows)
		return
	}
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = strings.ToUpper(column)
	}
	fmt.Fprintln(w, s.Paint(Bold, Line(header, widths)))
	for _, row := range rows {
		fmt.Fprintln(w, Line(row, widths))
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

// Line sets values beside each other, each as wide as its column.
func Line(values []string, widths []int) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(Pad(text.Clean(value), widths[i]))
	}
	return strings.TrimRight(b.String(), " ")
}

// Pad fills a text with blanks up to a width.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func (s Screen) records(w io.Writer, columns []string, rows [][]string) {
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
				fmt.Fprintf(w, "%s  %s\n", s.Paint(Bold, Pad(columns[j], width)), text.Clean(value))
			}
		}
	}
}
