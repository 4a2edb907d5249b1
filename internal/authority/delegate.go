package authority

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A delegation is what a client may do on behalf of a user, and what it may not do until
// somebody consents.
type delegation struct {
	resource *directory.Instance
	scopes   []string          // granted, of what was asked
	missing  []directory.Scope // asked, and not granted
	roles    []string          // of the user at the resource
}

// delegate finds out what an ask comes to, for a user and a client of one tenant.
func (a *Authority) delegate(ctx context.Context, tenant *directory.Tenant, client *directory.Instance, user *directory.User, w ask) (delegation, error) {
	return fresh(ctx, a.directory, func() (delegation, error) {
		if err := a.checkAssigned(ctx, user, client, client.Principal.Name); err != nil {
			return delegation{}, err
		}
		if w.Identifier == "" {
			return delegation{resource: userInfoResource(), scopes: w.OIDC}, nil
		}
		resource, err := a.findResource(ctx, tenant, w.Identifier)
		if err != nil {
			return delegation{}, err
		}
		if err := a.checkAssigned(ctx, user, resource, w.Identifier); err != nil {
			return delegation{}, err
		}
		d := delegation{resource: resource}
		granted, err := a.directory.GrantedScopes(ctx, client, resource, user.ID)
		if err != nil {
			return delegation{}, err
		}
		if d.roles, _, err = a.directory.UserRoles(ctx, user, resource); err != nil {
			return delegation{}, err
		}
		return d, d.measure(client, w, granted)
	})
}

// measure holds what was asked against what was granted. "/.default" asks for all that
// was granted, and at the first time for what the registration requests.
func (d *delegation) measure(client *directory.Instance, w ask, granted []string) error {
	if w.All {
		d.scopes = granted
		if len(granted) > 0 {
			return nil
		}
		d.missing = requested(client.Application, d.resource.Application)
		if len(d.missing) == 0 {
			return aadsts.NotRequested(string(client.Principal.AppID), w.Identifier)
		}
		return nil
	}
	for _, value := range w.Values {
		scope, ok := scopeNamed(d.resource.Application, value)
		switch {
		case !ok:
			return aadsts.ScopeUnknown(value, w.Identifier)
		case slices.Contains(granted, scope.Value):
			d.scopes = appendNew(d.scopes, scope.Value)
		case !slices.ContainsFunc(d.missing, func(s directory.Scope) bool { return s.ID == scope.ID }):
			d.missing = append(d.missing, scope)
		}
	}
	return nil
}

// scopeNamed finds an enabled scope by its value, in any case: client libraries fold it.
func scopeNamed(api *directory.Application, value string) (directory.Scope, bool) {
	for _, scope := range api.Scopes {
		if scope.Enabled && strings.EqualFold(scope.Value, value) {
			return scope, true
		}
	}
	return directory.Scope{}, false
}

// requested gives the enabled scopes of an API that a registration asks for.
func requested(app, api *directory.Application) []directory.Scope {
	var scopes []directory.Scope
	for _, permission := range app.Permissions {
		if permission.API != api.AppID {
			continue
		}
		for _, scope := range api.Scopes {
			if scope.Enabled && slices.Contains(permission.Scopes, scope.ID) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// checkAssigned refuses users without any role at an application that demands one.
func (a *Authority) checkAssigned(ctx context.Context, user *directory.User, application *directory.Instance, name string) error {
	if !application.Principal.AssignmentRequired {
		return nil
	}
	_, assigned, err := a.directory.UserRoles(ctx, user, application)
	switch {
	case err != nil:
		return err
	case !assigned:
		return aadsts.UserNotAssigned(user.PrincipalName, name)
	}
	return nil
}

// consentProblem is what a client is told that cannot ask the user.
func consentProblem(client *directory.Instance, missing []directory.Scope) error {
	return aadsts.Consent(string(client.Principal.AppID), client.Principal.Name, scopeValues(missing))
}

func scopeValues(scopes []directory.Scope) string {
	values := make([]string, len(scopes))
	for i, scope := range scopes {
		values[i] = scope.Value
	}
	return strings.Join(values, " ")
}

// userInfoResource is what a token is for when only the user was asked for: the userinfo
// endpoint. Its app id is that of Microsoft Graph, where Microsoft has that endpoint.
func userInfoResource() *directory.Instance {
	return &directory.Instance{Application: &directory.Application{AppID: graphAppID, TokenVersion: 1}, Principal: &directory.ServicePrincipal{}}
}

// findUser gives a user who may sign in.
func (a *Authority) findUser(ctx context.Context, tenant *directory.Tenant, ref string) (*directory.User, error) {
	return fresh(ctx, a.directory, func() (*directory.User, error) {
		user, err := a.directory.User(ctx, tenant.ID, ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			return nil, aadsts.UserUnknown(ref)
		case err != nil:
			return nil, err
		case !user.Enabled:
			return nil, aadsts.UserDisabled(user.PrincipalName)
		}
		return user, nil
	})
}

// homeOf gives the tenant that has the domain of a user's name.
func (a *Authority) homeOf(ctx context.Context, name string) (*directory.Tenant, error) {
	_, domain, _ := strings.Cut(name, "@")
	if domain == "" {
		return nil, aadsts.UserHome(name)
	}
	tenant, err := a.tenantOf(ctx, domain)
	if err != nil {
		if err := aadsts.Of(err); err.IsOutage() {
			return nil, err
		}
		return nil, aadsts.UserHome(name)
	}
	if !owns(tenant, domain) {
		return nil, aadsts.UserHome(name)
	}
	return tenant, nil
}

// checkPassword finds the user of a name and password. Refused attempts are counted by
// user and source, so that a guesser waits and nobody else does.
func (a *Authority) checkPassword(ctx context.Context, x *exchange, tenant *directory.Tenant, name, password string) (*directory.User, error) {
	counted := a.countedAs(ctx, tenant, name)
	defer a.turns.take(string(counted) + " " + x.source)()
	if seconds := a.throttle.wait(counted, x.source); seconds > 0 {
		return nil, aadsts.Throttled(seconds)
	}
	user, err := fresh(ctx, a.directory, func() (*directory.User, error) {
		return a.provePassword(ctx, tenant, name, password)
	})
	if err != nil && !aadsts.Of(err).IsOutage() {
		a.throttle.failed(counted, x.source)
	}
	return user, err
}

// countedAs names the budget of failures of a user: there is one, whichever of the user's
// names is tried. Whom nobody knows has one for the name.
func (a *Authority) countedAs(ctx context.Context, tenant *directory.Tenant, name string) directory.AppID {
	who := strings.ToLower(text.Line(name, aadsts.MaxNoted))
	if user, err := a.directory.User(ctx, tenant.ID, name); err == nil {
		who = string(user.ID)
	}
	return directory.AppID("user " + string(tenant.ID) + " " + who)
}

// provePassword takes as long for users who do not exist.
func (a *Authority) provePassword(ctx context.Context, tenant *directory.Tenant, name, password string) (*directory.User, error) {
	user, err := a.directory.User(ctx, tenant.ID, name)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	switch wrong := a.directory.CheckPassword(ctx, user, password); {
	case errors.Is(wrong, directory.ErrWrongPassword) && user == nil:
		return nil, aadsts.UserUnknown(name)
	case errors.Is(wrong, directory.ErrWrongPassword):
		return nil, aadsts.WrongPassword()
	case wrong != nil:
		return nil, aadsts.Unavailable(wrong)
	case !user.Enabled:
		return nil, aadsts.UserDisabled(user.PrincipalName)
	}
	return user, nil
}
