package scope

import (
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// Requested are the scopes that a client asks a user for: those of one API, and those of
// OpenID Connect. It is kept in token records and in sealed pages.
type Requested struct {
	Identifier string   `json:"r,omitempty"` // of the resource, as asked; empty: only who the user is
	Values     []string `json:"s,omitempty"` // of the resource's scopes, as asked
	All        bool     `json:"a,omitempty"` // "/.default": whatever was granted
	OIDC       []string `json:"o,omitempty"` // lower case
}

// Has reports whether a scope of OpenID Connect was requested.
func (r Requested) Has(scope string) bool { return slices.Contains(r.OIDC, scope) }

// Usual are the scopes of OpenID Connect that come with any sign-in: client libraries
// always ask for them, and a consent page always tells of them.
func Usual() []string { return []string{"openid", "profile", "offline_access"} }

// empty reports whether nothing was requested.
func (r Requested) empty() bool { return r.Identifier == "" && len(r.OIDC) == 0 }

// Parse reads the scope, or at the v1 endpoints the resource, of a user's sign-in. At
// v1 a resource stands for all that was granted there, and for an id token as well.
func Parse(version int, scope, resource string) (Requested, error) {
	if version == 1 {
		return parseV1(scope, resource)
	}
	if resource != "" {
		return Requested{}, aadsts.ResourceOnV2(resource)
	}
	var r Requested
	for value := range strings.FieldsFuncSeq(scope, func(c rune) bool { return c == ' ' }) {
		if isOIDC(value) {
			r.OIDC = appendNew(r.OIDC, strings.ToLower(value))
			continue
		}
		if err := r.add(value, scope); err != nil {
			return Requested{}, err
		}
	}
	switch {
	case r.empty():
		return Requested{}, aadsts.NoScope()
	case r.All && len(r.Values) > 0:
		return Requested{}, aadsts.ScopeSyntax(scope)
	}
	return r, nil
}

func parseV1(scope, resource string) (Requested, error) {
	r := Requested{All: resource != "", Identifier: resource, OIDC: []string{"openid", "profile", "offline_access"}}
	if resource != "" && !IsIdentifier(resource) {
		return Requested{}, aadsts.ResourceMalformed(resource)
	}
	if slices.Contains(strings.Fields(strings.ToLower(scope)), "email") {
		r.OIDC = append(r.OIDC, "email")
	}
	return r, nil
}

// add takes one scope of a resource: its identifier, a slash, and the scope's value. A
// value alone is Microsoft Graph's.
func (r *Requested) add(value, scope string) error {
	identifier, name := GraphAppID, value
	if cut := strings.LastIndexByte(value, '/'); cut >= 0 {
		identifier, name = value[:cut], value[cut+1:]
	}
	switch {
	case !IsIdentifier(identifier) || !IsIdentifier(name):
		return aadsts.ScopeSyntax(scope)
	case r.Identifier != "" && r.Identifier != identifier:
		return aadsts.ManyResources(scope)
	}
	r.Identifier = identifier
	if name == defaultSuffix[1:] {
		r.All = true
		return nil
	}
	r.Values = appendNew(r.Values, name)
	return nil
}

// Text is the "scope" of an answer: the granted scopes, each with its API before it. MSAL
// for Go takes a requested scope that it does not find there for declined.
func (r Requested) Text(granted []string) string {
	if r.Identifier == "" {
		return strings.Join(r.OIDC, " ")
	}
	var all []string
	for _, value := range granted {
		all = append(all, r.Identifier+"/"+value)
	}
	if r.All {
		all = append(all, r.Identifier+defaultSuffix)
	}
	return strings.Join(all, " ")
}

// Again returns what is requested when something is redeemed: what it was made for, or
// another resource. The scopes that come with any sign-in may be added now, as MSAL for Go
// does; to others of OpenID Connect nobody agreed.
func (r Requested) Again(version int, scope, resource string) (Requested, error) {
	if resource == "" && (scope == "" || version == 1) {
		return r, nil
	}
	now, err := Parse(version, scope, resource)
	if err != nil {
		return Requested{}, err
	}
	later := now.OIDC
	now.OIDC = slices.Clone(r.OIDC)
	for _, usual := range Usual() {
		if slices.Contains(later, usual) {
			now.OIDC = appendNew(now.OIDC, usual)
		}
	}
	return now, nil
}
