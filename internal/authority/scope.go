package authority

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// graphAppID is the resource that the bare scope ".default" stands for.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// defaultSuffix ends every scope of client credentials: all roles that were granted.
// Only one slash belongs to it, so "https://x//.default" names "https://x/".
const defaultSuffix = "/.default"

// target gives the identifier of the resource that a request asks a token for, as asked.
func (req *request) target() (string, error) {
	if req.version == 1 {
		return resourceParameter(req.resource)
	}
	if req.resource != "" {
		return "", aadsts.ResourceOnV2()
	}
	return scopeResource(req.scope)
}

// resourceParameter checks the v1 parameter.
func resourceParameter(resource string) (string, error) {
	switch {
	case resource == "":
		return "", aadsts.Missing("resource")
	case !isIdentifier(resource):
		return "", aadsts.ResourceMalformed(resource)
	}
	return resource, nil
}

// scopeResource gives the one resource that a scope names.
func scopeResource(scope string) (string, error) {
	values := strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' })
	if len(values) == 0 {
		return "", aadsts.NoScope()
	}
	var identifiers []string
	var others int
	for _, value := range values {
		identifier, ok := defaultOf(value)
		switch {
		case ok && !isIdentifier(identifier):
			return "", aadsts.ScopeSyntax(scope)
		case ok:
			identifiers = appendNew(identifiers, identifier)
		case !isOIDC(value):
			others++
		}
	}
	switch {
	case len(identifiers) == 0:
		return "", aadsts.ScopeSuffix(scope)
	case others > 0:
		return "", aadsts.ScopeSyntax(scope)
	case len(identifiers) > 1:
		return "", aadsts.ManyResources(scope)
	}
	return identifiers[0], nil
}

// defaultOf takes the suffix off a scope; ok is false when it has none.
func defaultOf(value string) (identifier string, ok bool) {
	if value == defaultSuffix[1:] {
		return graphAppID, true
	}
	return strings.CutSuffix(value, defaultSuffix)
}

// isOIDC reports whether a scope is one of OpenID Connect. MSAL for Go sends them with
// every request, also where nobody signs in.
func isOIDC(value string) bool {
	switch strings.ToLower(value) {
	case "openid", "profile", "email", "offline_access":
		return true
	}
	return false
}

// appendNew appends a value unless it is there.
func appendNew(values []string, value string) []string {
	for _, v := range values {
		if v == value {
			return values
		}
	}
	return append(values, value)
}

// isIdentifier reports whether s can name a resource: printable ASCII that RFC 6749
// section 3.3 allows in a scope.
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifier {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// audience gives the "aud" of a token for a resource that was asked for by identifier.
// Version 2.0 always carries the app id. Version 1.0 carries what was asked: the app id
// or the URI in its registered spelling, with the trailing slash as asked.
func audience(resource *directory.Application, identifier string) string {
	if tokenVersion(resource) == 2 || guid.Is(identifier) || hasClaim(resource, "aud", "use_guid") {
		return string(resource.AppID)
	}
	asked, slash := strings.CutSuffix(identifier, "/")
	for _, uri := range resource.IdentifierURIs {
		registered := strings.TrimSuffix(uri, "/")
		if !strings.EqualFold(registered, asked) {
			continue
		}
		if slash {
			return registered + "/"
		}
		return registered
	}
	return string(resource.AppID)
}

// tokenVersion is the version of access tokens that a resource takes: its own choice,
// whatever endpoint the client calls.
func tokenVersion(resource *directory.Application) int {
	if resource.TokenVersion == 2 {
		return 2
	}
	return 1
}

// hasClaim reports whether a resource asks for an optional claim, with a property if one is given.
func hasClaim(resource *directory.Application, name, property string) bool {
	for _, claim := range resource.OptionalClaims {
		if claim.Name != name {
			continue
		}
		if property == "" {
			return true
		}
		for _, p := range claim.Properties {
			if p == property {
				return true
			}
		}
	}
	return false
}
