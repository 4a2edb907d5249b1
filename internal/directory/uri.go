package directory

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

const (
	maxURI  = 255
	maxURIs = 50
)

// checkURIs holds for the identifier URIs of a registration: what clients name it by.
func (e ApplicationEditor) checkURIs(_, a *Application) error {
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
	}
	return nil
}

// checkURI holds for one identifier URI: absolute, with something behind the scheme, and
// plain enough to stand in a scope ("<uri>/.default") and in a token's audience.
func checkURI(field, uri string) error {
	fix := "Write it as api://orders or https://orders.contoso.test."
	wrong := func(why string) error {
		return &RuleError{Field: field, What: fmt.Sprintf("The identifier URI %q %s.", clip(uri), why), Advice: fix}
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

// checkURIOwner refuses api://<app id of another application>: whoever asks for that id
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
