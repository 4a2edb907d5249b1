package lookup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// FindHost finds a host by its name or object id: in the given tenant, or in the one that has it.
func FindHost(v *directory.View, tenant, ref string) (*directory.Tenant, *directory.Host, error) {
	tenants, err := FindTenants(v, tenant)
	if err != nil {
		return nil, nil, err
	}
	type place struct {
		tenant *directory.Tenant
		host   *directory.Host
	}
	var found []place
	var missing error
	for _, t := range tenants {
		host, err := v.Hosts().Find(t.ID, ref)
		switch {
		case err == nil:
			found = append(found, place{t, host})
		case errors.Is(err, directory.ErrNotFound):
			missing = err
		default:
			return nil, nil, err
		}
	}
	switch {
	case len(found) == 1:
		return found[0].tenant, found[0].host, nil
	case len(found) > 1:
		var ids []string
		for _, p := range found {
			ids = append(ids, fmt.Sprintf("%s in %s", p.host.ID, p.tenant.Name))
		}
		return nil, nil, &Error{fmt.Sprintf("%q is the name of %d hosts: %s", text.Shown(ref), len(ids), strings.Join(ids, ", ")), "say which tenant with --tenant, or give the id", ErrAmbiguous}
	case len(tenants) == 1:
		return nil, nil, missing // which names what is near
	}
	return nil, nil, notFound("`rolecall host list --tenant TENANT` names those of a tenant", "there is no host %q in any tenant", text.Shown(ref))
}

// FindIdentity finds a managed identity by its name or any of its ids: in the given tenant, or in
// the one that has it.
func FindIdentity(v *directory.View, tenant, ref string) (Principal, error) {
	return identity(FindPrincipal(v, tenant, ref))
}

// IdentityOf finds a managed identity by its name or any of its ids.
func IdentityOf(ctx context.Context, f Finder, ref string) (Principal, error) {
	return identity(f.FindPrincipal(ctx, ref))
}

// identity refuses whoever was found and is no managed identity.
func identity(found Principal, err error) (Principal, error) {
	switch {
	case err != nil:
		return Principal{}, err
	case found.User != nil:
		return Principal{}, notFound("`rolecall user` manages users", "%s is a user, and no managed identity", found.Name())
	case found.Service.Type != directory.PrincipalManagedIdentity:
		return Principal{}, notFound("`rolecall app` manages applications", "%s is an application, and no managed identity", found.Name())
	}
	return found, nil
}
