package manifest

import "github.com/rolecall-auth/rolecall/internal/directory"

// applyUsers makes and changes users.
func (w *work) applyUsers() error {
	for _, u := range w.file.users {
		if err := w.applyUser(u); err != nil {
			return w.ruled(err, func(field string) position { return u.field(field) })
		}
	}
	return nil
}

func (w *work) applyUser(u *user) (err error) {
	found := w.users[u]
	isNew := found == nil
	set := func(next *directory.User) {
		next.PrincipalName = u.principalName
		next.DirectoryRoles = merge(next.DirectoryRoles, u.directoryRoles, sameText, setText, w.prune)
		if w.says(u.place, "settings", isNew) {
			setSettings(&next.Settings, u.settings)
		}
		if w.says(u.place, "displayName", isNew) {
			next.DisplayName = u.displayName
		}
	}
	if isNew {
		next := directory.User{Tenant: w.tenant.ID, ID: directory.ObjectID(u.id)}
		set(&next)
		if found, err = w.editor.Users().Create(next, u.chosen()); err != nil {
			return err
		}
	}
	w.users[u], err = w.editor.Users().Edit(w.tenant.ID, found.ID, func(next *directory.User) error {
		set(next)
		if w.says(u.place, "enabled", isNew) {
			next.Enabled = u.enabled
		}
		return nil
	})
	if err != nil || isNew || u.password == nil {
		return err
	}
	return w.editor.Users().SetPassword(w.tenant.ID, found.ID, u.chosen())
}

// chosen is the password that the file gives, nil for none.
func (u *user) chosen() *directory.Chosen {
	if u.password == nil {
		return nil
	}
	return u.password.chosen()
}

func (u *user) field(field string) position {
	name, index, _ := splitField(field)
	if name == "directoryRoles" && index >= 0 && index < len(u.directoryRoles) {
		return u.directoryRoles[index].at
	}
	return u.of(name)
}
