package authority

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	// maxStrict bounds how many uses are remembered in order to refuse the next: about
	// 170 MB at most. One application has a quarter of it, so that none can use up all.
	maxStrict      = 1 << 20
	maxStrictByApp = maxStrict / 4
	// maxTolerant bounds how many are remembered in order to note the next.
	maxTolerant = 1 << 17
	// retryWindow is how long the very same assertion may come again where assertions
	// are for single use: a client whose connection broke does not know that it was served.
	retryWindow = time.Minute
)

// A use is one presentation of an assertion.
type use struct {
	owner   string   // tenant and application
	key     [32]byte // of owner and jti
	digest  [16]byte // of the assertion
	expires time.Time
}

func newUse(tenant directory.TenantID, app directory.AppID, jti, assertion string, expires time.Time) use {
	sum := sha256.Sum256([]byte(assertion))
	owner := string(tenant) + "/" + string(app)
	return use{
		owner:   owner,
		key:     sha256.Sum256([]byte(owner + "/" + jti)),
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
	share    int // of one owner

	mu      sync.Mutex
	counts  map[string]*int // of what is seen, by owner
	seen    map[[32]byte]sighting
	buckets map[int64][][32]byte // keys by the minute in which they expire
	swept   int64                // the minute of the last sweep
}

type sighting struct {
	count  *int // its owner's
	digest [16]byte
	at     int64 // Unix time of the first presentation
}

func newReplays(capacity, share int) *replays {
	return &replays{capacity: capacity, share: share, counts: map[string]*int{}, seen: map[[32]byte]sighting{}, buckets: map[int64][][32]byte{}}
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
	count := r.counts[u.owner]
	if count == nil {
		count = new(int)
		r.counts[u.owner] = count
	}
	if len(r.seen) >= r.capacity || *count >= r.share {
		return full
	}
	*count++
	r.seen[u.key] = sighting{count, u.digest, now.Unix()}
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
		*r.seen[key].count--
		delete(r.seen, key)
	}
	delete(r.buckets, minute)
}
