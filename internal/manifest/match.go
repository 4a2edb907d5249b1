package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// matchAll finds out which parts of the file are in the directory already, before
// anything is changed. An id in the file decides; a name does where there is none.
func (w *work) matchAll() error {
	w.applications = make(map[*application]*directory.Application)
	w.principals = make(map[any]*directory.ServicePrincipal)
	w.users = make(map[*user]*directory.User)
	w.hosts = make(map[*host]*directory.Host)
	for _, a := range w.file.applications {
		if err := w.matchApplication(a); err != nil {
			return err
		}
	}
	for _, i := range w.file.identities {
		if err := w.matchIdentity(i); err != nil {
			return err
		}
	}
	for _, h := range w.file.hosts {
		if err := w.matchHost(h); err != nil {
			return err
		}
	}
	for _, u := range w.file.users {
		if err := w.matchUser(u); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) matchApplication(a *application) error {
	for _, ref := range refs(a.appID, a.id, a.name) {
		found, err := w.editor.Application(w.tenant.ID, ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			continue
		case err != nil:
			return err
		case ref == a.appID && string(found.AppID) != a.appID: // the object id of another one
			continue
		}
		w.keeps(a.place, "appId", a.appID, string(found.AppID), found.Name)
		w.keeps(a.place, "id", a.id, string(found.ID), found.Name)
		w.once("application/"+string(found.Tenant)+"/"+string(found.ID), a.place, found.Name)
		w.applications[a] = found
		return nil
	}
	return nil
}

func (w *work) matchIdentity(i *identity) error {
	for _, ref := range refs(i.appID, i.id, i.name) {
		found, err := w.editor.ServicePrincipal(w.tenant.ID, ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			continue
		case err != nil:
			return err
		case found.Type != directory.PrincipalManagedIdentity:
			continue // the rules say which name or id is taken
		}
		w.keeps(i.place, "appId", i.appID, string(found.AppID), found.Name)
		w.keeps(i.place, "id", i.id, string(found.ID), found.Name)
		w.once("identity/"+string(found.Tenant)+"/"+string(found.ID), i.place, found.Name)
		w.principals[i] = found
		return nil
	}
	return nil
}

func (w *work) matchHost(h *host) error {
	for _, ref := range refs(h.id, h.name) {
		found, err := w.editor.Host(w.tenant.ID, ref)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		w.keeps(h.place, "id", h.id, string(found.ID), found.Name)
		w.once("host/"+string(found.Tenant)+"/"+string(found.ID), h.place, found.Name)
		w.hosts[h] = found
		return nil
	}
	return nil
}

func (w *work) matchUser(u *user) error {
	for _, ref := range refs(u.id, u.principalName) {
		found, err := w.editor.User(w.tenant.ID, ref)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		w.keeps(u.place, "id", u.id, string(found.ID), found.PrincipalName)
		w.once("user/"+string(found.Tenant)+"/"+string(found.ID), u.place, found.PrincipalName)
		w.users[u] = found
		return nil
	}
	return nil
}

// refs leaves out what the file does not give.
func refs(all ...string) []string {
	var given []string
	for _, ref := range all {
		if ref != "" {
			given = append(given, ref)
		}
	}
	return given
}

// keeps reports an id in the file that differs from the one there is.
func (w *work) keeps(p place, member, wanted, present, name string) {
	if wanted != "" && !strings.EqualFold(wanted, present) {
		w.add(p.of(member), fmt.Sprintf("%q has the %s %s, and an id cannot be changed.", name, member, present), "Write that one, or remove the member.")
	}
}

// once reports a second description of what the directory holds once, as when one element
// gives the present name and another one the id.
func (a *applier) once(key string, p place, name string) {
	if first, taken := a.matched[key]; taken {
		a.add(p.at, fmt.Sprintf("this is %q, which is described from line %d on already.", name, first.line), "Describe it once.")
		return
	}
	a.matched[key] = p.at
}
