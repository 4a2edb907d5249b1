package authority

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

func TestIsGUID(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{testTenant, true},
		{strings.ToUpper(testTenant), true},
		{guid.New(), true},
		{"", false},
		{testTenant[1:], false},
		{testTenant + "0", false},
		{"{" + testTenant + "}", false},
		{"g" + testTenant[1:], false},
		{strings.Replace(testTenant, "-", "0", 1), false},
		{"7f1d3c520a4e4b8e9c612d5e8f0a1b11", false},
		{testTenant[:35] + "é", false},
	} {
		if got := guid.Is(tt.text); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.text, got, tt.want)
		}
	}
	if one, two := guid.New(), guid.New(); one == two || one[14] != '4' || !strings.ContainsRune("89ab", rune(one[19])) {
		t.Errorf("new GUIDs are %s and %s, want two of version 4", one, two)
	}
}

func TestHostname(t *testing.T) {
	for host, want := range map[string]string{
		"login.contoso.test": "login.contoso.test", "localhost:8443": "localhost", "[::1]:8443": "[::1]", "[::1]": "[::1]",
	} {
		if got := hostname(host); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}
