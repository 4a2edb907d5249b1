package aadsts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// guardPart begins the part of the page that package guard makes from its reasons.
const guardPart = "\n## Refusals of the guard\n"

// golden compares what came out with the beginning of a file, or rewrites that when UPDATE is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if whole, err := os.ReadFile(name); err == nil {
		if _, rest, ok := bytes.Cut(whole, []byte(guardPart)); ok {
			got = append(append(got, guardPart...), rest...)
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; UPDATE=1 go test ./internal/authority/aadsts writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is meant, UPDATE=1 go test ./internal/authority/aadsts rewrites it\ngot:\n%s", name, got)
	}
}

// The table of refusals in the documentation is made from the refusals.
func TestProblemsDocumented(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("# Refusals\n\n" +
		"A client that gets no token finds its number in the first table. An API that refuses a token says a reason: see\n" +
		"[Refusals of the guard](#refusals-of-the-guard).\n\n" +
		"## Refusals of the token authority\n\n" +
		"<!-- Generated: UPDATE=1 go test ./internal/authority/aadsts -->\n\n" +
		"What an answer with `error_codes` means, and what to do. `{…}` stands for what the request said.\n\n" +
		"| AADSTS | HTTP | error | What | What to do |\n|---|---|---|---|---|\n")
	for _, row := range Table() {
		code := "–"
		if row.Code != 0 {
			code = fmt.Sprint(row.Code)
		}
		fmt.Fprintf(&text, "| %s | %d | `%s` | %s | %s |\n", code, row.Status, row.OAuth, row.What, row.Fix)
	}
	golden(t, filepath.Join("..", "..", "..", "docs", "errors.md"), []byte(text.String()))
}

func TestProblemsAreComplete(t *testing.T) {
	t.Parallel()
	for _, row := range Table() {
		if row.Status < 400 || row.OAuth == "" || row.What == "" || row.Fix == "" {
			t.Errorf("%d lacks something: %+v", row.Code, row)
		}
		if strings.ContainsAny(row.What+row.Fix, "|\n") {
			t.Errorf("%d does not fit into a table", row.Code)
		}
		if !strings.HasSuffix(row.What, ".") || !strings.HasSuffix(row.Fix, ".") {
			t.Errorf("%d: not a sentence: %q %q", row.Code, row.What, row.Fix)
		}
	}
}

func TestProblemError(t *testing.T) {
	t.Parallel()
	cause := fmt.Errorf("disk on fire")
	p := Unavailable(cause)
	if text := p.Error(); !strings.HasPrefix(text, "AADSTS90033: ") || strings.Contains(text, "fire") {
		t.Errorf("it says %q: want the number first and not the cause", text)
	}
	if !errors.Is(p, cause) {
		t.Error("the cause is gone")
	}
	if text := NoEndpoint("/x").Error(); strings.Contains(text, "AADSTS") {
		t.Errorf("it says %q: want no number", text)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"text", "orders ünïcode 注文", "orders ünïcode 注文"},
		{"line breaks", "a\r\nb", "a??b"},
		{"terminal control", "\x1b[31m", "?[31m"},
		{"NUL", "a\x00b", "a?b"},
		{"separators", "a\u2028b\u2029c\u0085d", "a?b?c?d"},
		{"direction", "a\u202eb\u2066c\u200fd", "a?b?c?d"},
		{"invalid UTF-8", "a\xffb", "a?b"},
		{"long", strings.Repeat("x", MaxNoted+1), strings.Repeat("x", MaxNoted) + "…"},
		{"as long as it may be", strings.Repeat("x", MaxNoted), strings.Repeat("x", MaxNoted)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text.Line(tt.in, MaxNoted); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
