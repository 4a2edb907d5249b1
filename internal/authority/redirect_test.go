package authority

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// openRedirects reads a list of such strings that others collected, where there is one.
func openRedirects(t *testing.T) []string {
	file, err := os.Open("../../../shared/vectors/open_redirects.txt")
	if err != nil {
		t.Log("no list of open redirects here; only our own are tried")
		return nil
	}
	defer file.Close()
	var all []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		all = append(all, lines.Text())
	}
	return all
}

// No request sends a browser to an address that is not registered, whatever else is wrong
// with it; before the address is known to be good, problems are pages (A13).
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	tried := 0
	kinds := []string{webRedirect, toolRedirect, "http://localhost:51234", "https://tool.contoso.test/cb?x=1", "http://127.0.0.1:8400/cb", "com.contoso.tool://auth"}
	for _, client := range []directory.AppID{webApp, publicApp} {
		w.editApplication(client, func(a *directory.Application) { a.RedirectURIs = append(a.RedirectURIs, kinds[3:]...) })
	}
	corpus := append(pagetest.RedirectMutations(kinds), openRedirects(t)...)
	good := map[string]bool{}
	for _, uri := range kinds {
		good[uri] = true
	}
	signed := w.browser() // whom an answer could be had for without a click
	signed.open(authorizeV2Path, w.webAsks())
	signed.signIn(testUser)
	signed.allow().coded(webRedirect)
	for _, client := range []string{webApp, publicApp, nobody} {
		for i, uri := range corpus {
			if fixture.Raced && i%5 != 0 {
				continue
			}
			if good[uri] || client == nobody && i%50 != 0 { // a look for news of who is unknown takes time
				continue
			}
			asks := w.toolAsks().set("client_id", client, "redirect_uri", uri)
			switch i % 4 {
			case 1:
				asks = asks.set("prompt", "none")
			case 2:
				asks = asks.set("response_type", "nonsense", "scope", "")
			case 3:
				asks = asks.set("response_mode", "form_post")
			}
			b := w.browser()
			if i%2 == 1 {
				b = signed
			}
			r := b.open(authorizeV2Path, asks)
			tried++
			if r.Code < 400 || r.Code >= 500 || r.Header().Get("Location") != "" || strings.Contains(r.Body.String(), "<form") {
				t.Errorf("%q for %s: got %d, Location %q", uri, client, r.Code, r.Header().Get("Location"))
			}
			out := b.open(logoutPath, values{"client_id": client, "post_logout_redirect_uri": uri, "state": "s"})
			if out.Header().Get("Location") != "" {
				t.Errorf("sign-out with %q for %s: Location %q", uri, client, out.Header().Get("Location"))
			}
		}
	}
	if tried < 1000 && !fixture.Raced {
		t.Errorf("only %d were tried", tried)
	}
}

// A request in a form becomes one in the address line of this host, whatever its path.
func TestPostedRequestStaysHere(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, tenant := range []string{"%5Cevil.test", "%5C%5Cevil.test", "%09%5Cevil.test", "evil.test%0d%0aX:y", "%2Fevil.test", "/evil.test", "@evil.test"} {
		b := w.browser()
		b.origin = "https://evil.test"
		r := b.submit("/"+tenant+"/oauth2/v2.0/authorize", w.toolAsks())
		if location := r.Header().Get("Location"); location != "" && !strings.HasPrefix(location, "/evil.test/oauth2/v2.0/authorize?") {
			t.Errorf("%s: got %d, Location %q", tenant, r.Code, location)
		}
	}
}

// Whatever the query of an authorization request is, the answer is a page or goes to a
// registered address.
func FuzzAuthorize(f *testing.F) {
	w := newUserWorld(f, func(c *Config) { c.Log = nil })
	for _, query := range []values{w.toolAsks(), w.webAsks(), w.toolAsks().set("prompt", "none"), w.toolAsks().set("response_mode", "form_post", "response_type", "code id_token"), {}} {
		f.Add(query.without("client_id").encode())
	}
	f.Add("client_id=" + webApp)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptestGet(testBase + authorizeV2Path)
		r.URL.RawQuery = "client_id=" + publicApp + "&" + query
		b := w.browser()
		b.t = t
		answer := b.do(r)
		location := answer.Header().Get("Location")
		switch {
		case answer.Code >= 500:
			t.Errorf("got %d: %s", answer.Code, answer.Body)
		case location == "" && answer.Code == http.StatusFound, location != "" && !goesHome(location):
			t.Errorf("got %d, Location %q", answer.Code, location)
		}
	})
}

// goesHome reports whether a Location is one of the registered addresses of the tests.
func goesHome(location string) bool {
	u, err := url.Parse(location)
	if err != nil {
		return false
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String() == webRedirect || u.Scheme == "http" && u.Hostname() == "localhost" && (u.Path == "/" || u.Path == "") && u.User == nil
}

func httptestGet(target string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		panic(fmt.Sprint("a constant URL: ", err))
	}
	r.RemoteAddr = "192.0.2.1:1234"
	return r
}
