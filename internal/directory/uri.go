package directory

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxURI  = 255
	maxURIs = 50
)

// checkURIs checks the identifier URIs of a registration: what clients name it by.
func (e ApplicationEditor) checkURIs(old, a *Application) error {
	if len(a.IdentifierURIs) > maxURIs {
		return &RuleError{Field: "identifierUris", What: fmt.Sprintf("There are more than %d identifier URIs.", maxURIs), Advice: "Remove some."}
	}
	for i, uri := range a.IdentifierURIs {
		field := fmt.Sprintf("identifierUris[%d]", i)
		if err := checkURI(field, uri); err != nil {
			return err
		}
		if slices.ContainsFunc(a.IdentifierURIs[:i], func(other string) bool { return foldURI(other) == foldURI(uri) }) {
			return taken(field, fmt.Sprintf("The identifier URI %q occurs twice.", uri), "List it once; case and a trailing slash do not count.")
		}
		if err := e.free(a.Tenant, KindApplication, makeKey("uri", foldURI(uri)), string(a.ID)); err != nil {
			return duplicate(err, field, fmt.Sprintf("The identifier URI %q belongs to another application.", uri), "Choose another; case and a trailing slash do not count.")
		}
		if err := e.checkURIOwner(field, uri, a); err != nil {
			return err
		}
		if err := e.checkReserved(field, uri, old); err != nil {
			return err
		}
	}
	return nil
}

// checkReserved keeps callers from taking the place of the resources through which a tenant is
// managed: what their tools ask for would reach an application. The operator of the machine
// may do that, and what is there stays.
func (e ApplicationEditor) checkReserved(field, uri string, old *Application) error {
	b, is := FindBuiltin(uri)
	if !is || !e.actor.isCaller() || b.AppID != GraphAppID && b.AppID != ResourceManagerAppID {
		return nil
	}
	if slices.ContainsFunc(old.IdentifierURIs, func(other string) bool { return foldURI(other) == foldURI(uri) }) {
		return nil
	}
	return &RuleError{Field: field, What: fmt.Sprintf("The identifier URI %q is that of %s.", uri, b.Name), Advice: "Choose another."}
}

// checkURI checks one identifier URI: absolute, with something behind the scheme, and
// plain enough to stand in a scope ("<uri>/.default") and in a token's audience.
func checkURI(field, uri string) error {
	fix := "Write it as api://orders or https://orders.contoso.test."
	wrong := func(why string) error {
		return &RuleError{Field: field, What: fmt.Sprintf("The identifier URI %q %s.", text.Shown(uri), why), Advice: fix}
	}
	if uri == "" {
		return &RuleError{Field: field, What: "The identifier URI is empty.", Advice: fix}
	}
	if len(uri) > maxURI {
		return wrong(fmt.Sprintf("is longer than %d characters", maxURI))
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(uri, "\"<>\\^`{|}*?#") {
		return wrong("holds a character that does not belong there")
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return wrong("is malformed")
	}
	if parsed.Scheme == "" || (parsed.Host == "" && parsed.Opaque == "") || parsed.User != nil {
		return wrong("is not an absolute URI")
	}
	if strings.HasSuffix(foldURI(uri), "/.default") || strings.HasSuffix(uri, "//") {
		return wrong("would be ambiguous in a scope")
	}
	return nil
}

// checkURIOwner refuses api://<app id of another application>: a client that asks for that id
// must reach its owner.
func (e ApplicationEditor) checkURIOwner(field, uri string, a *Application) error {
	host, ok := strings.CutPrefix(foldURI(uri), "api://")
	if !ok {
		return nil
	}
	host, _, _ = strings.Cut(host, "/")
	id, ok := guid.Parse(host)
	if !ok || id == string(a.AppID) {
		return nil
	}
	if err := e.free(a.Tenant, KindApplication, makeKey("appid", id), string(a.ID)); err != nil {
		return duplicate(err, field, fmt.Sprintf("The identifier URI %q bears the app id of another application.", uri), "Use api://"+string(a.AppID)+".")
	}
	return nil
}

const maxRedirects = 256

// Redirects returns every URI where the answer to a sign-in may go.
func (a *Application) Redirects() []string {
	if len(a.SPARedirectURIs)+len(a.NativeRedirectURIs) == 0 {
		return a.RedirectURIs
	}
	return slices.Concat(a.RedirectURIs, a.SPARedirectURIs, a.NativeRedirectURIs)
}

// checkRedirects checks where answers to a sign-in may be sent. A URI is of one kind.
func checkRedirects(_, a *Application) error {
	if len(a.Redirects()) > maxRedirects {
		return &RuleError{Field: "redirectUris", What: fmt.Sprintf("There are more than %d redirect URIs.", maxRedirects), Advice: "Remove some."}
	}
	seen := map[string]bool{}
	for _, kind := range []struct {
		name string
		uris []string
	}{{"redirectUris", a.RedirectURIs}, {"spaRedirectUris", a.SPARedirectURIs}, {"nativeRedirectUris", a.NativeRedirectURIs}} {
		for i, uri := range kind.uris {
			field := fmt.Sprintf("%s[%d]", kind.name, i)
			if uri != outOfBand || kind.name != "nativeRedirectUris" {
				if err := checkRedirect(field, uri); err != nil {
					return err
				}
			}
			if seen[uri] {
				return taken(field, fmt.Sprintf("The redirect URI %q occurs twice.", uri), "List it once.")
			}
			seen[uri] = true
		}
	}
	return nil
}

// outOfBand is what old tools register for programs that read the answer from the browser's
// window. No answer is sent there.
const outOfBand = "urn:ietf:wg:oauth:2.0:oob"

// checkRedirect requires a place that nobody else can listen at: https, this machine, or a
// scheme that an app has registered with the system (RFC 8252 section 7.1). It is
// compared exactly, so it holds no wildcard, and nothing that browsers take for a script.
func checkRedirect(field, uri string) error {
	wrong := func(why string) error {
		return &RuleError{
			Field: field, What: fmt.Sprintf("The redirect URI %q %s.", text.Shown(uri), why),
			Advice: "Write it as https://app.contoso.test/signed-in, http://localhost for a program on the same machine, or msal<app id>://auth.",
		}
	}
	if uri == "" {
		return &RuleError{Field: field, What: "The redirect URI is empty.", Advice: "Write it as http://localhost."}
	}
	if len(uri) > maxURI || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(uri, "\"<>\\^`{|}*") {
		return wrong("is too long or holds a character that does not belong there")
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return wrong("is malformed")
	}
	switch {
	case strings.Contains(uri, "#"):
		return wrong("has a fragment")
	case parsed.User != nil:
		return wrong("holds a user name")
	case parsed.Host == "":
		return wrong("names no host")
	case parsed.Scheme == "https", parsed.Scheme == "http" && isLoopback(parsed.Hostname()), isAppScheme(parsed.Scheme):
		return nil
	case parsed.Scheme == "http":
		return wrong("is not encrypted")
	}
	return wrong("has a scheme that no app has to itself")
}

func isLoopback(host string) bool {
	return fold(host) == "localhost" || net.ParseIP(host).IsLoopback()
}

// isAppScheme reports whether a scheme is made for one app: in the manner of a reversed domain
// name, and those that Microsoft's libraries make.
func isAppScheme(scheme string) bool {
	return strings.Contains(scheme, ".") || strings.HasPrefix(scheme, "msal") || scheme == "msauth" || scheme == "ms-appx-web"
}
