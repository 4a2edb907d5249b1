package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A remarked is where something of the directory keeps its remarks.
type remarked struct {
	description, notes *string
	tags               *[]string
	settings           *json.RawMessage
}

// remark brings remarks to the file's state. Owners come later: see applyOwners.
func (w *work) remark(p place, wanted *remarks, into remarked, isNew bool) {
	if w.says(p, "description", isNew) {
		*into.description = wanted.description
	}
	if w.says(p, "notes", isNew) {
		*into.notes = wanted.notes
	}
	*into.tags = merge(*into.tags, wanted.tags, equalText, setText, w.prune)
	if w.says(p, "settings", isNew) {
		setSettings(into.settings, wanted.settings)
	}
}

// setSettings replaces settings that say something else; members in another order do not.
func setSettings(into *json.RawMessage, wanted json.RawMessage) {
	if !bytes.Equal(canonical(*into), canonical(wanted)) {
		*into = wanted
	}
}

// canonical is JSON with its members in the order of their names; nothing for an empty object.
func canonical(raw json.RawMessage) json.RawMessage {
	var value any
	if len(raw) == 0 || json.Unmarshal(raw, &value) != nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil || b.String() == "{}\n" {
		return nil
	}
	return bytes.TrimSpace(b.Bytes())
}

// applyOwners gives applications, service principals and identities their owners, when all who
// may be one are there.
func (w *work) applyOwners() error {
	for _, a := range w.file.applications {
		owners, err := w.ownersOf(a.owners)
		if err != nil {
			return err
		}
		written, err := w.editor.Applications().Edit(w.tenant.ID, w.applications[a].ID, func(next *directory.Application) error {
			next.Owners = w.owned(next.Owners, owners)
			return nil
		})
		if err != nil {
			return w.ruled(err, a.of)
		}
		w.applications[a] = written
		if w.principals[a] == nil {
			continue
		}
		if err := w.ownPrincipal(w.principals[a].ID, a.principal.owners, a.ofPrincipal); err != nil {
			return err
		}
	}
	for _, i := range w.file.identities {
		if err := w.ownPrincipal(w.principals[i].ID, i.owners, i.of); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) ownPrincipal(id directory.ObjectID, wanted []item, of func(string) position) error {
	owners, err := w.ownersOf(wanted)
	if err != nil {
		return err
	}
	_, err = w.editor.ServicePrincipals().Edit(w.tenant.ID, id, func(next *directory.ServicePrincipal) error {
		next.Owners = w.owned(next.Owners, owners)
		return nil
	})
	return w.ruled(err, of)
}

// owned are the owners as the file wants them.
func (a *applier) owned(present, wanted []directory.ObjectID) []directory.ObjectID {
	var owners []directory.ObjectID
	for _, id := range present {
		if !a.prune || slices.Contains(wanted, id) {
			owners = append(owners, id)
		}
	}
	for _, id := range wanted {
		if !slices.Contains(owners, id) {
			owners = append(owners, id)
		}
	}
	return owners
}

// ownersOf finds the principals and users that a file names, and reports those that are not
// there.
func (w *work) ownersOf(all []item) (ids []directory.ObjectID, err error) {
	for _, ref := range all {
		principal, err := w.editor.ServicePrincipals().Find(w.tenant.ID, ref.text)
		if err == nil {
			ids = append(ids, principal.ID)
			continue
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		user, err := w.editor.Users().Find(w.tenant.ID, ref.text)
		switch {
		case err == nil:
			ids = append(ids, user.ID)
		case errors.Is(err, directory.ErrNotFound):
			w.add(ref.at, fmt.Sprintf("there is no application, managed identity or user %q to own it.", text.Shown(ref.text)), "Give the name or an id of one in this file or in the directory.")
		default:
			return nil, err
		}
	}
	return ids, nil
}

// applyPreAuthorized lets clients use scopes without consent, when all of them are there.
func (w *work) applyPreAuthorized() error {
	for _, a := range w.file.applications {
		if len(a.preAuthorized) == 0 && !w.prune {
			continue
		}
		wanted, err := w.preAuthorizedBy(a)
		if err != nil {
			return err
		}
		written, err := w.editor.Applications().Edit(w.tenant.ID, w.applications[a].ID, func(next *directory.Application) error {
			for _, present := range next.PreAuthorized {
				mentioned := slices.ContainsFunc(wanted, func(p directory.PreAuthorization) bool { return p.App == present.App })
				if !mentioned && !w.prune {
					wanted = append(wanted, present)
				}
			}
			if !samePreAuthorized(next.PreAuthorized, wanted) {
				next.PreAuthorized = wanted
			}
			return nil
		})
		if err != nil {
			return w.ruled(err, func(field string) position {
				if name, index, _ := splitField(field); name == "preAuthorized" && index >= 0 && index < len(a.preAuthorized) {
					return a.preAuthorized[index].at
				}
				return a.of(field)
			})
		}
		w.applications[a] = written
	}
	return nil
}

// preAuthorizedBy resolves what an application says of clients.
func (w *work) preAuthorizedBy(a *application) (wanted []directory.PreAuthorization, err error) {
	for _, p := range a.preAuthorized {
		one := directory.PreAuthorization{}
		client, err := w.editor.Applications().FindAPI(w.tenant.ID, p.client)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			w.missing(p.of("client"), err)
			continue
		case err != nil:
			return nil, err
		}
		one.App = client.AppID
		for _, value := range p.scopes {
			scope, ok := w.applications[a].Scope(value.text)
			if !ok {
				w.add(value.at, fmt.Sprintf("%s has no scope %q.", w.applications[a].Label(), text.Shown(value.text)), scopeHint(w.applications[a]))
				continue
			}
			one.Scopes = append(one.Scopes, scope.ID)
		}
		wanted = append(wanted, one)
	}
	return wanted, nil
}

func samePreAuthorized(a, b []directory.PreAuthorization) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(p directory.PreAuthorization) bool {
		return !slices.ContainsFunc(b, func(q directory.PreAuthorization) bool { return p.App == q.App && sameSet(p.Scopes, q.Scopes) })
	})
}
