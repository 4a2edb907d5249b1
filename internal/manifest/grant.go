package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A grant is one role or one scope that the file lists for somebody, resolved.
type grant struct {
	holder  directory.ObjectID
	api     *directory.Application
	role    directory.RoleID  // either
	scope   directory.ScopeID // or
	value   string            // what it is called
	consent bool
	at      position // of the value in the file

	user     directory.ObjectID // of a scope that is granted for one user
	disabled bool               // whether it may be disabled
}

// A references finds an application of the file by its name or app id in lower case.
type references map[string]*application

// resolveAll resolves every reference of the tenant and reports all that lead nowhere.
func (w *work) resolveAll() error {
	w.asked = make(map[*application][]*grant)
	refs := make(references)
	for _, a := range w.file.applications {
		if a.name != "" {
			refs[strings.ToLower(a.name)] = a
		}
		refs[string(w.applications[a].AppID)] = a
	}
	for _, a := range w.file.applications {
		var holder directory.ObjectID // none: it takes no part, and is granted nothing
		if principal := w.principals[a]; principal != nil {
			holder = principal.ID
		}
		before := len(w.grants)
		if err := w.resolve(refs, holder, a.permissions); err != nil {
			return err
		}
		w.asked[a] = w.grants[before:len(w.grants):len(w.grants)]
		if err := w.resolve(refs, holder, slices.Concat(a.assignments, a.grants)); err != nil {
			return err
		}
	}
	for _, i := range w.file.identities {
		if err := w.resolve(refs, w.principals[i].ID, i.assignments); err != nil {
			return err
		}
	}
	for _, u := range w.file.users {
		if err := w.resolve(refs, w.users[u].ID, u.assignments); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) resolve(refs references, holder directory.ObjectID, all []*permission) error {
	for _, p := range all {
		mentioned := refs[strings.ToLower(p.api)]
		api, err := w.resolveAPI(mentioned, p)
		if err != nil {
			return err
		}
		user, err := w.resolveUser(p)
		if err != nil {
			return err
		}
		if api == nil {
			continue
		}
		before := len(w.grants)
		w.resolveRoles(mentioned, api, holder, p)
		w.resolveScopes(mentioned, api, holder, p)
		for _, g := range w.grants[before:] {
			g.user, g.disabled = user, p.disabled
		}
	}
	return nil
}

// resolveUser finds the user that a delegated grant is for, if it is for one.
func (w *work) resolveUser(p *permission) (directory.ObjectID, error) {
	if p.user == "" {
		return "", nil
	}
	found, err := w.editor.Users().Find(w.tenant.ID, p.user)
	if errors.Is(err, directory.ErrNotFound) {
		w.missing(p.of("user"), err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return found.ID, nil
}

// resolveRoles finds the roles of a permission. When pruning, one that the file does not
// mention is about to go.
func (w *work) resolveRoles(mentioned *application, api *directory.Application, holder directory.ObjectID, p *permission) {
	for _, value := range p.roles {
		found, ok := api.Role(value.text)
		if !ok || !named(found.Value, string(found.ID), value.text) || (w.prune && mentioned != nil && !mentioned.offers(found)) {
			w.add(value.at, fmt.Sprintf("%s has no app role %q.", api.Label(), text.Shown(value.text)), roleHint(api))
			continue
		}
		w.grants = append(w.grants, &grant{holder: holder, api: api, role: found.ID, value: found.Value, consent: p.consent, at: value.at})
	}
}

// named reports whether a text is exactly the value of a role or scope, or its id in any case.
func named(value, id, text string) bool { return value == text || strings.EqualFold(id, text) }

// resolveScopes is resolveRoles for scopes.
func (w *work) resolveScopes(mentioned *application, api *directory.Application, holder directory.ObjectID, p *permission) {
	for _, value := range p.scopes {
		found, ok := api.Scope(value.text)
		if !ok || !named(found.Value, string(found.ID), value.text) || (w.prune && mentioned != nil && !mentioned.offersScope(found)) {
			w.add(value.at, fmt.Sprintf("%s has no scope %q.", api.Label(), text.Shown(value.text)), scopeHint(api))
			continue
		}
		w.grants = append(w.grants, &grant{holder: holder, api: api, scope: found.ID, value: found.Value, consent: p.consent, at: value.at})
	}
}

// resolveAPI finds the application that a permission names, nil when there is none.
func (w *work) resolveAPI(mentioned *application, p *permission) (*directory.Application, error) {
	if mentioned != nil {
		return w.applications[mentioned], nil
	}
	app, err := w.editor.Applications().FindAPI(w.tenant.ID, p.api)
	if errors.Is(err, directory.ErrNotFound) {
		w.missing(p.of("api"), err)
		return nil, nil
	}
	return app, err
}

// offers reports whether the file mentions an app role of the application.
func (a *application) offers(present directory.AppRole) bool {
	return slices.ContainsFunc(a.roles, func(r *role) bool { return sameRole(present, r) })
}

// offersScope reports whether the file mentions a scope of the application.
func (a *application) offersScope(present directory.Scope) bool {
	return slices.ContainsFunc(a.scopes, func(s *scope) bool { return sameScope(present, s) })
}

func roleHint(api *directory.Application) string {
	if len(api.AppRoles) == 0 {
		return "It has none: add appRoles to it first."
	}
	var values []string
	for _, r := range api.AppRoles {
		values = append(values, r.Value)
	}
	return "It has " + strings.Join(values, ", ") + "."
}

func scopeHint(api *directory.Application) string {
	if len(api.Scopes) == 0 {
		return "It has none: add scopes to it first."
	}
	var values []string
	for _, s := range api.Scopes {
		values = append(values, s.Value)
	}
	return "It has " + strings.Join(values, ", ") + "."
}

// applyPermissions brings what each application asks for to the file's state.
func (w *work) applyPermissions() error {
	for _, a := range w.file.applications {
		var attempted []directory.Permission
		asked := make(map[directory.AppID]position)
		written, err := w.editor.Applications().Edit(w.tenant.ID, w.applications[a].ID, func(next *directory.Application) error {
			before := next.Permissions
			if w.prune {
				next.Permissions = nil
			}
			for _, g := range w.asked[a] {
				next.Permissions = ask(next.Permissions, g)
				asked[g.api.AppID] = g.at
			}
			if samePermissions(before, next.Permissions) { // in another order
				next.Permissions = before
			}
			attempted = next.Permissions
			return nil
		})
		if err != nil {
			return w.ruled(err, func(field string) position {
				name, index, _ := splitField(field)
				if name == "permissions" && index >= 0 && index < len(attempted) {
					if at, ok := asked[attempted[index].API]; ok {
						return at
					}
				}
				return a.of("permissions")
			})
		}
		w.applications[a] = written
	}
	return nil
}

// samePermissions reports whether both ask for the same, in whatever order.
func samePermissions(a, b []directory.Permission) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(p directory.Permission) bool {
		return !slices.ContainsFunc(b, func(q directory.Permission) bool {
			return p.API == q.API && sameSet(p.Roles, q.Roles) && sameSet(p.Scopes, q.Scopes)
		})
	})
}

func sameSet[T cmp.Ordered](a, b []T) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// ask returns the permissions with that of the grant among them. It writes to none of the
// lists it was given.
func ask(permissions []directory.Permission, g *grant) []directory.Permission {
	permissions = slices.Clone(permissions)
	i := slices.IndexFunc(permissions, func(p directory.Permission) bool { return p.API == g.api.AppID })
	if i < 0 {
		i = len(permissions)
		permissions = append(permissions, directory.Permission{API: g.api.AppID})
	}
	p := &permissions[i]
	if g.role != "" && !slices.Contains(p.Roles, g.role) {
		p.Roles = append(slices.Clone(p.Roles), g.role)
	}
	if g.scope != "" && !slices.Contains(p.Scopes, g.scope) {
		p.Scopes = append(slices.Clone(p.Scopes), g.scope)
	}
	return permissions
}

// granted returns the grants to write into the directory, with the service principal of
// the API that each is about.
func (w *work) granted(yield func(*grant, *directory.ServicePrincipal) error) error {
	for _, g := range w.grants {
		if !g.consent {
			continue
		}
		api, err := w.editor.ServicePrincipals().FindAPI(w.tenant.ID, g.api.AppID)
		if errors.Is(err, directory.ErrNotFound) {
			w.add(g.at, g.api.Label()+" has no service principal in the tenant.", "Remove its registeredOnly first.")
			continue
		}
		if err == nil {
			err = yield(g, api)
		}
		if err != nil {
			return w.ruled(err, func(string) position { return g.at })
		}
	}
	return nil
}

// whileEnabled grants what is offered no longer, where the file says so: the directory lets
// those who have it keep it, and gives it to nobody else.
func (w *work) whileEnabled(g *grant, add func() error) error {
	enabled, known := w.isEnabled(g)
	if !g.disabled || enabled || !known {
		return add()
	}
	if err := w.enable(g, true); err != nil {
		return err
	}
	if err := add(); err != nil {
		return err
	}
	return w.enable(g, false)
}

// isEnabled reports whether the role or scope of a grant is offered, of an application that
// is registered.
func (w *work) isEnabled(g *grant) (enabled, known bool) {
	app, err := w.editor.Applications().Get(w.tenant.ID, g.api.ID)
	if err != nil {
		return false, false
	}
	if role, ok := app.Role(string(g.role)); ok {
		return role.Enabled, true
	}
	scope, ok := app.Scope(string(g.scope))
	return scope.Enabled, ok
}

func (w *work) enable(g *grant, enabled bool) error {
	_, err := w.editor.Applications().Edit(w.tenant.ID, g.api.ID, func(next *directory.Application) error {
		for i := range next.AppRoles {
			if next.AppRoles[i].ID == g.role {
				next.AppRoles[i].Enabled = enabled
			}
		}
		for i := range next.Scopes {
			if next.Scopes[i].ID == g.scope {
				next.Scopes[i].Enabled = enabled
			}
		}
		return nil
	})
	return err
}
