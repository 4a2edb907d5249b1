package issuance

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An Access is what an application gets for itself: everything that its token will say.
type Access struct {
	clientauth.Proof
	Tenant     *directory.Tenant
	Resource   *directory.Instance
	Identifier string // of the resource, as asked
	Roles      []string
	Claims     ClaimsRequest
	Binding    Binding // of the token to a key of the client
}

// ResolveAccess decides what a proven client gets: a token for the API that it names, with
// the roles that it was given there.
func (i *Issuer) ResolveAccess(ctx context.Context, tenant *directory.Tenant, proof clientauth.Proof, identifier string, claims ClaimsRequest) (Access, error) {
	return resolve.Fresh(ctx, i.directory, func() (Access, error) {
		resource, err := i.resolver.ResourceNow(ctx, tenant, identifier)
		if err != nil {
			return Access{}, err
		}
		roles, err := i.rolesFor(ctx, proof.Client, resource, identifier)
		if err != nil {
			return Access{}, err
		}
		return Access{Proof: proof, Tenant: tenant, Resource: resource, Identifier: identifier, Roles: roles, Claims: claims}, nil
	})
}

// rolesFor returns the roles of the client at the resource. None is an answer too, unless
// the resource requires an assignment: what a token without roles is worth, the resource
// server decides.
func (i *Issuer) rolesFor(ctx context.Context, client, resource *directory.Instance, identifier string) ([]string, error) {
	roles, assigned, err := i.directory.Roles(ctx, client, resource)
	if err != nil {
		return nil, err
	}
	if resource.Principal.AssignmentRequired && !assigned {
		return nil, aadsts.NotAssigned(string(client.Principal.AppID), client.Principal.Label(), identifier, resource.Application.Label())
	}
	return roles, nil
}
