package manifest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// vacateHosts takes from hosts what they lose, before any host of the file gets something: an
// address, or a system-assigned identity, may move from one to another.
func (w *work) vacateHosts() error {
	w.assigned = make(map[*host][]directory.ObjectID)
	for _, h := range w.file.hosts {
		var err error
		if w.assigned[h], err = w.identitiesOf(h); err != nil {
			return err
		}
	}
	if w.err() != nil {
		return nil // Apply reports it
	}
	for _, h := range w.file.hosts {
		found := w.hosts[h]
		if found == nil {
			continue
		}
		next := *found
		next.Identities = slices.DeleteFunc(slices.Clone(found.Identities), func(id directory.ObjectID) bool { return !slices.Contains(w.assigned[h], id) })
		if h.listen != found.Listen && w.places[found.Listen] {
			next.Listen = ""
		}
		if len(next.Identities) == len(found.Identities) && next.Listen == found.Listen {
			continue
		}
		var err error
		if w.hosts[h], err = w.editor.UpdateHost(next); err != nil {
			return w.ruled(err, h.field)
		}
	}
	return nil
}

// applyHosts makes and changes hosts.
func (w *work) applyHosts() error {
	for _, h := range w.file.hosts {
		if err := w.applyHost(h); err != nil {
			return w.ruled(err, h.field)
		}
	}
	return nil
}

// applyHost brings one host to the file's state. Its lists are replaced, not added to: they
// say who is let in.
func (w *work) applyHost(h *host) (err error) {
	next := directory.Host{Tenant: w.tenant.ID, ID: directory.ObjectID(h.id)}
	found := w.hosts[h]
	if found != nil {
		next = *found
	}
	next.Name, next.Listen, next.Identities = h.name, h.listen, w.assigned[h]
	isNew := found == nil
	if w.says(h.place, "via", isNew) {
		next.Platform = directory.Platform(h.platform)
	}
	if w.says(h.place, "names", isNew) {
		next.Names = texts(h.names)
	}
	if w.says(h.place, "from", isNew) {
		next.From = texts(h.from)
	}
	if w.says(h.place, "user", isNew) {
		next.User = h.user
	}
	if isNew {
		w.hosts[h], err = w.editor.CreateHost(next)
	} else {
		w.hosts[h], err = w.editor.UpdateHost(next)
	}
	return err
}

// identitiesOf finds the managed identities that a host names, and reports those that are
// not there.
func (w *work) identitiesOf(h *host) (ids []directory.ObjectID, err error) {
	for _, ref := range h.identities {
		found, err := w.editor.ServicePrincipal(w.tenant.ID, ref.text)
		switch {
		case err == nil && found.Type == directory.PrincipalManagedIdentity:
			ids = append(ids, found.ID)
		case err == nil || errors.Is(err, directory.ErrNotFound):
			w.add(ref.at, fmt.Sprintf("there is no managed identity %q in the tenant %s.", text.Shown(ref.text), w.tenant.Name), "Give the name or the id of one in this file or in the directory.")
		default:
			return nil, err
		}
	}
	return ids, nil
}

// field gives the place of what a rule objects to.
func (h *host) field(field string) position {
	name, index, _ := splitField(field)
	switch items := map[string][]item{"identities": h.identities, "names": h.names, "from": h.from}[name]; {
	case name == "platform":
		return h.of("via")
	case index >= 0 && index < len(items):
		return items[index].at
	}
	return h.of(name)
}
