package review

import (
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Recently is how long ago the last use of something counts as a use of today: who takes it away
// is warned.
const Recently = 7 * 24 * time.Hour

// LastUse returns the time of the newest successful sign-in of which something is true; zero: there
// is none.
func LastUse(rows []directory.SignIn, is func(directory.SignIn) bool) time.Time {
	var last time.Time
	for _, row := range rows {
		if !row.Refused() && row.Time.After(last) && is(row) {
			last = row.Time
		}
	}
	return last
}

// IsFor reports whether a sign-in led to a token for an API.
func IsFor(row directory.SignIn, api *directory.Application) bool {
	asked := strings.TrimSuffix(row.Resource, "/")
	return asked != "" && slices.ContainsFunc(append([]string{string(api.AppID), api.Name, api.DisplayName}, api.IdentifierURIs...), func(name string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "/"), asked)
	})
}

// Carries reports whether the token that a sign-in led to carries a role or scope.
func Carries(row directory.SignIn, value string) bool {
	return slices.Contains(row.Roles, value) || slices.Contains(row.Scopes, value)
}
