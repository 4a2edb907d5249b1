package expression_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/expression"
)

// claims is a lookup in a token that has these; sub is a text, the others may be missing.
func claims(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const main = "repo:contoso/orders:ref:refs/heads/main"
	for _, tt := range []struct {
		name, expression string
		claims           []string
		want             bool
	}{
		{"the same", "claims['sub'] eq '" + main + "'", []string{"sub", main}, true},
		{"an asterisk is none for eq", "claims['sub'] eq 'repo:*'", []string{"sub", "repo:x"}, false},
		{"and is itself", "claims['sub'] eq 'repo:*'", []string{"sub", "repo:*"}, true},
		{"another case", "claims['sub'] eq 'a'", []string{"sub", "A"}, false},
		{"another case in a pattern", "claims['sub'] matches 'a*'", []string{"sub", "Ab"}, false},
		{"any branch", "claims['sub'] matches 'repo:contoso/orders:ref:refs/heads/*'", []string{"sub", main}, true},
		{"another repository that begins so", "claims['sub'] matches 'repo:contoso/orders:*'", []string{"sub", "repo:contoso/orders-evil:ref:x"}, false},
		{"something before", "claims['sub'] matches 'repo:contoso/*'", []string{"sub", "xrepo:contoso/orders"}, false},
		{"something behind", "claims['sub'] matches 'repo:contoso/orders'", []string{"sub", "repo:contoso/orders:x"}, false},
		{"in the middle", "claims['sub'] matches 'a*c'", []string{"sub", "abbbc"}, true},
		{"nothing for an asterisk", "claims['sub'] matches 'a*c'", []string{"sub", "ac"}, true},
		{"one character", "claims['sub'] matches 'v?'", []string{"sub", "v1"}, true},
		{"of more bytes", "claims['sub'] matches 'v?'", []string{"sub", "vé"}, true},
		{"not none", "claims['sub'] matches 'v?'", []string{"sub", "v"}, false},
		{"not two", "claims['sub'] matches 'v?'", []string{"sub", "v12"}, false},
		{"several asterisks", "claims['sub'] matches '*a*b*'", []string{"sub", "xxaxxbxx"}, true},
		{"in the wrong order", "claims['sub'] matches '*a*b*'", []string{"sub", "xxbxxaxx"}, false},
		{"letters that patterns elsewhere know", "claims['sub'] matches 'a.[b]+'", []string{"sub", "a.[b]+"}, true},
		{"and mean nothing here", "claims['sub'] matches 'a.c'", []string{"sub", "abc"}, false},
		{"empty claim", "claims['sub'] matches '*'", []string{"sub", ""}, true},
		{"no claim", "claims['sub'] matches '*'", nil, false},
		{"both", "claims['sub'] matches 'repo:contoso/*' and claims['job_workflow_ref'] matches 'contoso/w/*'", []string{"sub", "repo:contoso/x", "job_workflow_ref", "contoso/w/y"}, true},
		{"one of two", "claims['sub'] matches 'repo:contoso/*' and claims['job_workflow_ref'] matches 'contoso/w/*'", []string{"sub", "repo:contoso/x", "job_workflow_ref", "evil/w/y"}, false},
		{"the other is missing", "claims['sub'] matches 'repo:contoso/*' and claims['job_workflow_ref'] matches '*'", []string{"sub", "repo:contoso/x"}, false},
	} {
		e, err := expression.Parse(tt.expression)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := e.Match(claims(tt.claims...)); got != tt.want {
			t.Errorf("%s: %s with %q: got %t", tt.name, tt.expression, tt.claims, got)
		}
	}
	if (expression.Expression{}).Match(claims("sub", "x")) {
		t.Error("no expression matches")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, column := range map[string]int{
		"":                             1,
		"sub eq 'x'":                   1,
		"claims[sub] eq 'x'":           1,
		`claims["sub"] eq 'x'`:         1,
		"claims[''] eq 'x'":            9,
		"claims['a b'] eq 'x'":         10,
		"claims['sub']eq 'x'":          12,
		"claims['sub']  eq 'x'":        15,
		"claims['sub'] eq  'x'":        15,
		"claims['sub'] == 'x'":         15,
		"claims['sub'] EQ 'x'":         15,
		`claims['sub'] eq "x"`:         15,
		"claims['sub'] eq 'x":          19,
		"claims['sub'] eq ''":          19,
		"claims['sub'] eq 'x' ":        21,
		"claims['sub'] eq 'x' or true": 21,
		"claims['sub'] eq 'x' and ":    26,
		"claims['sub'] eq 'é''y'":      21,
		strings.Repeat("claims['a'] eq 'x' and ", 10) + "claims['a'] eq 'x'": 226,
		"claims['sub'] eq '" + strings.Repeat("x", 600) + "'":                1,
		"claims['" + strings.Repeat("x", 65) + "'] eq 'x'":                   9,
		"claims['sub'] eq '\xff'":                                            1,
		"claims['sub'] eq 'é\x1b[31m'":                                       20,
		"claims['sub'] eq 'a\nb'":                                            20,
		"claims['sub'] eq 'a\u202eb'":                                        20,
		"claims['sub'] eq 'a\u200bb'":                                        20,
		"claims['sub'] matches 'a' or claims['x'] eq '*'":                    26,
		"claims['sub'] eq 'x'' and claims['y'] eq '*'":                       21,
	} {
		_, err := expression.Parse(text)
		found, ok := errors.AsType[*expression.Error](err)
		if !ok {
			t.Errorf("%q is taken", text)
		} else if found.Column != column {
			t.Errorf("%q: %v, want column %d", text, err, column)
		}
	}
}

// A pattern of many asterisks costs no more than the product of both lengths.
func TestManyAsterisks(t *testing.T) {
	t.Parallel()
	e, err := expression.Parse("claims['sub'] matches '" + strings.Repeat("*a", 280) + "b'")
	if err != nil {
		t.Fatal(err)
	}
	if e.Match(claims("sub", strings.Repeat("a", 100_000))) {
		t.Error("it matches")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"claims['sub'] eq 'x'", "claims['sub'] matches 'repo:*' and claims['job_workflow_ref'] eq 'a?'", "claims['sub'] eq 'x", "claims['a'] matches '*?*'",
	} {
		f.Add(text, "repo:contoso/orders")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		e, err := expression.Parse(text)
		if err != nil {
			if found, ok := errors.AsType[*expression.Error](err); !ok || found.Column < 1 || found.Column > utf8.RuneCountInString(text)+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		if n := len(e.Claims()); n == 0 || n > expression.MaxTerms {
			t.Fatalf("%d terms", n)
		}
		all := func(string) (string, bool) { return value, true }
		if e.Match(all) && e.Match(func(string) (string, bool) { return value, false }) {
			t.Fatal("a missing claim matches")
		}
		// What has no wildcard matches itself alone.
		if !strings.ContainsAny(text, "*?") && e.Match(all) && !strings.Contains(text, "'"+value+"'") {
			t.Fatalf("%q matches %q", text, value)
		}
	})
}
