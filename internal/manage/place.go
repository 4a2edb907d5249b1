package manage

import (
	"context"
	"io"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// A Place is where a directory is managed.
type Place interface {
	lookup.Finder
	// Within finds in one tenant alone.
	Within(*directory.Tenant) lookup.Finder
	// Graph calls Graph in a tenant, with the rights that the command has there.
	Graph(*directory.Tenant) *graphclient.Client
	// Access lets f see who may call what in a tenant.
	Access(ctx context.Context, tenant *directory.Tenant, filter review.AccessFilter, f func(review.Access) error) error
	// LastUses are the last times within the span before now at which an application got a
	// token, by the credential that it proved itself by; "" stands for any.
	LastUses(ctx context.Context, app lookup.API, span time.Duration) (map[string]time.Time, error)
	// Settle returns once a change that was made counts.
	Settle(context.Context) error
	io.Closer
}

// Open opens the data folder. Changes are recorded under the words of the command, such as "app
// create"; the tenant may be empty.
func Open(ctx context.Context, line *command.Line, words, tenant string) (Place, error) {
	return OpenFolder(ctx, line, words, tenant)
}
