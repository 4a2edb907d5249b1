package guard

import (
	"context"
	"slices"
	"time"
)

// A CallerKind says whether an application calls for itself or on behalf of a
// user.
type CallerKind string

// The kinds of caller. CallerAny stands in a rule only; CallerUnknown is what
// a token says that proves neither.
const (
	CallerApplication CallerKind = "application"
	CallerUser        CallerKind = "user"
	CallerAny         CallerKind = "any"
	CallerUnknown     CallerKind = "unknown"
)

// A Caller is who a verified token speaks for. TenantID and ObjectID together
// name the principal for good; names and addresses do not and are left out.
type Caller struct {
	Kind     CallerKind
	TenantID string // tid
	ClientID string // appid or azp: the application that calls
	ObjectID string // oid: the principal in the tenant; empty only with Config.ObjectIDOptional
	Subject  string // sub
	Roles    []string
	Scopes   []string // scp, split at spaces
	Issuer   string   // iss
	Version  string   // ver: 1.0 or 2.0
	TokenID  string   // uti, or else jti
	IssuedAt time.Time
	Expires  time.Time
}

// HasRole reports whether the caller holds exactly this app role.
func (c Caller) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

func (c *Caller) clone() Caller {
	d := *c
	d.Roles, d.Scopes = slices.Clone(c.Roles), slices.Clone(c.Scopes)
	return d
}

type callerKey struct{}

// CallerFrom returns who calls, as [Guard.Require] or [Guard.Handler] has
// established it. On an anonymous route there is none.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(*Caller)
	if !ok {
		return Caller{}, false
	}
	return c.clone(), true
}

// kindOf tells an application's own token from a user's. The claims roles and
// appid prove neither, since a user's token has both.
func kindOf(idtyp string, scoped bool, objectID, subject string) CallerKind {
	switch {
	case idtyp == "app":
		return CallerApplication
	case scoped || idtyp == "user":
		return CallerUser
	case idtyp == "" && objectID != "" && objectID == subject:
		return CallerApplication // Entra without the optional claim idtyp
	default:
		return CallerUnknown
	}
}
