package authority

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// authorize decides what a proven client gets: a token for the resource it names, with
// the roles it was granted there.
func (a *Authority) authorize(ctx context.Context, x *exchange, tenant *directory.Tenant, proven proof, req *request) (grant, error) {
	identifier, err := req.target()
	if err != nil {
		return grant{}, err
	}
	x.signIn.Resource = text.Line(identifier, aadsts.MaxNoted)
	asked, err := parseWishes(req.claims)
	if err != nil {
		return grant{}, err
	}
	return fresh(ctx, a.directory, func() (grant, error) {
		resource, err := a.findResource(ctx, tenant, identifier)
		if err != nil {
			return grant{}, err
		}
		roles, err := a.rolesFor(ctx, proven.client, resource, identifier)
		if err != nil {
			return grant{}, err
		}
		return grant{
			proof: proven, tenant: tenant, resource: resource,
			identifier: identifier, roles: roles, wishes: asked,
		}, nil
	})
}

// rolesFor gives the roles of the client at the resource. None is an answer too, unless
// the resource demands an assignment: what a token without roles is worth, the resource
// server decides.
func (a *Authority) rolesFor(ctx context.Context, client, resource *directory.Instance, identifier string) ([]string, error) {
	if client.Principal.AppID == resource.Application.AppID && !guid.Is(identifier) {
		return nil, aadsts.SelfByName(identifier, string(client.Principal.AppID))
	}
	roles, assigned, err := a.directory.Roles(ctx, client, resource)
	if err != nil {
		return nil, err
	}
	if resource.Principal.AssignmentRequired && !assigned {
		return nil, aadsts.NotAssigned(string(client.Principal.AppID), client.Principal.Name, identifier, resource.Application.Name)
	}
	return roles, nil
}
