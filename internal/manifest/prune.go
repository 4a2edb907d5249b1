package manifest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// pruneObjects removes what the file does not mention in its tenant. It comes before
// anything is made, so that names and URIs are free for who takes them over.
func pruneObjects(w *work) error {
	if !w.prune {
		return nil
	}
	for _, step := range []func(*work) error{pruneApplications, pruneHosts, pruneIdentities, pruneUsers, pruneURIs} {
		if err := step(w); err != nil {
			return err
		}
	}
	return nil
}

func pruneApplications(w *work) error {
	kept := make(map[directory.ObjectID]bool)
	for _, app := range w.applications {
		kept[app.ID] = true
	}
	return pruneRest(w, w.editor.Applications(), kept, func(a *directory.Application) directory.ObjectID { return a.ID })
}

func pruneIdentities(w *work) error {
	kept := make(map[directory.ObjectID]bool)
	for _, principal := range w.principals {
		kept[principal.ID] = true
	}
	return pruneRest(w, identities{w.editor.View().Identities().Objects, w.editor.ServicePrincipals()}, kept, func(p *directory.ServicePrincipal) directory.ObjectID { return p.ID })
}

// identities are listed as such, and deleted as service principals.
type identities struct {
	directory.Objects[directory.ServicePrincipal]
	editor directory.PrincipalEditor
}

func (i identities) Delete(tenant directory.TenantID, id directory.ObjectID) error {
	return i.editor.Delete(tenant, id)
}

func pruneHosts(w *work) error {
	kept := make(map[directory.ObjectID]bool)
	for _, h := range w.hosts {
		kept[h.ID] = true
	}
	return pruneRest(w, w.editor.Hosts(), kept, func(h *directory.Host) directory.ObjectID { return h.ID })
}

func pruneUsers(w *work) error {
	kept := make(map[directory.ObjectID]bool)
	for _, u := range w.users {
		kept[u.ID] = true
	}
	return pruneRest(w, w.editor.Users(), kept, func(u *directory.User) directory.ObjectID { return u.ID })
}

// A noun lists and deletes things of one kind.
type noun[T any] interface {
	All(directory.TenantID) ([]*T, error)
	Delete(directory.TenantID, directory.ObjectID) error
}

// pruneRest deletes what is not kept.
func pruneRest[T any](w *work, n noun[T], kept map[directory.ObjectID]bool, id func(*T) directory.ObjectID) error {
	present, err := n.All(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, one := range present {
		if kept[id(one)] {
			continue
		}
		if err := n.Delete(w.tenant.ID, id(one)); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}

// pruneURIs takes away identifier URIs, which another application may be about to get.
func pruneURIs(w *work) error {
	for _, a := range w.file.applications {
		found := w.applications[a]
		if found == nil {
			continue
		}
		goes := func(uri string) bool {
			return !slices.ContainsFunc(a.uris, func(i item) bool { return sameText(uri, i) })
		}
		if !slices.ContainsFunc(found.IdentifierURIs, goes) {
			continue
		}
		written, err := w.editor.Applications().Edit(w.tenant.ID, found.ID, func(next *directory.Application) error {
			next.IdentifierURIs = slices.DeleteFunc(next.IdentifierURIs, goes)
			return nil
		})
		if err != nil {
			return w.ruled(err, a.of)
		}
		w.applications[a] = written
	}
	return nil
}

// pruneAssignments takes away what is held and not wanted, in an order of its own so that
// the same file gives the same difference.
func pruneAssignments(w *work, held, wanted map[assignmentKey]bool) error {
	keys := slices.SortedFunc(maps.Keys(held), func(a, b assignmentKey) int {
		return cmp.Or(cmp.Compare(a.principal, b.principal), cmp.Compare(a.resource, b.resource), cmp.Compare(a.role, b.role))
	})
	for _, key := range keys {
		if wanted[key] {
			continue
		}
		if err := w.editor.Assignments().Remove(w.tenant.ID, key.principal, key.resource, key.role); err != nil {
			return err
		}
	}
	return nil
}

// pruneRoles removes app roles and scopes that the file does not mention. The model wants
// one disabled before it goes, in a change of its own.
func pruneRoles(w *work) error {
	if !w.prune {
		return nil
	}
	for _, a := range w.file.applications {
		present := w.applications[a]
		goesRole := func(r directory.AppRole) bool { return !a.offers(r) }
		goesScope := func(s directory.Scope) bool { return !a.offersScope(s) }
		if !slices.ContainsFunc(present.AppRoles, goesRole) && !slices.ContainsFunc(present.Scopes, goesScope) {
			continue
		}
		for _, change := range []func(*directory.Application) error{
			func(next *directory.Application) error {
				for i, r := range next.AppRoles {
					next.AppRoles[i].Enabled = r.Enabled && !goesRole(r)
				}
				for i, s := range next.Scopes {
					next.Scopes[i].Enabled = s.Enabled && !goesScope(s)
				}
				return nil
			},
			func(next *directory.Application) error {
				next.AppRoles = slices.DeleteFunc(next.AppRoles, goesRole)
				next.Scopes = slices.DeleteFunc(next.Scopes, goesScope)
				return nil
			},
		} {
			written, err := w.editor.Applications().Edit(w.tenant.ID, present.ID, change)
			if err != nil {
				return w.ruled(err, a.of)
			}
			w.applications[a] = written
		}
	}
	return nil
}

// pruneDomains comes last: a domain can only go once nobody signs in with it.
func pruneDomains(w *work) error {
	if !w.prune {
		return nil
	}
	_, err := w.editor.Tenants().Edit(w.tenant.ID, func(next *directory.Tenant) error {
		next.Domains = merge(next.Domains, w.file.domains, sameText, setText, true)
		return nil
	})
	return w.ruled(err, w.file.of)
}
