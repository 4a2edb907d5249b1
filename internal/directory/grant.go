package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// GrantedScopes returns the values of the enabled scopes of the resource that the client
// may use on behalf of the user: those granted to the user, and those granted to everyone.
// They are sorted.
func (d *Directory) GrantedScopes(ctx context.Context, client, resource *Instance, user ObjectID) (values []string, err error) {
	if client.Principal == nil || resource.Principal == nil || resource.Application == nil || client.Principal.Tenant != resource.Principal.Tenant {
		return nil, nil
	}
	grants, err := d.grantsBetween(ctx, client.Principal, resource.Principal)
	if err != nil {
		return nil, err
	}
	user = fold(user)
	for _, scope := range resource.Application.Scopes {
		granted := slices.ContainsFunc(grants, func(g *DelegatedGrant) bool {
			return (g.Principal == "" || g.Principal == user) && slices.Contains(g.Scopes, scope.Value)
		})
		if scope.Enabled && granted {
			values = append(values, scope.Value)
		}
	}
	slices.Sort(values)
	return values, nil
}

// grantsBetween returns what was granted to a client for a resource, for whomever.
func (d *Directory) grantsBetween(ctx context.Context, client, resource *ServicePrincipal) ([]*DelegatedGrant, error) {
	key := cacheKey{string(client.Tenant), kindGrant, makePrefix("client", string(client.ID), string(resource.ID))}
	if hit := d.cache.get(key); hit != nil {
		return answer[[]*DelegatedGrant](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) ([]*DelegatedGrant, int64, error) {
		return listAll[DelegatedGrant](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// DelegatedGrants lists what a client may do on behalf of users. It always asks the store.
func (d *Directory) DelegatedGrants(ctx context.Context, tenant TenantID, client ObjectID) ([]*DelegatedGrant, error) {
	all, _, err := listAll[DelegatedGrant](ctx, d.cfg.Store, string(fold(tenant)), kindGrant, makePrefix("client", string(fold(client))))
	return all, err
}

// DelegatedGrants lists what a client may do on behalf of users.
func (e *Editor) DelegatedGrants(tenant TenantID, client ObjectID) ([]*DelegatedGrant, error) {
	rows, err := list[DelegatedGrant](e, fold(tenant), kindGrant, makePrefix("client", string(fold(client))))
	return values(rows), err
}

// GrantScopes lets a client use scopes of a resource on behalf of a user, or of everyone
// when principal is empty, besides those it may use already. It returns the grant as it
// is then; scopes that were granted before are no error.
func (e *Editor) GrantScopes(tenant TenantID, client, resource, principal ObjectID, scopes []string) (*DelegatedGrant, error) {
	holder, err := e.principalByID(tenant, client)
	if err != nil {
		return nil, err
	}
	if holder.Type != PrincipalApplication {
		return nil, &RuleError{Field: "client", What: fmt.Sprintf("%s is a managed identity and never acts on behalf of users.", holder.Name), Fix: "Name the service principal of an application, or grant an app role."}
	}
	api, err := e.principalByID(tenant, resource)
	if err != nil {
		return nil, err
	}
	if err := e.checkGrantable(api, scopes); err != nil {
		return nil, err
	}
	if principal != "" {
		user, err := e.userRow(holder.Tenant, string(principal))
		if err != nil {
			return nil, err
		}
		principal = user.value.ID
	}
	next := DelegatedGrant{ID: ObjectID(newGUID()), Tenant: holder.Tenant, Client: holder.ID, Resource: api.ID, Principal: principal, Created: e.now}
	old, err := lookup[DelegatedGrant](e, next.Tenant, kindGrant, next.pairKey())
	if err == nil {
		next = *old.value
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	next.Scopes = slices.Concat(next.Scopes, scopes)
	slices.Sort(next.Scopes)
	next.Scopes = slices.Compact(next.Scopes)
	return &next, e.writeGrant(old, &next)
}

// RevokeScopes takes scopes away again, all of them when none is named. ErrNotFound means
// that one of them is not granted.
func (e *Editor) RevokeScopes(tenant TenantID, client, resource, principal ObjectID, scopes []string) error {
	wanted := DelegatedGrant{Client: fold(client), Resource: fold(resource), Principal: fold(principal)}
	old, err := lookup[DelegatedGrant](e, fold(tenant), kindGrant, wanted.pairKey())
	if errors.Is(err, ErrNotFound) {
		return missing("No scope of the API is granted to the client there.", "List its delegated grants to see what it holds.")
	}
	if err != nil {
		return err
	}
	next := *old.value
	for _, scope := range scopes {
		if !slices.Contains(next.Scopes, scope) {
			return missing(fmt.Sprintf("The scope %q is not granted to the client there.", clip(scope)), "List its delegated grants to see what it holds.")
		}
	}
	next.Scopes = slices.DeleteFunc(slices.Clone(next.Scopes), func(scope string) bool {
		return len(scopes) == 0 || slices.Contains(scopes, scope)
	})
	return e.writeGrant(old, &next)
}

// checkGrantable holds for scopes that are about to be granted.
func (e *Editor) checkGrantable(api *ServicePrincipal, scopes []string) error {
	if api.Type != PrincipalApplication {
		return &RuleError{Field: "resource", What: fmt.Sprintf("%s is a managed identity and offers no scopes.", api.Name), Fix: "Name the service principal of an API."}
	}
	if len(scopes) == 0 {
		return &RuleError{Field: "scopes", What: "The grant names no scope.", Fix: "Name at least one scope of the API."}
	}
	app, err := lookup[Application](e, api.Tenant, kindApplication, makeKey("id", string(api.Application)))
	if err != nil {
		return err
	}
	for _, value := range scopes {
		scope, ok := app.value.Scope(value)
		if !ok || scope.Value != value {
			return &RuleError{Field: "scopes", What: fmt.Sprintf("%s has no scope %q.", api.Name, clip(value)), Fix: "Add the scope to the API first.", Cause: ErrNotFound}
		}
		if !scope.Enabled {
			return &RuleError{Field: "scopes", What: fmt.Sprintf("The scope %q of %s is disabled.", value, api.Name), Fix: "Enable it first."}
		}
	}
	return nil
}

// writeGrant stores a grant in place of the old one, if any; a grant of nothing goes.
func (e *Editor) writeGrant(old row[DelegatedGrant], next *DelegatedGrant) error {
	t := e.describeGrant(next)
	var before []string
	if old.value != nil {
		before = old.value.Scopes
	}
	var d detail
	d.lists("scopes", before, next.Scopes)
	switch {
	case slices.Equal(before, next.Scopes):
		e.note("none", t, "")
		return nil
	case len(next.Scopes) == 0:
		if err := e.remove(old.value, old.version); err != nil {
			return err
		}
		return e.record("delete", t, d.String())
	}
	if err := e.put(next, old.version); err != nil {
		return err
	}
	if old.value == nil {
		return e.record("create", t, d.String())
	}
	return e.record("update", t, d.String())
}

// dropGrants removes all grants with a key of that prefix.
func (e *Editor) dropGrants(tenant TenantID, space string, id ObjectID) error {
	rows, err := list[DelegatedGrant](e, tenant, kindGrant, makePrefix(space, string(id)))
	if err != nil {
		return err
	}
	for _, grant := range rows {
		next := *grant.value
		next.Scopes = nil
		if err := e.writeGrant(grant, &next); err != nil {
			return err
		}
	}
	return nil
}

// describeGrant names a grant as well as what is still there allows.
func (e *Editor) describeGrant(g *DelegatedGrant) target {
	t := g.target()
	client, err := e.principalByID(g.Tenant, g.Client)
	if err != nil {
		return t
	}
	api, err := e.principalByID(g.Tenant, g.Resource)
	if err != nil {
		return t
	}
	t.name = client.Name + " → " + api.Name + " for "
	if g.Principal == "" {
		t.name += "everyone"
		return t
	}
	if user, err := e.userRow(g.Tenant, string(g.Principal)); err == nil {
		t.name += user.value.PrincipalName
		return t
	}
	t.name += string(g.Principal)
	return t
}

// pairKey is the key by what the grant says, of which there is one each.
func (g *DelegatedGrant) pairKey() string { return g.keys()[1] }

func (g *DelegatedGrant) target() target {
	return target{kind: kindGrant, tenant: g.Tenant, id: string(g.ID), name: string(g.Client) + " → " + string(g.Resource) + " " + strings.Join(g.Scopes, " ")}
}
