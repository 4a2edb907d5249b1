package operate

import (
	"context"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// CreateHost makes a host and assigns it its identities.
func (a *API) CreateHost(ctx context.Context, host directory.Host) (*directory.Host, error) {
	return changed(ctx, a, func(e *directory.Editor) (*directory.Host, error) { return e.Hosts().Create(host) })
}

// EditHost changes everything of a host but its id.
func (a *API) EditHost(ctx context.Context, tenant directory.TenantID, id directory.ObjectID, edit func(*directory.Host) error) (*directory.Host, error) {
	return changed(ctx, a, func(e *directory.Editor) (*directory.Host, error) { return e.Hosts().Edit(tenant, id, edit) })
}

// DeleteHost removes a host: its programs get no more tokens.
func (a *API) DeleteHost(ctx context.Context, tenant directory.TenantID, id directory.ObjectID) error {
	return a.change(ctx, func(e *directory.Editor) error { return e.Hosts().Delete(tenant, id) })
}

// RenewHost replaces the secret of a host: what its programs presented so far is refused.
func (a *API) RenewHost(ctx context.Context, tenant directory.TenantID, id directory.ObjectID) error {
	return a.change(ctx, func(e *directory.Editor) error { return e.Hosts().Renew(tenant, id) })
}

// AssignIdentity lets the programs of a host act as a managed identity.
func (a *API) AssignIdentity(ctx context.Context, tenant directory.TenantID, host, identity directory.ObjectID) (*directory.Host, error) {
	return a.EditHost(ctx, tenant, host, func(next *directory.Host) error {
		if !slices.Contains(next.Identities, identity) {
			next.Identities = append(next.Identities, identity)
		}
		return nil
	})
}

// UnassignIdentity lets the programs of a host act as a managed identity no longer.
func (a *API) UnassignIdentity(ctx context.Context, tenant directory.TenantID, host, identity directory.ObjectID) (*directory.Host, error) {
	return a.EditHost(ctx, tenant, host, func(next *directory.Host) error {
		next.Identities = slices.DeleteFunc(next.Identities, func(one directory.ObjectID) bool { return one == identity })
		return nil
	})
}

// CreateIdentity makes a managed identity of a name. Microsoft Graph makes none, and Azure
// Resource Manager only user-assigned ones.
func (a *API) CreateIdentity(ctx context.Context, tenant directory.TenantID, name string, kind directory.IdentityKind) (*directory.ServicePrincipal, error) {
	return changed(ctx, a, func(e *directory.Editor) (*directory.ServicePrincipal, error) {
		return e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: tenant, Name: name, Type: directory.PrincipalManagedIdentity, IdentityKind: kind,
		})
	})
}

// DeleteIdentity removes a managed identity, with its assignments, and takes it from its hosts.
func (a *API) DeleteIdentity(ctx context.Context, tenant directory.TenantID, id directory.ObjectID) error {
	return a.change(ctx, func(e *directory.Editor) error {
		found, err := e.View().ServicePrincipals().Get(tenant, id)
		if err != nil {
			return err
		}
		if found.Type != directory.PrincipalManagedIdentity {
			return fmt.Errorf("%s is no managed identity: %w", found.Label(), directory.ErrNotFound)
		}
		return e.ServicePrincipals().Delete(tenant, id)
	})
}
