package scope

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// GraphAppID is the resource that the bare scope ".default" stands for.
const GraphAppID = "00000003-0000-0000-c000-000000000000"

// defaultSuffix ends every scope of client credentials: all roles that were granted.
// Only one slash belongs to it, so "https://x//.default" names "https://x/".
const defaultSuffix = "/.default"

// Resource returns the identifier of the API that an application asks a token for, as it
// asked: at v1 endpoints the parameter resource, at v2.0 endpoints the scope.
func Resource(version int, scope, resource string) (string, error) {
	if version == 1 {
		return resourceParameter(resource)
	}
	if resource != "" {
		return "", aadsts.ResourceOnV2(resource)
	}
	return scopeResource(scope)
}

// resourceParameter checks the v1 parameter.
func resourceParameter(resource string) (string, error) {
	switch {
	case resource == "":
		return "", aadsts.Missing("resource")
	case !IsIdentifier(resource):
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
		case ok && !IsIdentifier(identifier):
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
		return GraphAppID, true
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

// prefixSPN may stand before the name of a resource at a v1 endpoint.
const prefixSPN = "spn:"

// CutSPN takes "spn:" off an identifier, and reports whether it was there.
func CutSPN(identifier string) (bare string, found bool) {
	if len(identifier) > len(prefixSPN) && strings.EqualFold(identifier[:len(prefixSPN)], prefixSPN) {
		return identifier[len(prefixSPN):], true
	}
	return identifier, false
}

// WithSPN puts "spn:" before an identifier, unless it is there.
func WithSPN(identifier string) string {
	bare, _ := CutSPN(identifier)
	return prefixSPN + bare
}

// MaxIdentifier is the greatest length of a resource identifier, in bytes.
const MaxIdentifier = 1 << 10

// IsIdentifier reports whether s can name a resource: printable ASCII that RFC 6749
// section 3.3 allows in a scope.
func IsIdentifier(s string) bool {
	if s == "" || len(s) > MaxIdentifier {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
