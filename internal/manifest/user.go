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
	next := directory.User{Tenant: w.tenant.ID, ID: directory.ObjectID(u.id)}
	isNew := found == nil
	if !isNew {
		next = *found
	}
	next.PrincipalName = u.principalName
	next.DirectoryRoles = merge(next.DirectoryRoles, u.directoryRoles, sameText, setText, w.prune)
	if w.says(u.place, "displayName", isNew) {
		next.DisplayName = u.displayName
	}
	if isNew {
		if found, err = w.editor.CreateUser(next, u.passwordText()); err != nil {
			return err
		}
		next.ID, next.Enabled = found.ID, u.enabled
	}
	if w.says(u.place, "enabled", isNew) {
		next.Enabled = u.enabled
	}
	if w.users[u], err = w.editor.UpdateUser(next); err != nil {
		return err
	}
	if isNew || u.password == nil {
		return nil
	}
	return w.editor.SetPassword(w.tenant.ID, next.ID, u.password.value)
}

func (u *user) passwordText() string {
	if u.password == nil {
		return ""
	}
	return u.password.value
}

func (u *user) field(field string) position {
	name, index, _ := splitField(field)
	if name == "directoryRoles" && index >= 0 && index < len(u.directoryRoles) {
		return u.directoryRoles[index].at
	}
	return u.of(name)
}
