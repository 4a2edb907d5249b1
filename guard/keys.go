package guard

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// When keys are fetched. Timers run on the monotonic clock, so that a jump of
// the wall clock moves none of them. A machine that sleeps stops that clock:
// what is overdue by the wall clock is fetched at the next request.
const (
	refreshEvery    = 12 * time.Hour // without a max-age
	refreshEarliest = 5 * time.Minute
	refreshLatest   = 18 * time.Hour   // which leaves time to try again before keys of a day ago count no more
	refreshByTag    = 15 * time.Minute // from a server that can answer that nothing has changed
	refreshGap      = 30 * time.Second // in which one more fetch may be caused by an unknown kid
	refreshBudget   = 2                // of such fetches that may follow each other at once
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
// so that an authority that is down locks nobody out, but not for longer than
// maxAge: somebody who keeps the guard from the authority must not keep a
// revoked key alive.
type keySource struct {
	source   source
	fetcher  *fetcher
	maxAge   time.Duration // how long keys count that cannot be fetched anew
	folder   string        // where they are kept over restarts; empty: nowhere
	clock    func() time.Time
	log      *slog.Logger
	lifetime context.Context // ends fetches, which outlive the request that caused them

	set        atomic.Pointer[keySet] // nil until the first fetch has succeeded
	generation atomic.Uint64          // grows when a key goes, which ends what it has verified
	goodUntil  atomic.Int64           // Unix time of clock from which set counts no more
	due        atomic.Int64           // Unix nanoseconds of the wall clock from which set should be fetched anew

	mu       sync.Mutex // guards what follows
	flight   chan struct{}
	notUntil time.Time            // no fetch before, because the last one failed
	budget   int                  // fetches that unknown kids may still cause
	refilled time.Time            // when the budget last grew
	failures int                  // fetches that have failed since the last success
	failure  error                // why the last of them did
	unknown  map[string]time.Time // kids looked for in vain, and until when that counts
	timer    *time.Timer
}

// find returns the keys named kid, fetching if that may help. The errors are
// errKeyUnknown and errKeysUnavailable.
func (s *keySource) find(ctx context.Context, kid string) ([]token.Key, error) {
	set, wait := s.usable(), waitForKid
	switch {
	case set == nil:
		wait = waitForFirst
	case set.knows(kid):
		if time.Now().UnixNano() >= s.due.Load() { // the timer slept
			s.refresh()
		}
		return set.keys[kid], nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	flight, under := s.request(kid)
	fetched := await(ctx, flight)
	if set = s.usable(); fetched && under && !s.failing() && set != nil && !set.knows(kid) {
		// What was under way may have begun before the key was published. Another fetch that is
		// under way by now did not.
		flight, _ = s.request(kid)
		fetched = await(ctx, flight)
		set = s.usable()
	}
	switch {
	case set == nil:
		return nil, errKeysUnavailable
	case set.knows(kid):
		return set.keys[kid], nil
	case s.failing():
		return nil, errKeysUnavailable // the key may be one that is published meanwhile
	case fetched:
		s.noteUnknown(kid)
	}
	return nil, errKeyUnknown
}

// usable returns the keys there are, or nil if there are none or they are too old.
func (s *keySource) usable() *keySet {
	set := s.set.Load()
	if set == nil || set.age(time.Now()) >= s.maxAge {
		return nil
	}
	return set
}

// failing reports whether the last fetch failed.
func (s *keySource) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures > 0
}

// await waits for a fetch to end and reports whether it did.
func await(ctx context.Context, flight <-chan struct{}) bool {
	if flight == nil {
		return false
	}
	select {
	case <-flight:
		return true
	case <-ctx.Done():
		return false
	}
}

// request returns the fetch to wait for on behalf of a token that names kid:
// the one that is under way already, a new one, or nil if it is too early for one.
func (s *keySource) request(kid string) (flight <-chan struct{}, under bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.flight != nil:
		return s.flight, true
	case s.lifetime.Err() != nil, now.Before(s.notUntil):
		return nil, false
	case s.usable() == nil:
		s.spendLocked(now)
		return s.startLocked(), false
	case now.Before(s.unknown[kid]) || !s.spendLocked(now):
		return nil, false
	default:
		return s.startLocked(), false
	}
}

// spendLocked takes a fetch out of the budget, and reports whether there was one.
func (s *keySource) spendLocked(now time.Time) bool {
	grown := int(now.Sub(s.refilled) / refreshGap)
	if s.budget += grown; s.budget >= refreshBudget || s.refilled.IsZero() {
		s.budget, s.refilled = refreshBudget, now
	} else {
		s.refilled = s.refilled.Add(time.Duration(grown) * refreshGap)
	}
	if s.budget == 0 {
		return false
	}
	s.budget--
	return true
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
	from, err := s.fetcher.locate(ctx, s.source)
	if err != nil {
		return nil, err
	}
	set, ignored, err := s.fetcher.keys(ctx, from, s.set.Load())
	for _, problem := range ignored {
		s.log.Warn("ignore key of issuer", "issuer", s.source.issuer, "error", problem)
	}
	if err != nil {
		return nil, err
	}
	if err := s.keep(set); err != nil {
		s.log.Warn("keys are not kept for the next start", "issuer", s.source.issuer, "error", err)
	}
	return set, nil
}

