package manifest

import (
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// applyAssignments grants the roles that the file grants and, when pruning, takes away
// the rest from those it mentions.
func (w *work) applyAssignments() error {
	held := make(map[assignmentKey]bool)
	for _, holder := range w.holders() {
		present, err := w.editor.Assignments().AllOf(w.tenant.ID, holder)
		if err != nil {
			return err
		}
		for _, assignment := range present {
			held[keyOf(assignment)] = true
		}
	}
	wanted := make(map[assignmentKey]bool)
	err := w.granted(func(g *grant, api *directory.ServicePrincipal) error {
		key := assignmentKey{g.holder, api.ID, g.role}
		if g.role == "" {
			return nil
		}
		wanted[key] = true
		if held[key] { // it may be one of a role that is disabled by now
			return nil
		}
		held[key] = true
		return w.whileEnabled(g, func() error {
			_, _, err := w.editor.Assignments().Add(w.tenant.ID, key.principal, key.resource, key.role)
			return err
		})
	})
	if err != nil || !w.prune {
		return err
	}
	return pruneAssignments(w, held, wanted)
}

// holders are all whom the file may grant something to.
func (w *work) holders() (all []directory.ObjectID) {
	for _, p := range w.principals {
		all = append(all, p.ID)
	}
	for _, u := range w.users {
		all = append(all, u.ID)
	}
	return all
}

// An assignmentKey names an assignment by its content.
type assignmentKey struct {
	principal, resource directory.ObjectID
	role                directory.RoleID
}

func keyOf(a *directory.Assignment) assignmentKey {
	return assignmentKey{a.Principal, a.Resource, a.Role}
}

// A pair is a client and an API whose scopes it is granted, for a user or for everyone.
type pair struct{ client, resource, user directory.ObjectID }

// applyGrants grants the scopes that the file grants, and when pruning takes away the rest of
// what is granted for everyone from the applications it mentions. What users consented to for
// themselves is theirs and stays.
func (w *work) applyGrants() error {
	held, wanted := make(map[pair][]string), make(map[pair][]string)
	var order []pair // of the file, so that the same file gives the same difference
	for _, a := range w.file.applications {
		if w.principals[a] == nil {
			continue
		}
		present, err := w.editor.DelegatedGrants().AllOf(w.tenant.ID, w.principals[a].ID)
		if err != nil {
			return err
		}
		for _, g := range present {
			key := pair{g.Client, g.Resource, g.Principal}
			held[key] = g.Scopes
			if g.Principal == "" {
				order = append(order, key)
			}
		}
	}
	err := w.granted(func(g *grant, api *directory.ServicePrincipal) error {
		key := pair{g.holder, api.ID, g.user}
		if g.scope == "" {
			return nil
		}
		wanted[key] = append(wanted[key], g.value)
		if slices.Contains(held[key], g.value) { // it may be disabled by now
			return nil
		}
		return w.whileEnabled(g, func() error {
			_, err := w.editor.DelegatedGrants().Add(w.tenant.ID, key.client, key.resource, key.user, []string{g.value})
			return err
		})
	})
	if err != nil || !w.prune {
		return err
	}
	for _, key := range order {
		excess := slices.DeleteFunc(slices.Clone(held[key]), func(scope string) bool { return slices.Contains(wanted[key], scope) })
		if len(excess) == 0 {
			continue
		}
		if err := w.editor.DelegatedGrants().Remove(w.tenant.ID, key.client, key.resource, "", excess); err != nil {
			return err
		}
	}
	return nil
}
