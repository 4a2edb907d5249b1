package directory

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A PrincipalEditor reads and changes service principals, managed identities among them.
type PrincipalEditor struct {
	PrincipalView
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
		if len(p.Secrets)+len(p.Certificates) > 0 {
			return nil, &RuleError{Field: "credentials", What: "A new service principal brings no credentials along.", Advice: "Create it first, then add each credential."}
		}
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
		if err := e.checkPrincipalTexts(&ServicePrincipal{}, &p); err != nil {
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

// Edit changes whether it is enabled, whether callers need an assignment, its owners and
// what is written about it; of a managed identity also the names, the place in the resource
// manager, and the kind and the resource id where they are given.
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
		next.Description, next.Notes, next.Tags, next.Owners, next.Settings = p.Description, p.Notes, p.Tags, p.Owners, p.Settings
		if next.Type == PrincipalManagedIdentity {
			if err := e.changeIdentity(&next, p); err != nil {
				return nil, err
			}
		} else {
			next.AlternativeNames = p.AlternativeNames
		}
		if err := e.checkPrincipalTexts(old.value, &next); err != nil {
			return nil, err
		}
		if old.value.Enabled && !next.Enabled {
			if err := e.revokePrincipal(&next); err != nil {
				return nil, err
			}
		}
		return &next, update(e.editor, old, &next, principalDetail(old.value, &next))
	})
}

// EndTokens ends what access tokens it has got until now, for APIs that follow revocations:
// after one of its credentials was stolen, say, which ends none by being removed. It is not
// disabled, and gets others with what credentials it has.
func (e PrincipalEditor) EndTokens(tenant TenantID, id ObjectID) error {
	return e.act(Update, ServicePrincipals, func() error {
		found, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(found.version); err != nil {
			return err
		}
		if err := e.revokePrincipal(found.value); err != nil {
			return err
		}
		return e.record("update", found.value.target(), "tokens ended")
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
		if err := e.delete(found); err != nil {
			return err
		}
		return e.recordDeleted(found.value.target(), deletedDetail(found.value.AppID, nil))
	})
}

// delete removes it with all that goes with it; the audit row of it itself is the caller's.
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
	if err := e.dropOwner(p.value.Tenant, p.value.ID); err != nil {
		return err
	}
	if err := e.remove(p.value, p.version); err != nil {
		return err
	}
	return e.revokePrincipal(p.value)
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
	p.ResourceID, p.IdentityKind, p.Federated, p.Location, p.ResourceTags = "", "", nil, "", nil
	return nil
}

const maxAlternativeNames = 50

// checkPrincipalTexts checks what is written about a service principal, and who owns it.
func (e PrincipalEditor) checkPrincipalTexts(old, p *ServicePrincipal) error {
	if err := checkRemark("description", p.Description); err != nil {
		return err
	}
	if err := checkRemark("notes", p.Notes); err != nil {
		return err
	}
	if err := checkTags(p.Tags); err != nil {
		return err
	}
	if len(p.AlternativeNames) > maxAlternativeNames {
		return &RuleError{Field: "alternativeNames", What: fmt.Sprintf("There are more than %d alternative names.", maxAlternativeNames), Advice: "Remove some."}
	}
	for i, name := range p.AlternativeNames {
		field := fmt.Sprintf("alternativeNames[%d]", i)
		if err := checkText(field, name, maxAlternativeName); err != nil {
			return err
		}
		if slices.ContainsFunc(p.AlternativeNames[:i], func(other string) bool { return fold(other) == fold(name) }) {
			return taken(field, fmt.Sprintf("The alternative name %q is listed twice.", text.Shown(name)), "List it once.")
		}
	}
	if err := checkSettings(&p.Settings); err != nil {
		return err
	}
	return e.checkOwners(p.Tenant, old.Owners, &p.Owners)
}

const maxAlternativeName = 500 // characters

// Alternatives returns the alternative names: those of a managed identity say whose it is.
func (p *ServicePrincipal) Alternatives() []string {
	if p.Type != PrincipalManagedIdentity {
		return p.AlternativeNames
	}
	if p.IdentityKind == IdentityUser {
		return []string{"isExplicit=True", p.ResourceID}
	}
	return []string{"isExplicit=False", p.ResourceID}
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
	d.changed("location", old.Location, next.Location)
	if !maps.Equal(old.ResourceTags, next.ResourceTags) {
		d.add("~resourceTags")
	}
	d.remarks(old.Description, next.Description, old.Notes, next.Notes)
	d.lists("tags", old.Tags, next.Tags)
	d.lists("alternativeNames", old.AlternativeNames, next.AlternativeNames)
	d.lists("owners", texts(old.Owners), texts(next.Owners))
	d.settings(old.Settings, next.Settings)
	return d.String()
}

func (p *ServicePrincipal) target() target {
	return target{kind: KindServicePrincipal, tenant: p.Tenant, id: string(p.ID), name: p.ref()}
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
	next.Location, next.ResourceTags = p.Location, p.ResourceTags
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
	if err := checkPlace(p.Location, p.ResourceTags); err != nil {
		return err
	}
	p.AlternativeNames = nil
	if p.ResourceID == "" {
		if p.ResourceID, err = e.newResourceID(p); err != nil {
			return err
		}
	}
	return e.checkResourceID(p)
}

// The places of managed identities in the resource manager.
const (
	// DefaultGroup is the resource group, there in every tenant's subscription, of what was made
	// without saying where.
	DefaultGroup = "rolecall"

	siteType     = "/providers/Microsoft.Web/sites/"
	identityType = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
)

// Subscription is the id of the one subscription that a tenant has in the resource manager by
// itself. The tenant determines it.
func Subscription(tenant TenantID) string {
	sum := sha256.Sum256([]byte("rolecall subscription " + string(fold(tenant))))
	return guid.Derived([16]byte(sum[:16]))
}

// zeroSubscription stands for a tenant's own subscription in the ids that programs and scripts
// have written down, whatever the tenant.
const zeroSubscription = "/subscriptions/00000000-0000-0000-0000-000000000000/"

// withSubscription puts a tenant's own subscription in the place of that of zeros.
func withSubscription(tenant TenantID, ref string) string {
	if len(ref) < len(zeroSubscription) || !strings.EqualFold(ref[:len(zeroSubscription)], zeroSubscription) {
		return ref
	}
	return "/subscriptions/" + Subscription(tenant) + "/" + ref[len(zeroSubscription):]
}

// HasResourceID reports whether an ARM id is that of the managed identity. Case and slashes at
// its ends do not matter, and the subscription of zeros is the tenant's own, unless an identity of
// an older version has it.
func (p *ServicePrincipal) HasResourceID(id string) bool {
	id, own := "/"+strings.Trim(id, "/"), "/"+strings.Trim(p.ResourceID, "/")
	return p.ResourceID != "" && (strings.EqualFold(id, own) || strings.EqualFold(withSubscription(p.Tenant, id), own))
}

// defaultScope is where the ARM ids of new identities begin. The group's segment is lower case, as
// the platform writes it into tokens.
func defaultScope(tenant TenantID) string {
	return "/subscriptions/" + Subscription(tenant) + "/resourcegroups/" + DefaultGroup
}

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
	id := defaultScope(p.Tenant) + kind + name
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
