package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/directory"
)

// A grant is one role that the file lists for somebody, resolved.
type grant struct {
	holder  *directory.ServicePrincipal
	api     *directory.Application
	role    directory.AppRole
	consent bool
	at      position // of the role in the file
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
		for _, p := range a.permissions {
			if err := w.resolve(refs, w.principals[a], p); err != nil {
				return err
			}
		}
		w.asked[a] = w.grants[before:len(w.grants):len(w.grants)]
	}
	for _, i := range w.file.identities {
		for _, p := range i.assignments {
			if err := w.resolve(refs, w.principals[i], p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) resolve(refs references, holder *directory.ServicePrincipal, p *permission) error {
	mentioned := refs[strings.ToLower(p.api)]
	api, err := w.resolveAPI(mentioned, p)
	if api == nil || err != nil {
		return err
	}
	for _, value := range p.roles {
		found, ok := api.Role(value.text)
		// When pruning, a role that the file does not mention is about to go.
		if !ok || found.Value != value.text || (w.prune && mentioned != nil && !mentioned.offers(found)) {
			w.add(value.at, fmt.Sprintf("%s has no app role %q.", api.Name, clip(value.text)), roleHint(api))
			continue
		}
		w.grants = append(w.grants, &grant{holder, api, found, p.consent, value.at})
	}
	return nil
}

// resolveAPI finds the application that a permission names, nil when there is none.
func (w *work) resolveAPI(mentioned *application, p *permission) (*directory.Application, error) {
	if mentioned != nil {
		return w.applications[mentioned], nil
	}
	app, err := w.editor.Application(w.tenant.ID, p.api)
	isObjectID := err == nil && !strings.EqualFold(app.Name, p.api) && !strings.EqualFold(string(app.AppID), p.api)
	if errors.Is(err, directory.ErrNotFound) || isObjectID {
		w.add(p.of("api"), fmt.Sprintf("there is no application %q in the tenant %s.", clip(p.api), w.tenant.Name), "Give the name or the app id of one in this file or in the directory.")
		return nil, nil
	}
	return app, err
}

// offers reports whether the file mentions an app role of the application.
func (a *application) offers(present directory.AppRole) bool {
	return slices.ContainsFunc(a.roles, func(r *role) bool { return sameRole(present, r) })
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

// applyPermissions brings what each application asks for to the file's state.
func (w *work) applyPermissions() error {
	for _, a := range w.file.applications {
		next := *w.applications[a]
		if w.prune {
			next.Permissions = nil
		}
		asked := make(map[directory.AppID]position)
		for _, g := range w.asked[a] {
			next.Permissions = ask(next.Permissions, g)
			asked[g.api.AppID] = g.at
		}
		written, err := w.editor.UpdateApplication(next)
		if err != nil {
			return w.ruled(err, func(field string) position {
				name, index, _ := splitField(field)
				if name == "permissions" && index >= 0 && index < len(next.Permissions) {
					if at, ok := asked[next.Permissions[index].API]; ok {
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
	for i, p := range permissions {
		if p.API != g.api.AppID {
			continue
		}
		if !slices.Contains(p.Roles, g.role.ID) {
			permissions[i].Roles = append(slices.Clone(p.Roles), g.role.ID)
		}
		return permissions
	}
	return append(permissions, directory.Permission{API: g.api.AppID, Roles: []directory.RoleID{g.role.ID}})
}

// applyAssignments grants what the file grants and, when pruning, takes away the rest from
// those it mentions.
func (w *work) applyAssignments() error {
	held := make(map[assignmentKey]bool)
	for _, p := range w.principals {
		present, err := w.editor.Assignments(w.tenant.ID, p.ID)
		if err != nil {
			return err
		}
		for _, assignment := range present {
			held[keyOf(assignment)] = true
		}
	}
	wanted := make(map[assignmentKey]bool)
	for _, g := range w.grants {
		if !g.consent {
			continue
		}
		api, err := w.editor.ServicePrincipal(w.tenant.ID, string(g.api.AppID))
		if err != nil {
			return w.ruled(err, func(string) position { return g.at })
		}
		key := assignmentKey{g.holder.ID, api.ID, g.role.ID}
		wanted[key] = true
		if held[key] { // it may be one of a role that is disabled by now
			continue
		}
		if _, err := w.editor.Assign(w.tenant.ID, key.principal, key.resource, key.role); err != nil {
			return w.ruled(err, func(string) position { return g.at })
		}
		held[key] = true
	}
	if !w.prune {
		return nil
	}
	return w.pruneAssignments(held, wanted)
}

// An assignmentKey names an assignment by its content.
type assignmentKey struct {
	principal, resource directory.ObjectID
	role                directory.RoleID
}

func keyOf(a *directory.Assignment) assignmentKey {
	return assignmentKey{a.Principal, a.Resource, a.Role}
}
