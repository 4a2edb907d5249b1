package directory

import (
	"errors"
	"fmt"
	"slices"
)

// checkPermissions holds for what a registration asks of APIs. What it asked for before
// may stay, though an API may have dropped the role meanwhile.
func (e *Editor) checkPermissions(old, a *Application) error {
	a.Permissions = slices.Clone(a.Permissions)
	for i := range a.Permissions {
		permission := &a.Permissions[i]
		field := fmt.Sprintf("permissions[%d]", i)
		permission.API = AppID(fold(string(permission.API)))
		permission.Roles = slices.Clone(permission.Roles)
		if slices.ContainsFunc(a.Permissions[:i], func(p Permission) bool { return p.API == permission.API }) {
			return taken(field+".api", fmt.Sprintf("The API %s is listed twice.", permission.API), "List it once, with all roles.")
		}
		if err := e.checkPermission(field, old, a, permission); err != nil {
			return err
		}
	}
	return nil
}

func (e *Editor) checkPermission(field string, old, a *Application, permission *Permission) error {
	if len(permission.Roles) == 0 {
		return &RuleError{Field: field + ".roles", What: "A required permission names no role.", Fix: "List at least one app role of the API."}
	}
	var api *Application // read when first needed
	for i := range permission.Roles {
		role := RoleID(fold(string(permission.Roles[i])))
		permission.Roles[i] = role
		if slices.Contains(permission.Roles[:i], role) {
			return taken(field+".roles", fmt.Sprintf("The role %s is listed twice.", role), "List it once.")
		}
		if asksFor(old, permission.API, role) {
			continue
		}
		if api == nil {
			var err error
			if api, err = e.permissionAPI(field, a, permission.API); err != nil {
				return err
			}
		}
		if err := checkRequested(field, api, role); err != nil {
			return err
		}
	}
	return nil
}

// permissionAPI finds the API, which may be the application itself.
func (e *Editor) permissionAPI(field string, a *Application, id AppID) (*Application, error) {
	if id == a.AppID {
		return a, nil
	}
	found, err := lookup[Application](e, a.Tenant, kindApplication, makeKey("appid", string(id)))
	if errors.Is(err, ErrNotFound) {
		return nil, &RuleError{Field: field + ".api", What: fmt.Sprintf("There is no API with the app id %q in the tenant.", clip(string(id))), Fix: "Create the API first.", Cause: ErrNotFound}
	}
	return found.value, err
}

func checkRequested(field string, api *Application, id RoleID) error {
	for _, role := range api.AppRoles {
		if role.ID != id {
			continue
		}
		if !role.Allows(MemberApplication) {
			return &RuleError{Field: field + ".roles", What: fmt.Sprintf("The app role %q of %s is for users only.", role.Value, api.Name), Fix: "Add Application to the members of the role."}
		}
		return nil
	}
	return &RuleError{Field: field + ".roles", What: fmt.Sprintf("%s has no app role with the id %q.", api.Name, clip(string(id))), Fix: "Add the role to the API first.", Cause: ErrNotFound}
}

func asksFor(a *Application, api AppID, role RoleID) bool {
	return slices.ContainsFunc(a.Permissions, func(p Permission) bool {
		return p.API == api && slices.Contains(p.Roles, role)
	})
}

func permissionList(permissions []Permission) []string {
	var list []string
	for _, p := range permissions {
		for _, role := range p.Roles {
			list = append(list, string(p.API)+"/"+string(role))
		}
	}
	return list
}
