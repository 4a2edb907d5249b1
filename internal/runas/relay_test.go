package runas

import (
	"slices"
	"testing"
)

// The authority is reached from the namespace wherever its name leads to the loopback, also
// where its URL has no port.
func TestLoopbackAddresses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"https://localhost:8443": {"127.0.0.1:8443"},
		"https://localhost":      {"127.0.0.1:443"},
		"https://127.0.0.1":      {"127.0.0.1:443"},
		"https://127.0.53.1:444": {"127.0.53.1:444"},
		"https://192.0.2.1":      nil,
		"":                       nil,
	} {
		if got := loopbackAddresses(t.Context(), url); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", url, got, want)
		}
	}
}
