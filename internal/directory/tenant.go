package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A TenantEditor reads and changes tenants.
type TenantEditor struct {
	TenantView
	*editor
	version version
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e TenantEditor) IfVersion(expected int64) TenantEditor {
	e.version = version(expected)
	return e
}

// Create makes a tenant.
func (e TenantEditor) Create(t Tenant) (*Tenant, error) {
	return acting(e.editor, Create, Tenants, func() (*Tenant, error) {
		id, err := givenGUID("id", t.ID)
		if err != nil {
			return nil, err
		}
		t.ID, t.Enabled, t.Created = id, true, e.now
		if err := e.checkTenant(&t); err != nil {
			return nil, err
		}
		if err := e.checkMayName(nil, t.Domains); err != nil {
			return nil, err
		}
		if err := e.free("", KindTenant, makeKey("id", string(t.ID)), ""); err != nil {
			return nil, duplicate(err, "id", fmt.Sprintf("There is a tenant %s already.", t.ID), "Leave the id out to have a new one made.")
		}
		return &t, e.create(&t)
	})
}

// Edit changes the name, the domains and whether the tenant is enabled.
func (e TenantEditor) Edit(id TenantID, f func(*Tenant) error) (*Tenant, error) {
	old, err := e.objects.get("", ObjectID(id))
	if err != nil {
		return nil, err
	}
	t, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, Tenants, func() (*Tenant, error) {
		next := *old.value
		next.Name, next.Domains, next.Enabled = t.Name, t.Domains, t.Enabled
		if err := e.checkTenant(&next); err != nil {
			return nil, err
		}
		if err := e.checkMayName(old.value.Domains, next.Domains); err != nil {
			return nil, err
		}
		if err := e.checkDomainsUsed(old.value, &next); err != nil {
			return nil, err
		}
		if old.value.Enabled && !next.Enabled {
			if err := e.revoke(Revocation{Tenant: next.ID, Kind: RevokedTenant}); err != nil {
				return nil, err
			}
		}
		return &next, update(e.editor, old, &next, tenantDetail(old.value, &next))
	})
}

// Delete removes the tenant and everything in it.
func (e TenantEditor) Delete(id TenantID) error {
	return e.act(Delete, Tenants, func() error {
		tenant, err := e.objects.get("", ObjectID(id))
		if err != nil {
			return err
		}
		if err := e.version.check(tenant.version); err != nil {
			return err
		}
		if err := e.record("delete", tenant.value.target(), "with everything in it"); err != nil {
			return err
		}
		for kind, space := range map[string]string{
			KindAssignment: "principal", KindServicePrincipal: "id", KindApplication: "id", KindUser: "id", KindKeyring: "id",
			KindDelegatedGrant: "id", KindHost: "id", KindRevocation: "until", KindResourceGroup: "id", KindPolicy: "id", KindDeleted: "until",
		} {
			if err := e.clear(tenant.value.ID, kind, space); err != nil {
				return err
			}
		}
		if _, err := e.tx.DropTokenRecords(e.ctx, tenant.value.ID, RecordsOfTenant, ""); err != nil {
			return err
		}
		return e.remove(tenant.value, tenant.version)
	})
}

// clear deletes all objects of a kind, each of which has one key in the space.
func (e TenantEditor) clear(tenant TenantID, kind, space string) error {
	const batch = 1000
	for {
		objects, _, err := e.tx.List(e.ctx, string(tenant), kind, space+"/", "", batch)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := e.tx.Delete(e.ctx, object.Tenant, object.Kind, object.ID, object.Version); err != nil {
				return err
			}
			e.touched = append(e.touched, Change{Tenant: object.Tenant, Kind: object.Kind, ID: object.ID, Keys: object.Keys})
		}
		if len(objects) < batch {
			return nil
		}
	}
}

// tenantKey is the key under which what a caller calls a tenant is found.
func tenantKey(ref string) string {
	if id, ok := guid.Parse(ref); ok {
		return makeKey("id", id)
	}
	return makeKey("ref", fold(ref))
}

// tenantByID remembers what it found: nearly all acts of a transaction are in one tenant.
func (e *editor) tenantByID(id TenantID) (*Tenant, error) {
	if e.tenant != nil && e.tenant.ID == id {
		return e.tenant, nil
	}
	found, err := e.view.Tenants().objects.get("", ObjectID(id))
	if err != nil {
		return nil, err
	}
	e.tenant = found.value
	return e.tenant, nil
}

// reservedTenants are the words that stand in the place of a tenant in Entra's URLs.
var reservedTenants = [...]string{"common", "organizations", "consumers"}

func (e TenantEditor) checkTenant(t *Tenant) error {
	e.tenant = nil
	if err := checkName("name", t.Name); err != nil {
		return err
	}
	if err := checkNotGUID(t.Name); err != nil {
		return err
	}
	if err := checkNoToken("name", t.Name); err != nil {
		return err
	}
	if slices.Contains(reservedTenants[:], fold(t.Name)) {
		return &RuleError{Field: "name", What: fmt.Sprintf("The tenant name %q has a meaning of its own in sign-in URLs.", t.Name), Advice: "Choose another name."}
	}
	if err := e.free("", KindTenant, makeKey("ref", fold(t.Name)), string(t.ID)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("The tenant name %q is taken by the name or domain of another tenant.", t.Name), "Choose another name.")
	}
	return e.checkDomains(t)
}

