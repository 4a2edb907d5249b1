package authority

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// authorize decides what a proven client gets: a token for the resource it names, with
// the roles it was granted there.
func (a *Authority) authorize(ctx context.Context, x *exchange, tenant *directory.Tenant, proven proof, req *request) (grant, *aadsts.Problem) {
	identifier, problem := req.target()
	if problem != nil {
		return grant{}, problem
	}
	x.signIn.Resource = aadsts.Clean(identifier, aadsts.MaxNoted)
	asked, problem := parseWishes(req.claims)
	if problem != nil {
		return grant{}, problem
	}
	return fresh(ctx, a.directory, func() (grant, *aadsts.Problem) {
		resource, problem := a.findResource(ctx, tenant, identifier)
		if problem != nil {
			return grant{}, problem
		}
		roles, problem := a.rolesFor(ctx, proven.client, resource, identifier)
		if problem != nil {
			return grant{}, problem
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
func (a *Authority) rolesFor(ctx context.Context, client, resource *directory.Instance, identifier string) ([]string, *aadsts.Problem) {
	if client.Principal.AppID == resource.Application.AppID && !isGUID(identifier) {
		return nil, aadsts.SelfByName(identifier, string(client.Principal.AppID))
	}
	roles, assigned, err := a.directory.Roles(ctx, client, resource)
	if err != nil {
		return nil, aadsts.Unavailable(err)
	}
	if resource.Principal.AssignmentRequired && !assigned {
		return nil, aadsts.NotAssigned(string(client.Principal.AppID), client.Principal.Name, identifier, resource.Application.Name)
	}
	return roles, nil
}
