package signin

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// maxRedirect is the greatest length of a redirect URI, in bytes.
const maxRedirect = 2 << 10

// mayAnswerAt reports whether answers to an application may go to the URI that a request
// names, whichever kind of client it is registered for.
func mayAnswerAt(app *directory.Application, asked string) bool {
	return matchesRedirect(app.RedirectURIs, asked, app.Public) || matchesRedirect(app.SPARedirectURIs, asked, app.Public) ||
		matchesRedirect(app.NativeRedirectURIs, asked, true)
}

// matchesRedirect reports whether an answer may go to the URI that a request names: to
// one that is registered, letter by letter. The one exception is RFC 8252 section 7.3: a
// program on the user's machine listens on whatever port is free, so that the port of a
// public client's loopback URI does not count.
func matchesRedirect(registered []string, asked string, public bool) bool {
	if !isRedirect(asked) {
		return false
	}
	for _, uri := range registered {
		if uri == asked || public && isLoopbackTwin(uri, asked) {
			return true
		}
	}
	return false
}

// isRedirect reports whether a URI is of a kind that answers may go to at all, whatever
// is registered: absolute, without a fragment, and of bytes that stay what they are in a
// header, a page and a browser's address line.
func isRedirect(uri string) bool {
	if len(uri) > maxRedirect {
		return false
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("#\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.User != nil || !isPort(u.Port()) {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return u.Hostname() != "" && u.Opaque == ""
	case "javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source":
		return false
	}
	return true
}

// isPort reports whether a port is left out or a number that ports have.
func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// isLoopbackTwin reports whether two loopback URIs differ in nothing but the port.
func isLoopbackTwin(registered, asked string) bool {
	host, rest, ok := cutLoopback(registered)
	if !ok {
		return false
	}
	askedHost, askedRest, ok := cutLoopback(asked)
	return ok && host == askedHost && orRoot(rest) == orRoot(askedRest)
}

// isLocal reports whether a redirect URI leads to a program on the machine that the browser
// runs on, by its own network or by a scheme of the program's: whatever runs there may
// answer. Behind any other address is whoever has its certificate.
func isLocal(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || !strings.EqualFold(u.Scheme, "https") {
		return true
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		err == nil && (address.IsLoopback() || address.IsUnspecified())
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// cutLoopback splits a loopback URI into its host and what follows the port.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://localhost", "http://127.0.0.1"} {
		rest, found := strings.CutPrefix(uri, host)
		if !found {
			continue
		}
		if port, colon := strings.CutPrefix(rest, ":"); colon {
			digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
			if digits == 0 || digits > len("65535") {
				return "", "", false
			}
			rest = port[digits:]
		}
		if rest == "" || rest[0] == '/' || rest[0] == '?' {
			return host, rest, true
		}
	}
	return "", "", false
}

// How the parameters of an answer travel to the client (OAuth 2.0 Multiple Response Type
// Encoding Practices, and Form Post Response Mode).
const (
	modeQuery    = "query"
	modeFragment = "fragment"
	modeFormPost = "form_post"
)

// redirectTo adds the parameters of an answer to a redirect URI.
func redirectTo(uri, mode string, parameters url.Values) string {
	encoded := parameters.Encode()
	if mode == modeFragment {
		return uri + "#" + encoded
	}
	if _, rest, ok := cutLoopback(uri); ok && rest == "" {
		uri += "/"
	}
	if strings.Contains(uri, "?") {
		return strings.TrimSuffix(uri, "&") + "&" + encoded
	}
	return uri + "?" + encoded
}

// formTarget is the source expression by which a page's Content-Security-Policy lets its
// form lead on to a redirect URI. Chromium holds redirects that answer a form to
// form-action as well: 'self' alone would end every sign-in on a blank page.
func formTarget(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if (u.Scheme == "http" || u.Scheme == "https") && isHostSource(u.Host) {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}

// isHostSource reports whether a host can stand in a policy: IPv6 addresses cannot.
func isHostSource(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == ':':
		default:
			return false
		}
	}
	return host != ""
}
