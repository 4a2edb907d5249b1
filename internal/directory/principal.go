package directory

import (
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// A PrincipalEditor reads and changes service principals, managed identities among them.
type PrincipalEditor struct {
	Objects[ServicePrincipal]
	*editor
	version version
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e PrincipalEditor) IfVersion(expected int64) PrincipalEditor {
	e.version = version(expected)
	return e
}

// Create makes an application, named by its app id, take part in its tenant, under its
// own name; or makes a managed identity, which has a name and an app id but no registration.
func (e PrincipalEditor) Create(p ServicePrincipal) (*ServicePrincipal, error) {
	return acting(e.editor, Create, ServicePrincipals, func() (*ServicePrincipal, error) {
		tenant, err := e.tenantByID(p.Tenant)
		if err != nil {
			return nil, err
		}
		if b, is := FindBuiltin(string(p.AppID)); is && p.ID == "" {
			p.ID = b.objectID(tenant.ID, "principal") // what was consented to before stays
		}
		if p.ID, err = givenGUID("id", p.ID); err != nil {
			return nil, err
		}
		p.Tenant, p.Enabled, p.Created, p.Application = tenant.ID, true, e.now, ""
		if err := e.fill(&p); err != nil {
			return nil, err
		}
		if err := e.checkPrincipalFree(&p); err != nil {
			return nil, err
		}
		return &p, e.create(&p)
	})
}

// fill gives a new service principal what comes with its type.
func (e PrincipalEditor) fill(p *ServicePrincipal) error {
	switch p.Type {
	case PrincipalApplication, "":
		return e.fillApplicationPrincipal(p)
	case PrincipalManagedIdentity:
		return e.fillManagedIdentity(p)
	default:
		return &RuleError{Field: "type", What: fmt.Sprintf("There is no service principal type %q.", text.Shown(string(p.Type))), Advice: "Use Application or ManagedIdentity."}
	}
}

// Edit changes whether it is enabled and whether callers need an assignment; of a managed
// identity also the names, and the kind and the resource id where they are given.
func (e PrincipalEditor) Edit(tenant TenantID, id ObjectID, f func(*ServicePrincipal) error) (*ServicePrincipal, error) {
	old, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	p, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, ServicePrincipals, func() (*ServicePrincipal, error) {
		next := *old.value
		next.Enabled, next.AssignmentRequired = p.Enabled, p.AssignmentRequired
		if next.Type == PrincipalManagedIdentity {
			if err := e.changeIdentity(&next, p); err != nil {
				return nil, err
			}
		}
		if old.value.Enabled && !next.Enabled {
			if err := e.revokePrincipal(&next); err != nil {
				return nil, err
			}
		}
		return &next, update(e.editor, old, &next, principalDetail(old.value, &next))
	})
}

// Delete removes it, with all assignments and grants of it and to it, and from the hosts
// that had it. The registration of an application stays.
func (e PrincipalEditor) Delete(tenant TenantID, id ObjectID) error {
	return e.act(Delete, ServicePrincipals, func() error {
		found, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(found.version); err != nil {
			return err
		}
		return e.delete(found)
	})
}

func (e PrincipalEditor) delete(p row[ServicePrincipal]) error {
	for _, space := range []string{"principal", "resource"} {
		if err := e.assignments().dropOf(p.value.Tenant, space, p.value.ID); err != nil {
			return err
		}
	}
	for _, space := range []string{"client", "resource"} {
		if err := e.grants().dropOf(p.value.Tenant, space, p.value.ID); err != nil {
			return err
		}
	}
	if err := e.dropRecords(p.value.Tenant, p.value.ID); err != nil {
		return err
	}
	if err := e.hosts().dropIdentity(p.value); err != nil {
		return err
	}
	if err := e.remove(p.value, p.version); err != nil {
		return err
	}
	if err := e.revokePrincipal(p.value); err != nil {
		return err
	}
	return e.recordDeleted(p.value.target(), deletedDetail(p.value.AppID, nil))
}

// of returns the service principal of an application.
func (e PrincipalEditor) of(app *Application) (row[ServicePrincipal], error) {
	return lookup[ServicePrincipal](e.editor, app.Tenant, KindServicePrincipal, makeKey("appid", string(app.AppID)))
}

// byID takes object ids only: taking an app id for one is the classic mistake.
func (e PrincipalEditor) byID(tenant TenantID, id ObjectID) (*ServicePrincipal, error) {
	found, err := e.get(tenant, id)
	if missing, is := errors.AsType[*NotFoundError](err); is {
		rule := missing.rule("")
		rule.Advice = "Give the object id of a service principal; that is neither its app id nor the object id of its application."
		return nil, rule
	}
	return found.value, err
}

func (e PrincipalEditor) fillApplicationPrincipal(p *ServicePrincipal) error {
	app, err := e.applications().byAppID(p.Tenant, p.AppID)
	if err != nil {
		return ruleAbout("appId", err)
	}
	p.Type, p.Application, p.AppID = PrincipalApplication, app.value.ID, app.value.AppID
	p.Name, p.DisplayName = app.value.Name, app.value.DisplayName
	p.ResourceID, p.IdentityKind, p.Federated = "", "", nil
	return nil
}

func (e PrincipalEditor) checkPrincipalFree(p *ServicePrincipal) error {
	// Both may hold assignments, by object id.
	for _, kind := range []string{KindServicePrincipal, KindUser} {
		if err := e.free(p.Tenant, kind, makeKey("id", string(p.ID)), ""); err != nil {
			return duplicate(err, "id", fmt.Sprintf("There is a service principal or user with the object id %s already.", p.ID), "Leave the id out to have a new one made.")
		}
	}
	if err := e.free(p.Tenant, KindServicePrincipal, makeKey("appid", string(p.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("The app id %s has a service principal already.", p.AppID), "Use the one there is.")
	}
	return e.checkPrincipalName(p)
}

func (e PrincipalEditor) checkPrincipalName(p *ServicePrincipal) error {
	return e.nameFree(p.Tenant, KindServicePrincipal, "a service principal", p.Name, p.ID)
}

// rename gives the service principal of an application its new name.
func (e PrincipalEditor) rename(a *Application) error {
	old, err := e.of(a)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := *old.value
	next.Name, next.DisplayName = a.Name, a.DisplayName
	if err := e.checkPrincipalName(&next); err != nil {
		return err
	}
	return update(e.editor, old, &next, principalDetail(old.value, &next))
}

func principalDetail(old, next *ServicePrincipal) string {
	var d detail
	d.changed("name", old.Name, next.Name)
	d.changed("displayName", old.DisplayName, next.DisplayName)
	d.changed("enabled", old.Enabled, next.Enabled)
	d.changed("assignmentRequired", old.AssignmentRequired, next.AssignmentRequired)
	d.changed("identityKind", old.IdentityKind, next.IdentityKind)
	d.changed("resourceId", old.ResourceID, next.ResourceID)
	return d.String()
}

func (p *ServicePrincipal) target() target {
	return target{kind: KindServicePrincipal, tenant: p.Tenant, id: string(p.ID), name: p.ref()}
}
