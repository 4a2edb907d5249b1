package directory

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// checkPermissions checks what a registration asks of APIs. What it asked for before
// may stay, though an API may have dropped the role meanwhile.
func (e ApplicationEditor) checkPermissions(old, a *Application) error {
	a.Permissions = slices.Clone(a.Permissions)
	for i := range a.Permissions {
		permission := &a.Permissions[i]
		field := fmt.Sprintf("permissions[%d]", i)
		permission.API = AppID(fold(string(permission.API)))
		permission.Roles, permission.Scopes = slices.Clone(permission.Roles), slices.Clone(permission.Scopes)
		if slices.ContainsFunc(a.Permissions[:i], func(p Permission) bool { return p.API == permission.API }) {
			return taken(field+".api", fmt.Sprintf("The API %s is listed twice.", permission.API), "List it once, with all roles and scopes.")
		}
		if err := e.checkPermission(field, old, a, permission); err != nil {
			return err
		}
	}
	return nil
}

func (e ApplicationEditor) checkPermission(field string, old, a *Application, permission *Permission) error {
	if len(permission.Roles)+len(permission.Scopes) == 0 {
		return &RuleError{Field: field + ".roles", What: "A required permission names no role and no scope.", Advice: "List at least one app role or scope of the API."}
	}
	before := requested(old, permission.API)
	newRoles, err := lowerIDs(field+".roles", "role", permission.Roles, before.Roles)
	if err != nil {
		return err
	}
	newScopes, err := lowerIDs(field+".scopes", "scope", permission.Scopes, before.Scopes)
	if err != nil || len(newRoles)+len(newScopes) == 0 {
		return err
	}
	api, err := e.permissionAPI(field, a, permission.API)
	if err != nil {
		return err
	}
	for _, role := range newRoles {
		if err := checkRequested(field, api, role); err != nil {
			return err
		}
	}
	for _, id := range newScopes {
		if !slices.ContainsFunc(api.Scopes, func(s Scope) bool { return s.ID == id }) {
			return &RuleError{Field: field + ".scopes", What: fmt.Sprintf("%s has no scope with the id %q.", api.ref(), text.Shown(string(id))), Advice: "Add the scope to the API first.", Cause: ErrNotFound}
		}
	}
	return nil
}

// requested is what a registration asks of an API.
func requested(a *Application, api AppID) Permission {
	i := slices.IndexFunc(a.Permissions, func(p Permission) bool { return p.API == api })
	if i < 0 {
		return Permission{}
	}
	return a.Permissions[i]
}

// lowerIDs brings ids into lower case and returns those that were not asked for before.
func lowerIDs[T ~string](field, what string, ids, before []T) (added []T, err error) {
	for i := range ids {
		ids[i] = fold(ids[i])
		if slices.Contains(ids[:i], ids[i]) {
			return nil, taken(field, fmt.Sprintf("The %s %s is listed twice.", what, text.Shown(string(ids[i]))), "List it once.")
		}
		if !slices.Contains(before, ids[i]) {
			added = append(added, ids[i])
		}
	}
	return added, nil
}

// permissionAPI finds the API, which may be the application itself.
func (e ApplicationEditor) permissionAPI(field string, a *Application, id AppID) (*Application, error) {
	if id == a.AppID {
		return a, nil
	}
	found, err := e.byAppID(a.Tenant, id)
	if b, is := FindBuiltin(string(id)); is && errors.Is(err, ErrNotFound) {
		return b.In(a.Tenant).Application, nil
	}
	return found.value, ruleAbout(field+".api", err)
}

func checkRequested(field string, api *Application, id RoleID) error {
	for _, role := range api.AppRoles {
		if role.ID != id {
			continue
		}
		if !role.Allows(MemberApplication) {
			return &RuleError{Field: field + ".roles", What: fmt.Sprintf("The app role %q of %s is for users only.", role.Value, api.ref()), Advice: "Add Application to the members of the role."}
		}
		return nil
	}
	return &RuleError{Field: field + ".roles", What: fmt.Sprintf("%s has no app role with the id %q.", api.ref(), text.Shown(string(id))), Advice: "Add the role to the API first.", Cause: ErrNotFound}
}

func permissionList(permissions []Permission) []string {
	var list []string
	for _, p := range permissions {
		for _, role := range p.Roles {
			list = append(list, string(p.API)+"/"+string(role))
		}
		for _, scope := range p.Scopes {
			list = append(list, string(p.API)+"/"+string(scope))
		}
	}
	return list
}