// finish takes over what a fetch brought and sets the time of the next.
func (s *keySource) finish(set *keySet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if err != nil {
		s.failedLocked(err)
		return
	}
	old := s.set.Swap(set)
	if old != nil && !set.keeps(old) {
		s.generation.Add(1)
	}
	s.goodUntil.Store(s.clock().Add(s.maxAge).Unix())
	s.failures, s.failure = 0, nil
	s.notUntil = time.Time{}
	s.unknown = nil
	s.armLocked(s.refreshAfter(set))
}

// failedLocked puts off the next fetch, and ends what keys have verified that
// are too old by now.
func (s *keySource) failedLocked(err error) {
	pause := min(backoffLast, backoffFirst<<min(s.failures, 10))
	s.failures++
	s.failure = err
	s.notUntil = time.Now().Add(pause)
	about := []any{"issuer", s.source.issuer, "error", err, "again_in", pause}
	if set := s.set.Load(); set != nil {
		about = append(about, "last_success", set.fetched.Round(0))
		if s.usable() == nil {
			s.generation.Add(1)
			about = append(about, "too_old_after", s.maxAge)
		}
		s.armLocked(pause)
	}
	s.log.Warn("fetch keys of issuer", about...)
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

// refreshAfter is refreshAfter of a set. An answer that nothing has changed
// costs next to nothing, so where a server gives such answers a key that was
// revoked is noticed soon.
func (s *keySource) refreshAfter(set *keySet) time.Duration {
	told := set.maxAge
	if set.tag != "" && (told == 0 || told > refreshByTag) {
		told = refreshByTag
	}
	return min(refreshAfter(told), s.maxAge*3/4)
}

// armLocked sets the timer that refreshes the keys without any request.
func (s *keySource) armLocked(after time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.lifetime.Err() != nil {
		return
	}
	s.due.Store(time.Now().Add(after).UnixNano())
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
	if set := s.set.Load(); set != nil {
		cause = fmt.Errorf("%w; keys were last fetched at %s", cause, set.fetched.UTC().Format(time.RFC3339))
	}
	return max(time.Second, time.Until(s.notUntil)), cause
}

// knowledge says what is known of the issuer's keys, and since when.
func (s *keySource) knowledge() string {
	set := s.set.Load()
	if set == nil {
		return "none were fetched yet"
	}
	ids := slices.Sorted(maps.Keys(set.keys))
	const enough = 5
	if len(ids) > enough {
		ids = append(ids[:enough:enough], "…")
	}
	return fmt.Sprintf("it published %s when it was last asked, at %s", oneLine(strings.Join(ids, ", "), maxShown), set.fetched.UTC().Format(time.RFC3339))
}

// fixForFetch returns what to do about keys that could not be fetched.
func fixForFetch(cause error) string {
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var status *statusError
	switch {
	case errors.As(cause, &unknown):
		return "This machine does not trust the authority's certificate: set CABundle to the PEM file of its certificate authority (ca-bundle.pem in Rolecall's data folder), or SSL_CERT_FILE where the system's roots are read."
	case errors.As(cause, &hostname):
		return "The authority's certificate is for another name: write Authority with a name that the certificate has."
	case errors.As(cause, &invalid) && invalid.Reason == x509.Expired:
		return "The authority's certificate is not valid at this machine's time: check the clock, and then the certificate."
	case errors.As(cause, &status) && (status.status == 400 || status.status == 404):
		return "The authority is there and does not know the address that was asked: check the host and the tenant in Authority."
	default:
		return "Check that the authority is up and that this machine reaches and trusts it."
	}
}

// state is what others may know of the source.
func (s *keySource) state() KeyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := KeyState{Usable: s.usable() != nil, Err: s.failure}
	if set := s.set.Load(); set != nil {
		state.Fetched, state.Keys = set.fetched.Round(0), len(set.keys)
	}
	return state
}

// ready waits for the first keys and returns why there are none.
func (s *keySource) ready(ctx context.Context) error {
	if s.usable() != nil {
		if s.due.Load() == 0 { // they are of an earlier start
			s.refresh()
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*fetchTimeout)
	defer cancel()
	flight, _ := s.request("")
	await(ctx, flight)
	if s.usable() != nil {
		return nil
	}
	_, cause := s.absence()
	return cause
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
