package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// GrantedScopes returns the values of the enabled scopes of the resource that the client
// may use on behalf of the user: those granted to the user, those granted to everyone, and
// those that the resource lets the client use without consent. They are sorted.
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
		}) || resource.Application.PreAuthorizes(client.Principal.AppID, scope.ID) || resource.Application.letsCLIAct(client.Principal.AppID, scope.Value)
		if scope.Enabled && granted && scope.Value != "" {
			values = append(values, scope.Value)
		}
	}
	slices.Sort(values)
	return values, nil
}

// grantsBetween returns what was granted to a client for a resource, for whomever.
func (d *Directory) grantsBetween(ctx context.Context, client, resource *ServicePrincipal) ([]*DelegatedGrant, error) {
	key := cacheKey{string(client.Tenant), KindDelegatedGrant, makePrefix("client", string(client.ID), string(resource.ID))}
	if hit := d.cache.get(key); hit != nil {
		return answer[[]*DelegatedGrant](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) ([]*DelegatedGrant, int64, error) {
		return listAll[DelegatedGrant](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// A DelegatedGrantEditor reads and changes delegated grants.
type DelegatedGrantEditor struct {
	DelegatedGrantView
	*editor
}

// Add lets a client use scopes of a resource on behalf of a user, or of everyone when
// principal is empty, besides those it may use already. It returns the grant as it is
// then; scopes that were granted before are no error.
func (e DelegatedGrantEditor) Add(tenant TenantID, client, resource, principal ObjectID, scopes []string) (*DelegatedGrant, error) {
	return acting(e.editor, Create, DelegatedGrants, func() (*DelegatedGrant, error) {
		next, err := e.wanted(tenant, client, resource, principal, scopes)
		if err != nil {
			return nil, err
		}
		old, err := lookup[DelegatedGrant](e.editor, next.Tenant, KindDelegatedGrant, next.pairKey())
		if err == nil {
			*next = *old.value
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		next.Scopes = slices.Concat(next.Scopes, scopes)
		slices.Sort(next.Scopes)
		next.Scopes = slices.Compact(next.Scopes)
		return next, e.write(old, next)
	})
}

// wanted returns a grant of nothing yet between those that the ids name.
func (e DelegatedGrantEditor) wanted(tenant TenantID, client, resource, principal ObjectID, scopes []string) (*DelegatedGrant, error) {
	holder, err := e.principals().byID(tenant, client)
	if err != nil {
		return nil, err
	}
	if holder.Type != PrincipalApplication {
		return nil, &RuleError{Field: "client", What: fmt.Sprintf("%s is a managed identity and never acts on behalf of users.", holder.ref()), Advice: "Name the service principal of an application, or grant an app role."}
	}
	api, err := e.resource(holder.Tenant, resource, "scopes")
	if err != nil {
		return nil, err
	}
	if err := checkGrantable(api, scopes); err != nil {
		return nil, err
	}
	if principal != "" {
		user, err := e.users().get(holder.Tenant, principal)
		if err != nil {
			return nil, err
		}
		principal = user.value.ID
	}
	return &DelegatedGrant{ID: ObjectID(guid.New()), Tenant: holder.Tenant, Client: holder.ID, Resource: api.Principal.ID, Principal: principal, Created: e.now}, nil
}

// Remove takes scopes away again, all of them when none is named. ErrNotFound means that
// one of them is not granted.
func (e DelegatedGrantEditor) Remove(tenant TenantID, client, resource, principal ObjectID, scopes []string) error {
	return e.act(Delete, DelegatedGrants, func() error {
		wanted := DelegatedGrant{Client: fold(client), Resource: fold(resource), Principal: fold(principal)}
		old, err := lookup[DelegatedGrant](e.editor, fold(tenant), KindDelegatedGrant, wanted.pairKey())
		if errors.Is(err, ErrNotFound) {
			return missing("No scope of the API is granted to the client there.", "List its delegated grants to see what it holds.")
		}
		if err != nil {
			return err
		}
		next := *old.value
		for _, scope := range scopes {
			if !slices.Contains(next.Scopes, scope) {
				return missing(fmt.Sprintf("The scope %q is not granted to the client there.", text.Shown(scope)), "List its delegated grants to see what it holds.")
			}
		}
		next.Scopes = slices.DeleteFunc(slices.Clone(next.Scopes), func(scope string) bool {
			return len(scopes) == 0 || slices.Contains(scopes, scope)
		})
		if err := e.revokeGrant(old.value, &next); err != nil {
			return err
		}
		return e.write(old, &next)
	})
}

// checkGrantable checks scopes that are about to be granted.
func checkGrantable(api *Instance, scopes []string) error {
	if len(scopes) == 0 {
		return &RuleError{Field: "scopes", What: "The grant names no scope.", Advice: "Name at least one scope of the API."}
	}
	for _, value := range scopes {
		scope, ok := api.Application.Scope(value)
		if !ok || scope.Value != value {
			return &RuleError{Field: "scopes", What: fmt.Sprintf("%s has no scope %q.", api.Principal.ref(), text.Shown(value)), Advice: "Add the scope to the API first.", Cause: ErrNotFound}
		}
		if !scope.Enabled {
			return &RuleError{Field: "scopes", What: fmt.Sprintf("The scope %q of %s is disabled.", value, api.Principal.ref()), Advice: "Enable it first."}
		}
	}
	return nil
}

// write stores a grant in place of the old one, if any; a grant of nothing goes.
func (e DelegatedGrantEditor) write(old row[DelegatedGrant], next *DelegatedGrant) error {
	t := e.describe(next)
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

// dropOf removes all grants with a key of that prefix.
func (e DelegatedGrantEditor) dropOf(tenant TenantID, space string, id ObjectID) error {
	rows, err := list[DelegatedGrant](e.editor, tenant, KindDelegatedGrant, makePrefix(space, string(id)))
	if err != nil {
		return err
	}
	for _, grant := range rows {
		next := *grant.value
		next.Scopes = nil
		if err := e.write(grant, &next); err != nil {
			return err
		}
	}
	return nil
}

// describe names a grant as well as what is still there allows.
func (e DelegatedGrantEditor) describe(g *DelegatedGrant) target {
	t := g.target()
	client, err := e.principals().byID(g.Tenant, g.Client)
	if err != nil {
		return t
	}
	api, err := e.resource(g.Tenant, g.Resource, "scopes")
	if err != nil {
		return t
	}
	t.name = client.ref() + " → " + api.Principal.ref() + " for "
	if g.Principal == "" {
		t.name += "everyone"
		return t
	}
	if user, err := e.users().get(g.Tenant, g.Principal); err == nil {
		t.name += user.value.PrincipalName
		return t
	}
	t.name += string(g.Principal)
	return t
}

// pairKey is the key by what the grant says, of which there is one each.
func (g *DelegatedGrant) pairKey() string { return g.keys()[1] }

func (g *DelegatedGrant) target() target {
	return target{kind: KindDelegatedGrant, tenant: g.Tenant, id: string(g.ID), name: string(g.Client) + " → " + string(g.Resource) + " " + strings.Join(g.Scopes, " ")}
}

// consentRoles are the directory roles whose holders may consent to anything, for themselves
// and for everyone.
func consentRoles() []string {
	return []string{"Global Administrator", "Privileged Role Administrator", "Application Administrator", "Cloud Application Administrator"}
}

// IsConsentAdmin reports whether the user may consent for everyone, and to scopes that are for
// administrators.
func (u *User) IsConsentAdmin() bool {
	return slices.ContainsFunc(u.DirectoryRoles, func(role string) bool { return slices.Contains(consentRoles(), role) })
}

// Consenter is a user who agrees that an application acts for them or, if they may, for
// everyone.
func Consenter(user *User) Actor {
	return Actor{Kind: ActorUser, Name: user.PrincipalName, Rights: To(Create, DelegatedGrants), ID: user.ID}
}
