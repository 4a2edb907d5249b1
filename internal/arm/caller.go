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

// graphAppID is the app id of Microsoft Graph.
const graphAppID directory.AppID = "00000003-0000-0000-c000-000000000000"

// A caller was admitted. What it may change is asked of the directory for each request.
type caller struct {
	guard.Caller
	tenant *directory.Tenant
}

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
	return caller{admitted.Caller, admitted.Tenant}, nil
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

// actor is the caller as one who changes the directory, if it may.
func (m *Manager) actor(ctx context.Context, c caller) (_ directory.Actor, may bool, err error) {
	actor := directory.Actor{Kind: directory.ActorApplication, Name: c.ref(), ID: directory.ObjectID(c.ObjectID)}
	client, err := m.cfg.Directory.Instance(ctx, c.tenant.ID, directory.AppID(c.ClientID))
	if errors.Is(err, directory.ErrNotFound) {
		return actor, false, nil
	}
	if err != nil {
		return actor, false, err
	}
	switch {
	case client.Principal == nil || !client.Principal.Enabled:
		return actor, false, nil
	case c.Kind == guard.CallerUser:
		return m.userActor(ctx, c)
	case c.Kind != guard.CallerApplication || string(client.Principal.ID) != c.ObjectID:
		return actor, false, nil
	}
	actor.Name = client.Principal.Label()
	graph, err := m.cfg.Directory.Resource(ctx, c.tenant.ID, string(graphAppID))
	if errors.Is(err, directory.ErrNotFound) {
		return actor, false, nil
	}
	if err != nil {
		return actor, false, err
	}
	roles, _, err := m.cfg.Directory.Roles(ctx, client, graph)
	if err != nil || !slices.Contains(roles, writerRole) {
		return actor, false, err
	}
	actor.Rights = writerRights()
	return actor, true, nil
}

func (m *Manager) userActor(ctx context.Context, c caller) (_ directory.Actor, may bool, err error) {
	actor := directory.Actor{Kind: directory.ActorUser, Name: c.ref(), ID: directory.ObjectID(c.ObjectID)}
	user, err := m.cfg.Directory.User(ctx, c.tenant.ID, c.ObjectID)
	if errors.Is(err, directory.ErrNotFound) {
		return actor, false, nil
	}
	if err != nil {
		return actor, false, err
	}
	actor.Name = user.PrincipalName
	if !user.Enabled || !slices.Contains(c.Scopes, userScope) || !holdsAny(user.DirectoryRoles, writerDirectoryRoles()) {
		return actor, false, nil
	}
	actor.Rights = writerRights()
	return actor, true, nil
}

func holdsAny(held, wanted []string) bool {
	return slices.ContainsFunc(held, func(role string) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(role, w) })
	})
}

// writerRights are what routes of this package change.
func writerRights() directory.Rights {
	return directory.Manage(directory.ServicePrincipals, directory.Credentials)
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
