package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A tx works on a state of its own, which Update publishes or drops. Appending to the
// slices of a published state is sound: only one transaction runs at a time, and no
// reader looks beyond the length that its state has.
type tx struct {
	seed  maphash.Seed
	state state
}

func (t *tx) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	if err := ctx.Err(); err != nil {
		return directory.Object{}, err
	}
	return t.state.get(tenant, kind, id)
}

func (t *tx) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	if err := ctx.Err(); err != nil {
		return directory.Object{}, err
	}
	return t.state.lookup(tenant, kind, key)
}

func (t *tx) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return t.state.list(tenant, kind, prefix, after, limit)
}

func (t *tx) Put(ctx context.Context, object directory.Object) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	old, _ := t.state.objects.get(objectKey(object.Tenant, object.Kind, object.ID))
	if old.Version != object.Version {
		return 0, fmt.Errorf("%s %s: %w", object.Kind, object.ID, directory.ErrConflict)
	}
	for _, key := range object.Keys {
		if id, taken := t.state.keys.get(lookupKey(object.Tenant, object.Kind, key)); taken && id != object.ID {
			return 0, fmt.Errorf("%s %s: %w", object.Kind, key, directory.ErrDuplicate)
		}
	}
	object.Version++
	object.Body, object.Keys = slices.Clone(object.Body), slices.Clone(object.Keys)
	t.replace(old.Keys, object)
	t.note(object.Tenant, object.Kind, object.ID, directory.MergeKeys(old.Keys, object.Keys))
	return object.Version, nil
}

// replace stores the object and moves its keys from the old ones to its own.
func (t *tx) replace(old []string, object directory.Object) {
	t.dropKeys(object.Tenant, object.Kind, old)
	for _, key := range object.Keys {
		t.state.keys = t.state.keys.set(t.seed, lookupKey(object.Tenant, object.Kind, key), object.ID)
	}
	t.state.objects = t.state.objects.set(t.seed, objectKey(object.Tenant, object.Kind, object.ID), object)
}

func (t *tx) Delete(ctx context.Context, tenant, kind, id string, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	old, err := t.state.get(tenant, kind, id)
	if err != nil {
		return err
	}
	if old.Version != version {
		return fmt.Errorf("%s %s: %w", kind, id, directory.ErrConflict)
	}
	t.dropKeys(tenant, kind, old.Keys)
	t.state.objects = t.state.objects.remove(objectKey(tenant, kind, id))
	t.note(tenant, kind, id, old.Keys)
	return nil
}

func (t *tx) dropKeys(tenant, kind string, keys []string) {
	for _, key := range keys {
		t.state.keys = t.state.keys.remove(lookupKey(tenant, kind, key))
	}
}

func (t *tx) note(tenant, kind, id string, keys []string) {
	t.state.sequence++
	t.state.changes = append(t.state.changes, directory.Change{
		Sequence: t.state.sequence, Tenant: tenant, Kind: kind, ID: id, Keys: keys,
	})
}

func (t *tx) Audit(ctx context.Context, signer audit.Signer, event audit.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var last audit.Row
	if n := len(t.state.audit); n > 0 {
		last = t.state.audit[n-1]
	}
	row, head, err := signer.Append(last, t.state.auditHead, event)
	if err != nil {
		return err
	}
	t.state.audit, t.state.auditHead = append(t.state.audit, row), head
	return nil
}
