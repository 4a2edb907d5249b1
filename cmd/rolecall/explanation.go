package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// textWidth is how wide sentences are on a wide screen: nobody reads longer lines well.
const textWidth = 80

// showExplanation is the explanation for people: what became of it and why, what to do, and
// then what was looked at.
func (c explainer) showExplanation(w io.Writer, report *explain.Report) {
	c.showVerdict(w, report)
	for _, compared := range report.Compared {
		c.showComparison(w, compared)
	}
	for _, hint := range report.Hints {
		c.sentences(w, hint)
	}
	if report.Note != "" {
		c.sentences(w, report.Note)
	}
	c.showFix(w, report.Fix)
	c.showChecks(w, report)
}

func (c explainer) showVerdict(w io.Writer, report *explain.Report) {
	verdict := c.Screen.Paint(output.Green, "accepted")
	if !report.Accepted {
		verdict = c.Screen.Paint(output.Red, "refused:")
	}
	var about []string
	for _, one := range []struct{ name, value string }{{"reason", report.Reason}, {"client", report.Client}, {"user", report.User}, {"API", report.API}, {"tenant", report.Tenant}} {
		if one.value != "" {
			about = append(about, one.name+" "+text.Clean(one.value))
		}
	}
	fmt.Fprintf(w, "%s\n", c.wrapped(verdict+" "+text.Clean(report.Verdict), ""))
	if len(about) > 0 {
		fmt.Fprintf(w, "%s\n", c.wrapped(strings.Join(about, ", "), ""))
	}
}

// sentences writes a paragraph.
func (c explainer) sentences(w io.Writer, s string) {
	fmt.Fprintf(w, "\n%s\n", c.wrapped(text.Clean(s), ""))
}

// wrapped breaks a text into lines at its blanks, so that it fits the screen; a word that is
// longer than a line, such as an id, stays whole.
func (c explainer) wrapped(s, indent string) string {
	width := textWidth
	if c.Screen.Width > 0 {
		width = min(width, c.Screen.Width)
	}
	var b strings.Builder
	b.WriteString(indent)
	column := utf8.RuneCountInString(indent)
	for i, word := range strings.Fields(s) {
		length := utf8.RuneCountInString(stripped(word))
		switch {
		case i == 0:
		case column+1+length > width:
			b.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += length
	}
	return b.String()
}

// stripped is a word without the escape sequences that paint it.
func stripped(word string) string {
	for {
		before, rest, painted := strings.Cut(word, "\x1b[")
		if !painted {
			return word
		}
		_, after, _ := strings.Cut(rest, "m")
		word = before + after
	}
}

// showComparison writes values below each other, and a mark below the first difference.
func (c explainer) showComparison(w io.Writer, compared explain.Comparison) {
	s := c.Screen
	presented := text.Clean(compared.Presented)
	fmt.Fprintf(w, "\n%s presented:\n  %s\n", compared.What, s.Paint(output.Bold, orElse(presented, "(none)")))
	if len(compared.Registered) == 0 {
		fmt.Fprintf(w, "none is registered\n")
	}
	for _, r := range compared.Registered {
		note := ""
		if r.Note != "" {
			note = " (" + text.Clean(r.Note) + ")"
		}
		value := text.Clean(r.Value)
		fmt.Fprintf(w, "%s registered as %s%s:\n  %s\n", compared.What, s.Paint(output.Bold, text.Clean(r.Name)), note, orElse(value, "(none)"))
		if at := common(presented, value); at > 0 && value != presented {
			fmt.Fprintf(w, "  %s%s\n", strings.Repeat(" ", at), s.Paint(output.Red, "^ differs from here"))
		}
	}
}

// common is how many characters two texts have in common at their beginning.
func common(a, b string) (n int) {
	x, y := []rune(a), []rune(b)
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return n
}

// showFix writes the next step. Commands are indented, unless a here-document ends in them: its
// end must be at the beginning of the line.
func (c explainer) showFix(w io.Writer, fix *explain.Fix) {
	if fix == nil {
		return
	}
	if fix.What != "" {
		c.sentences(w, fix.What)
	}
	if fix.Command == "" {
		return
	}
	fmt.Fprintln(w)
	indent := "  "
	end := ""
	for line := range strings.SplitSeq(fix.Command, "\n") {
		if _, after, here := strings.Cut(line, "<<'"); here && end == "" {
			end, indent = strings.TrimSuffix(after, "'"), ""
		}
		fmt.Fprintf(w, "%s%s\n", indent, line)
		if line == end {
			end, indent = "", "  "
		}
	}
}

// showChecks writes what was looked at. What passed is one line, unless it is asked for.
func (c explainer) showChecks(w io.Writer, report *explain.Report) {
	if len(report.Steps) == 0 {
		return
	}
	fmt.Fprintln(w)
	width, passed, skipped := 0, 0, 0
	for _, step := range report.Steps {
		width = max(width, utf8.RuneCountInString(step.Name))
		switch step.Outcome {
		case explain.Passed:
			passed++
		case explain.Skipped:
			skipped++
		case explain.Failed: // shown below
		}
	}
	for _, step := range report.Steps {
		if step.Detail == report.Verdict { // it has been said
			step.Detail = ""
		}
		if c.Verbose || step.Outcome == explain.Failed {
			c.showCheck(w, step, width)
		}
	}
	if c.Verbose {
		return
	}
	var folded []string
	if passed > 0 {
		folded = append(folded, fmt.Sprintf("%s %d checks passed", c.Screen.Mark(true), passed))
	}
	if skipped > 0 {
		folded = append(folded, fmt.Sprintf("%d depend on what failed", skipped))
	}
	if len(folded) > 0 {
		fmt.Fprintf(w, "%s (-v lists them)\n", strings.Join(folded, ", "))
	}
}

func (c explainer) showCheck(w io.Writer, step explain.Step, width int) {
	mark := c.Screen.Mark(step.Outcome == explain.Passed)
	if step.Outcome == explain.Skipped {
		mark = c.Screen.Paint(output.Dim, "-")
	}
	said := text.Clean(step.Detail)
	if step.Reason != "" {
		said = strings.TrimSpace(c.Screen.Paint(output.Red, step.Reason) + "  " + said)
	}
	indent := strings.Repeat(" ", width+4)
	lines := c.wrapped(said, indent)
	fmt.Fprintln(w, strings.TrimRight(mark+" "+output.Pad(step.Name, width)+"  "+strings.TrimPrefix(lines, indent), " "))
}
