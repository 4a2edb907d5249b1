package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A holding is what a principal has of one API.
type holding struct {
	api    *directory.Instance
	roles  []directory.AppRole
	scopes []directory.Scope // on behalf of the user
	user   string            // principal name; empty: of everyone
}

// A portion is a part of a holding, or of a permission, that is written as one object.
type portion struct {
	roles, scopes []string
}

func (p portion) empty() bool { return len(p.roles)+len(p.scopes) == 0 }

// granted writes what an application asks for and what it holds, so that each is asked for
// and held again.
func (e *exporter) granted(a *directory.Application, principal *directory.ServicePrincipal) error {
	var held []*holding
	if principal != nil {
		var err error
		if held, err = e.holdings(principal.ID, a.Label(), directory.MemberApplication); err != nil {
			return err
		}
		delegated, err := e.delegated(principal.ID, a.Label())
		if err != nil {
			return err
		}
		held = append(held, delegated...)
	}
	var permissions []string
	for _, p := range a.Permissions {
		written, err := e.permission(a, p, held)
		if err != nil {
			return err
		}
		permissions = append(permissions, written...)
	}
	e.objects("permissions", permissions)
	e.rest("assignments", held, func(h *holding) ([]directory.AppRole, []directory.Scope) { return h.roles, nil })
	e.rest("delegatedGrants", held, func(h *holding) ([]directory.AppRole, []directory.Scope) { return nil, h.scopes })
	return nil
}

// assignments writes the roles that an identity or a user holds.
func (e *exporter) assignments(principal directory.ObjectID, owner string, member directory.MemberType) error {
	held, err := e.holdings(principal, owner, member)
	if err != nil {
		return err
	}
	e.rest("assignments", held, func(h *holding) ([]directory.AppRole, []directory.Scope) { return h.roles, nil })
	return nil
}

// holdings returns the roles that a principal holds, by API.
func (e *exporter) holdings(principal directory.ObjectID, owner string, member directory.MemberType) (all []*holding, err error) {
	assignments, err := e.cfg.View.Assignments().AllOf(e.of.ID, principal)
	if err != nil {
		return nil, err
	}
	for _, assignment := range assignments { // in the order of resources
		api, err := e.api(assignment.Resource)
		if err != nil {
			return nil, err
		}
		if api == nil {
			continue
		}
		role, ok := api.Application.Role(string(assignment.Role))
		switch {
		case !ok:
			continue
		case !role.Allows(member):
			e.omit(owner, fmt.Sprintf("the app role %s of %s", role.Value, api.Application.Label()), "its members can no longer hold it")
			continue
		}
		if len(all) == 0 || all[len(all)-1].api.Application.AppID != api.Application.AppID {
			all = append(all, &holding{api: api})
		}
		last := all[len(all)-1]
		last.roles = append(last.roles, role)
	}
	for _, h := range all { // as the API lists them, whatever their ids
		slices.SortFunc(h.roles, func(a, b directory.AppRole) int {
			return indexOf(h.api.Application, a.ID) - indexOf(h.api.Application, b.ID)
		})
	}
	return all, nil
}

func indexOf(api *directory.Application, id directory.RoleID) int {
	return slices.IndexFunc(api.AppRoles, func(r directory.AppRole) bool { return r.ID == id })
}

// delegated returns the scopes that an application was granted.
func (e *exporter) delegated(principal directory.ObjectID, owner string) (all []*holding, err error) {
	grants, err := e.cfg.View.DelegatedGrants().AllOf(e.of.ID, principal)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		api, err := e.api(g.Resource)
		if err != nil {
			return nil, err
		}
		if api == nil {
			continue
		}
		h := &holding{api: api}
		if g.Principal != "" {
			user, err := e.cfg.View.Users().Get(e.of.ID, g.Principal)
			if errors.Is(err, directory.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			h.user = user.PrincipalName
		}
		for _, value := range g.Scopes {
			scope, ok := api.Application.Scope(value)
			if !ok {
				e.omit(owner, fmt.Sprintf("the scope %s of %s", value, api.Application.Label()), "the API does not have it")
				continue
			}
			h.scopes = append(h.scopes, scope)
		}
		all = append(all, h)
	}
	return all, nil
}

