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
	found, err := match(refs(a.appID, a.id, a.name), inTenant(w, w.editor.Applications().Find), func(found *directory.Application, ref string) bool {
		// Not the object id of another one, nor its identifier URI.
		return ref == a.appID && string(found.AppID) == a.appID || ref == a.id || ref == a.name && strings.EqualFold(found.Name, a.name)
	})
	if found == nil || err != nil {
		return err
	}
	w.keeps(a.place, "appId", a.appID, string(found.AppID), found.Name)
	w.keeps(a.place, "id", a.id, string(found.ID), found.Name)
	w.once("application/"+string(found.Tenant)+"/"+string(found.ID), a.place, found.Name)
	w.applications[a] = found
	if a.principal.id == "" {
		return nil
	}
	principal, err := w.editor.ServicePrincipals().Find(w.tenant.ID, string(found.AppID))
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err == nil {
		w.keeps(a.principal.place, "id", a.principal.id, string(principal.ID), "the service principal of "+found.Label())
	}
	return err
}

func (w *work) matchIdentity(i *identity) error {
	// The rules say which name or id an application has taken.
	found, err := match(refs(i.appID, i.id, i.name), inTenant(w, w.editor.View().Identities().Find), nil)
	if found == nil || err != nil {
		return err
	}
	w.keeps(i.place, "appId", i.appID, string(found.AppID), found.Name)
	w.keeps(i.place, "id", i.id, string(found.ID), found.Name)
	w.once("identity/"+string(found.Tenant)+"/"+string(found.ID), i.place, found.Name)
	w.principals[i] = found
	return nil
}

func (w *work) matchHost(h *host) error {
	found, err := match(refs(h.id, h.name), inTenant(w, w.editor.Hosts().Find), nil)
	if found == nil || err != nil {
		return err
	}
	w.keeps(h.place, "id", h.id, string(found.ID), found.Name)
	w.once("host/"+string(found.Tenant)+"/"+string(found.ID), h.place, found.Name)
	w.hosts[h] = found
	return nil
}

func (w *work) matchUser(u *user) error {
	found, err := match(refs(u.id, u.principalName), inTenant(w, w.editor.Users().Find), nil)
	if found == nil || err != nil {
		return err
	}
	w.keeps(u.place, "id", u.id, string(found.ID), found.PrincipalName)
	w.once("user/"+string(found.Tenant)+"/"+string(found.ID), u.place, found.PrincipalName)
	w.users[u] = found
	return nil
}

// match returns what the first of the references finds that is accepted, nil for none.
func match[T any](refs []string, find func(ref string) (*T, error), accept func(found *T, ref string) bool) (*T, error) {
	for _, ref := range refs {
		found, err := find(ref)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if accept == nil || accept(found, ref) {
			return found, nil
		}
	}
	return nil, nil
}

func inTenant[T any](w *work, find func(directory.TenantID, string) (*T, error)) func(ref string) (*T, error) {
	return func(ref string) (*T, error) { return find(w.tenant.ID, ref) }
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
