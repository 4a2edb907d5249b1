package authority

import (
	"context"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// While the directory's store does not answer, tokens go on from memory, for a bounded
// time and with a bounded life: what was revoked meanwhile must not live on.
const (
	defaultMaxStale = time.Hour
	longestMaxStale = 72 * time.Hour
	staleAfter      = time.Minute      // younger views count as current
	staleGrace      = 10 * time.Minute // how long a token may outlive MaxStale
	staleRetry      = 5                // seconds until a client may ask again
)

// viewAge is how long ago the directory's view was known to be the store's. The machine's
// clock tells, as it does the directory.
func (a *Authority) viewAge() time.Duration { return time.Since(a.directory.Fresh()) }

// checkFresh refuses to go by a view that is too old.
func (a *Authority) checkFresh(ctx context.Context) error {
	if a.viewAge() <= a.cfg.MaxStale {
		return nil
	}
	_, err := a.directory.Refresh(ctx)
	age := a.viewAge()
	if age <= a.cfg.MaxStale {
		return nil
	}
	problem := aadsts.Unavailable(fmt.Errorf("the directory's store was last reached %v ago, more than %v: %w", age.Round(time.Second), a.cfg.MaxStale, err))
	problem.RetryAfter = staleRetry
	return problem
}

// lifetimeNow is the lifetime of a token issued now: shorter when the view is stale.
func (a *Authority) lifetimeNow() time.Duration { return a.shortened(a.lifetime()) }

// shortened is a lifetime as far as the view's age allows it.
func (a *Authority) shortened(lifetime time.Duration) time.Duration {
	age := a.viewAge()
	if age <= staleAfter {
		return lifetime
	}
	return max(minLifetime, min(lifetime, (a.cfg.MaxStale+staleGrace-age).Truncate(time.Second)))
}
