package guard

import (
	"strings"
	"testing"
)

// Wherever a token stands in a path, it is not shown; what stands before it is.
func TestTokensInPathsAreNotShown(t *testing.T) {
	t.Parallel()
	const short = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"
	long := short + strings.Repeat("c2ln", 200)
	for path, want := range map[string]string{
		"/" + short:                      "/(a token)",
		"/api/" + short + "/orders":      "/api/(a token)/orders",
		"/api/" + long + "/orders":       "/api/(a token)",
		"/api;token=" + short:            "/api;token=(a token)",
		"/api/access_token=" + long:      "/api/access_token=(a token)",
		"/api/Bearer%20" + short + "/x":  "/api/Bearer%20(a token)/x",
		"/api/" + short + "," + short:    "/api/(a token)",
		"/api/eyJ":                       "/api/eyJ", // too short for one
		"/api/monkeyJungle/orders":       "/api/monkeyJungle/orders",
		"/api/" + strings.Repeat("a", 9): "/api/aaaaaaaaa",
	} {
		if got := shownPath(path); got != want {
			t.Errorf("%.60s: got %s, want %s", path, got, want)
		}
	}
}
