package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Identity returns the managed identity that a name, a client id, an object id or an ARM
// resource id (case does not matter) names, or ErrNotFound.
func (d *Directory) Identity(ctx context.Context, tenant TenantID, ref string) (*Instance, error) {
	if len(ref) > maxKeyPart {
		return nil, ErrNotFound
	}
	keys := []string{makeKey("name", fold(ref))}
	if id, ok := parseGUID(ref); ok {
		found, err := d.identity(ctx, tenant, AppID(id))
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
		keys[0] = makeKey("id", id)
	} else if strings.HasPrefix(ref, "/") {
		keys = append(keys, makeKey("arm", foldURI(ref)))
	}
	for _, key := range keys {
		app, err := d.appID(ctx, tenant, key)
		if err == nil {
			return d.identity(ctx, tenant, app)
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return nil, ErrNotFound
}

// identity returns the managed identity with that client id, or ErrNotFound.
func (d *Directory) identity(ctx context.Context, tenant TenantID, app AppID) (*Instance, error) {
	client, err := d.Client(ctx, tenant, app)
	if err == nil && client.Application != nil {
		return nil, ErrNotFound
	}
	return client, err
}

// ManagedIdentities lists the tenant's managed identities by name. It always asks the store.
func (d *Directory) ManagedIdentities(ctx context.Context, tenant TenantID) ([]*Instance, error) {
	principals, _, err := listAll[ServicePrincipal](ctx, d.cfg.Store, fold(string(tenant)), kindPrincipal, "name/")
	if err != nil {
		return nil, err
	}
	var clients []*Instance
	for _, p := range principals {
		if p.Type == PrincipalManagedIdentity {
			clients = append(clients, newClient(nil, p))
		}
	}
	return clients, nil
}

// Federated returns whose tokens are trusted in place of a secret: those of the
// application, or of the managed identity.
func (c *Instance) Federated() []FederatedCredential {
	switch {
	case c.Application != nil:
		return c.Application.Federated
	case c.Principal != nil:
		return c.Principal.Federated
	}
	return nil
}

// identityRow finds a managed identity by object id.
func (e *Editor) identityRow(tenant TenantID, id ObjectID) (row[ServicePrincipal], error) {
	found, err := lookup[ServicePrincipal](e, fold(tenant), kindPrincipal, makeKey("id", string(fold(id))))
	if err == nil && found.value.Type != PrincipalManagedIdentity {
		return row[ServicePrincipal]{}, ErrNotFound
	}
	return found, err
}

// fillManagedIdentity gives a new identity what it lacks: an app id, a kind and an ARM id.
func (e *Editor) fillManagedIdentity(p *ServicePrincipal) (err error) {
	if len(p.Federated) > 0 {
		return &RuleError{Field: "federated", What: "A new managed identity brings no credentials along.", Fix: "Create it first, then add each credential."}
	}
	if p.AppID, err = givenGUID("appId", p.AppID); err != nil {
		return err
	}
	if err := e.free(p.Tenant, kindApplication, makeKey("appid", string(p.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("The app id %s belongs to an application.", p.AppID), "Leave the app id out to have a new one made.")
	}
	p.IdentityKind = cmp.Or(p.IdentityKind, IdentitySystem)
	return e.completeIdentity(p)
}

// changeIdentity takes over into next what p chooses. With the kind, the resource id
// becomes another, unless p has one to go with it.
func (e *Editor) changeIdentity(next, p *ServicePrincipal) error {
	present := next.ResourceID
	next.Name, next.ResourceID = p.Name, cmp.Or(p.ResourceID, present)
	if p.IdentityKind != "" && p.IdentityKind != next.IdentityKind {
		next.IdentityKind = p.IdentityKind
		if next.ResourceID == present {
			next.ResourceID = ""
		}
		if err := e.checkKindOnHosts(next); err != nil {
			return err
		}
	}
	return e.completeIdentity(next)
}

// completeIdentity holds for an identity that has all its ids but the ARM one, which it
// gives it if need be.
func (e *Editor) completeIdentity(p *ServicePrincipal) (err error) {
	if p.IdentityKind != IdentitySystem && p.IdentityKind != IdentityUser {
		return &RuleError{Field: "identityKind", What: fmt.Sprintf("There is no managed identity of kind %q.", clip(string(p.IdentityKind))), Fix: "Use system or user."}
	}
	if err := e.checkIdentityName(p); err != nil {
		return err
	}
	if p.ResourceID == "" {
		if p.ResourceID, err = e.newResourceID(p); err != nil {
			return err
		}
	}
	return e.checkResourceID(p)
}

// The places of managed identities in the resource manager. The group's segment is lower
// case, as the platform writes it into tokens.
const (
	resourceGroup = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rolecall"
	siteType      = "/providers/Microsoft.Web/sites/"
	identityType  = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
)

// newResourceID makes the ARM id of an identity: that of its host for a system identity,
// one of its own for a user one. After a renaming the old name's may still be in use.
func (e *Editor) newResourceID(p *ServicePrincipal) (string, error) {
	kind := siteType
	if p.IdentityKind == IdentityUser {
		kind = identityType
	}
	name := url.PathEscape(p.Name)
	if len(name) > 2*maxName { // three times as long as the name, where that is not ASCII
		name = string(p.ID)
	}
	id := resourceGroup + kind + name
	err := e.free(p.Tenant, kindPrincipal, makeKey("arm", foldURI(id)), string(p.ID))
	if errors.Is(err, ErrDuplicate) {
		return id + "-" + string(p.ID), nil
	}
	return id, err
}

func (e *Editor) checkIdentityName(p *ServicePrincipal) error {
	if err := checkName("name", p.Name); err != nil {
		return err
	}
	if err := checkNotGUID(p.Name); err != nil {
		return err
	}
	if err := e.free(p.Tenant, kindApplication, makeKey("name", fold(p.Name)), string(p.Application)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("The name %q belongs to an application.", p.Name), "Choose another name; case does not count.")
	}
	return e.checkPrincipalName(p)
}

// checkResourceID wants an ARM id that goes with the identity's kind.
func (e *Editor) checkResourceID(p *ServicePrincipal) error {
	if err := checkText("resourceId", p.ResourceID, 500); err != nil {
		return err
	}
	const fix = "Write it as /subscriptions/<id>/resourcegroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>, or leave it out to have one made."
	if strings.ContainsFunc(p.ResourceID, func(r rune) bool { return r <= ' ' || r > '~' }) || !strings.HasPrefix(fold(p.ResourceID), "/subscriptions/") || strings.HasSuffix(p.ResourceID, "/") {
		return &RuleError{Field: "resourceId", What: fmt.Sprintf("%q is not the resource id of a managed identity.", clip(p.ResourceID)), Fix: fix}
	}
	if strings.Contains(fold(p.ResourceID), fold(identityType)) != (p.IdentityKind == IdentityUser) {
		return &RuleError{Field: "resourceId", What: fmt.Sprintf("The resource id %q does not go with the kind %s.", clip(p.ResourceID), p.IdentityKind), Fix: "Ids of user identities, and only those, hold " + identityType + "."}
	}
	if err := e.free(p.Tenant, kindPrincipal, makeKey("arm", foldURI(p.ResourceID)), string(p.ID)); err != nil {
		return duplicate(err, "resourceId", fmt.Sprintf("The resource id %q belongs to another managed identity.", clip(p.ResourceID)), "Leave it out to have a new one made.")
	}
	return nil
}
