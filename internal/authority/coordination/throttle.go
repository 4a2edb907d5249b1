package coordination

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// ThrottleConfig says how many attempts to authenticate may fail, and how many device codes
// may be asked for that nobody answers. Zero fields mean the defaults. There is no lockout:
// an application's id is public, and a lock would let anybody turn it off.
type ThrottleConfig struct {
	// Failures is how many attempts in a row may fail for one application from one
	// source before that source has to wait. Zero means 10.
	Failures int
	// Forgive is how long it takes until one failure is forgotten. Zero means 6 seconds.
	Forgive time.Duration
	// Total is the budget of failures for all applications and sources together. While
	// it is used up, sources with a failure on record have to wait; others do not notice.
	// Zero means 1000.
	Total int
	// TotalForgive is how long it takes until one failure of the budget is forgotten.
	// Zero means 50 milliseconds.
	TotalForgive time.Duration
	// Entries bounds the memory: how many pairs of application and source are kept in
	// mind. Zero means 100,000.
	Entries int
	// DeviceCodes is how many device codes one source may ask for at once for one
	// application; for all of them together four times as many. In the life of a code as
	// many again may follow, and one that a user answers does not count any more. Zero
	// means 20.
	DeviceCodes int
}

// deviceTotal is how many device codes that nobody has answered there may be at once, of all
// sources together; in the life of a code as many again may follow.
const deviceTotal = 20_000

// deviceShare is how much of a device code counts for its source as a whole.
const deviceShare = 0.25

// knownFor is how long a source counts as one that succeeded lately.
const knownFor = 30 * 24 * time.Hour

// A throttle counts failed attempts in buckets that leak with time.
type throttle struct {
	cfg ThrottleConfig
	now func() time.Time

	mu      sync.Mutex // guards what follows
	total   bucket
	entries *lru[attemptKey, *throttleEntry]
	known   *lru[attemptKey, time.Time] // pairs of account and source that succeeded, and when
}

// An attemptKey names a bucket. One without an application is for its source as a whole, one
// without a source for guesses at the account from sources that are not known to it.
type attemptKey struct {
	app    directory.AppID
	source string
}

type throttleEntry struct {
	bucket  bucket
	pending int       // guesses whose outcome is not known
	last    time.Time // when the last guess began
}

// A bucket holds a number of failures as of some time.
type bucket struct {
	level float64
	at    time.Time
}

// leaked is the level now, when one failure leaks in each interval.
func (b bucket) leaked(now time.Time, interval time.Duration) float64 {
	return max(0, b.level-max(0, float64(now.Sub(b.at))/float64(interval)))
}

func newThrottle(cfg ThrottleConfig, now func() time.Time) (*throttle, error) {
	if cfg.Failures < 0 || cfg.Forgive < 0 || cfg.Total < 0 || cfg.TotalForgive < 0 || cfg.Entries < 0 || cfg.DeviceCodes < 0 {
		return nil, fmt.Errorf("authority: Throttle is %+v: none of it may be negative; zero means the default", cfg)
	}
	setDefault(&cfg.Failures, 10)
	setDefault(&cfg.Forgive, 6*time.Second)
	setDefault(&cfg.Total, 1000)
	setDefault(&cfg.TotalForgive, 50*time.Millisecond)
	setDefault(&cfg.Entries, 100_000)
	setDefault(&cfg.DeviceCodes, 20)
	return makeThrottle(cfg, now), nil
}

