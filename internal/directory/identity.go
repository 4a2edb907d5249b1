package directory

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

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

// fillManagedIdentity gives a new identity what it lacks: an app id, a kind and an ARM id.
func (e PrincipalEditor) fillManagedIdentity(p *ServicePrincipal) (err error) {
	if len(p.Federated) > 0 {
		return &RuleError{Field: "federated", What: "A new managed identity brings no credentials along.", Advice: "Create it first, then add each credential."}
	}
	if p.AppID, err = givenGUID("appId", p.AppID); err != nil {
		return err
	}
	if err := e.free(p.Tenant, KindApplication, makeKey("appid", string(p.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("The app id %s belongs to an application.", p.AppID), "Leave the app id out to have a new one made.")
	}
	p.IdentityKind = cmp.Or(p.IdentityKind, IdentitySystem)
	return e.completeIdentity(p)
}

// changeIdentity takes over into next what p chooses. With the kind, the resource id
// becomes another, unless p has one to go with it.
func (e PrincipalEditor) changeIdentity(next, p *ServicePrincipal) error {
	present := next.ResourceID
	next.Name, next.DisplayName, next.ResourceID = p.Name, p.DisplayName, cmp.Or(p.ResourceID, present)
	if p.IdentityKind != "" && p.IdentityKind != next.IdentityKind {
		next.IdentityKind = p.IdentityKind
		if next.ResourceID == present {
			next.ResourceID = ""
		}
		if err := e.hosts().checkKind(next); err != nil {
			return err
		}
	}
	return e.completeIdentity(next)
}

// completeIdentity checks an identity that has all its ids but the ARM one, which it
// gives it if need be.
func (e PrincipalEditor) completeIdentity(p *ServicePrincipal) (err error) {
	if p.IdentityKind != IdentitySystem && p.IdentityKind != IdentityUser {
		return &RuleError{Field: "identityKind", What: fmt.Sprintf("There is no managed identity of kind %q.", text.Shown(string(p.IdentityKind))), Advice: "Use system or user."}
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
func (e PrincipalEditor) newResourceID(p *ServicePrincipal) (string, error) {
	kind := siteType
	if p.IdentityKind == IdentityUser {
		kind = identityType
	}
	name := url.PathEscape(cmp.Or(p.Name, string(p.ID)))
	if len(name) > 2*maxName { // three times as long as the name, where that is not ASCII
		name = string(p.ID)
	}
	id := resourceGroup + kind + name
	err := e.free(p.Tenant, KindServicePrincipal, makeKey("arm", foldURI(id)), string(p.ID))
	if errors.Is(err, ErrDuplicate) {
		return id + "-" + string(p.ID), nil
	}
	return id, err
}

func (e PrincipalEditor) checkIdentityName(p *ServicePrincipal) error {
	if err := checkNames(p.Name, &p.DisplayName); err != nil {
		return err
	}
	if p.Name == "" {
		return nil
	}
	if err := e.free(p.Tenant, KindApplication, makeKey("name", fold(p.Name)), string(p.Application)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("The name %q belongs to an application.", p.Name), "Choose another name; case does not count.")
	}
	return e.checkPrincipalName(p)
}

// checkResourceID requires an ARM id that goes with the identity's kind.
func (e PrincipalEditor) checkResourceID(p *ServicePrincipal) error {
	if err := checkText("resourceId", p.ResourceID, 500); err != nil {
		return err
	}
	const fix = "Write it as /subscriptions/<id>/resourcegroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>, or leave it out to have one made."
	if strings.ContainsFunc(p.ResourceID, func(r rune) bool { return r <= ' ' || r > '~' }) || !strings.HasPrefix(fold(p.ResourceID), "/subscriptions/") || strings.HasSuffix(p.ResourceID, "/") {
		return &RuleError{Field: "resourceId", What: fmt.Sprintf("%q is not the resource id of a managed identity.", text.Shown(p.ResourceID)), Advice: fix}
	}
	if strings.Contains(fold(p.ResourceID), fold(identityType)) != (p.IdentityKind == IdentityUser) {
		return &RuleError{Field: "resourceId", What: fmt.Sprintf("The resource id %q does not go with the kind %s.", text.Shown(p.ResourceID), p.IdentityKind), Advice: "Ids of user identities, and only those, hold " + identityType + "."}
	}
	if err := e.free(p.Tenant, KindServicePrincipal, makeKey("arm", foldURI(p.ResourceID)), string(p.ID)); err != nil {
		return duplicate(err, "resourceId", fmt.Sprintf("The resource id %q belongs to another managed identity.", text.Shown(p.ResourceID)), "Leave it out to have a new one made.")
	}
	return nil
}
