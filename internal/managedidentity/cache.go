package managedidentity

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	maxTokens = 4096             // kept at once; any of them may go for another
	mintTime  = 10 * time.Second // that one token may take to make
)

// A cache keeps tokens, as the platform does, and makes each once, however many ask.
type cache struct {
	minter   Minter
	platform bool
	now      func() time.Time
	flights  singleflight.Group

	mu     sync.Mutex
	tokens map[cacheKey]cachedToken // guarded by mu
}

// A cacheKey is what a token is for.
type cacheKey struct {
	tenant   directory.TenantID
	identity directory.AppID
	resource string
	user     authority.UserSignIn
}

// A cachedToken token, and under which fingerprint it was made.
type cachedToken struct {
	authority.Minted
	fingerprint string
	made        time.Time
}

func newCache(cfg Config) *cache {
	return &cache{minter: cfg.Minter, platform: cfg.PlatformCache, now: cfg.Now, tokens: map[cacheKey]cachedToken{}}
}

// token returns a kept token, or a new one.
func (c *cache) token(ctx context.Context, req authority.MintRequest) (authority.Minted, error) {
	key := cacheKey{req.Tenant, req.Identity, req.Resource, req.User}
	if have, ok := c.find(ctx, key, req); ok {
		return have, nil
	}
	// The flight is everybody's: it goes on when the caller that began it is gone.
	flight := c.flights.DoChan(fmt.Sprintf("%q", key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mintTime)
		defer cancel()
		if have, ok := c.find(ctx, key, req); ok { // the flight before this one was quicker
			return have, nil
		}
		return c.mint(ctx, key, req)
	})
	select {
	case <-ctx.Done():
		return authority.Minted{}, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return authority.Minted{}, result.Err
		}
		return result.Val.(authority.Minted), nil
	}
}

// find returns a kept token that is as good as a new one.
func (c *cache) find(ctx context.Context, key cacheKey, req authority.MintRequest) (authority.Minted, bool) {
	c.mu.Lock()
	have, ok := c.tokens[key]
	c.mu.Unlock()
	platform := c.platform && req.User == (authority.UserSignIn{}) // it keeps those of identities alone
	if !ok || !have.lasts(c.now(), platform) {
		return authority.Minted{}, false
	}
	if platform {
		return have.Minted, true
	}
	fingerprint, err := c.minter.Fingerprint(ctx, req)
	return have.Minted, err == nil && fingerprint == have.fingerprint
}

// lastMinutes is how long before its end no client takes a token from a cache.
const lastMinutes = 5 * time.Minute

// lasts reports whether a token is to be given out still. Clients renew long-lived tokens at
// half of their life, and get another one then; from the platform they get the same.
func (k cachedToken) lasts(now time.Time, platform bool) bool {
	limit := k.Expires.Sub(k.made) / 2
	if platform {
		limit = k.Expires.Sub(k.made) - lastMinutes
	}
	return !now.Before(k.made) && now.Sub(k.made) < limit
}

// mint makes a token and keeps it.
func (c *cache) mint(ctx context.Context, key cacheKey, req authority.MintRequest) (authority.Minted, error) {
	// Asked for before the token is made: a change in between makes the text the older.
	fingerprint, refusal := c.minter.Fingerprint(ctx, req)
	now := c.now()
	minted, err := c.minter.Mint(ctx, req)
	if err != nil || refusal != nil {
		return minted, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.tokens[key]; !ok && len(c.tokens) >= maxTokens {
		for other := range c.tokens {
			delete(c.tokens, other)
			break
		}
	}
	c.tokens[key] = cachedToken{minted, fingerprint, now}
	return minted, nil
}
