package resolve

import (
	"context"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// While the directory's store does not answer, tokens go on from memory, for a bounded
// time and with a bounded life: what was revoked meanwhile must not live on.
const (
	DefaultMaxStale = time.Hour
	LongestMaxStale = 72 * time.Hour

	staleAfter  = time.Minute      // younger views count as current
	staleGrace  = 10 * time.Minute // how long a token may outlive the limit
	staleRetry  = 5                // seconds until a client may ask again
	minLifetime = time.Minute
)

// age is how long ago the directory's view was known to be the store's. The machine's
// clock tells, as it does the directory.
func (r *Resolver) age() time.Duration { return time.Since(r.directory.Fresh()) }

// CheckFresh refuses to go by a view that is too old.
func (r *Resolver) CheckFresh(ctx context.Context) error {
	if r.age() <= r.maxStale {
		return nil
	}
	_, err := r.directory.Refresh(ctx)
	age := r.age()
	if age <= r.maxStale {
		return nil
	}
	problem := aadsts.Unavailable(fmt.Errorf("the directory's store was last reached %v ago, more than %v: %w", age.Round(time.Second), r.maxStale, err))
	problem.RetryAfter = staleRetry
	return problem
}

// Shorten returns the part of a token's lifetime that the age of the view allows.
func (r *Resolver) Shorten(lifetime time.Duration) time.Duration {
	age := r.age()
	if age <= staleAfter {
		return lifetime
	}
	return max(minLifetime, min(lifetime, (r.maxStale+staleGrace-age).Truncate(time.Second)))
}
