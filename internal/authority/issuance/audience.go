package issuance

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// audience gives the "aud" of a token for a resource that was asked for by identifier.
// Version 2.0 always carries the app id. Version 1.0 carries what was asked: the app id
// or the URI in its registered spelling, with the trailing slash as asked, behind "spn:" where
// that was asked. A built-in resource has the identifiers of its accounts besides.
func audience(resource *directory.Application, identifier string) string {
	if tokenVersion(resource) == 2 || hasClaim(resource, "aud", "use_guid") {
		return string(resource.AppID)
	}
	if bare, prefixed := scope.CutSPN(identifier); prefixed {
		return scope.WithSPN(named(resource, bare))
	}
	return named(resource, identifier)
}

// named is the name of a resource that an identifier is.
func named(resource *directory.Application, identifier string) string {
	if guid.Is(identifier) {
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
	if _, is := directory.FindBuiltin(identifier); is { // one of its accounts, or an entry that was taken over
		return identifier
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
