package authority

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// anyPort finds the place of a port.
var anyPort = regexp.MustCompile(`^([a-z]+://[a-z0-9.]+)(?::\d+)?(/.*)?$`)

// mutateRedirect changes an address at one to four places.
func mutateRedirect(random *rand.Rand, uri string) string {
	pieces := []string{
		"/", "//", "\\", "@", ":", "?", "#", ".", "%2f", "%5c", "%2e", "%40", "%00", "%0d%0a", "\t", " ", "\n", "evil.test", "evil.test/", "@evil.test", ".evil.test",
		"https://evil.test", "javascript:", "data:", ":443", ":8400", ";", "&", "..", "/..", "[::1]", "127.0.0.2", "\u3002", "\uff0f", "\u2044", "\u0430", "\u200b", "*", "A",
	}
	for range 1 + random.IntN(2)*random.IntN(4) { // most often once: what is nearly right matters
		if random.IntN(8) == 0 {
			uri = anyPort.ReplaceAllString(uri, fmt.Sprintf("${1}:%d$2", random.IntN(70_000)))
			continue
		}
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

// A landing is where a browser goes with an address, in the words of its own parser.
type landing struct {
	Href, Protocol, Hostname, Port, Pathname, Search, Username, Password string
}

// landings asks a browser's parser (the URL of Node.js is that of the WHATWG) about addresses.
func landings(t *testing.T, addresses []string) []landing {
	t.Helper()
	const script = `const parts = ["href", "protocol", "hostname", "port", "pathname", "search", "username", "password"];
const all = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(all.map((a) => { try { const u = new URL(a); return Object.fromEntries(parts.map((p) => [p, u[p]])); } catch { return {}; } })))`
	in, err := json.Marshal(addresses)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Node.js, which says where a browser goes: %v", err)
	}
	var all []landing
	if err := json.Unmarshal(out, &all); err != nil || len(all) != len(addresses) {
		t.Fatalf("%d of %d answers: %v", len(all), len(addresses), err)
	}
	return all
}

// isAt reports whether a landing is at a registered address, with what the answer adds to its
// query. The port is free on the user's own machine.
func (l landing) isAt(registered landing) bool {
	own := registered.Protocol == "http:" && (registered.Hostname == "localhost" || registered.Hostname == "127.0.0.1")
	return l.Href != "" && l.Protocol == registered.Protocol && l.Hostname == registered.Hostname && (own || l.Port == registered.Port) &&
		strings.TrimSuffix(l.Pathname, "/") == strings.TrimSuffix(registered.Pathname, "/") &&
		strings.HasPrefix(l.Search, registered.Search) && l.Username == "" && l.Password == ""
}

var formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// target is where an answer sends a browser away from the authority; empty means nowhere.
func (r *reply) target() string {
	if location := r.Header().Get("Location"); location != "" {
		return location
	}
	if found := formAction.FindStringSubmatch(r.Body.String()); found != nil && !strings.HasPrefix(found[1], "/") {
		return html.UnescapeString(found[1])
	}
	return ""
}

// Wherever an address is changed, a browser is sent to none but a registered one. Of addresses
// of the user's own machine the port is free (RFC 8252 section 7.3). ROLECALL_ATTACKS says how
// many are tried, when it shall be more than a few; a browser's own parser then judges where each
// that was not refused leads.
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
	known := pagetest.RedirectMutations(registered)
	const few = 1000
	tried := fixture.Rounds(t, fixture.Attacks, few)
	var let []string // addresses that were not refused, and where the answers lead
	for i := range tried {
		base := registered[random.IntN(len(registered))]
		if random.IntN(2) == 0 {
			base = known[random.IntN(len(known))]
		}
		uri := mutateRedirect(random, base)
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
		target := r.target()
		if target != "" && uri != "" && !strings.HasPrefix(target, uri) {
			t.Fatalf("seed %d, number %d, %q: the answer leads to %q", seed, i, uri, target)
		}
		if led {
			let = append(let, uri, target)
		}
	}
	if let = slices.DeleteFunc(let, func(address string) bool { return address == "" }); tried > few {
		allowed := landings(t, registered)
		for i, at := range landings(t, let) {
			if !slices.ContainsFunc(allowed, at.isAt) {
				t.Errorf("seed %d: with %q a browser goes to %+v", seed, let[i], at)
			}
		}
	}
	t.Logf("-seed %d: %d addresses; %d that were not refused, or that answers led to, are registered ones", seed, tried, len(let))
	r := w.browser().open(authorizeV2Path, w.toolAsks().set("redirect_uri", registered[0], "prompt", "none"))
	if location := r.Header().Get("Location"); !strings.HasPrefix(location, registered[0]) && !strings.Contains(r.Body.String(), fmt.Sprintf("%q", registered[0])) {
		t.Errorf("a registered one: got %d, Location %q", r.Code, location)
	}
}
