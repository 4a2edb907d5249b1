package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/text"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want, lines string }{
		{"text", "orders ünïcode 注文", "orders ünïcode 注文", ""},
		{"line breaks", "a\r\nb", "a??b", "a?\nb"},
		{"tab", "a\tb", "a?b", ""},
		{"terminal control", "\x1b[31m", "?[31m", ""},
		{"terminal control, C1", "\u009b31m", "?31m", ""},
		{"delete", "a\x7fb", "a?b", ""},
		{"NUL", "a\x00b", "a?b", ""},
		{"separators", "a\u2028b\u2029c\u0085d", "a?b?c?d", ""},
		{"direction", "a\u202eb\u2066c\u200fd", "a?b?c?d", ""},
		{"zero width", "a\u200bb\ufeffc\u00add", "a?b?c?d", ""},
		{"tag characters", "a\U000e0041b", "a?b", ""},
		{"private use and unassigned", "a\ue000b\U0003fffdc", "a?b?c", ""},
		{"invalid UTF-8", "a\xffb", "a?b", ""},
		{"replacement character", "a\ufffdb", "a?b", ""},
		{"empty", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text.Clean(tt.in); got != tt.want {
				t.Errorf("Clean gives %q, want %q", got, tt.want)
			}
			want := tt.want
			if tt.lines != "" {
				want = tt.lines
			}
			if got := text.CleanLines(tt.in); got != want {
				t.Errorf("CleanLines gives %q, want %q", got, want)
			}
		})
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"short", "orders", 8, "orders"},
		{"as long as it may be", "orders", 6, "orders"},
		{"long", "orders", 5, "order…"},
		{"inside a character", "aü", 2, "a…"},
		{"inside a character of four bytes", "a\U0001f469b", 4, "a…"},
		{"after a character", "aüb", 3, "aü…"},
		{"invalid UTF-8 is cut where it falls", "a" + strings.Repeat("\xbf", 9), 6, "a\xbf…"},
		{"nothing fits", "ü", 1, "…"},
		{"no limit left", "orders", 0, "…"},
		{"less than nothing", "orders", -3, "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text.Clip(tt.in, tt.limit); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLineAndQuote(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", text.MaxQuoted+1)
	for _, tt := range []struct{ name, got, want string }{
		{"line", text.Line("a\nb", 8), "a?b"},
		{"long line", text.Line(strings.Repeat("\n", 9), 8), strings.Repeat("?", 8) + "…"},
		{"Quote says a line break at the end", text.Quote("orders\n"), "'orders' (it ends in a line break)"},
		{"Quote says that of Windows", text.Quote("orders\r\n\r\n"), "'orders' (it ends in a line break)"},
		{"Quote of a line break alone", text.Quote("\n"), "'' (it ends in a line break)"},
		{"Quote of a line break inside", text.Quote("or\nders"), "'or?ders'"},
		{"quote", text.Quote("/orders\x1b"), "'/orders?'"},
		{"long quote", text.Quote(long), "'" + long[:text.MaxQuoted] + "…'"},
		{"shown", text.Shown(long), long[:text.MaxShown] + "…"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"orders", "a\r\nb", "\x1b[31m", "\u009b", "\u202e", "\xff\xbf", "\U0001f469\u200d\U0001f4bb", strings.Repeat("ü", 40)} {
		f.Add(seed, 16)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		line := text.Line(s, limit)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, text.Invisible) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Fatalf("Line(%q, %d) shows %q", s, limit, line)
		}
		if len(line) > max(0, limit)+len("…") && len(s) > limit {
			t.Fatalf("Line(%q, %d) is %d bytes long", s, limit, len(line))
		}
		if again := text.Clean(line); again != line {
			t.Fatalf("cleaned twice, %q is %q", line, again)
		}
		if lines := text.CleanLines(s); strings.Count(lines, "\n") != strings.Count(s, "\n") {
			t.Fatalf("CleanLines(%q) has other lines: %q", s, lines)
		}
	})
}
