package authority

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/directory"
)

const (
	// maxReplays bounds how many uses are remembered: about 150 MB at most.
	maxReplays = 1 << 20
	// retryWindow is how long the very same assertion may come again where assertions
	// are for single use: a client whose connection broke does not know that it was served.
	retryWindow = time.Minute
)

// A use is one presentation of an assertion.
type use struct {
	key     [32]byte // of tenant, application and jti
	digest  [16]byte // of the assertion
	expires time.Time
}

func newUse(tenant directory.TenantID, app directory.AppID, jti, assertion string, expires time.Time) use {
	sum := sha256.Sum256([]byte(assertion))
	return use{
		key:     sha256.Sum256([]byte(string(tenant) + "\n" + string(app) + "\n" + jti)),
		digest:  [16]byte(sum[:16]),
		expires: expires,
	}
}

// An outcome is what is known of a use.
type outcome int

const (
	first   outcome = iota // not seen before
	retried                // the same assertion within the retry window
	again                  // its jti was used before
	full                   // cannot tell: no room to remember it
)

var errReplaysFull = errors.New("the memory of used client assertions is full")

// replays remembers uses until their assertions expire. What has not expired is never
// forgotten, unless by noteAnyway.
type replays struct {
	capacity int

	mu      sync.Mutex
	seen    map[[32]byte]sighting
	buckets map[int64][][32]byte // keys by the minute in which they expire
	swept   int64                // the minute of the last sweep
}

type sighting struct {
	digest [16]byte
	at     int64 // Unix time of the first presentation
}

func newReplays(capacity int) *replays {
	return &replays{capacity: capacity, seen: map[[32]byte]sighting{}, buckets: map[int64][][32]byte{}}
}

// note remembers a use and says what is known of it.
func (r *replays) note(u use, now time.Time) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noteLocked(u, now)
}

// noteAnyway is note for those who only want to know: when there is no room, what
// expires soonest is forgotten.
func (r *replays) noteAnyway(u use, now time.Time) (seen bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.noteLocked(u, now)
	if o == full {
		r.dropSoonest()
		o = r.noteLocked(u, now)
	}
	return o == retried || o == again
}

func (r *replays) noteLocked(u use, now time.Time) outcome {
	r.sweep(now)
	if s, ok := r.seen[u.key]; ok {
		if s.digest == u.digest && now.Unix()-s.at <= int64(retryWindow/time.Second) {
			return retried
		}
		return again
	}
	if len(r.seen) >= r.capacity {
		return full
	}
	r.seen[u.key] = sighting{u.digest, now.Unix()}
	minute := u.expires.Unix()/60 + 1 // the first minute in which it is over
	r.buckets[minute] = append(r.buckets[minute], u.key)
	return first
}

// sweep forgets what has expired, once a minute.
func (r *replays) sweep(now time.Time) {
	minute := now.Unix() / 60
	if minute == r.swept {
		return
	}
	r.swept = minute
	for m := range r.buckets {
		if m <= minute {
			r.drop(m)
		}
	}
}

func (r *replays) dropSoonest() {
	soonest := int64(-1)
	for m := range r.buckets {
		if soonest < 0 || m < soonest {
			soonest = m
		}
	}
	r.drop(soonest)
}

func (r *replays) drop(minute int64) {
	for _, key := range r.buckets[minute] {
		delete(r.seen, key)
	}
	delete(r.buckets, minute)
}
