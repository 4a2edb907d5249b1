package manifest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// pruneObjects removes what the file does not mention in its tenant. It comes before
// anything is made, so that names and URIs are free for who takes them over.
func (w *work) pruneObjects() error {
	if !w.prune {
		return nil
	}
	for _, step := range []func() error{w.pruneApplications, w.pruneHosts, w.pruneIdentities, w.pruneUsers, w.pruneURIs} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) pruneApplications() error {
	kept := make(map[directory.ObjectID]bool)
	for _, app := range w.applications {
		kept[app.ID] = true
	}
	present, err := w.editor.Applications(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, app := range present {
		if kept[app.ID] {
			continue
		}
		if err := w.editor.DeleteApplication(w.tenant.ID, app.ID); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}

func (w *work) pruneIdentities() error {
	kept := make(map[directory.ObjectID]bool)
	for _, principal := range w.principals {
		kept[principal.ID] = true
	}
	present, err := w.editor.ServicePrincipals(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, p := range present {
		if p.Type != directory.PrincipalManagedIdentity || kept[p.ID] {
			continue
		}
		if err := w.editor.DeleteServicePrincipal(w.tenant.ID, p.ID); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}

func (w *work) pruneHosts() error {
	kept := make(map[directory.ObjectID]bool)
	for _, h := range w.hosts {
		kept[h.ID] = true
	}
	present, err := w.editor.Hosts(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, h := range present {
		if kept[h.ID] {
			continue
		}
		if err := w.editor.DeleteHost(w.tenant.ID, h.ID); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}

func (w *work) pruneUsers() error {
	kept := make(map[directory.ObjectID]bool)
	for _, u := range w.users {
		kept[u.ID] = true
	}
	present, err := w.editor.Users(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, u := range present {
		if kept[u.ID] {
			continue
		}
		if err := w.editor.DeleteUser(w.tenant.ID, u.ID); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}

// pruneURIs takes away identifier URIs, which another application may be about to get.
func (w *work) pruneURIs() error {
	for _, a := range w.file.applications {
		found := w.applications[a]
		if found == nil {
			continue
		}
		next := *found
		next.IdentifierURIs = slices.DeleteFunc(slices.Clone(found.IdentifierURIs), func(uri string) bool {
			return !slices.ContainsFunc(a.uris, func(i item) bool { return sameText(uri, i) })
		})
		if len(next.IdentifierURIs) == len(found.IdentifierURIs) {
			continue
		}
		written, err := w.editor.UpdateApplication(next)
		if err != nil {
			return w.ruled(err, a.of)
		}
		w.applications[a] = written
	}
	return nil
}

// pruneAssignments takes away what is held and not wanted, in an order of its own so that
// the same file gives the same difference.
func (w *work) pruneAssignments(held, wanted map[assignmentKey]bool) error {
	keys := slices.SortedFunc(maps.Keys(held), func(a, b assignmentKey) int {
		return cmp.Or(cmp.Compare(a.principal, b.principal), cmp.Compare(a.resource, b.resource), cmp.Compare(a.role, b.role))
	})
	for _, key := range keys {
		if wanted[key] {
			continue
		}
		if err := w.editor.Unassign(w.tenant.ID, key.principal, key.resource, key.role); err != nil {
			return err
		}
	}
	return nil
}

// pruneRoles removes app roles and scopes that the file does not mention. The model wants
// one disabled before it goes, in a change of its own.
func (w *work) pruneRoles() error {
	if !w.prune {
		return nil
	}
	for _, a := range w.file.applications {
		next := *w.applications[a]
		goesRole := func(r directory.AppRole) bool { return !a.offers(r) }
		goesScope := func(s directory.Scope) bool { return !a.offersScope(s) }
		if !slices.ContainsFunc(next.AppRoles, goesRole) && !slices.ContainsFunc(next.Scopes, goesScope) {
			continue
		}
		next.AppRoles, next.Scopes = slices.Clone(next.AppRoles), slices.Clone(next.Scopes)
		for i, r := range next.AppRoles {
			next.AppRoles[i].Enabled = r.Enabled && !goesRole(r)
		}
		for i, s := range next.Scopes {
			next.Scopes[i].Enabled = s.Enabled && !goesScope(s)
		}
		disabled, err := w.editor.UpdateApplication(next)
		if err != nil {
			return w.ruled(err, a.of)
		}
		next = *disabled
		next.AppRoles = slices.DeleteFunc(slices.Clone(next.AppRoles), goesRole)
		next.Scopes = slices.DeleteFunc(slices.Clone(next.Scopes), goesScope)
		if w.applications[a], err = w.editor.UpdateApplication(next); err != nil {
			return w.ruled(err, a.of)
		}
	}
	return nil
}

// pruneDomains comes last: a domain can only go once nobody signs in with it.
func (w *work) pruneDomains() error {
	if !w.prune {
		return nil
	}
	next := *w.tenant
	next.Domains = merge(next.Domains, w.file.domains, sameText, setText, true)
	_, err := w.editor.UpdateTenant(next)
	return w.ruled(err, w.file.of)
}
