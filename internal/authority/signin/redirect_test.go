package signin

import (
	"net/url"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
)

func TestMatchesRedirect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		registered, asked string
		public, want      bool
	}{
		{"https://web.test/cb", "https://web.test/cb", false, true},
		{"https://web.test/cb", "https://web.test/cb/", false, false},
		{"https://web.test/cb", "https://web.test/CB", false, false},
		{"https://web.test/cb", "https://WEB.test/cb", false, false},
		{"https://web.test/cb", "https://web.test:443/cb", false, false},
		{"https://web.test/cb", "https://web.test/cb?x=1", false, false},
		{"https://web.test/cb?x=1", "https://web.test/cb?x=1", false, true},
		{"https://web.test/cb", "http://web.test/cb", false, false},
		{"https://web.test/cb", "https://user@web.test/cb", false, false},
		{"https://web.test/cb", "https://web.test/cb#f", false, false},
		{"http://localhost", "http://localhost", false, true},
		{"http://localhost", "http://localhost:1234", false, false}, // not for confidential clients
		{"http://localhost", "http://localhost:1234", true, true},
		{"http://localhost", "http://localhost:1234/", true, true},
		{"http://localhost/", "http://localhost:1234", true, true},
		{"http://localhost:8400", "http://localhost:8401", true, true},
		{"http://localhost/cb", "http://localhost:1234/cb", true, true},
		{"http://localhost/cb", "http://localhost:1234/cb/", true, false},
		{"http://localhost/cb", "http://localhost:1234/", true, false},
		{"http://localhost", "http://localhost:1234/cb", true, false},
		{"http://localhost", "http://127.0.0.1:1234", true, false},
		{"http://127.0.0.1", "http://127.0.0.1:1234", true, true},
		{"http://localhost", "https://localhost:1234", true, false},
		{"http://localhost", "http://localhost:", true, false},
		{"http://localhost", "http://localhost:80x", true, false},
		{"http://localhost", "http://localhost:1@evil.test", true, false},
		{"http://localhost", "http://localhost@evil.test", true, false},
		{"http://localhost", "http://localhost.evil.test", true, false},
		{"http://localhost", "http://localhost:1234.evil.test", true, false},
		{"http://localhost", "http://localhost:123456", true, false},
		{"http://localhost", "http://localhost:65535", true, true},
		{"http://localhost", "http://localhost:65536", true, false},
		{"http://localhost", "http://localhost:99999", true, false},
		{"https://web.test:65536/cb", "https://web.test:65536/cb", false, false},
		{"http://localhost", "http://LOCALHOST:1234", true, false},
		{"http://localhost", "http://localhost\\@evil.test", true, false},
		{"myapp://auth", "myapp://auth", true, true},
		{"urn:ietf:wg:oauth:2.0:oob", "urn:ietf:wg:oauth:2.0:oob", true, true},
		{"javascript:alert(1)", "javascript:alert(1)", true, false},
		{"data:text/html,x", "data:text/html,x", true, false},
		{"", "", true, false},
	} {
		if got := matchesRedirect([]string{"https://other.test/", tt.registered}, tt.asked, tt.public); got != tt.want {
			t.Errorf("%q for %q: got %v", tt.asked, tt.registered, got)
		}
	}
}

func TestRedirectTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ uri, mode, want string }{
		{"http://localhost:51234", modeQuery, "http://localhost:51234/?code=a+b"},
		{"http://localhost:51234/cb", modeQuery, "http://localhost:51234/cb?code=a+b"},
		{"https://web.test/cb?x=1", modeQuery, "https://web.test/cb?x=1&code=a+b"},
		{"https://web.test/cb", modeFragment, "https://web.test/cb#code=a+b"},
		{"myapp://auth", modeQuery, "myapp://auth?code=a+b"},
	} {
		if got := redirectTo(tt.uri, tt.mode, url.Values{"code": {"a b"}}); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func FuzzRedirect(f *testing.F) {
	for _, uri := range pagetest.RedirectMutations([]string{"http://localhost:8400/cb"})[:40] {
		f.Add("http://localhost/cb", uri, true)
	}
	f.Add("https://web.test/cb", "https://web.test/cb", false)
	f.Fuzz(func(t *testing.T, registered, asked string, public bool) {
		if !matchesRedirect([]string{registered}, asked, public) || asked == registered {
			return
		}
		was, err := url.Parse(registered)
		if err != nil {
			t.Fatalf("%q matches %q, which is no URL", asked, registered)
		}
		is, err := url.Parse(asked)
		if err != nil {
			t.Fatalf("%q matches %q, and is no URL", asked, registered)
		}
		if !public || is.Scheme != "http" || is.Hostname() != was.Hostname() || is.Hostname() != "localhost" && is.Hostname() != "127.0.0.1" ||
			orRoot(is.EscapedPath()) != orRoot(was.EscapedPath()) || is.RawQuery != was.RawQuery || is.User != nil || is.Fragment != "" {
			t.Errorf("%q matches %q", asked, registered)
		}
	})
}
