package manifest

import (
	"errors"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// vacateHosts takes from hosts what they lose, before any host of the file gets something: an
// address, or a system-assigned identity, may move from one to another.
func (w *work) vacateHosts() error {
	w.assigned = make(map[*host][]directory.ObjectID)
	for _, h := range w.file.hosts {
		if found := w.hosts[h]; found != nil && !w.says(h.place, "identities", false) {
			w.assigned[h] = found.Identities
			continue
		}
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
		kept := slices.DeleteFunc(slices.Clone(found.Identities), func(id directory.ObjectID) bool { return !slices.Contains(w.assigned[h], id) })
		moves := w.says(h.place, "listen", false) && h.listen != found.Listen && w.places[found.Listen]
		if len(kept) == len(found.Identities) && !moves {
			continue
		}
		var err error
		w.hosts[h], err = w.editor.Hosts().Edit(w.tenant.ID, found.ID, func(next *directory.Host) error {
			next.Identities = kept
			if moves {
				next.Listen = ""
			}
			return nil
		})
		if err != nil {
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
	found := w.hosts[h]
	isNew := found == nil
	fill := func(next *directory.Host) error {
		next.Name, next.Identities = h.name, w.assigned[h]
		if w.says(h.place, "listen", isNew) {
			next.Listen = h.listen
		}
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
		if w.says(h.place, "node", isNew) {
			next.Node = h.node
		}
		return nil
	}
	if !isNew {
		w.hosts[h], err = w.editor.Hosts().Edit(w.tenant.ID, found.ID, fill)
		return err
	}
	next := directory.Host{Tenant: w.tenant.ID, ID: directory.ObjectID(h.id)}
	_ = fill(&next) // it objects to nothing
	w.hosts[h], err = w.editor.Hosts().Create(next)
	return err
}

// identitiesOf finds the managed identities that a host names, and reports those that are
// not there.
func (w *work) identitiesOf(h *host) (ids []directory.ObjectID, err error) {
	for _, ref := range h.identities {
		found, err := w.editor.View().Identities().Find(w.tenant.ID, ref.text)
		switch {
		case err == nil:
			ids = append(ids, found.ID)
		case errors.Is(err, directory.ErrNotFound):
			w.missing(ref.at, err)
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
