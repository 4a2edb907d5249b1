package coordination

import (
	"context"
	"crypto/sha256"
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

// A Use is one presentation of an assertion.
type Use struct {
	tenant  directory.TenantID
	owner   string   // tenant and application
	key     [32]byte // of owner and jti
	digest  [16]byte // of the assertion
	expires time.Time
}

// NewUse describes the presentation of an assertion by its jti.
func NewUse(tenant directory.TenantID, app directory.AppID, jti, assertion string, expires time.Time) Use {
	sum := sha256.Sum256([]byte(assertion))
	owner := string(tenant) + "/" + string(app)
	return Use{
		tenant:  tenant,
		owner:   owner,
		key:     sha256.Sum256([]byte(owner + "/" + jti)),
		digest:  [16]byte(sum[:16]),
		expires: expires,
	}
}

// An Outcome is what is known of a use.
type Outcome int

// The outcomes.
const (
	First   Outcome = iota // not seen before
	Retried                // the same assertion within the retry window
	Again                  // its jti was used before
	Full                   // cannot tell: no room to remember it, or nowhere to look
)

// replays remembers uses until their assertions expire. What has not expired is never
// forgotten, unless by NoteAnyway.
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

// Note implements [Replays].
func (r *replays) Note(_ context.Context, u Use, now time.Time) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noteLocked(u, now)
}

// NoteAnyway implements [Replays].
func (r *replays) NoteAnyway(_ context.Context, u Use, now time.Time) (seen bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.noteLocked(u, now)
	if o == Full {
		r.dropSoonest()
		o = r.noteLocked(u, now)
	}
	return o == Retried || o == Again
}

func (r *replays) noteLocked(u Use, now time.Time) Outcome {
	r.sweep(now)
	if s, ok := r.seen[u.key]; ok {
		if s.digest == u.digest && now.Unix()-s.at <= int64(retryWindow/time.Second) {
			return Retried
		}
		return Again
	}
	count := r.counts[u.owner]
	if count == nil {
		count = new(int)
		r.counts[u.owner] = count
	}
	if len(r.seen) >= r.capacity || *count >= r.share {
		return Full
	}
	*count++
	r.seen[u.key] = sighting{count, u.digest, now.Unix()}
	minute := u.expires.Unix()/60 + 1 // the first minute in which it is over
	r.buckets[minute] = append(r.buckets[minute], u.key)
	return First
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
