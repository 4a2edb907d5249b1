package directory

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A holder is who may be given app roles: a service principal or a user.
type holder struct {
	id     ObjectID
	tenant TenantID
	name   string
	member MemberType // that a role must allow
}

// An AssignmentEditor reads and changes app-role assignments.
type AssignmentEditor struct {
	Relations[Assignment]
	*editor
}

// Add grants a role to a service principal or a user, and reports whether it was not
// granted before: granting it again is no error and returns the assignment there is.
func (e AssignmentEditor) Add(tenant TenantID, principal, resource ObjectID, role RoleID) (a *Assignment, added bool, err error) {
	a, err = acting(e.editor, Create, Assignments, func() (*Assignment, error) {
		holder, err := e.holderOf(tenant, principal)
		if err != nil {
			return nil, err
		}
		offering, err := e.resource(holder.tenant, resource, "app roles")
		if err != nil {
			return nil, err
		}
		api := offering.Principal
		granted, err := e.grantable(offering, fold(role), holder.member)
		if err != nil {
			return nil, err
		}
		a := &Assignment{ID: ObjectID(guid.New()), Tenant: holder.tenant, Principal: holder.id, Resource: api.ID, Role: granted.ID, Created: e.now}
		present, err := lookup[Assignment](e.editor, a.Tenant, KindAssignment, a.keys()[0])
		switch {
		case err == nil:
			e.note("none", assignmentTarget(present.value, holder.name, api, granted.Value), "")
			return present.value, nil
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
		added = true
		if err := e.put(a, 0); err != nil {
			return nil, err
		}
		return a, e.record("create", assignmentTarget(a, holder.name, api, granted.Value), "")
	})
	return a, added && err == nil, err
}

// Remove takes a granted role away again, or returns ErrNotFound.
func (e AssignmentEditor) Remove(tenant TenantID, principal, resource ObjectID, role RoleID) error {
	return e.act(Delete, Assignments, func() error {
		key := makeKey("principal", string(fold(principal)), string(fold(resource)), string(fold(role)))
		found, err := lookup[Assignment](e.editor, fold(tenant), KindAssignment, key)
		if errors.Is(err, ErrNotFound) {
			return missing("The role is not assigned to the principal.", "List its assignments to see what it holds.")
		}
		if err != nil {
			return err
		}
		if err := e.revokeAssignment(found.value); err != nil {
			return err
		}
		return e.unassign(found)
	})
}

// holderOf finds who is to be given a role, by object id.
func (e AssignmentEditor) holderOf(tenant TenantID, id ObjectID) (holder, error) {
	principal, err := e.principals().byID(tenant, id)
	if err == nil {
		return holder{principal.ID, principal.Tenant, principal.ref(), MemberApplication}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return holder{}, err
	}
	user, userErr := lookup[User](e.editor, fold(tenant), KindUser, makeKey("id", string(fold(id))))
	if errors.Is(userErr, ErrNotFound) {
		return holder{}, err
	}
	if userErr != nil {
		return holder{}, userErr
	}
	return holder{user.value.ID, user.value.Tenant, user.value.PrincipalName, MemberUser}, nil
}

// grantable returns the API's role if it may be given to a member of that type.
func (e AssignmentEditor) grantable(offering *Instance, id RoleID, member MemberType) (AppRole, error) {
	api := offering.Principal
	for _, role := range offering.Application.AppRoles {
		if role.ID != id {
			continue
		}
		if !role.Enabled {
			return role, &RuleError{Field: "role", What: fmt.Sprintf("The app role %q of %s is disabled.", role.Value, api.ref()), Advice: "Enable it first."}
		}
		if !role.Allows(member) {
			others := map[MemberType]string{MemberApplication: "users", MemberUser: "applications"}[member]
			return role, &RuleError{Field: "role", What: fmt.Sprintf("The app role %q of %s is for %s only.", role.Value, api.ref(), others), Advice: fmt.Sprintf("Add %s to the members of the role.", member)}
		}
		return role, nil
	}
	return AppRole{}, &RuleError{Field: "role", What: fmt.Sprintf("%s has no app role with the id %q.", api.ref(), text.Shown(string(id))), Advice: "Add the role to the API first.", Cause: ErrNotFound}
}

// unassign removes an assignment; what it is called is looked up while it still can be.
func (e AssignmentEditor) unassign(a row[Assignment]) error {
	t := e.describe(a.value)
	if err := e.remove(a.value, a.version); err != nil {
		return err
	}
	return e.record("delete", t, "")
}

// dropOf removes all assignments of a holder ("principal") or to a resource.
func (e AssignmentEditor) dropOf(tenant TenantID, space string, id ObjectID) error {
	rows, err := list[Assignment](e.editor, tenant, KindAssignment, makePrefix(space, string(id)))
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

// dropRole removes all assignments of one role of an application.
func (e AssignmentEditor) dropRole(app *Application, role AppRole) error {
	api, err := e.principals().of(app)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := list[Assignment](e.editor, app.Tenant, KindAssignment, makePrefix("resource", string(api.value.ID)))
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
func (e AssignmentEditor) describe(a *Assignment) target {
	holder, err := e.holderOf(a.Tenant, a.Principal)
	if err != nil {
		return a.target()
	}
	api, err := e.resource(a.Tenant, a.Resource, "app roles")
	if err != nil {
		return a.target()
	}
	value := string(a.Role)
	if role, ok := api.Application.Role(value); ok {
		value = cmp.Or(role.Value, role.DisplayName)
	}
	return assignmentTarget(a, holder.name, api.Principal, value)
}

func assignmentTarget(a *Assignment, holder string, api *ServicePrincipal, role string) target {
	t := a.target()
	t.name = holder + " → " + api.ref() + "/" + role
	return t
}

func (a *Assignment) target() target {
	return target{kind: KindAssignment, tenant: a.Tenant, id: string(a.ID), name: string(a.Principal) + " → " + string(a.Resource) + "/" + string(a.Role)}
}
