package directory

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config says what a Directory works with.
type Config struct {
	Store Store // required
	// SecretKey keys the digests of client secrets: 32 bytes, derived from the
	// key-encryption key and never kept in the store. Required.
	SecretKey []byte
	// CacheBytes bounds the in-memory view. Zero means 64 MiB.
	CacheBytes int64
	Now        func() time.Time // nil means time.Now
	Log        *slog.Logger     // nil means discard
}

// A Directory answers questions about, and makes changes to, what a store keeps. It is
// safe for concurrent use. What it returns is shared: read it, never write to it.
type Directory struct{ cfg Config }

// A Client is an application together with its service principal in one tenant.
type Client struct {
	Application *Application
	Principal   *ServicePrincipal
}

var errTODO = errors.New("not built")

// Open returns a directory on a store. It starts nothing; see Run.
func Open(ctx context.Context, cfg Config) (*Directory, error) { return nil, errTODO }

// Run follows the store's change feed until the context ends, so that changes made
// through other processes or nodes show here.
func (d *Directory) Run(ctx context.Context) error { return errTODO }

// Refresh applies what the feed holds right now and reports whether anything had
// changed. Callers use it once before they refuse on the ground of what they read, so
// that no refusal rests on a stale view. Concurrent calls share one look; its rate is bounded.
func (d *Directory) Refresh(ctx context.Context) (changed bool, err error) { return false, errTODO }

// Applied returns the sequence of the newest change this directory has taken in.
func (d *Directory) Applied() int64 { return 0 }

// Tenant returns the tenant that a GUID (any case), a verified domain or a name names, or ErrNotFound.
func (d *Directory) Tenant(ctx context.Context, ref string) (*Tenant, error) { return nil, errTODO }

// Tenants returns all tenants, by name.
func (d *Directory) Tenants(ctx context.Context) ([]*Tenant, error) { return nil, errTODO }

// Client returns the application with that app id (any case) in the tenant, or ErrNotFound.
// Principal is nil when the application has no service principal there.
func (d *Directory) Client(ctx context.Context, tenant TenantID, app AppID) (*Client, error) {
	return nil, errTODO
}

// Resource returns the application that an identifier names as an API: its app id, or
// one of its identifier URIs. Case and one trailing slash do not matter.
func (d *Directory) Resource(ctx context.Context, tenant TenantID, identifier string) (*Client, error) {
	return nil, errTODO
}

// Named returns the application with that name or app id, or ErrNotFound.
func (d *Directory) Named(ctx context.Context, tenant TenantID, ref string) (*Client, error) {
	return nil, errTODO
}

// Applications lists the tenant's applications by name.
func (d *Directory) Applications(ctx context.Context, tenant TenantID) ([]*Client, error) {
	return nil, errTODO
}

// Roles returns the values of the enabled app roles of the resource that are assigned to
// the client and that applications may hold, sorted. Assigned reports whether the
// client has any assignment to the resource at all.
func (d *Directory) Roles(ctx context.Context, client, resource *Client) (roles []string, assigned bool, err error) {
	return nil, false, errTODO
}

// Assignments lists what a principal was granted.
func (d *Directory) Assignments(ctx context.Context, tenant TenantID, principal ObjectID) ([]*Assignment, error) {
	return nil, errTODO
}

// CheckSecret returns the application's secret that the presented text matches.
// ErrWrongSecret means that none does, ErrExpiredSecret that only expired ones do.
// Generated secrets cost one HMAC; imported ones a slow hash behind a gate, then a
// keyed positive cache.
func (d *Directory) CheckSecret(ctx context.Context, app *Application, presented string) (*Secret, error) {
	return nil, errTODO
}

// What CheckSecret answers besides success.
var (
	ErrWrongSecret   = errors.New("no secret of the application matches")
	ErrExpiredSecret = errors.New("the matching secret has expired")
)

// AddSignIns keeps sign-in rows.
func (d *Directory) AddSignIns(ctx context.Context, rows []SignIn) error { return errTODO }

// SignIns returns the newest rows first that the filter keeps.
func (d *Directory) SignIns(ctx context.Context, filter SignInFilter) ([]SignIn, error) {
	return nil, errTODO
}

// Keyring returns the tenant's sealed key set as kept, with its version; nil and 0 when
// there is none yet. The directory does not read it: package keyring does.
func (d *Directory) Keyring(ctx context.Context, tenant string) (body []byte, version int64, err error) {
	return nil, 0, errTODO
}

// SetKeyring replaces the tenant's sealed key set if it still has that version
// (ErrConflict otherwise) and writes an audit row with the action and detail.
func (d *Directory) SetKeyring(ctx context.Context, tenant string, version int64, body []byte, actor, action, detail string) error {
	return errTODO
}

// Change runs f in one transaction on behalf of an actor ("cli:apply"). Either all that
// f did, with its audit rows, is durable when Change returns, or nothing happened. The
// change shows in this directory at once.
func (d *Directory) Change(ctx context.Context, actor string, f func(*Editor) error) (sequence int64, err error) {
	return 0, errTODO
}
