package runas

import (
	"net/url"
	"slices"
	"testing"
)

// The authority is reached from the namespace wherever it is, also where its URL has no port.
func TestEndpointAddresses(t *testing.T) {
	t.Parallel()
	for authority, want := range map[string][]string{
		"https://localhost:8443":       {"127.0.0.1:8443"},
		"https://login.localhost:8443": {"127.0.0.1:8443"},
		"https://localhost":            {"127.0.0.1:443"}, // its scheme's port is left out
		"https://127.0.0.1":            {"127.0.0.1:443"},
		"https://127.0.53.1:444":       {"127.0.53.1:444"},
		"https://192.0.2.7:8443":       {"192.0.2.7:8443"},
		"https://192.0.2.1":            {"192.0.2.1:443"},
		"https://nobody.invalid":       {"127.0.0.1:443"}, // a name that only the program knows
		"":                             nil,
		"://":                          nil,
	} {
		var got []string
		if u, err := url.Parse(authority); err == nil {
			got = endpointAddresses(t.Context(), u)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", authority, got, want)
		}
	}
}

func TestConnectionValues(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"rc_abc-DEF~1": "rc_abc-DEF~1", "a;b": `"a;b"`, `a"b`: `"a""b"`, "a'b": `"a'b"`, " a": `" a"`, "a=b": `"a=b"`,
	} {
		if got := connectionValue(value); got != want {
			t.Errorf("%q is written as %s, want %s", value, got, want)
		}
	}
}
