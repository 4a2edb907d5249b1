package operate

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Role is an app role of a resource, both by their ids in the tenant.
type Role struct {
	Resource directory.ObjectID
	ID       directory.RoleID
}

// Assign gives a principal app roles: all of them or, after an error, none, which Graph's
// requests for one each cannot promise. It tells of each whether it was not assigned before.
func (a *API) Assign(ctx context.Context, tenant directory.TenantID, principal directory.ObjectID, roles ...Role) (added []bool, err error) {
	return a.each(ctx, roles, func(e *directory.Editor, role Role) (bool, error) {
		_, added, err := e.Assignments().Add(tenant, principal, role.Resource, role.ID)
		return added, err
	})
}

// Unassign takes app roles from a principal: all of them or, after an error, none. It tells of
// each whether it was assigned.
func (a *API) Unassign(ctx context.Context, tenant directory.TenantID, principal directory.ObjectID, roles ...Role) (removed []bool, err error) {
	return a.each(ctx, roles, func(e *directory.Editor, role Role) (bool, error) {
		err := e.Assignments().Remove(tenant, principal, role.Resource, role.ID)
		if errors.Is(err, directory.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}

// each does one thing with each of the roles, in one transaction.
func (a *API) each(ctx context.Context, roles []Role, do func(*directory.Editor, Role) (bool, error)) (done []bool, err error) {
	err = a.change(ctx, func(e *directory.Editor) error {
		done = nil
		for _, role := range roles {
			did, err := do(e, role)
			if err != nil {
				return err
			}
			done = append(done, did)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}
