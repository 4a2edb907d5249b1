package guid_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

const canonical = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"lower case", canonical, canonical},
		{"upper case", strings.ToUpper(canonical), canonical},
		{"mixed case", "7F1d3c52-0a4E-4b8e-9c61-2d5e8f0a1B11", canonical},
		{"all zeros", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"},
		{"empty", "", ""},
		{"braces", "{" + canonical + "}", ""},
		{"URN", "urn:uuid:" + canonical, ""},
		{"without hyphens", strings.ReplaceAll(canonical, "-", ""), ""},
		{"space in front", " " + canonical, ""},
		{"space for a digit", " " + canonical[1:], ""},
		{"line break behind", canonical + "\n", ""},
		{"too short", canonical[:35], ""},
		{"hyphen for a digit", "-" + canonical[1:], ""},
		{"digit for a hyphen", canonical[:8] + "0" + canonical[9:], ""},
		{"not a hexadecimal digit", "g" + canonical[1:], ""},
		{"another hyphen", "7f1d3c52\u20100a4e-4b8e-9c61-2d5e8f0a1b", ""},
		{"full-width digit", "\uff117f1d3c-0a4e-4b8e-9c61-2d5e8f0a1b11", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, is := guid.Parse(tt.in)
			if got != tt.want || is != (tt.want != "") || guid.Is(tt.in) != is {
				t.Errorf("Parse gives %q, %t and Is gives %t; want %q", got, is, guid.Is(tt.in), tt.want)
			}
		})
	}
}

func TestParseOfCanonicalAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = guid.Parse(canonical) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNew(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 100 {
		id := guid.New()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q is not a fresh version 4 GUID", id)
		}
		seen[id] = true
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{canonical, strings.ToUpper(canonical), "{" + canonical + "}", "", "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b1\xff"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	f.Fuzz(func(t *testing.T, s string) {
		got, is := guid.Parse(s)
		if is != form.MatchString(s) || is != guid.Is(s) {
			t.Fatalf("Parse(%q) says %t", s, is)
		}
		if is && got != strings.ToLower(s) || !is && got != "" {
			t.Fatalf("Parse(%q) gives %q", s, got)
		}
		if again, ok := guid.Parse(got); is && (!ok || again != got) {
			t.Fatalf("the canonical form %q is read as %q", got, again)
		}
	})
}
