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

// maxPause bounds how long an authority can ask clients to wait, as in MSAL.
const maxPause = time.Hour

// A slot is the place of one kind of token.
type slot struct {
	live atomic.Pointer[held] // replaced whole, never edited; nil before the first token

	// Guarded by the cache's mutex: what the authority refused, and how long it asked
	// clients to wait.
	refusal      error
	refusedUntil moment
}

// held is a token with the moment from which it is to be refreshed, and that of its end.
type held struct {
	azcore.AccessToken
	refreshAt, end moment
}

// hold never lets a token count as fresh beyond its end.
func hold(token azcore.AccessToken, refreshAt, end moment) *held {
	refreshAt = moment{wall: min(refreshAt.wall, end.wall), mono: min(refreshAt.mono, end.mono)}
	return &held{AccessToken: token, refreshAt: refreshAt, end: end}
}

// end is the end of a token that has just arrived. One that was here before ends no later
// for that: a credential with a cache of its own goes by the wall clock alone.
func end(token azcore.AccessToken, before *held, now moment) moment {
	at := now.ending(token.ExpiresOn)
	if before != nil && before.Token == token.Token {
		at.mono = min(at.mono, before.end.mono)
	}
	return at
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

// takeOff asks the credential in a goroutine that Close waits for. It outlives the context
// of the caller that came first, because others may be waiting too. The caller holds c.mu.
func (c *Cache) takeOff(ctx context.Context, id flightKey, s *slot, opts policy.TokenRequestOptions) *flight {
	opts.Scopes = slices.Clone(opts.Scopes) // the caller's again when GetToken returns
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	c.flights[id] = f
	before := s.live.Load()
	c.running.Go(func() {
		defer cancel()
		token, err := c.ask(ctx, opts, before)

		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, id)
		f.token, f.err = token, err
		if err != nil {
			s.refuse(err, before, c.now())
		} else {
			s.keep(token, before, id.claims != "", c.now())
		}
		close(f.done)
	})
	return f
}

// A forgetter is a credential that can drop the tokens it keeps.
type forgetter interface{ forget() }

// ask gets a token from the credential. When the wall clock was set back, the credential's
// own cache takes a token for good that is over: then it is made to ask the authority.
func (c *Cache) ask(ctx context.Context, opts policy.TokenRequestOptions, before *held) (azcore.AccessToken, error) {
	token, err := c.cred.GetToken(ctx, opts)
	if err != nil || before == nil || token.Token != before.Token || !c.now().reached(before.end) {
		return token, err
	}
	if keeper, ok := c.cred.(forgetter); ok {
		keeper.forget()
		return c.cred.GetToken(ctx, opts)
	}
	return token, nil
}

// keep puts a new token into the slot. One that a challenge asked for always goes in; any
// other only if nothing else has arrived since its request left.
func (s *slot) keep(token azcore.AccessToken, before *held, challenged bool, now moment) {
	s.refusal, s.refusedUntil = nil, moment{}
	end := end(token, before, now)
	if now.reached(end) {
		return // good for those who wait, if for anybody
	}
	next := hold(token, now.add(refreshAfter(token, before, now.time())), end)
	if challenged {
		s.live.Store(next)
		return
	}
	s.live.CompareAndSwap(before, next)
}

// refuse remembers an error for as long as the authority asked, and puts off the next
// refresh of the token there is.
func (s *slot) refuse(err error, before *held, now moment) {
	var pause time.Duration
	var known *Error
	if errors.As(err, &known) && known.RetryAfter > 0 {
		pause = min(known.RetryAfter, maxPause)
		s.refusal, s.refusedUntil = err, now.add(pause)
	}
	if before == nil {
		return
	}
	// While the token there is lives, nothing presses, and an authority in trouble is
	// helped by few questions. Ever shorter pauses leave half a dozen tries.
	left := now.left(before.end)
	pause = max(pause, between(left/2, left*3/4), time.Second)
	s.live.CompareAndSwap(before, hold(before.AccessToken, now.add(pause), before.end))
}

// mostKept is how long before expiry Microsoft's libraries stop handing out a token from
// their own cache. Asking them again earlier brings the same token.
const mostKept = 5 * time.Minute

// refreshAfter chooses how long a token is to be kept before it is refreshed, at random
// within at least a tenth of the time in question, so that clients that began together part.
func refreshAfter(token azcore.AccessToken, before *held, now time.Time) time.Duration {
	left := token.ExpiresOn.Round(0).Sub(now)
	ahead := token.RefreshOn.Round(0).Sub(now)
	switch {
	case before != nil && before.Token == token.Token: // the credential has a cache of its own
		if left > mostKept {
			return left - between(mostKept/2, mostKept)
		}
		return max(between(left/4, left/2), time.Second)
	case ahead > 0 && ahead < left:
		return ahead + between(0, (left-ahead)/5)
	default:
		return between(left*8/10, left*9/10)
	}
}

// between returns a random duration from low up to high.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low) //nolint:gosec // spreads load, keeps no secret
}
