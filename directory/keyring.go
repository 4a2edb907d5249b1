package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// keyringID is the id of the one key set of a tenant.
const keyringID = "keyring"

// Keyring returns the tenant's sealed key set as kept, with its version; nil and 0 when
// there is none yet. The directory does not read it: package keyring does.
func (d *Directory) Keyring(ctx context.Context, tenant string) (body []byte, version int64, err error) {
	object, err := d.cfg.Store.Get(ctx, fold(tenant), kindKeyring, keyringID)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the keys of tenant %s: %w", clip(tenant), err)
	}
	return object.Body, object.Version, nil
}

// SetKeyring replaces the tenant's sealed key set if it still has that version
// (ErrConflict otherwise) and writes an audit row with the action and detail.
func (d *Directory) SetKeyring(ctx context.Context, tenant string, version int64, body []byte, actor, action, detail string) error {
	_, err := d.Change(ctx, actor, func(e *Editor) error {
		owner, err := e.tenantByID(TenantID(fold(tenant)))
		if err != nil {
			return err
		}
		object := Object{Tenant: string(owner.ID), Kind: kindKeyring, ID: keyringID, Version: version, Body: body, Keys: []string{makeKey("id", keyringID)}}
		if _, err := e.tx.Put(e.ctx, object); err != nil {
			return err
		}
		return e.tx.Audit(e.ctx, audit.Event{
			Time: e.now, Tenant: string(owner.ID), Actor: actor, Action: action,
			Kind: kindKeyring, Target: keyringID, Name: owner.Name, Detail: detail,
		})
	})
	return err
}