func makeThrottle(cfg ThrottleConfig, now func() time.Time) *throttle {
	return &throttle{
		cfg: cfg, now: now,
		entries: newLRU[attemptKey, *throttleEntry](cfg.Entries), known: newLRU[attemptKey, time.Time](cfg.Entries),
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Wait implements [Failures].
func (t *throttle) Wait(_ context.Context, app directory.AppID, source string) int {
	now, source := t.now(), canonical(source)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wait(app, source, now, 0)
}

// wait is Wait when so many guesses of the source that are under way do not count.
func (t *throttle) wait(app directory.AppID, source string, now time.Time, own int) int {
	for i, network := range networks(source) {
		level := t.level(attemptKey{app, network}, now) - float64(own)
		own = 0 // of the source alone, not of the networks around it
		if excess := level - float64(t.cfg.Failures<<i) + 1; excess > 0 {
			return seconds(excess, t.cfg.Forgive)
		}
	}
	if t.isKnown(app, source, now) {
		return 0
	}
	excess := t.total.leaked(now, t.cfg.TotalForgive) - float64(t.cfg.Total) + 1
	if excess <= 0 {
		return 0
	}
	for _, network := range networks(source) {
		if t.level(attemptKey{"", network}, now) > 0 {
			return seconds(excess, t.cfg.TotalForgive)
		}
	}
	return 0
}

// seconds is the time in which that many failures leak, in whole seconds: clients cannot
// read fractions.
func seconds(failures float64, interval time.Duration) int {
	return max(1, int(math.Ceil(failures*interval.Seconds())))
}

// Failed implements [Failures].
func (t *throttle) Failed(_ context.Context, app directory.AppID, source string) {
	now, source := t.now(), canonical(source)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed(app, source, now)
}

func (t *throttle) failed(app directory.AppID, source string, now time.Time) {
	t.total = bucket{min(t.total.leaked(now, t.cfg.TotalForgive)+1, float64(t.cfg.Total)), now}
	for i, network := range networks(source) {
		limit := float64(t.cfg.Failures << i)
		t.add(attemptKey{"", network}, 1, limit, now)
		if app != "" {
			t.add(attemptKey{app, network}, 1, limit, now)
		}
	}
}

// deviceCodes makes the throttle that counts device codes in the place of failures.
func (t *throttle) deviceCodes() *throttle {
	cfg := t.cfg
	cfg.Failures, cfg.Forgive = cfg.DeviceCodes, records.DeviceLife/time.Duration(cfg.DeviceCodes)
	cfg.Total, cfg.TotalForgive = deviceTotal, records.DeviceLife/deviceTotal
	return makeThrottle(cfg, t.now)
}

// Spend implements [Budget].
func (t *throttle) Spend(_ context.Context, app directory.AppID, source string) int {
	now, source := t.now(), canonical(source)
	t.mu.Lock()
	defer t.mu.Unlock()
	own, all := attemptKey{app, source}, attemptKey{"", source}
	if excess := max(t.level(own, now)+1, t.level(all, now)+deviceShare) - float64(t.cfg.Failures); excess > 0 {
		return seconds(excess, t.cfg.Forgive)
	}
	total := t.total.leaked(now, t.cfg.TotalForgive) + 1
	if excess := total - float64(t.cfg.Total); excess > 0 {
		return seconds(excess, t.cfg.TotalForgive)
	}
	t.total = bucket{total, now}
	t.add(own, 1, float64(t.cfg.Failures), now)
	t.add(all, deviceShare, float64(t.cfg.Failures), now)
	return 0
}

// Restore implements [Budget].
func (t *throttle) Restore(_ context.Context, app directory.AppID, source string) {
	now, source := t.now(), canonical(source)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total = bucket{max(0, t.total.leaked(now, t.cfg.TotalForgive)-1), now}
	t.add(attemptKey{app, source}, -1, float64(t.cfg.Failures), now)
	t.add(attemptKey{"", source}, -deviceShare, float64(t.cfg.Failures), now)
}

// strangerRows is how many rows about those who proved nothing a tenant gets at once, and one
// more for each failure that is forgiven: a fifth of the rows that are kept, so that strangers,
// however many, push out theirs and not the others.
const strangerRows = 20_000

// Noteworthy implements [Failures]: the first hundred or so refusals from a source deserve a
// row, and each wrong credential, as long as the tenant has room. Nobody waits because of
// these.
func (t *throttle) Noteworthy(_ context.Context, tenant directory.TenantID, source string, tried bool) bool {
	const share = 0.1 // of a failure
	now, own, all := t.now(), attemptKey{appNone, canonical(source)}, attemptKey{appNone, "tenant " + string(tenant)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.level(all, now)+1 > strangerRows || !tried && t.level(own, now)+share > float64(t.cfg.Failures) {
		return false
	}
	if !tried {
		t.add(own, share, float64(t.cfg.Failures), now)
	}
	t.add(all, 1, strangerRows, now)
	return true
}

// appNone stands for no application in a key. It is no app id.
const appNone directory.AppID = "none"

// level gives how full the bucket of a key is, with the guesses that are under way.
func (t *throttle) level(key attemptKey, now time.Time) float64 {
	if e, ok := t.entries.get(key); ok {
		return e.bucket.leaked(now, t.cfg.Forgive) + float64(e.pending)
	}
	return 0
}

// entry returns the entry of a key, which was used just now; the one used longest ago makes
// room.
func (t *throttle) entry(key attemptKey) *throttleEntry {
	e, ok := t.entries.get(key)
	if !ok {
		e = new(throttleEntry)
	}
	t.entries.put(key, e)
	return e
}

// add counts failures of a key, up to a limit.
func (t *throttle) add(key attemptKey, failures, limit float64, now time.Time) {
	e := t.entry(key)
	e.bucket = bucket{min(e.bucket.leaked(now, t.cfg.Forgive)+failures, limit), now}
}

// isKnown reports whether the source succeeded lately.
func (t *throttle) isKnown(app directory.AppID, source string, now time.Time) bool {
	at, ok := t.known.get(attemptKey{app, source})
	return ok && now.Sub(at) < knownFor
}
