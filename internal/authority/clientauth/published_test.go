package clientauth

import "testing"

// Google's keys are at another host than its issuer. Nobody else's are taken from there, and
// Google's from nowhere else.
func TestKeysOfAWellKnownIssuer(t *testing.T) {
	t.Parallel()
	const google, keys = "https://accounts.google.com", "https://www.googleapis.com/oauth2/v3/certs"
	for _, tt := range []struct {
		issuer, location string
		want             bool
	}{
		{google, keys, true},
		{google, "http://www.googleapis.com/oauth2/v3/certs", false},
		{google, "https://www.googleapis.com.evil.test/oauth2/v3/certs", false},
		{google, "https://www.googleapis.com:8443/oauth2/v3/certs", false},
		{google, "https://evil.test/", false},
		{google + "/", keys, false},
		{"https://evil.test", keys, false},
		{"", "", false},
	} {
		if got := publishedBy(tt.issuer, tt.location); got != tt.want {
			t.Errorf("%s at %s: %v, want %v", tt.issuer, tt.location, got, tt.want)
		}
	}
}
