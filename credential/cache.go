package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// fetchTimeout bounds one attempt to get a token, whatever the context of those who wait.
const fetchTimeout = time.Minute

// errClosed is what a closed cache says when it would have to ask.
var errClosed = errors.New("credential cache: it is closed")

// A Cache keeps the tokens of a credential and hands them out in tens of nanoseconds.
// It is an azcore.TokenCredential itself and safe for concurrent use.
//
// A token is refreshed ahead of its expiry, by the first caller after a moment that is
// chosen at random for each token, so that a fleet does not ask all at once. That caller
// and all others go on with the token there is; when the authority does not answer, they
// do so until the token expires. A caller that finds no token waits, and one request serves
// all that wait.
//
// There is no timer and nothing runs while nobody asks, so a Cache may simply be dropped;
// Close is for programs that want to know when the last request has ended.
type Cache struct {
	cred  azcore.TokenCredential
	began time.Time     // from here the monotonic clock is read
	clock func() moment // nil means the machine's
	// published is a copy of slots that readers use without a lock; it is replaced
	// whole and never written to. Slots younger than the copy are found under the lock.
	published atomic.Pointer[map[string]*slot]

	mu      sync.Mutex // guards what follows
	slots   map[string]*slot
	missed  int // look-ups that the published copy could not answer
	sweepAt int // number of slots at which to look for dead ones
	flights map[flightKey]*flight
	closed  bool
	running sync.WaitGroup
}

// Cached returns a cache in front of a credential. A Cache is returned as it is.
func Cached(cred azcore.TokenCredential) *Cache {
	if cache, ok := cred.(*Cache); ok {
		return cache
	}
	cache := &Cache{cred: cred, began: time.Now(), slots: make(map[string]*slot), flights: make(map[flightKey]*flight), sweepAt: minSweep}
	cache.publish()
	return cache
}

// Token returns a token for a scope such as "api://orders/.default".
func (c *Cache) Token(ctx context.Context, scope string) (string, error) {
	if token := c.fresh(scope); token != nil {
		return token.Token, nil
	}
	token, err := c.get(ctx, scope, policy.TokenRequestOptions{Scopes: []string{scope}})
	return token.Token, err
}

// GetToken implements azcore.TokenCredential. Claims from a challenge are always taken to
// the authority, and the token they bring replaces the one that was challenged.
func (c *Cache) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	key := cacheKey(opts)
	if opts.Claims == "" {
		if token := c.fresh(key); token != nil {
			return *token, nil
		}
	}
	return c.get(ctx, key, opts)
}

// Close ends what runs in the background and waits for it. The cache still hands out the
// tokens it holds, and asks for no more.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, f := range c.flights {
		f.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// cacheKey tells apart what must not share a token. Most callers ask for one scope and
// nothing else, and that is its own key.
func cacheKey(opts policy.TokenRequestOptions) string {
	if len(opts.Scopes) == 1 && opts.TenantID == "" && !opts.EnableCAE {
		return opts.Scopes[0]
	}
	return fmt.Sprintf("%s\x00%s\x00%t", strings.Join(opts.Scopes, " "), opts.TenantID, opts.EnableCAE)
}

// fresh returns the token for a key if it needs no refresh yet.
func (c *Cache) fresh(key string) *azcore.AccessToken {
	s := (*c.published.Load())[key]
	if s == nil {
		return nil
	}
	live := s.live.Load()
	if live == nil || c.now().reached(live.refreshAt) {
		return nil
	}
	return &live.AccessToken
}

// get returns the token there is and refreshes it in the background, or waits for one.
func (c *Cache) get(ctx context.Context, key string, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	f, token := c.board(ctx, key, opts)
	if token != nil {
		return *token, nil
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return azcore.AccessToken{}, fmt.Errorf("wait for a token: %w", ctx.Err())
	}
}

// board starts the request for a token, or joins the one that is under way. It also
// returns the token to use meanwhile, if there is one.
func (c *Cache) board(ctx context.Context, key string, opts policy.TokenRequestOptions) (*flight, *azcore.AccessToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slot(key)
	now := c.now()
	var usable *azcore.AccessToken
	if live := s.live.Load(); live != nil && opts.Claims == "" {
		switch {
		case !now.reached(live.refreshAt): // it has just arrived
			return nil, &live.AccessToken
		case !now.reached(live.end):
			usable = &live.AccessToken
		}
	}
	id := flightKey{key: key, claims: opts.Claims}
	if f := c.flights[id]; f != nil {
		return f, usable
	}
	switch {
	case c.closed:
		return landed(errClosed), usable
	case s.refusal != nil && !now.reached(s.refusedUntil):
		return landed(s.refusal), usable
	}
	return c.takeOff(ctx, id, s, opts), usable
}

// minSweep is the number of slots below which dead ones do no harm.
const minSweep = 1024

// slot returns the place of a key. The caller holds c.mu.
func (c *Cache) slot(key string) *slot {
	s := c.slots[key]
	if s == nil {
		if len(c.slots) >= c.sweepAt {
			c.sweep()
			c.sweepAt = max(minSweep, 2*len(c.slots))
		}
		s = &slot{}
		c.slots[key] = s
	}
	if (*c.published.Load())[key] == nil {
		// Copying after as many misses as half the slots keeps a miss cheap on average.
		if c.missed++; 2*c.missed >= len(c.slots) {
			c.publish()
		}
	}
	return s
}

// publish lets readers see all slots. The caller holds c.mu, or nobody else has c yet.
func (c *Cache) publish() {
	slots := maps.Clone(c.slots)
	c.published.Store(&slots)
	c.missed = 0
}

// sweep drops what expired and nobody asked for since, so that a program that asks for
// new scopes or tenants all the time does not grow. The caller holds c.mu.
func (c *Cache) sweep() {
	busy := make(map[string]bool, len(c.flights))
	for id := range c.flights {
		busy[id.key] = true
	}
	now := c.now()
	maps.DeleteFunc(c.slots, func(key string, s *slot) bool {
		live := s.live.Load()
		dead := (live == nil || now.reached(live.end)) && (s.refusal == nil || now.reached(s.refusedUntil))
		return dead && !busy[key]
	})
	c.publish()
}
