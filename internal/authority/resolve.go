package authority

import (
	"context"
	"errors"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// fresh runs a check that rests on the directory and, when it refuses, once more if the
// directory had fallen behind: no refusal rests on a stale view.
func fresh[T any](ctx context.Context, d *directory.Directory, check func() (T, error)) (T, error) {
	value, err := check()
	if err == nil || aadsts.Of(err).Code == aadsts.CodeThrottled {
		return value, err
	}
	if changed, failed := d.Refresh(ctx); failed != nil || !changed {
		return value, err
	}
	return check()
}

// tenantOf gives the tenant that a path names by id, domain or name.
func (a *Authority) tenantOf(ctx context.Context, ref string) (*directory.Tenant, error) {
	tenant, err := fresh(ctx, a.directory, func() (*directory.Tenant, error) { return a.findTenant(ctx, ref) })
	if err != nil {
		return nil, err
	}
	return tenant, nil
}

func (a *Authority) findTenant(ctx context.Context, ref string) (*directory.Tenant, error) {
	switch strings.ToLower(ref) {
	case aliasCommon, aliasConsumers, consumersTenant:
		return nil, aadsts.Tenantless(ref)
	case aliasOrganizations:
		return nil, aadsts.SingleTenant(ref)
	}
	if !isTenantName(ref) {
		return nil, aadsts.TenantName(ref)
	}
	tenant, err := a.directory.Tenant(ctx, ref)
	switch {
	case err == nil && tenant.Enabled:
		return tenant, nil
	case err == nil:
		return nil, aadsts.TenantDisabled(ref)
	case !errors.Is(err, directory.ErrNotFound):
		return nil, err
	case guid.Is(ref) || strings.Contains(ref, "."):
		return nil, aadsts.TenantUnknown(ref)
	}
	return nil, aadsts.TenantName(ref)
}

// isTenantName reports whether a path segment can name a tenant at all: letters, digits,
// dots and hyphens, as client libraries allow.
func isTenantName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

// findClient gives the application that asks, if it may ask at all.
func (a *Authority) findClient(ctx context.Context, tenant *directory.Tenant, id string) (*directory.Instance, error) {
	if !guid.Is(id) {
		return nil, aadsts.ClientUnknown(id, tenant.Name)
	}
	client, err := a.directory.Instance(ctx, tenant.ID, directory.AppID(strings.ToLower(id)))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, aadsts.ClientUnknown(id, tenant.Name)
	case err != nil:
		return nil, err
	case client.Principal == nil:
		return nil, aadsts.ClientAbsent(id, tenant.Name)
	case !client.Principal.Enabled:
		return nil, aadsts.ClientDisabled(id)
	}
	return client, nil
}

// findResource gives the API that an identifier names, if tokens for it may be issued.
func (a *Authority) findResource(ctx context.Context, tenant *directory.Tenant, identifier string) (*directory.Instance, error) {
	resource, err := a.directory.Resource(ctx, tenant.ID, identifier)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, aadsts.ResourceUnknown(identifier, tenant.Name)
	case err != nil:
		return nil, err
	case resource.Principal == nil:
		return nil, aadsts.ResourceUnknown(identifier, tenant.Name)
	case !resource.Principal.Enabled:
		return nil, aadsts.ResourceDisabled(identifier)
	}
	return resource, nil
}
