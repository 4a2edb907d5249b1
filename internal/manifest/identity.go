package manifest

import "github.com/rolecall-auth/rolecall/internal/directory"

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
	next := directory.ServicePrincipal{
		Tenant: w.tenant.ID, ID: directory.ObjectID(i.id), AppID: directory.AppID(i.appID), Type: directory.PrincipalManagedIdentity,
	}
	found := w.principals[i]
	if found != nil {
		next = *found
	}
	next.Name, next.IdentityKind = i.name, directory.IdentityKind(i.kind)
	if i.resourceID != "" {
		next.ResourceID = i.resourceID
	}
	if found == nil {
		if found, err = w.editor.CreateServicePrincipal(next); err != nil {
			return w.ruled(err, i.of)
		}
		next = *found
		next.Enabled = i.enabled
	}
	if w.says(i.place, "enabled", false) {
		next.Enabled = i.enabled
	}
	w.principals[i], err = w.editor.UpdateServicePrincipal(next)
	return w.ruled(err, i.of)
}