// permission writes what an application asks of an API: first what it was granted, then what
// it was granted and is disabled, then the rest. What it was granted is taken out of held.
func (e *exporter) permission(a *directory.Application, p directory.Permission, held []*holding) ([]string, error) {
	api, err := e.apiByAppID(p.API)
	if err != nil {
		return nil, err
	}
	if api == nil {
		e.omit(a.Label(), "its permissions of the API "+string(p.API), "there is no such application in the tenant")
		return nil, nil
	}
	var granted, disabled, asked portion
	for _, id := range p.Roles {
		role, ok := api.Role(string(id))
		if !ok || !role.Allows(directory.MemberApplication) {
			e.omit(a.Label(), fmt.Sprintf("its permission %s of %s", id, api.Label()), "the API does not have it")
			continue
		}
		into := &asked
		if takeRole(held, api.AppID, id) {
			into = pick(role.Enabled, &granted, &disabled)
		}
		into.roles = append(into.roles, cmp.Or(role.Value, string(role.ID)))
	}
	for _, id := range p.Scopes {
		scope, ok := api.Scope(string(id))
		if !ok {
			e.omit(a.Label(), fmt.Sprintf("its permission %s of %s", id, api.Label()), "the API does not have it")
			continue
		}
		into := &asked
		if takeScope(held, api.AppID, id) {
			into = pick(scope.Enabled, &granted, &disabled)
		}
		into.scopes = append(into.scopes, cmp.Or(scope.Value, string(scope.ID)))
	}
	var written []string
	for _, part := range []struct {
		portion
		consent, disabled bool
	}{{granted, true, false}, {disabled, true, true}, {asked, false, false}} {
		if !part.empty() {
			written = append(written, object(
				str("api", apiRef(api)), strs("roles", part.roles), strs("scopes", part.scopes), flag("consent", part.consent, false), flag("allowDisabled", part.disabled, false),
			))
		}
	}
	return written, nil
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// takeRole takes a role out of what is held, if it is.
func takeRole(held []*holding, api directory.AppID, id directory.RoleID) bool {
	for _, h := range held {
		i := slices.IndexFunc(h.roles, func(r directory.AppRole) bool { return r.ID == id })
		if h.api.Application.AppID == api && i >= 0 {
			h.roles = slices.Delete(h.roles, i, i+1)
			return true
		}
	}
	return false
}

// takeScope is takeRole for scopes that are granted for everyone.
func takeScope(held []*holding, api directory.AppID, id directory.ScopeID) bool {
	for _, h := range held {
		i := slices.IndexFunc(h.scopes, func(s directory.Scope) bool { return s.ID == id })
		if h.user == "" && h.api.Application.AppID == api && i >= 0 {
			h.scopes = slices.Delete(h.scopes, i, i+1)
			return true
		}
	}
	return false
}

// rest writes what is held, by API, and apart what of it is disabled.
func (e *exporter) rest(member string, held []*holding, of func(*holding) ([]directory.AppRole, []directory.Scope)) {
	var all []string
	for _, h := range held {
		var enabled, disabled portion
		roles, scopes := of(h)
		for _, r := range roles {
			into := pick(r.Enabled, &enabled, &disabled)
			into.roles = append(into.roles, cmp.Or(r.Value, string(r.ID)))
		}
		for _, s := range scopes {
			into := pick(s.Enabled, &enabled, &disabled)
			into.scopes = append(into.scopes, s.Value)
		}
		for _, part := range []struct {
			portion
			disabled bool
		}{{enabled, false}, {disabled, true}} {
			if !part.empty() {
				all = append(all, object(
					str("api", apiRef(h.api.Application)), strs("roles", part.roles), strs("scopes", part.scopes), str("user", h.user), flag("allowDisabled", part.disabled, false),
				))
			}
		}
	}
	e.objects(member, all)
}
