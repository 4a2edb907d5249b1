package guard

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxUsed bounds how many signed requests are remembered in each half of the
// memory: some ten megabytes.
const maxUsed = 1 << 17

// A usedRequests remembers which signed requests were taken. It has two
// halves: when the younger one is full, or as old as a signed request can be,
// the older one is forgotten. If that is too early, nobody can tell any more
// whether one of those was used, so that for a while whatever was signed no
// later than they were is refused.
type usedRequests struct {
	window time.Duration // for which a signed request counts, clocks that differ included
	most   int           // requests in each half

	mu         sync.Mutex // guards what follows
	young, old half
	turned     time.Time // when the older half was the younger one
	floor      int64     // what was signed then or before is refused
	floorUntil time.Time
}

type half struct {
	seen   map[[sha256.Size]byte]struct{}
	latest int64 // when the latest of them was signed
}

func newUsedRequests(window time.Duration) *usedRequests {
	return &usedRequests{window: window, most: maxUsed}
}

// first reports whether a request comes for the first time, and remembers it.
// The time ts at which it was signed is within the window.
func (u *usedRequests) first(signed string, ts int64, now time.Time) bool {
	sum := sha256.Sum256([]byte(signed))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(now)
	_, young := u.young.seen[sum]
	_, old := u.old.seen[sum]
	if young || old || ts <= u.floor && now.Before(u.floorUntil) {
		return false
	}
	if u.young.seen == nil {
		u.young.seen = make(map[[sha256.Size]byte]struct{})
	}
	u.young.seen[sum] = struct{}{}
	u.young.latest = max(u.young.latest, ts)
	return true
}

// turn forgets the older half when it is time. Once the younger one has been
// that for a window, everything in the older one has ended.
func (u *usedRequests) turn(now time.Time) {
	if u.turned.IsZero() {
		u.turned = now
	}
	ended := now.Sub(u.turned) >= u.window
	if !ended && len(u.young.seen) < u.most {
		return
	}
	if !ended && u.old.seen != nil {
		u.floor, u.floorUntil = max(u.floor, u.old.latest), now.Add(u.window)
	}
	u.old, u.young, u.turned = u.young, half{}, now
}
