package operate

import (
	"context"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// A Key is a signing key of a tenant that is published.
type Key struct {
	Cloud origin.Cloud // whose names it signs for; empty: the authority's own
	keyring.KeyInfo
}

// Keys lists the signing keys of a tenant: those of the authority's own names first, and of
// each set of names the current key, the next one, and retired ones.
func (a *API) Keys(ctx context.Context, tenant directory.TenantID) ([]Key, error) {
	var all []Key
	for _, at := range origins() {
		infos, err := a.cfg.Keys.List(ctx, at.KeyRing(string(tenant)))
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			all = append(all, Key{at.Cloud(), info})
		}
	}
	return all, nil
}

// origins are the sets of names that a tenant may have keys for: the authority's own first.
func origins() []origin.Origin {
	all := []origin.Origin{{}}
	for _, cloud := range origin.Clouds() {
		if at, err := origin.Public(cloud); err == nil { // as it is for each of them
			all = append(all, at)
		}
	}
	return all
}

// RotateKeys lets the next key of a tenant sign, for the names of a cloud or, if that is
// empty, the authority's own, and returns that key.
func (a *API) RotateKeys(ctx context.Context, tenant directory.TenantID, cloud origin.Cloud, options keyring.RotateOptions) (Key, error) {
	if err := a.cfg.Actor.May(directory.Update, directory.Keys); err != nil {
		return Key{}, err
	}
	var at origin.Origin
	if cloud != "" {
		var err error
		if at, err = origin.Public(cloud); err != nil {
			return Key{}, err
		}
	}
	options.DryRun = a.cfg.DryRun != nil
	info, err := a.cfg.Keys.Rotate(ctx, at.KeyRing(string(tenant)), a.cfg.Actor.Audit(), options)
	if err == nil && options.DryRun {
		a.cfg.DryRun([]directory.ChangeNote{{Action: "rotate", Kind: "signingKey", Tenant: a.tenantName(ctx, tenant), Name: info.ID, Detail: "signs in place of the current key"}})
	}
	return Key{cloud, info}, err
}

// RevokeKey takes a key of a tenant out of those that are published, whichever names it signs
// for. The reason goes into the audit trail. The error is [keyring.ErrUnknownKey] if the tenant
// has no such key.
func (a *API) RevokeKey(ctx context.Context, tenant directory.TenantID, id, reason string) error {
	if err := a.cfg.Actor.May(directory.Delete, directory.Keys); err != nil {
		return err
	}
	all, err := a.Keys(ctx, tenant)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(k Key) bool { return k.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: %.100q", keyring.ErrUnknownKey, id)
	}
	var at origin.Origin
	if cloud := all[i].Cloud; cloud != "" {
		if at, err = origin.Public(cloud); err != nil {
			return err
		}
	}
	if a.cfg.DryRun != nil {
		a.cfg.DryRun([]directory.ChangeNote{{Action: "revoke", Kind: "signingKey", Tenant: a.tenantName(ctx, tenant), Name: id, Detail: string(all[i].State)}})
		return nil
	}
	return a.cfg.Keys.Revoke(ctx, at.KeyRing(string(tenant)), a.cfg.Actor.Audit(), id, reason)
}

// tenantName is what people call a tenant.
func (a *API) tenantName(ctx context.Context, id directory.TenantID) string {
	if tenant, err := a.cfg.Directory.Tenant(ctx, string(id)); err == nil {
		return tenant.Name
	}
	return string(id)
}
