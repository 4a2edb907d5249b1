package manage

import (
	"context"
	"io"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// A Place is where a directory is managed.
type Place interface {
	lookup.Finder
	// Tenants are the one that was chosen, or all there are.
	Tenants(context.Context) ([]*directory.Tenant, error)
	// Within finds in one tenant alone.
	Within(*directory.Tenant) lookup.Finder
	// Graph calls Graph in a tenant, with the rights that the command has there.
	Graph(*directory.Tenant) *graphclient.Client
	// Access lets f see who may call what in a tenant.
	Access(ctx context.Context, tenant *directory.Tenant, filter review.AccessFilter, f func(review.Access) error) error
	// LastUses are the last times within the span before now at which an application got a
	// token, by the credential that it proved itself by; "" stands for any.
	LastUses(ctx context.Context, app lookup.API, span time.Duration) (map[string]time.Time, error)
	// Ending finds the credentials that end by a time, those that have ended included.
	Ending(ctx context.Context, by time.Time) ([]review.Ending, error)
	// SignIns reads sign-ins, newest first.
	SignIns(context.Context, directory.SignInFilter) ([]directory.SignIn, error)
	// Changes reads at most limit rows of the audit log that are kept, newest first, from a time
	// on.
	Changes(ctx context.Context, since time.Time, limit int, kept func(audit.Row) bool) ([]audit.Row, error)
	// Assign gives a principal roles, all or none, and says which it did not have.
	Assign(ctx context.Context, who lookup.Principal, roles ...operate.Role) (added []bool, err error)
	// Unassign takes roles from a principal, all or none, and says which it had.
	Unassign(ctx context.Context, who lookup.Principal, roles ...operate.Role) (removed []bool, err error)
	// Await returns once a change that was made counts.
	Await(context.Context) error
	io.Closer
}
