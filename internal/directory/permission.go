package directory

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxAPIs        = 50  // that one application asks permissions of
	maxPermissions = 400 // of all of them together
)

// checkPermissions checks what a registration asks of APIs. What it asked for before
// may stay, though an API may have dropped the role meanwhile.
func (e ApplicationEditor) checkPermissions(old, a *Application) error {
	count := 0
	for _, permission := range a.Permissions {
		count += len(permission.Roles) + len(permission.Scopes)
	}
	if len(a.Permissions) > maxAPIs || count > maxPermissions {
		return &RuleError{Field: "permissions", What: fmt.Sprintf("The application asks for %d permissions of %d APIs.", count, len(a.Permissions)), Advice: fmt.Sprintf("Ask for at most %d permissions of at most %d APIs.", maxPermissions, maxAPIs)}
	}
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
		permission.keepOrder()
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
	if api.isBuiltin() { // Microsoft's offers more than is known here, none of which can be granted
		return checkPermissionIDs(field, newRoles, newScopes)
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

// checkPermissionIDs requires ids that may be those of a role or a scope.
func checkPermissionIDs(field string, roles []RoleID, scopes []ScopeID) error {
	for _, id := range append(texts(roles), texts(scopes)...) {
		if !guid.Is(id) {
			return &RuleError{Field: field + ".roles", What: fmt.Sprintf("%q is not the id of a role or scope.", text.Shown(id)), Advice: "Write it as 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11."}
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

// IDs returns the ids of the roles and scopes in the order in which a caller gave them.
func (p Permission) IDs() []string {
	usual := append(texts(p.Scopes), texts(p.Roles)...)
	ids := make([]string, 0, len(usual))
	for _, id := range append(slices.Clone(p.Order), usual...) {
		if slices.Contains(usual, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// keepOrder leaves out of the order what it need not say.
func (p *Permission) keepOrder() {
	if len(p.Order) == 0 {
		return
	}
	p.Order = slices.Clone(p.Order)
	for i := range p.Order {
		p.Order[i] = fold(p.Order[i])
	}
	p.Order = p.IDs()
	if slices.Equal(p.Order, append(texts(p.Scopes), texts(p.Roles)...)) {
		p.Order = nil
	}
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

const maxPreAuthorized = 100 // clients of one application

// checkPreAuthorized checks which clients need no consent for scopes of the application. Those
// of before may stay, though their scope may be gone.
func (e ApplicationEditor) checkPreAuthorized(old, a *Application) error {
	if len(a.PreAuthorized) > maxPreAuthorized {
		return &RuleError{Field: "preAuthorized", What: fmt.Sprintf("There are more than %d pre-authorized clients.", maxPreAuthorized), Advice: "Remove some."}
	}
	a.PreAuthorized = slices.Clone(a.PreAuthorized)
	for i := range a.PreAuthorized {
		one, field := &a.PreAuthorized[i], fmt.Sprintf("preAuthorized[%d]", i)
		one.App, one.Scopes = fold(one.App), slices.Clone(one.Scopes)
		if slices.ContainsFunc(a.PreAuthorized[:i], func(p PreAuthorization) bool { return p.App == one.App }) {
			return taken(field+".app", fmt.Sprintf("The client %s is listed twice.", one.App), "List it once, with all scopes.")
		}
		var before []ScopeID
		was := slices.IndexFunc(old.PreAuthorized, func(p PreAuthorization) bool { return p.App == one.App })
		if was >= 0 {
			before = old.PreAuthorized[was].Scopes
		} else if one.App != a.AppID {
			if _, err := e.byAppID(a.Tenant, one.App); err != nil {
				return ruleAbout(field+".app", err)
			}
		}
		if len(one.Scopes) == 0 {
			return &RuleError{Field: field + ".scopes", What: fmt.Sprintf("The pre-authorized client %s may use no scope.", one.App), Advice: "List at least one scope of the application."}
		}
		added, err := lowerIDs(field+".scopes", "scope", one.Scopes, before)
		if err != nil {
			return err
		}
		for _, id := range added {
			if !slices.ContainsFunc(a.Scopes, func(s Scope) bool { return s.ID == id }) {
				return &RuleError{Field: field + ".scopes", What: fmt.Sprintf("The application has no scope with the id %q.", text.Shown(string(id))), Advice: "Add the scope first.", Cause: ErrNotFound}
			}
		}
	}
	a.PreAuthorized = emptyToNil(a.PreAuthorized)
	return nil
}

// PreAuthorizes reports whether a client may use a scope of the application without consent.
func (a *Application) PreAuthorizes(client AppID, scope ScopeID) bool {
	return slices.ContainsFunc(a.PreAuthorized, func(p PreAuthorization) bool { return p.App == client && slices.Contains(p.Scopes, scope) })
}

func preAuthorizationList(all []PreAuthorization) []string {
	var list []string
	for _, p := range all {
		for _, scope := range p.Scopes {
			list = append(list, string(p.App)+"/"+string(scope))
		}
	}
	return list
}

// revokePreAuthorized revokes the tokens of clients that are pre-authorized no more. One that
// has a grant besides gets another token at once.
func (e ApplicationEditor) revokePreAuthorized(was, a *Application) error {
	for _, old := range was.PreAuthorized {
		for _, id := range old.Scopes {
			scope, ok := was.Scope(string(id))
			if !ok || a.PreAuthorizes(old.App, id) {
				continue
			}
			api, err := e.principals().of(was)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := e.revoke(Revocation{Tenant: was.Tenant, Kind: RevokedScope, Client: old.App, Resource: api.value.ID, Scope: scope.Value}); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropPreAuthorized takes a client that is about to go from the applications that pre-authorized
// it, so that nobody who bears its app id later inherits that.
func (e ApplicationEditor) dropPreAuthorized(client *Application) error {
	rows, err := list[Application](e.editor, client.Tenant, KindApplication, makePrefix("preauth", string(client.AppID)))
	if err != nil {
		return err
	}
	for _, old := range rows {
		if old.value.ID == client.ID {
			continue
		}
		next := *old.value
		next.PreAuthorized = emptyToNil(slices.DeleteFunc(slices.Clone(next.PreAuthorized), func(p PreAuthorization) bool { return p.App == client.AppID }))
		if err := update(e.editor, old, &next, applicationDetail(old.value, &next)); err != nil {
			return err
		}
	}
	return nil
}
