package resolve

import "strings"

// The aliases that stand in a tenant's place in a path.
const (
	AliasCommon        = "common"
	AliasOrganizations = "organizations"
	aliasConsumers     = "consumers"
	ConsumersTenant    = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// IsShared reports whether a path names no tenant of its own: at an alias the tenant is that
// of the user who signs in.
func IsShared(ref string) bool {
	alias := strings.ToLower(ref)
	return alias == AliasCommon || alias == AliasOrganizations
}

// IsConsumers reports whether a path names the tenant of personal accounts. It has documents
// as every tenant has, no key, and no tokens.
func IsConsumers(ref string) bool {
	alias := strings.ToLower(ref)
	return alias == aliasConsumers || alias == ConsumersTenant
}

// IsTenantName reports whether a path segment can name a tenant at all: letters, digits,
// dots and hyphens, as client libraries allow.
func IsTenantName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
