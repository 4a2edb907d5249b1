package managedidentity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	maxTokens = 4096             // in the cache; beyond that, any of them makes room
	mintTime  = 10 * time.Second // for issuing one token
)

// A cache keeps tokens, as the platform does, and issues each once for all who are waiting for
// it.
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
	under    string // the URL of the origin; empty: the authority's own
	tenant   directory.TenantID
	identity directory.AppID
	resource string
	user     issuance.UserSignIn
	claims   string
}

// A renewal says which tokens are of no use to the caller, because an API has refused them. The
// zero value accepts all.
type renewal struct {
	all    bool
	digest string // SHA-256 of one token, in hexadecimal
}

func (r renewal) refuses(raw string) bool {
	if r.all || r.digest == "" {
		return r.all
	}
	sum := sha256.Sum256([]byte(raw))
	return strings.EqualFold(r.digest, hex.EncodeToString(sum[:]))
}

// A cachedToken is a token, with the fingerprint under which it was issued.
type cachedToken struct {
	issuance.Minted
	fingerprint string
	made        time.Time // by the wall clock alone: a laptop's monotonic clock stops while it sleeps
}

func newCache(cfg Config) *cache {
	now := func() time.Time { return cfg.Now().Round(0) } // without the monotonic reading
	return &cache{minter: cfg.Minter, platform: cfg.PlatformCache, now: now, tokens: map[cacheKey]cachedToken{}}
}

// token returns a cached token, or a new one.
func (c *cache) token(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error) {
	return c.renew(ctx, req, renewal{})
}

// renew returns a token that the caller can use: a cached one, or a new one. After an error it
// returns the ids of the sign-in row, if there is one.
func (c *cache) renew(ctx context.Context, req issuance.MintRequest, instead renewal) (issuance.Minted, error) {
	key := cacheKey{req.Origin.BaseURL, req.Tenant, req.Identity, req.Resource, req.User, req.Claims}
	c.forget(key, instead)
	if have, ok := c.find(ctx, key, req); ok && !instead.refuses(have.Token) {
		return have, nil
	}
	// All who wait share the flight: it continues when the caller that began it is gone.
	flight := c.flights.DoChan(fmt.Sprintf("%q %t %q", key, instead.all, instead.digest), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mintTime)
		defer cancel()
		if have, ok := c.find(ctx, key, req); ok && !instead.refuses(have.Token) { // from the flight before this one
			return have, nil
		}
		return c.mint(ctx, key, req)
	})
	select {
	case <-ctx.Done():
		return issuance.Minted{}, ctx.Err()
	case result := <-flight:
		minted, _ := result.Val.(issuance.Minted)
		return minted, result.Err
	}
}

// forget removes tokens that an API has refused, whatever claims they were requested with.
func (c *cache) forget(key cacheKey, instead renewal) {
	if instead == (renewal{}) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claims := range []string{"", withCP1, key.claims} {
		key.claims = claims
		if have, ok := c.tokens[key]; ok && instead.refuses(have.Token) {
			delete(c.tokens, key)
		}
	}
}

// find returns a cached token that is as good as a new one.
func (c *cache) find(ctx context.Context, key cacheKey, req issuance.MintRequest) (issuance.Minted, bool) {
	c.mu.Lock()
	have, ok := c.tokens[key]
	c.mu.Unlock()
	platform := c.platform && req.User == (issuance.UserSignIn{}) // Azure caches those of identities alone
	if !ok || !have.lasts(c.now(), platform) {
		return issuance.Minted{}, false
	}
	if platform {
		return have.Minted, true
	}
	fingerprint, err := c.minter.Fingerprint(ctx, req)
	return have.Minted, err == nil && fingerprint == have.fingerprint
}

// lastMinutes is the time before its end in which no client accepts a cached token.
const lastMinutes = 5 * time.Minute

// lasts reports whether a token is still given out. Clients renew long-lived tokens at half of
// their life and must get another one then, except with the platform's cache.
func (t cachedToken) lasts(now time.Time, platform bool) bool {
	limit := t.Expires.Sub(t.made) / 2
	if platform {
		limit = t.Expires.Sub(t.made) - lastMinutes
	}
	return !now.Before(t.made) && now.Sub(t.made) < limit
}

// mint issues a token and caches it.
func (c *cache) mint(ctx context.Context, key cacheKey, req issuance.MintRequest) (issuance.Minted, error) {
	// The fingerprint comes first: after a change in between it is outdated, not the token.
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
	c.tokens[key] = cachedToken{Minted: minted, fingerprint: fingerprint, made: now}
	return minted, nil
}
