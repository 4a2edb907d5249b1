package authority

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// mutateRedirect changes an address at one to four places.
func mutateRedirect(random *rand.Rand, uri string) string {
	pieces := []string{
		"/", "//", "\\", "@", ":", "?", "#", ".", "%2f", "%5c", "%2e", "%40", "%00", "%0d%0a", "\t", " ", "\n", "evil.test", "evil.test/", "@evil.test", ".evil.test",
		"https://evil.test", "javascript:", "data:", ":443", ":8400", ";", "&", "..", "/..", "[::1]", "127.0.0.2", "\u3002", "\uff0f", "\u2044", "\u0430", "\u200b", "*", "A",
	}
	for range 1 + random.IntN(4) {
		runes := []rune(uri)
		at := random.IntN(len(runes) + 1)
		piece := pieces[random.IntN(len(pieces))]
		switch random.IntN(4) {
		case 0, 1:
			uri = string(runes[:at]) + piece + string(runes[at:])
		case 2:
			to := min(len(runes), at+1+random.IntN(4))
			uri = string(runes[:at]) + piece + string(runes[to:])
		case 3:
			to := min(len(runes), at+1+random.IntN(4))
			uri = string(runes[:at]) + string(runes[to:])
		}
	}
	return uri
}

// Wherever an address is changed, a browser is sent to none but a registered one. Of addresses
// of the user's own machine the port is free (RFC 8252 section 7.3). ROLECALL_ATTACKS says how
// many are tried, when it shall be more than a few.
func TestMutatedRedirectsLeadNowhere(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t, func(c *Config) { c.Log = nil })
	registered := []string{webRedirect, toolRedirect, "http://localhost:51234", "https://tool.contoso.test/cb?x=1", "http://127.0.0.1:8400/cb", "com.contoso.tool://auth"}
	w.editApplication(publicApp, func(a *directory.Application) {
		a.RedirectURIs = append(a.RedirectURIs, registered[2:]...)
		registered = a.RedirectURIs
	})
	var loopback []*regexp.Regexp
	for _, uri := range registered {
		for _, host := range []string{"http://localhost", "http://127.0.0.1"} {
			if rest, ok := strings.CutPrefix(uri, host); ok {
				_, path, _ := strings.Cut(rest+"/", "/")
				loopback = append(loopback, regexp.MustCompile("^"+regexp.QuoteMeta(host)+`(:[0-9]{1,5})?/?`+regexp.QuoteMeta(strings.TrimSuffix(path, "/"))+"$"))
			}
		}
	}
	fits := func(uri string) bool {
		return slices.Contains(registered, uri) || slices.ContainsFunc(loopback, func(like *regexp.Regexp) bool { return like.MatchString(uri) })
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	bases := append(pagetest.RedirectMutations(registered), registered...)
	tried := fixture.Rounds(t, fixture.Attacks, 1000)
	for i := range tried {
		uri := mutateRedirect(random, bases[random.IntN(len(bases))])
		asks := w.toolAsks().set("redirect_uri", uri)
		switch i % 3 {
		case 1:
			asks = asks.set("prompt", "none")
		case 2:
			asks = asks.set("response_mode", "form_post", "scope", "")
		}
		r := w.browser().open(authorizeV2Path, asks)
		led := r.Code < 400 || r.Header().Get("Location") != "" || strings.Contains(r.Body.String(), "<form")
		if led && uri != "" && !fits(uri) {
			t.Fatalf("seed %d, number %d, %q: got %d, Location %q", seed, i, uri, r.Code, r.Header().Get("Location"))
		}
	}
	r := w.browser().open(authorizeV2Path, w.toolAsks().set("redirect_uri", registered[0], "prompt", "none"))
	if location := r.Header().Get("Location"); !strings.HasPrefix(location, registered[0]) && !strings.Contains(r.Body.String(), fmt.Sprintf("%q", registered[0])) {
		t.Errorf("a registered one: got %d, Location %q", r.Code, location)
	}
}
