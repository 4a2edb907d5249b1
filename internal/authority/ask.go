package authority

import (
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// An ask is what a client wants of a user: scopes of one resource, and of OpenID Connect.
type ask struct {
	Identifier string   `json:"r,omitempty"` // of the resource, as asked; empty: only who the user is
	Values     []string `json:"s,omitempty"` // of the resource's scopes, as asked
	All        bool     `json:"a,omitempty"` // "/.default": whatever was granted
	OIDC       []string `json:"o,omitempty"` // lower case
}

// has reports whether a scope of OpenID Connect was asked for.
func (w ask) has(scope string) bool { return slices.Contains(w.OIDC, scope) }

// usualScopes are the scopes of OpenID Connect that come with any sign-in: client
// libraries ask for them always, and a consent page tells of them always.
func usualScopes() []string { return []string{"openid", "profile", "offline_access"} }

// empty reports whether nothing was asked for.
func (w ask) empty() bool { return w.Identifier == "" && len(w.OIDC) == 0 }

// parseAsk reads the scope, or at the v1 endpoints the resource, of a user's sign-in. At
// v1 a resource stands for all that was granted there, and for an id token as well.
func parseAsk(version int, scope, resource string) (ask, error) {
	if version == 1 {
		return askV1(scope, resource)
	}
	if resource != "" {
		return ask{}, aadsts.ResourceOnV2()
	}
	var w ask
	for value := range strings.FieldsFuncSeq(scope, func(r rune) bool { return r == ' ' }) {
		if isOIDC(value) {
			w.OIDC = appendNew(w.OIDC, strings.ToLower(value))
			continue
		}
		if err := w.add(value, scope); err != nil {
			return ask{}, err
		}
	}
	switch {
	case w.empty():
		return ask{}, aadsts.NoScope()
	case w.All && len(w.Values) > 0:
		return ask{}, aadsts.ScopeSyntax(scope)
	}
	return w, nil
}

func askV1(scope, resource string) (ask, error) {
	w := ask{All: resource != "", Identifier: resource, OIDC: []string{"openid", "profile", "offline_access"}}
	if resource != "" && !isIdentifier(resource) {
		return ask{}, aadsts.ResourceMalformed(resource)
	}
	if slices.Contains(strings.Fields(strings.ToLower(scope)), "email") {
		w.OIDC = append(w.OIDC, "email")
	}
	return w, nil
}

// add takes one scope of a resource: its identifier, a slash, and the scope's value. A
// value alone is Microsoft Graph's.
func (w *ask) add(value, scope string) error {
	identifier, name := graphAppID, value
	if cut := strings.LastIndexByte(value, '/'); cut >= 0 {
		identifier, name = value[:cut], value[cut+1:]
	}
	switch {
	case !isIdentifier(identifier) || !isIdentifier(name):
		return aadsts.ScopeSyntax(scope)
	case w.Identifier != "" && w.Identifier != identifier:
		return aadsts.ManyResources(scope)
	}
	w.Identifier = identifier
	if name == defaultSuffix[1:] {
		w.All = true
		return nil
	}
	w.Values = appendNew(w.Values, name)
	return nil
}

// scopeText is the "scope" of an answer: what was granted, each with its resource before
// it. MSAL for Go takes what it asked for and does not find there for declined.
func (w ask) scopeText(granted []string) string {
	if w.Identifier == "" {
		return strings.Join(w.OIDC, " ")
	}
	var all []string
	for _, value := range granted {
		all = append(all, w.Identifier+"/"+value)
	}
	if w.All {
		all = append(all, w.Identifier+defaultSuffix)
	}
	return strings.Join(all, " ")
}
