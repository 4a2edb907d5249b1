package arm

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// What lets a caller change resources. Azure asks its own role assignments; there are none here,
// and managed identities are service principals, so what lets somebody change service principals
// by Microsoft Graph lets them change identities here.
const writerRole = "Application.ReadWrite.All"

// writerDirectoryRoles are those of users.
func writerDirectoryRoles() []string {
	return []string{"Global Administrator", "Application Administrator", "Cloud Application Administrator"}
}

// userScope is the scope of Resource Manager that lets a client act for a user.
const userScope = "user_impersonation"

// A caller was admitted. What it may change is asked of the directory for each request.
type caller struct{ selfguard.Caller }

// admit returns the caller, or says why there is none.
func (m *Manager) admit(ctx context.Context, header http.Header) (caller, error) {
	admitted, err := m.guard.Admit(ctx, header, guard.Rule{Caller: guard.CallerAny})
	var refused *selfguard.Refusal
	switch {
	case errors.As(err, &refused):
		m.cfg.Log.InfoContext(ctx, "resource manager refused a caller", "reason", refused.What)
		return caller{}, m.unauthenticated(header, refused)
	case err != nil:
		m.cfg.Log.ErrorContext(ctx, "resource manager cannot check a caller", "error", err)
		p := refusal(http.StatusServiceUnavailable, "ServiceUnavailable", "The token cannot be checked at the moment.")
		p.header = http.Header{"Retry-After": {"1"}}
		return caller{}, p
	}
	return caller{admitted}, nil
}

func (m *Manager) unauthenticated(header http.Header, refused *selfguard.Refusal) *problem {
	p := refusal(http.StatusUnauthorized, "InvalidAuthenticationToken", "%s", refused.What)
	switch {
	case header.Get("Authorization") == "":
		p.code = "AuthenticationFailed"
	case refused.Reason == guard.TokenExpired:
		p.code = "ExpiredAuthenticationToken"
	}
	p.header = http.Header{"Www-Authenticate": {`Bearer authorization_uri="` + m.cfg.Cloud.Login + `/organizations", error="invalid_token"`}}
	return p
}

// ref is what audit rows and refusals call the caller.
func (c caller) ref() string { return cmp.Or(c.ClientID, c.ObjectID) }

// actor is the caller as one who changes the directory, and as the directory knows it; nil: it may
// change nothing.
func (m *Manager) actor(ctx context.Context, c caller) (_ directory.Actor, _ *selfguard.Holder, err error) {
	holder, err := m.guard.Holder(ctx, c.Caller)
	if err != nil || holder == nil {
		return directory.Actor{}, nil, err
	}
	may := false
	if holder.User != nil {
		may = slices.Contains(c.Scopes, userScope) && holder.HasDirectoryRole(writerDirectoryRoles()...)
	} else {
		may = slices.Contains(holder.GraphRoles, writerRole)
	}
	if !may {
		return directory.Actor{}, nil, nil
	}
	return holder.Actor(writerRights()), holder, nil
}

// writerRights are what routes of this package change.
func writerRights() directory.Rights {
	return directory.Manage(directory.ServicePrincipals, directory.Credentials, directory.ResourceGroups)
}

// forbidden is the refusal of a caller who may not do what it asks for.
func forbidden(c caller, action, scope string) *problem {
	needs := "the app role " + writerRole + " of Microsoft Graph"
	if c.Kind == guard.CallerUser {
		needs = "one of the directory roles " + strings.Join(writerDirectoryRoles(), ", ")
		if !slices.Contains(c.Scopes, userScope) {
			needs = "a token with the scope " + userScope + ", and " + needs
		}
	}
	return refusal(http.StatusForbidden, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s': it needs %s.",
		c.ClientID, c.ObjectID, action, scope, needs)
}
