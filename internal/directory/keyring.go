package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/text"
)

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
// (ErrConflict otherwise) and writes an audit row with the action and detail. The id of a
// key of access tokens that was revoked, if one was, becomes a [Revocation].
func (d *Directory) SetKeyring(ctx context.Context, tenant string, version int64, body []byte, actor, action, detail, revoked string) error {
	ownerID, id := keyringOf(tenant)
	_, err := d.Change(ctx, System(actor), func(editor *Editor) error {
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
			Time: e.now, Tenant: string(owner.ID), Actor: actor, Action: action,
			Kind: KindKeyring, Target: id, Name: owner.Name, Detail: detail,
		})
	})
	return err
}
