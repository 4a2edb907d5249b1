package manifest

import (
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
}

// A references finds an application of the file by its name or app id in lower case.
type references map[string]*application

// resolveAll resolves every reference of the tenant and reports all that lead nowhere.
func (w *work) resolveAll() error {
	w.asked = make(map[*application][]*grant)
	refs := make(references)
	for _, a := range w.file.applications {
		refs[strings.ToLower(a.name)] = a
		refs[string(w.applications[a].AppID)] = a
	}
	for _, a := range w.file.applications {
		before := len(w.grants)
		if err := w.resolve(refs, w.principals[a].ID, a.permissions); err != nil {
			return err
		}
		w.asked[a] = w.grants[before:len(w.grants):len(w.grants)]
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
		if api == nil {
			continue
		}
		w.resolveRoles(mentioned, api, holder, p)
		w.resolveScopes(mentioned, api, holder, p)
	}
	return nil
}

// resolveRoles finds the roles of a permission. When pruning, one that the file does not
// mention is about to go.
func (w *work) resolveRoles(mentioned *application, api *directory.Application, holder directory.ObjectID, p *permission) {
	for _, value := range p.roles {
		found, ok := api.Role(value.text)
		if !ok || found.Value != value.text || (w.prune && mentioned != nil && !mentioned.offers(found)) {
			w.add(value.at, fmt.Sprintf("%s has no app role %q.", api.Label(), text.Shown(value.text)), roleHint(api))
			continue
		}
		w.grants = append(w.grants, &grant{holder: holder, api: api, role: found.ID, value: found.Value, consent: p.consent, at: value.at})
	}
}

// resolveScopes is resolveRoles for scopes.
func (w *work) resolveScopes(mentioned *application, api *directory.Application, holder directory.ObjectID, p *permission) {
	for _, value := range p.scopes {
		found, ok := api.Scope(value.text)
		if !ok || found.Value != value.text || (w.prune && mentioned != nil && !mentioned.offersScope(found)) {
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
			if w.prune {
				next.Permissions = nil
			}
			for _, g := range w.asked[a] {
				next.Permissions = ask(next.Permissions, g)
				asked[g.api.AppID] = g.at
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
		if err == nil {
			err = yield(g, api)
		}
		if err != nil {
			return w.ruled(err, func(string) position { return g.at })
		}
	}
	return nil
}
