package credential

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// maxPause bounds how long an authority can ask to be left alone, as in MSAL.
const maxPause = time.Hour

// A slot is the place of one kind of token.
type slot struct {
	live atomic.Pointer[held] // replaced whole, never edited; nil before the first token

	// Guarded by the cache's mutex: what the authority refused, and how long it said
	// it wants to be left alone.
	refusal      error
	refusedUntil time.Time
}

// held is a token with the moment from which it is to be refreshed.
type held struct {
	azcore.AccessToken
	refreshAt int64 // Unix nanoseconds: reading the clock is most of what a look-up costs
}

// hold never lets a token count as fresh beyond its expiry.
func hold(token azcore.AccessToken, refreshAt time.Time) *held {
	return &held{AccessToken: token, refreshAt: min(refreshAt.UnixNano(), token.ExpiresOn.UnixNano())}
}

// A flight is one request to the authority and all who wait for it. token and err may be
// read when done is closed.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	token  azcore.AccessToken
	err    error
}

// A flightKey is what may share one request.
type flightKey struct{ key, claims string }

// landed returns a flight that is over.
func landed(err error) *flight {
	f := &flight{done: make(chan struct{}), cancel: func() {}, err: err}
	close(f.done)
	return f
}

// takeOff asks the credential in a goroutine that Close waits for. It outlives the
// context of whoever came first, for others may wait too. The caller holds c.mu.
func (c *Cache) takeOff(ctx context.Context, id flightKey, s *slot, opts policy.TokenRequestOptions) *flight {
	opts.Scopes = slices.Clone(opts.Scopes) // the caller's again when GetToken returns
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	c.flights[id] = f
	before := s.live.Load()
	c.running.Go(func() {
		defer cancel()
		token, err := c.cred.GetToken(ctx, opts)

		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, id)
		f.token, f.err = token, err
		if err != nil {
			s.refuse(err, before)
		} else {
			s.keep(token, before, id.claims != "")
		}
		close(f.done)
	})
	return f
}

// keep puts a new token into the slot. One that a challenge asked for always goes in; any
// other only if nothing else has arrived since its request left.
func (s *slot) keep(token azcore.AccessToken, before *held, challenged bool) {
	s.refusal, s.refusedUntil = nil, time.Time{}
	now := time.Now()
	if !now.Before(token.ExpiresOn) {
		return // good for those who wait, if for anybody
	}
	next := hold(token, refreshTime(token, before, now))
	if challenged {
		s.live.Store(next)
		return
	}
	s.live.CompareAndSwap(before, next)
}

// refuse remembers an error for as long as the authority asked, and puts off the next
// refresh of the token there is.
func (s *slot) refuse(err error, before *held) {
	now := time.Now()
	var pause time.Duration
	var known *Error
	if errors.As(err, &known) && known.RetryAfter > 0 {
		pause = min(known.RetryAfter, maxPause)
		s.refusal, s.refusedUntil = err, now.Add(pause)
	}
	if before == nil {
		return
	}
	// While the token there is lives, nothing presses, and an authority in trouble is
	// helped by few questions. Ever shorter pauses leave half a dozen tries.
	left := before.ExpiresOn.Sub(now)
	pause = max(pause, between(left/2, left*3/4), time.Second)
	s.live.CompareAndSwap(before, hold(before.AccessToken, now.Add(pause)))
}

// mostKept is how long before expiry Microsoft's libraries stop handing out a token from
// their own cache. Asking them again earlier brings the same token.
const mostKept = 5 * time.Minute

// refreshTime chooses the moment from which a token is to be refreshed, at random within
// at least a tenth of the time in question, so that clients that began together part.
func refreshTime(token azcore.AccessToken, before *held, now time.Time) time.Time {
	left := token.ExpiresOn.Sub(now)
	switch {
	case before != nil && before.Token == token.Token: // the credential has a cache of its own
		if left > mostKept {
			return token.ExpiresOn.Add(-between(mostKept/2, mostKept))
		}
		return now.Add(max(between(left/4, left/2), time.Second))
	case token.RefreshOn.After(now) && token.RefreshOn.Before(token.ExpiresOn):
		window := token.ExpiresOn.Sub(token.RefreshOn)
		return token.RefreshOn.Add(between(0, window/5))
	default:
		return now.Add(between(left*8/10, left*9/10))
	}
}

// between returns a random duration from low up to high.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low) //nolint:gosec // spreads load, keeps no secret
}
