package manifest

import (
	"maps"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// applyIdentities makes and changes managed identities.
func (w *work) applyIdentities() error {
	for _, i := range w.file.identities {
		if err := w.applyIdentity(i); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) applyIdentity(i *identity) (err error) {
	found := w.principals[i]
	isNew := found == nil
	set := func(next *directory.ServicePrincipal) {
		next.IdentityKind = directory.IdentityKind(i.kind)
		if i.has("name") {
			next.Name = i.name
		}
		if w.says(i.place, "displayName", isNew) {
			next.DisplayName = i.displayName
		}
		w.remark(i.place, &i.remarks, remarked{&next.Description, &next.Notes, &next.Tags, &next.Settings}, isNew)
		next.AlternativeNames = merge(next.AlternativeNames, i.alternatives, equalText, setText, w.prune)
		if w.says(i.place, "location", isNew) {
			next.Location = i.location
		}
		if w.says(i.place, "resourceTags", isNew) {
			next.ResourceTags = maps.Clone(i.resourceTags)
		}
		if i.resourceID != "" {
			next.ResourceID = i.resourceID
		}
	}
	if isNew {
		next := directory.ServicePrincipal{
			Tenant: w.tenant.ID, ID: directory.ObjectID(i.id), AppID: directory.AppID(i.appID), Type: directory.PrincipalManagedIdentity,
		}
		set(&next)
		if found, err = w.editor.ServicePrincipals().Create(next); err != nil {
			return w.ruled(err, i.of)
		}
	}
	w.principals[i], err = w.editor.ServicePrincipals().Edit(w.tenant.ID, found.ID, func(next *directory.ServicePrincipal) error {
		set(next)
		if w.says(i.place, "enabled", isNew) {
			next.Enabled = i.enabled
		}
		return nil
	})
	return w.ruled(err, i.of)
}
