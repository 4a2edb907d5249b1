package graph

import (
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// roleFields is the table of an app role's members.
func roleFields() []field[*directory.AppRole] {
	type role = *directory.AppRole
	return []field[role]{
		{name: "allowedMemberTypes", read: func(r role) any { return orEmpty(r.Members) }, write: func(r role, in input) (err error) {
			r.Members, err = each(in, func(in input) (directory.MemberType, error) {
				s, err := in.text()
				return directory.MemberType(s), err
			})
			return err
		}},
		{name: "description", read: func(r role) any { return r.Description }, write: func(r role, in input) (err error) { r.Description, err = in.optionalText(); return err }},
		{name: "displayName", read: func(r role) any { return r.DisplayName }, write: func(r role, in input) (err error) { r.DisplayName, err = in.optionalText(); return err }},
		{name: "id", read: func(r role) any { return r.ID }, write: func(r role, in input) error {
			id, err := in.guid()
			r.ID = directory.RoleID(id)
			return err
		}},
		{name: "isEnabled", read: func(r role) any { return r.Enabled }, write: func(r role, in input) (err error) { r.Enabled, err = in.bool(); return err }},
		{name: "origin", read: func(role) any { return "Application" }, silent: true},
		{name: "value", read: func(r role) any { return orNull(r.Value) }, write: func(r role, in input) (err error) { r.Value, err = in.optionalText(); return err }},
	}
}

// scopeFields is the table of a scope's members.
func scopeFields() []field[*directory.Scope] {
	type scope = *directory.Scope
	return []field[scope]{
		{name: "adminConsentDescription", read: func(s scope) any { return orNull(s.Description) }, write: func(s scope, in input) (err error) { s.Description, err = in.optionalText(); return err }},
		{name: "adminConsentDisplayName", read: func(s scope) any { return orNull(s.DisplayName) }, write: func(s scope, in input) (err error) { s.DisplayName, err = in.optionalText(); return err }},
		{name: "id", read: func(s scope) any { return s.ID }, write: func(s scope, in input) error {
			id, err := in.guid()
			s.ID = directory.ScopeID(id)
			return err
		}},
		{name: "isEnabled", read: func(s scope) any { return s.Enabled }, write: func(s scope, in input) (err error) { s.Enabled, err = in.bool(); return err }},
		{name: "type", read: func(s scope) any { return scopeType(s.AdminOnly) }, write: func(s scope, in input) error {
			given, err := in.text()
			if err == nil && given != "Admin" && given != "User" {
				err = in.wrong("Admin or User")
			}
			s.AdminOnly = given == "Admin"
			return err
		}},
		{name: "userConsentDescription", read: func(s scope) any { return orNull(s.UserDescription) }, write: func(s scope, in input) (err error) { s.UserDescription, err = in.optionalText(); return err }},
		{name: "userConsentDisplayName", read: func(s scope) any { return orNull(s.UserDisplayName) }, write: func(s scope, in input) (err error) { s.UserDisplayName, err = in.optionalText(); return err }},
		{name: "value", read: func(s scope) any { return orNull(s.Value) }, write: func(s scope, in input) (err error) { s.Value, err = in.optionalText(); return err }},
		{name: "origin", read: func(scope) any { return "Application" }, silent: true},
	}
}

func scopeType(adminOnly bool) string {
	if adminOnly {
		return "Admin"
	}
	return "User"
}

// writeRoles replaces all app roles. Each says who may hold it and has an id, as Graph demands.
func writeRoles(d *applicationDraft, in input) (err error) {
	d.AppRoles, err = each(in, func(one input) (directory.AppRole, error) {
		role := directory.AppRole{Enabled: true}
		err := apply(roleTable, &role, one)
		if err == nil && role.ID == "" {
			err = invalid(one.path+".id", "A value is required for property 'id' of resource 'AppRole'.")
		}
		return role, err
	})
	return err
}

// writeScopes replaces all scopes.
func writeScopes(d *applicationDraft, in input) (err error) {
	d.Scopes, err = each(in, func(one input) (directory.Scope, error) {
		scope := directory.Scope{Enabled: true}
		err := apply(scopeTable, &scope, one)
		if err == nil && scope.ID == "" {
			err = invalid(one.path+".id", "A value is required for property 'id' of resource 'PermissionScope'.")
		}
		return scope, err
	})
	return err
}

// renderAll is render for a collection.
func renderAll[T any](fields []field[*T], all []T) []object {
	list := make([]object, len(all))
	for i := range all {
		list[i] = render(fields, &all[i])
	}
	return list
}

// applyAll reads a collection, each element of which begins as the given one.
func applyAll[T any](fields []field[*T], in input, from T) ([]T, error) {
	return each(in, func(one input) (T, error) {
		value := from
		err := apply(fields, &value, one)
		return value, err
	})
}

// preAuthorized are the clients that need no consent.
func preAuthorized(all []directory.PreAuthorization) []object {
	list := make([]object, len(all))
	for i, p := range all {
		list[i] = object{{"appId", p.App}, {"delegatedPermissionIds", orEmpty(p.Scopes)}}
	}
	return list
}

func readPreAuthorization(in input) (directory.PreAuthorization, error) {
	type one = *directory.PreAuthorization
	scopes := func(p one, in input) (err error) {
		p.Scopes, err = each(in, func(in input) (directory.ScopeID, error) {
			id, err := in.guid()
			return directory.ScopeID(id), err
		})
		return err
	}
	p := directory.PreAuthorization{}
	err := apply([]field[one]{
		{name: "appId", write: func(p one, in input) error {
			id, err := in.guid()
			p.App = directory.AppID(id)
			return err
		}},
		{name: "delegatedPermissionIds", write: scopes},
		{name: "permissionIds", write: scopes}, // as beta calls them
	}, &p, in)
	if err == nil && p.App == "" {
		err = in.wrong("an object with appId")
	}
	return p, err
}

// requiredAccess is what an application asks of APIs.
func requiredAccess(permissions []directory.Permission) []object {
	list := make([]object, len(permissions))
	for i, p := range permissions {
		access := []object{}
		for _, id := range p.IDs() { // Terraform compares them as a list
			kind := "Role"
			if slices.Contains(p.Scopes, directory.ScopeID(id)) {
				kind = "Scope"
			}
			access = append(access, object{{"id", id}, {"type", kind}})
		}
		list[i] = object{{"resourceAppId", p.API}, {"resourceAccess", access}}
	}
	return list
}

func writeRequiredAccess(d *applicationDraft, in input) (err error) {
	d.Permissions, err = each(in, readRequiredAccess)
	return err
}

func readRequiredAccess(in input) (directory.Permission, error) {
	type permission = *directory.Permission
	p := directory.Permission{}
	err := apply([]field[permission]{
		{name: "resourceAppId", write: func(p permission, in input) error {
			id, err := in.guid()
			p.API = directory.AppID(id)
			return err
		}},
		{name: "resourceAccess", write: readResourceAccess},
	}, &p, in)
	if err == nil && p.API == "" {
		err = in.wrong("an object with resourceAppId")
	}
	return p, err
}

func readResourceAccess(p *directory.Permission, in input) error {
	type access struct{ id, kind string }
	all, err := each(in, func(one input) (access, error) {
		a := access{}
		err := apply([]field[*access]{
			{name: "id", write: func(a *access, in input) (err error) { a.id, err = in.guid(); return err }},
			{name: "type", write: func(a *access, in input) (err error) { a.kind, err = in.text(); return err }},
		}, &a, one)
		if err == nil && (a.id == "" || a.kind != "Role" && a.kind != "Scope") {
			err = one.wrong("an object with an id, and Role or Scope as its type")
		}
		return a, err
	})
	for _, a := range all {
		p.Order = append(p.Order, a.id)
		if a.kind == "Role" {
			p.Roles = append(p.Roles, directory.RoleID(a.id))
		} else {
			p.Scopes = append(p.Scopes, directory.ScopeID(a.id))
		}
	}
	return err
}

// The roles and scopes that something offers can be read by themselves, as CLI for Microsoft 365
// does. They are members of it, and change with it.

func listApplicationRoles(c *call) (answer, error) {
	app, err := c.application(c.view())
	if err != nil {
		return answer{}, err
	}
	return c.offered("applications", app.ID, "appRoles", renderAll(roleTable, app.AppRoles))
}

func listPrincipalRoles(c *call) (answer, error) {
	return offeredBy(c, "appRoles", func(app *directory.Application) []object { return renderAll(roleTable, app.AppRoles) })
}

func listPrincipalScopes(c *call) (answer, error) {
	return offeredBy(c, "oauth2PermissionScopes", func(app *directory.Application) []object { return renderAll(scopeTable, app.Scopes) })
}

// offeredBy answers with what the application of the service principal in the path offers. A
// managed identity offers nothing.
func offeredBy(c *call, member string, of func(*directory.Application) []object) (answer, error) {
	view := c.view()
	p, err := c.principal(view)
	if err != nil {
		return answer{}, err
	}
	d, err := c.principalDraft(view, p)
	if err != nil {
		return answer{}, err
	}
	all := []object{}
	if d.app != nil {
		all = of(d.app)
	}
	return c.offered("servicePrincipals", p.ID, member, all)
}

// offered answers with a member that is a collection. It takes no options.
func (c *call) offered(set string, id directory.ObjectID, member string, all []object) (answer, error) {
	if _, err := c.single(nil, func(string) bool { return false }); err != nil {
		return answer{}, err
	}
	return collection(set+"('"+string(id)+"')/"+member, list{items: all}), nil
}
