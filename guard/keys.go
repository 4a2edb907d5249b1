package guard

import (
	"context"
	"crypto"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// When keys are fetched. Every timer runs on the monotonic clock: a jump of
// the wall clock moves none of them.
const (
	refreshEvery    = 12 * time.Hour // without a max-age
	refreshEarliest = 5 * time.Minute
	refreshLatest   = 24 * time.Hour
	refreshGap      = 30 * time.Second // between fetches that unknown kids cause
	backoffFirst    = 5 * time.Second
	backoffLast     = 5 * time.Minute
	unknownKidTTL   = time.Minute
	maxUnknownKids  = 1000
	waitForKid      = 2 * time.Second // of a request whose kid is not known
	waitForFirst    = 5 * time.Second // of a request while there are no keys at all
)

var (
	errKeyUnknown      = errors.New("the issuer publishes no key of this kid")
	errKeysUnavailable = errors.New("the keys of the issuer have not been loaded yet")
)

// A keySource has the keys of one issuer. It fetches them when they are first
// needed, again when they grow old, and again, but rarely, when a token names
// a kid that it does not know. It keeps the keys it has until a fetch succeeds,
// however long that takes: an authority that is down locks nobody out.
type keySource struct {
	issuer   string
	metadata string // the discovery document, or
	keysURL  string // the keys document itself
	fetcher  *fetcher
	log      *slog.Logger
	lifetime context.Context // ends fetches, which outlive the request that caused them

	set        atomic.Pointer[keySet] // nil until the first fetch has succeeded
	generation atomic.Uint64          // grows when a key goes, which ends what it has verified

	mu       sync.Mutex // guards what follows
	flight   chan struct{}
	notUntil time.Time            // no fetch on behalf of a token before
	failures int                  // fetches that have failed since the last success
	failure  error                // why the last of them did
	unknown  map[string]time.Time // kids looked for in vain, and until when that counts
	timer    *time.Timer
}

// find returns the keys named kid, fetching if that may help. The errors are
// errKeyUnknown and errKeysUnavailable.
func (s *keySource) find(ctx context.Context, kid string) ([]token.Key, error) {
	set := s.set.Load()
	if set != nil && set.knows(kid) {
		return set.keys[kid], nil
	}
	wait := waitForFirst
	if set != nil {
		wait = waitForKid
	}
	fetched := s.await(ctx, s.request(kid), wait)
	set = s.set.Load()
	switch {
	case set == nil:
		return nil, errKeysUnavailable
	case set.knows(kid):
		return set.keys[kid], nil
	case fetched:
		s.noteUnknown(kid)
	}
	return nil, errKeyUnknown
}

// await waits for a fetch to end and reports whether it did.
func (s *keySource) await(ctx context.Context, flight <-chan struct{}, limit time.Duration) bool {
	if flight == nil {
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-flight:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// request returns the fetch to wait for on behalf of a token that names kid:
// the one under way, a new one, or nil if it is too early for one.
func (s *keySource) request(kid string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.flight != nil:
		return s.flight
	case s.lifetime.Err() != nil, now.Before(s.notUntil), now.Before(s.unknown[kid]):
		return nil
	default:
		return s.startLocked()
	}
}

func (s *keySource) startLocked() <-chan struct{} {
	flight := make(chan struct{})
	s.flight = flight
	go func() {
		set, err := s.fetch()
		s.finish(set, err)
		close(flight)
	}()
	return flight
}

func (s *keySource) fetch() (*keySet, error) {
	ctx, cancel := context.WithTimeout(s.lifetime, 2*fetchTimeout)
	defer cancel()
	address := s.keysURL
	if s.metadata != "" {
		var err error
		if address, err = s.fetcher.discover(ctx, s.metadata, s.issuer); err != nil {
			return nil, err
		}
	}
	set, ignored, err := s.fetcher.keys(ctx, address)
	for _, problem := range ignored {
		s.log.Warn("ignore key of issuer", "issuer", s.issuer, "error", problem)
	}
	return set, err
}

// finish takes over what a fetch brought and sets the time of the next.
func (s *keySource) finish(set *keySet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if err != nil {
		pause := min(backoffLast, backoffFirst<<min(s.failures, 10))
		s.failures++
		s.failure = err
		s.notUntil = time.Now().Add(pause)
		s.log.Warn("fetch keys of issuer", "issuer", s.issuer, "error", err, "again_in", pause)
		if s.set.Load() != nil {
			s.armLocked(pause)
		}
		return
	}
	old := s.set.Swap(set)
	if old != nil && !set.keeps(old) {
		s.generation.Add(1)
	}
	s.failures, s.failure = 0, nil
	s.notUntil = time.Now().Add(refreshGap)
	s.unknown = nil
	s.armLocked(refreshAfter(set.maxAge))
}

// refreshAfter returns when a set should be fetched anew: as its server says
// within reason, never later, and not by all guards at once.
func refreshAfter(maxAge time.Duration) time.Duration {
	after := refreshEvery
	if maxAge > 0 {
		after = min(max(maxAge, refreshEarliest), refreshLatest)
	}
	return after - rand.N(after/5) //nolint:gosec // spreads load; nobody gains by guessing it
}

// armLocked sets the timer that refreshes the keys without any request.
func (s *keySource) armLocked(after time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.lifetime.Err() != nil {
		return
	}
	s.timer = time.AfterFunc(after, s.refresh)
}

// refresh fetches anew because the keys have grown old.
func (s *keySource) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil && s.lifetime.Err() == nil {
		s.startLocked()
	}
}

// stop ends the timer. A fetch under way ends with lifetime.
func (s *keySource) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// noteUnknown remembers that a fetch did not bring kid. Strangers choose
// kids, so the memory is small and forgets everything when full.
func (s *keySource) noteUnknown(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown == nil || len(s.unknown) >= maxUnknownKids {
		s.unknown = make(map[string]time.Time)
	}
	s.unknown[kid] = time.Now().Add(unknownKidTTL)
}

// absence says how long a client should wait for keys, and why there are none.
func (s *keySource) absence() (retry time.Duration, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cause = s.failure; cause == nil {
		cause = errKeysUnavailable
	}
	return max(time.Second, time.Until(s.notUntil)), cause
}

// ready waits for the first keys and returns why there are none.
func (s *keySource) ready(ctx context.Context) error {
	if s.set.Load() != nil {
		return nil
	}
	s.await(ctx, s.request(""), 2*fetchTimeout)
	if s.set.Load() != nil {
		return nil
	}
	_, cause := s.absence()
	return cause
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
