package manifest

import (
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Whatever the text, YAML reads it as that text, in a block, in an object and in a list.
func FuzzQuoted(f *testing.F) {
	for _, seed := range []string{"", "plain text", "true", "1e3", "api://orders", "a: b", "a #b", "- a", "{a}", "it's", `"`, "\\", "null", "~", "0x1", "2026-01-01", "<<", "=", "a:b", "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", "\u2028", "\ufeff", "\x7f", "a\tb", ".5", "1_000", "y", "!tag", "&a", "*a", "%x", "@x", "`x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // which the directory does not keep
		}
		text := "a: " + quoted(s) + "\nb: {c: " + quoted(s) + ", d: [" + quoted(s) + ", x]}\n"
		var got struct {
			A yaml.Node
			B struct {
				C yaml.Node
				D []yaml.Node
			}
		}
		if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		for _, n := range []yaml.Node{got.A, got.B.C, got.B.D[0]} {
			if n.ShortTag() != "!!str" || n.Value != s {
				t.Fatalf("%q was read as %s %q", text, n.ShortTag(), n.Value)
			}
		}
	})
}