func (e TenantEditor) checkDomains(t *Tenant) error {
	domains := make([]string, 0, len(t.Domains))
	for i, domain := range t.Domains {
		field := fmt.Sprintf("domains[%d]", i)
		domain = fold(domain)
		if err := checkHost(field, domain); err != nil {
			return err
		}
		if slices.Contains(domains, domain) {
			return taken(field, fmt.Sprintf("The domain %q is listed twice.", domain), "List it once.")
		}
		if err := e.free("", KindTenant, makeKey("ref", domain), string(t.ID)); err != nil {
			return duplicate(err, field, fmt.Sprintf("The domain %q belongs to another tenant.", domain), "Remove it there first, or choose another.")
		}
		domains = append(domains, domain)
	}
	if len(domains) == 0 {
		domains = nil
	}
	t.Domains = domains
	return nil
}

// checkMayName leaves it to the operator of the machine which domains are whose: the domain of a
// user's name decides which tenant the user is asked at, so nobody may take one for themselves.
func (e TenantEditor) checkMayName(old, next []string) error {
	if !e.actor.isCaller() || slices.Equal(old, next) {
		return nil
	}
	return &RuleError{Field: "domains", What: "Domains are given to tenants by the operator of the machine alone.", Advice: "Ask the operator to apply them with rolecall.yaml.", Cause: ErrForbidden}
}

// checkDomainsUsed refuses to take away a domain that users sign in with.
func (e TenantEditor) checkDomainsUsed(old, next *Tenant) error {
	for _, domain := range old.Domains {
		if slices.Contains(next.Domains, domain) {
			continue
		}
		users, err := e.users().All(old.ID)
		if err != nil {
			return err
		}
		for _, user := range users {
			if userDomain(user.PrincipalName) == domain {
				return &RuleError{Field: "domains", What: fmt.Sprintf("The domain %q is in use by the user %s.", domain, user.PrincipalName), Advice: "Delete or rename its users first."}
			}
		}
	}
	return nil
}

func tenantDetail(old, next *Tenant) string {
	var d detail
	d.changed("name", old.Name, next.Name)
	d.changed("enabled", old.Enabled, next.Enabled)
	d.lists("domains", old.Domains, next.Domains)
	return d.String()
}

func (t *Tenant) target() target {
	return target{kind: KindTenant, tenant: t.ID, id: string(t.ID), name: t.Name}
}

// free returns ErrDuplicate when an object other than the one with that id has the key, or one
// that was deleted and can be restored.
func (e *editor) free(tenant TenantID, kind, key, id string) error {
	switch object, err := e.tx.Lookup(e.ctx, string(tenant), kind, key); {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case object.ID != id:
		return fmt.Errorf("%s %s: %w", kind, key, ErrDuplicate)
	default:
		return nil
	}
	if kind != KindApplication && kind != KindServicePrincipal && kind != KindUser {
		return nil
	}
	deleted, err := lookup[Deleted](e, tenant, KindDeleted, key)
	if part, is := strings.CutPrefix(key, "id/"); is && errors.Is(err, ErrNotFound) {
		deleted, err = lookup[Deleted](e, tenant, KindDeleted, makeKey("part", part))
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case string(deleted.value.ID) == id || !deleted.value.Until.After(e.now):
		return nil
	}
	return fmt.Errorf("%s %s: %w", kind, key, errDiscarded)
}

// errDiscarded is ErrDuplicate for what was deleted and can be restored.
var errDiscarded = fmt.Errorf("deleted and not yet gone: %w", ErrDuplicate)

// keyringID is the id of a tenant's key set for access tokens. Others have their name
// behind it.
const keyringID = "keyring"

// keyringOf gives the tenant and the id of a key set, which goes by the tenant's id, or by
// that, a slash and a name.
func keyringOf(ref string) (tenant TenantID, id string) {
	owner, name, named := strings.Cut(fold(ref), "/")
	if !named {
		return TenantID(owner), keyringID
	}
	return TenantID(owner), keyringID + "-" + name
}

// Keyring returns the tenant's sealed key set as kept, with its version; nil and 0 when
// there is none yet. The directory does not read it: package keyring does.
func (d *Directory) Keyring(ctx context.Context, tenant string) (body []byte, version int64, err error) {
	owner, id := keyringOf(tenant)
	object, err := d.cfg.Store.Get(ctx, string(owner), KindKeyring, id)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the keys of tenant %s: %w", text.Shown(tenant), err)
	}
	return object.Body, object.Version, nil
}

// SetKeyring replaces a sealed key set of a tenant if it still has that version
// (ErrConflict otherwise) and writes an audit row with the change's actor, action and detail.
// The id of a key of access tokens that was revoked, if one was, becomes a [Revocation]. Who
// may change keys is checked by those who let somebody reach a ring.
func (d *Directory) SetKeyring(ctx context.Context, tenant string, version int64, body []byte, change audit.Event, revoked string) error {
	ownerID, id := keyringOf(tenant)
	actor := Actor{Kind: ActorKind(change.ActorKind), Name: change.Actor, Rights: AllRights()}
	_, err := d.Change(ctx, actor, func(editor *Editor) error {
		e := editor.editor
		owner, err := e.tenantByID(ownerID)
		if err != nil {
			return err
		}
		object := Object{Tenant: string(owner.ID), Kind: KindKeyring, ID: id, Version: version, Body: body, Keys: []string{makeKey("id", id)}}
		if _, err := e.tx.Put(e.ctx, object); err != nil {
			return err
		}
		if revoked != "" && id == keyringID {
			if err := e.act(Update, Tenants, func() error { return e.revoke(Revocation{Tenant: owner.ID, Kind: RevokedKey, Key: revoked}) }); err != nil {
				return err
			}
		}
		return e.tx.Audit(e.ctx, e.d.cfg.Audit, audit.Event{
			Time: e.now, Tenant: string(owner.ID), Actor: actor.Name, ActorKind: string(actor.Kind), Action: change.Action,
			Kind: KindKeyring, Target: id, Name: owner.Name, Detail: change.Detail,
		})
	})
	return err
}
