package operate

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// Config says what an [API] changes, and for whom.
type Config struct {
	Directory *directory.Directory // required
	Keys      *keyring.Ring        // required
	Actor     directory.Actor      // required: who asks
	// DryRun, if it is not nil, is told what each act would change, and nothing is changed.
	DryRun func([]directory.ChangeNote)
}

// An API is what one actor may do here. It is safe for concurrent use.
type API struct{ cfg Config }

// New checks the configuration and returns an API.
func New(cfg Config) (*API, error) {
	switch {
	case cfg.Directory == nil:
		return nil, errors.New("operate: Directory is missing")
	case cfg.Keys == nil:
		return nil, errors.New("operate: Keys is missing")
	case cfg.Actor.Kind == "" || cfg.Actor.Name == "":
		return nil, errors.New(`operate: Actor has no kind or no name: give one such as directory.Operator("cli:host create")`)
	}
	return &API{cfg}, nil
}

// change runs one act, in one transaction.
func (a *API) change(ctx context.Context, act func(*directory.Editor) error) error {
	if a.cfg.DryRun == nil {
		_, err := a.cfg.Directory.Change(ctx, a.cfg.Actor, act)
		return err
	}
	changes, err := directory.DryRun(ctx, a.cfg.Directory, a.cfg.Actor, act)
	if err == nil {
		a.cfg.DryRun(changes)
	}
	return err
}

// changed is change for an act that leaves something behind.
func changed[T any](ctx context.Context, a *API, act func(*directory.Editor) (*T, error)) (left *T, err error) {
	err = a.change(ctx, func(e *directory.Editor) (err error) {
		left, err = act(e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return left, nil
}

// CreateTenant makes a tenant.
func (a *API) CreateTenant(ctx context.Context, tenant directory.Tenant) (*directory.Tenant, error) {
	return changed(ctx, a, func(e *directory.Editor) (*directory.Tenant, error) { return e.Tenants().Create(tenant) })
}

// EditTenant changes the name, the domains and whether the tenant is enabled.
func (a *API) EditTenant(ctx context.Context, id directory.TenantID, edit func(*directory.Tenant) error) (*directory.Tenant, error) {
	return changed(ctx, a, func(e *directory.Editor) (*directory.Tenant, error) { return e.Tenants().Edit(id, edit) })
}

// DeleteTenant removes a tenant and everything in it.
func (a *API) DeleteTenant(ctx context.Context, id directory.TenantID) error {
	return a.change(ctx, func(e *directory.Editor) error { return e.Tenants().Delete(id) })
}

// EndTokens makes APIs that follow revocations refuse what tokens a service principal has got
// until now.
func (a *API) EndTokens(ctx context.Context, tenant directory.TenantID, principal directory.ObjectID) error {
	return a.change(ctx, func(e *directory.Editor) error { return e.ServicePrincipals().EndTokens(tenant, principal) })
}
