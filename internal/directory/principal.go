package directory

import (
	"errors"
	"fmt"
	"strings"
)

// ServicePrincipal finds one by object id, app id or name, a managed identity also by its
// ARM resource id.
func (e *Editor) ServicePrincipal(tenant TenantID, ref string) (*ServicePrincipal, error) {
	found, err := e.principalRow(tenant, ref)
	return found.value, err
}

// ServicePrincipals returns the tenant's service principals, by name.
func (e *Editor) ServicePrincipals(tenant TenantID) ([]*ServicePrincipal, error) {
	rows, err := list[ServicePrincipal](e, tenant, kindPrincipal, "name/")
	return values(rows), err
}

// CreateServicePrincipal makes an application, named by its app id, take part in its
// tenant, under its own name; or makes a managed identity, which has a name and an app
// id but no registration.
func (e *Editor) CreateServicePrincipal(p ServicePrincipal) (*ServicePrincipal, error) {
	tenant, err := e.tenantByID(p.Tenant)
	if err != nil {
		return nil, err
	}
	if p.ID, err = givenGUID("id", p.ID); err != nil {
		return nil, err
	}
	p.Tenant, p.Enabled, p.Created, p.Application = tenant.ID, true, e.now, ""
	switch p.Type {
	case PrincipalApplication, "":
		err = e.fillApplicationPrincipal(&p)
	case PrincipalManagedIdentity:
		err = e.fillManagedIdentity(&p)
	default:
		err = &RuleError{Field: "type", What: fmt.Sprintf("There is no service principal type %q.", clip(string(p.Type))), Fix: "Use Application or ManagedIdentity."}
	}
	if err != nil {
		return nil, err
	}
	if err := e.checkPrincipalFree(&p); err != nil {
		return nil, err
	}
	return &p, e.create(&p)
}

// UpdateServicePrincipal changes whether it is enabled and whether callers need an
// assignment; of a managed identity also the name, and the kind and the resource id where
// they are given.
func (e *Editor) UpdateServicePrincipal(p ServicePrincipal) (*ServicePrincipal, error) {
	old, err := e.principalRow(p.Tenant, string(p.ID))
	if err != nil {
		return nil, err
	}
	next := *old.value
	next.Enabled, next.AssignmentRequired = p.Enabled, p.AssignmentRequired
	if next.Type == PrincipalManagedIdentity {
		if err := e.changeIdentity(&next, &p); err != nil {
			return nil, err
		}
	}
	return &next, update(e, old, &next, principalDetail(old.value, &next))
}

// DeleteServicePrincipal removes it, with all assignments and grants of it and to it, and
// from the hosts that had it. The registration of an application stays.
func (e *Editor) DeleteServicePrincipal(tenant TenantID, id ObjectID) error {
	found, err := e.principalRow(tenant, string(id))
	if err != nil {
		return err
	}
	return e.deletePrincipal(found)
}

func (e *Editor) deletePrincipal(p row[ServicePrincipal]) error {
	for _, space := range []string{"principal", "resource"} {
		if err := e.dropAssignmentsOf(p.value.Tenant, space, p.value.ID); err != nil {
			return err
		}
	}
	for _, space := range []string{"client", "resource"} {
		if err := e.dropGrants(p.value.Tenant, space, p.value.ID); err != nil {
			return err
		}
	}
	if err := e.dropRecords(p.value.Tenant, p.value.ID); err != nil {
		return err
	}
	if err := e.dropFromHosts(p.value); err != nil {
		return err
	}
	if err := e.remove(p.value, p.version); err != nil {
		return err
	}
	return e.record("delete", p.value.target(), "")
}

func (e *Editor) fillApplicationPrincipal(p *ServicePrincipal) error {
	app, err := lookup[Application](e, p.Tenant, kindApplication, makeKey("appid", fold(string(p.AppID))))
	if errors.Is(err, ErrNotFound) {
		return &RuleError{Field: "appId", What: fmt.Sprintf("There is no application with the app id %q in the tenant.", clip(string(p.AppID))), Fix: "Create the application first.", Cause: ErrNotFound}
	}
	if err != nil {
		return err
	}
	p.Type, p.Application, p.AppID, p.Name = PrincipalApplication, app.value.ID, app.value.AppID, app.value.Name
	p.ResourceID, p.IdentityKind, p.Federated = "", "", nil
	return nil
}

func (e *Editor) checkPrincipalFree(p *ServicePrincipal) error {
	// Both may hold assignments, by object id.
	for _, kind := range []string{kindPrincipal, kindUser} {
		if err := e.free(p.Tenant, kind, makeKey("id", string(p.ID)), ""); err != nil {
			return duplicate(err, "id", fmt.Sprintf("There is a service principal or user with the object id %s already.", p.ID), "Leave the id out to have a new one made.")
		}
	}
	if err := e.free(p.Tenant, kindPrincipal, makeKey("appid", string(p.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("The app id %s has a service principal already.", p.AppID), "Use the one there is.")
	}
	return e.checkPrincipalName(p)
}

func (e *Editor) checkPrincipalName(p *ServicePrincipal) error {
	if err := e.free(p.Tenant, kindPrincipal, makeKey("name", fold(p.Name)), string(p.ID)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("There is a service principal named %q already.", p.Name), "Choose another name; case does not count.")
	}
	return nil
}

// renamePrincipal gives the service principal of an application its new name.
func (e *Editor) renamePrincipal(a *Application) error {
	old, err := e.principalRow(a.Tenant, string(a.AppID))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := *old.value
	next.Name = a.Name
	if err := e.checkPrincipalName(&next); err != nil {
		return err
	}
	return update(e, old, &next, principalDetail(old.value, &next))
}

// principalRow finds by object id, app id, name or ARM id.
func (e *Editor) principalRow(tenant TenantID, ref string) (found row[ServicePrincipal], err error) {
	tenant = fold(tenant)
	keys := refKeys(ref)
	if strings.HasPrefix(ref, "/") {
		keys = append(keys, makeKey("arm", foldURI(ref)))
	}
	for _, key := range keys {
		found, err = lookup[ServicePrincipal](e, tenant, kindPrincipal, key)
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return found, missing(fmt.Sprintf("There is no service principal %q in the tenant.", clip(ref)), "Name it by object id, app id or name, or create it.")
}

func principalDetail(old, next *ServicePrincipal) string {
	var d detail
	d.changed("name", old.Name, next.Name)
	d.changed("enabled", old.Enabled, next.Enabled)
	d.changed("assignmentRequired", old.AssignmentRequired, next.AssignmentRequired)
	d.changed("identityKind", old.IdentityKind, next.IdentityKind)
	d.changed("resourceId", old.ResourceID, next.ResourceID)
	return d.String()
}

func (p *ServicePrincipal) target() target {
	return target{kind: kindPrincipal, tenant: p.Tenant, id: string(p.ID), name: p.Name}
}
