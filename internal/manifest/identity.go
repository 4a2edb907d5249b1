package manifest

import (
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/directory"
)

// userAssigned is the resource type of identities that stand by themselves.
const userAssigned = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"

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
	next.Name = i.name
	next.ResourceID = w.resourceID(i, next.ResourceID)
	if found == nil {
		if found, err = w.editor.CreateServicePrincipal(next); err != nil {
			return w.ruled(err, i.of)
		}
		next.ID, next.Enabled = found.ID, i.enabled
	}
	if w.says(i.place, "enabled", false) {
		next.Enabled = i.enabled
	}
	w.principals[i], err = w.editor.UpdateServicePrincipal(next)
	return w.ruled(err, i.of)
}

// resourceID returns the identity's id in the resource manager, which tells its type. One
// that the file does not give is made from the name, with the tenant's id in the place of
// a subscription's, unless there is one of that type.
func (w *work) resourceID(i *identity, present string) string {
	if i.resourceID != "" {
		return i.resourceID
	}
	if present != "" && !w.prune && isUserAssigned(present) == (i.kind == kindUser) {
		return present
	}
	kind := "/providers/Microsoft.Web/sites/"
	if i.kind == kindUser {
		kind = userAssigned
	}
	return "/subscriptions/" + string(w.tenant.ID) + "/resourcegroups/rolecall" + kind + url.PathEscape(i.name)
}

func isUserAssigned(resourceID string) bool {
	return strings.Contains(strings.ToLower(resourceID), strings.ToLower(userAssigned))
}
