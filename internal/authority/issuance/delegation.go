package issuance

import (
	"context"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Delegation is what a client may do on behalf of a user, and what it may not do until
// somebody consents.
type Delegation struct {
	Resource *directory.Instance
	Granted  []string          // of the requested scopes
	Missing  []directory.Scope // requested, and not granted
	Roles    []string          // of the user at the resource
}

// Delegate finds out what requested scopes come to, for a user and a client of one tenant.
func (i *Issuer) Delegate(ctx context.Context, tenant *directory.Tenant, client *directory.Instance, user *directory.User, requested scope.Requested) (Delegation, error) {
	return resolve.Fresh(ctx, i.directory, func() (Delegation, error) {
		if err := i.checkAssigned(ctx, user, client, client.Principal.Label()); err != nil {
			return Delegation{}, err
		}
		if requested.Identifier == "" {
			return Delegation{Resource: userInfoResource(), Granted: requested.OIDC}, nil
		}
		resource, err := i.resolver.ResourceNow(ctx, tenant, requested.Identifier)
		if err != nil {
			return Delegation{}, err
		}
		if bare, _ := scope.CutSPN(requested.Identifier); client.Principal.AppID == resource.Application.AppID && !guid.Is(bare) {
			return Delegation{}, aadsts.SelfByName(requested.Identifier, string(client.Principal.AppID))
		}
		if err := i.checkAssigned(ctx, user, resource, requested.Identifier); err != nil {
			return Delegation{}, err
		}
		d := Delegation{Resource: resource}
		granted, err := i.directory.GrantedScopes(ctx, client, resource, user.ID)
		if err != nil {
			return Delegation{}, err
		}
		if d.Roles, _, err = i.directory.UserRoles(ctx, user, resource); err != nil {
			return Delegation{}, err
		}
		return d, d.splitByConsent(client, requested, granted)
	})
}

// splitByConsent compares what was requested with what was granted. "/.default" asks for all
// that was granted, and at the first time for what the registration requests.
func (d *Delegation) splitByConsent(client *directory.Instance, requested scope.Requested, granted []string) error {
	if requested.All {
		d.Granted = granted
		if len(granted) > 0 {
			return nil
		}
		d.Missing = registered(client.Application, d.Resource.Application)
		if len(d.Missing) == 0 {
			return aadsts.NotRequested(string(client.Principal.AppID), requested.Identifier)
		}
		return nil
	}
	for _, value := range requested.Values {
		known, ok := ScopeNamed(d.Resource.Application, value)
		switch {
		case !ok:
			return aadsts.ScopeUnknown(value, requested.Identifier)
		case slices.Contains(granted, known.Value):
			if !slices.Contains(d.Granted, known.Value) {
				d.Granted = append(d.Granted, known.Value)
			}
		case !slices.ContainsFunc(d.Missing, func(s directory.Scope) bool { return s.ID == known.ID }):
			d.Missing = append(d.Missing, known)
		}
	}
	return nil
}

// ScopeNamed finds an enabled scope by its value, in any case: client libraries fold it.
func ScopeNamed(api *directory.Application, value string) (directory.Scope, bool) {
	for _, s := range api.Scopes {
		if s.Enabled && strings.EqualFold(s.Value, value) {
			return s, true
		}
	}
	return directory.Scope{}, false
}

// registered returns the enabled scopes of an API that a registration requests.
func registered(app, api *directory.Application) []directory.Scope {
	var scopes []directory.Scope
	for _, permission := range app.Permissions {
		if permission.API != api.AppID {
			continue
		}
		for _, s := range api.Scopes {
			if s.Enabled && slices.Contains(permission.Scopes, s.ID) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// checkAssigned refuses users without any role at an application that requires one.
func (i *Issuer) checkAssigned(ctx context.Context, user *directory.User, application *directory.Instance, name string) error {
	if !application.Principal.AssignmentRequired {
		return nil
	}
	_, assigned, err := i.directory.UserRoles(ctx, user, application)
	switch {
	case err != nil:
		return err
	case !assigned:
		return aadsts.UserNotAssigned(user.PrincipalName, name)
	}
	return nil
}

// ConsentRequired is what a client is told that cannot ask the user.
func ConsentRequired(client *directory.Instance, missing []directory.Scope) *aadsts.Problem {
	return aadsts.Consent(string(client.Principal.AppID), client.Principal.Label(), ScopeValues(missing))
}

// ScopeValues joins the values of scopes.
func ScopeValues(scopes []directory.Scope) string {
	values := make([]string, len(scopes))
	for i, s := range scopes {
		values[i] = s.Value
	}
	return strings.Join(values, " ")
}

// userInfoResource is what a token is for when only the user was asked for: the userinfo
// endpoint. Its app id is that of Microsoft Graph, where Microsoft has that endpoint.
func userInfoResource() *directory.Instance {
	return &directory.Instance{Application: &directory.Application{AppID: scope.GraphAppID, TokenVersion: 1}, Principal: &directory.ServicePrincipal{}}
}
