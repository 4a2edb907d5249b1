package directory

import (
	"errors"
	"fmt"
)

// A holder is who may be given app roles: a service principal or a user.
type holder struct {
	id     ObjectID
	tenant TenantID
	name   string
	member MemberType // that a role must allow
}

// Assign grants a role to a service principal or a user; granting it again is no error
// and returns the assignment there is.
func (e *Editor) Assign(tenant TenantID, principal, resource ObjectID, role RoleID) (*Assignment, error) {
	holder, err := e.holder(tenant, principal)
	if err != nil {
		return nil, err
	}
	api, err := e.principalByID(tenant, resource)
	if err != nil {
		return nil, err
	}
	granted, err := e.grantable(api, fold(role), holder.member)
	if err != nil {
		return nil, err
	}
	a := &Assignment{ID: ObjectID(newGUID()), Tenant: holder.tenant, Principal: holder.id, Resource: api.ID, Role: granted.ID, Created: e.now}
	present, err := lookup[Assignment](e, a.Tenant, kindAssignment, a.keys()[0])
	switch {
	case err == nil:
		e.note("none", assignmentTarget(present.value, holder.name, api, granted.Value), "")
		return present.value, nil
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	if err := e.put(a, 0); err != nil {
		return nil, err
	}
	return a, e.record("create", assignmentTarget(a, holder.name, api, granted.Value), "")
}

// Unassign takes a granted role away again, or returns ErrNotFound.
func (e *Editor) Unassign(tenant TenantID, principal, resource ObjectID, role RoleID) error {
	tenant = TenantID(fold(string(tenant)))
	key := makeKey("principal", fold(string(principal)), fold(string(resource)), fold(string(role)))
	found, err := lookup[Assignment](e, tenant, kindAssignment, key)
	if errors.Is(err, ErrNotFound) {
		return missing("The role is not assigned to the principal.", "List its assignments to see what it holds.")
	}
	if err != nil {
		return err
	}
	return e.unassign(found)
}

// Assignments lists what a principal was granted.
func (e *Editor) Assignments(tenant TenantID, principal ObjectID) ([]*Assignment, error) {
	rows, err := list[Assignment](e, TenantID(fold(string(tenant))), kindAssignment, makePrefix("principal", fold(string(principal))))
	return values(rows), err
}

// holder finds who is to be given a role, by object id.
func (e *Editor) holder(tenant TenantID, id ObjectID) (holder, error) {
	principal, err := e.principalByID(tenant, id)
	if err == nil {
		return holder{principal.ID, principal.Tenant, principal.Name, MemberApplication}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return holder{}, err
	}
	user, userErr := lookup[User](e, fold(tenant), kindUser, makeKey("id", string(fold(id))))
	if errors.Is(userErr, ErrNotFound) {
		return holder{}, err
	}
	if userErr != nil {
		return holder{}, userErr
	}
	return holder{user.value.ID, user.value.Tenant, user.value.PrincipalName, MemberUser}, nil
}

// principalByID wants an object id: taking an app id for one is the classic mistake.
func (e *Editor) principalByID(tenant TenantID, id ObjectID) (*ServicePrincipal, error) {
	found, err := lookup[ServicePrincipal](e, TenantID(fold(string(tenant))), kindPrincipal, makeKey("id", fold(string(id))))
	if errors.Is(err, ErrNotFound) {
		return nil, missing(fmt.Sprintf("There is no service principal with the object id %q in the tenant.", clip(string(id))), "Give the object id of a service principal; that is neither its app id nor the object id of its application.")
	}
	return found.value, err
}

// grantable returns the API's role if it may be given to a member of that type.
func (e *Editor) grantable(api *ServicePrincipal, id RoleID, member MemberType) (AppRole, error) {
	if api.Type != PrincipalApplication {
		return AppRole{}, &RuleError{Field: "resource", What: fmt.Sprintf("%s is a managed identity and offers no app roles.", api.Name), Fix: "Name the service principal of an API."}
	}
	app, err := lookup[Application](e, api.Tenant, kindApplication, makeKey("id", string(api.Application)))
	if err != nil {
		return AppRole{}, err
	}
	for _, role := range app.value.AppRoles {
		if role.ID != id {
			continue
		}
		if !role.Enabled {
			return role, &RuleError{Field: "role", What: fmt.Sprintf("The app role %q of %s is disabled.", role.Value, api.Name), Fix: "Enable it first."}
		}
		if !role.Allows(member) {
			others := map[MemberType]string{MemberApplication: "users", MemberUser: "applications"}[member]
			return role, &RuleError{Field: "role", What: fmt.Sprintf("The app role %q of %s is for %s only.", role.Value, api.Name, others), Fix: fmt.Sprintf("Add %s to the members of the role.", member)}
		}
		return role, nil
	}
	return AppRole{}, &RuleError{Field: "role", What: fmt.Sprintf("%s has no app role with the id %q.", api.Name, clip(string(id))), Fix: "Add the role to the API first.", Cause: ErrNotFound}
}

// unassign removes an assignment; what it is called is looked up while it still can be.
func (e *Editor) unassign(a row[Assignment]) error {
	t := e.describe(a.value)
	if err := e.remove(a.value, a.version); err != nil {
		return err
	}
	return e.record("delete", t, "")
}

// dropAssignmentsOf removes all assignments of a holder ("principal") or to a resource.
func (e *Editor) dropAssignmentsOf(tenant TenantID, space string, id ObjectID) error {
	rows, err := list[Assignment](e, tenant, kindAssignment, makePrefix(space, string(id)))
	if err != nil {
		return err
	}
	for _, assignment := range rows {
		if err := e.unassign(assignment); err != nil {
			return err
		}
	}
	return nil
}

// dropAssignments removes all assignments of one role of an application.
func (e *Editor) dropAssignments(app *Application, role AppRole) error {
	api, err := e.principalRow(app.Tenant, string(app.AppID))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := list[Assignment](e, app.Tenant, kindAssignment, makePrefix("resource", string(api.value.ID)))
	if err != nil {
		return err
	}
	for _, assignment := range rows {
		if assignment.value.Role != role.ID {
			continue
		}
		if err := e.unassign(assignment); err != nil {
			return err
		}
	}
	return nil
}

// describe names an assignment as well as what is still there allows.
func (e *Editor) describe(a *Assignment) target {
	holder, err := e.holder(a.Tenant, a.Principal)
	if err != nil {
		return a.target()
	}
	api, err := e.principalByID(a.Tenant, a.Resource)
	if err != nil {
		return a.target()
	}
	value := string(a.Role)
	if app, err := lookup[Application](e, a.Tenant, kindApplication, makeKey("id", string(api.Application))); err == nil {
		if role, ok := app.value.Role(value); ok {
			value = role.Value
		}
	}
	return assignmentTarget(a, holder.name, api, value)
}

func assignmentTarget(a *Assignment, holder string, api *ServicePrincipal, role string) target {
	t := a.target()
	t.name = holder + " → " + api.Name + "/" + role
	return t
}

func (a *Assignment) target() target {
	return target{kind: kindAssignment, tenant: a.Tenant, id: string(a.ID), name: string(a.Principal) + " → " + string(a.Resource) + "/" + string(a.Role)}
}
