package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultPoll   = 100 * time.Millisecond
	refreshEvery  = 10 * time.Millisecond
	lookTimeout   = 5 * time.Second
	recently      = time.Second
	feedPage      = 1000
	maxFeedBehind = 20_000 // changes; further behind, starting afresh is quicker
	maxPending    = 10_000 // changes that wait for Config.OnChange
)

// Pacing goes by the machine's clock: Config.Now may stand still or jump in tests.

// Run follows the store's change feed until the context ends, so that changes made
// through other processes or nodes show here, tells Config.OnChange, and every minute
// removes expired token records and what was discarded too long ago. A store that cannot be
// reached is logged and asked again; the view stays as it was meanwhile. It returns nil when
// the context ends.
func (d *Directory) Run(ctx context.Context) error {
	tick := time.NewTicker(d.cfg.Poll)
	defer tick.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	failing := false
	for {
		d.deliver()
		select {
		case <-ctx.Done():
			return nil
		case <-d.pending.wake:
			continue
		case <-sweep.C:
			d.runSweep(ctx)
			continue
		case <-tick.C:
		}
		err := d.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if failed := err != nil; failed != failing {
			failing = failed
			logFeed(ctx, d.cfg.Log, err)
		}
	}
}

func (d *Directory) runSweep(ctx context.Context) {
	if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
		d.cfg.Log.WarnContext(ctx, "expired token records could not be removed", "error", err)
	}
	if err := d.sweepDeleted(ctx); err != nil && ctx.Err() == nil {
		d.cfg.Log.WarnContext(ctx, "what was deleted long ago could not be removed", "error", err)
	}
}

func logFeed(ctx context.Context, log *slog.Logger, err error) {
	if err != nil {
		log.WarnContext(ctx, "the directory's store does not answer; going on from memory", "error", err)
		return
	}
	log.InfoContext(ctx, "the directory's store answers again")
}

// Refresh applies what the feed holds right now and reports whether anything had
// changed. Callers use it once before they refuse on the ground of what they read, so
// that no refusal rests on a stale view. A change that came in by itself during the last
// second counts, for it may have come after the caller's read. Concurrent calls share one
// look, which begins after the call; looks are at least 10 ms apart.
func (d *Directory) Refresh(ctx context.Context) (changed bool, err error) {
	r, leads := d.refreshes.join()
	if leads {
		d.lead(ctx, r)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if r.err != nil {
		return false, r.err
	}
	return time.Since(d.changedAt()) < recently, nil
}

// ErrFeedTrimmed says that the change feed does not lead back to a sequence: what was read up to
// it has to be read anew.
var ErrFeedTrimmed = errors.New("the feed does not lead back so far")

// ChangesSince returns the ids of things of a kind in a tenant that were created, changed or
// deleted after a sequence, each once, and the sequence to ask with next. It stops when it
// has found as many as the limit; where nothing is found, there was nothing until then. To begin
// with, ask for Applied and read all there is.
func (d *Directory) ChangesSince(ctx context.Context, tenant TenantID, kind string, after int64, limit int) (ids []ObjectID, next int64, err error) {
	newest, err := d.cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the changes: %w", err)
	}
	if after > newest || after < 0 {
		return nil, 0, ErrFeedTrimmed
	}
	for seen := map[ObjectID]bool{}; after < newest && len(ids) < limit; {
		changes, err := d.cfg.Store.Changes(ctx, after, feedPage)
		if err != nil {
			return nil, 0, fmt.Errorf("read the changes: %w", err)
		}
		if len(changes) == 0 || changes[0].Sequence != after+1 {
			return nil, 0, ErrFeedTrimmed
		}
		for _, change := range changes {
			id := ObjectID(change.ID)
			if change.Kind == kind && change.Tenant == string(fold(tenant)) && !seen[id] {
				if len(ids) == limit {
					return ids, after, nil
				}
				ids, seen[id] = append(ids, id), true
			}
			after = change.Sequence
		}
	}
	return ids, after, nil
}

// Applied returns the sequence of the newest change this directory has taken in.
func (d *Directory) Applied() int64 { return d.applied.Load() }

// Fresh returns when the view was last known to be that of the store.
func (d *Directory) Fresh() time.Time { return time.Unix(0, d.fresh.Load()) }

func (d *Directory) changedAt() time.Time { return time.Unix(0, d.changed.Load()) }

// A refresh is one look that any number of callers wait for.
type refresh struct {
	done chan struct{}
	err  error // set before done is closed
}

// refreshes joins callers to the look that has not begun yet.
type refreshes struct {
	mu   sync.Mutex
	next *refresh  // nil when the next caller is to lead
	last time.Time // when the newest look began
}

func (r *refreshes) join() (look *refresh, leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &refresh{done: make(chan struct{})}
		leads = true
	}
	return r.next, leads
}

// begin closes the look to further callers.
func (r *refreshes) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.last = nil, time.Now()
}

func (r *refreshes) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return refreshEvery - time.Since(r.last)
}

// lead waits until a look is due and makes it, whatever becomes of the leader's own
// request: others wait for it too.
func (d *Directory) lead(ctx context.Context, r *refresh) {
	defer close(r.done)
	if wait := d.refreshes.pause(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		<-timer.C
	}
	d.refreshes.begin()
	r.err = d.look(context.WithoutCancel(ctx))
}

// look takes in what is new in the feed.
func (d *Directory) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	d.feedMu.Lock()
	defer d.feedMu.Unlock()
	began := time.Now()
	newest, err := d.cfg.Store.Sequence(ctx)
	if err != nil {
		return err
	}
	d.newest.Store(newest)
	if newest != d.applied.Load() {
		if err := d.follow(ctx, newest); err != nil {
			return err
		}
	}
	d.fresh.Store(began.UnixNano())
	return nil
}

// follow applies the feed up to newest, or forgets everything when the feed does not
// lead there: it was trimmed, or the store was replaced by an older one.
func (d *Directory) follow(ctx context.Context, newest int64) error {
	applied := d.applied.Load()
	if newest < applied || newest-applied > maxFeedBehind {
		d.startAfresh(newest)
		return nil
	}
	for applied < newest {
		changes, err := d.cfg.Store.Changes(ctx, applied, feedPage)
		if err != nil {
			return err
		}
		if len(changes) == 0 || changes[0].Sequence != applied+1 {
			d.startAfresh(newest)
			return nil
		}
		applied = changes[len(changes)-1].Sequence
		d.forget(changes)
		others := slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Kind == KindRevocation })
		d.pending.add(others)
		d.applied.Store(applied)
		d.changed.Store(time.Now().UnixNano())
		if len(others) < len(changes) {
			d.revoking.wake()
		}
	}
	return nil
}

func (d *Directory) startAfresh(newest int64) {
	d.cache.clear()
	d.pending.add([]Change{{}})
	d.applied.Store(newest)
	d.changed.Store(time.Now().UnixNano())
	d.revoking.wake()
}

// followOwn brings Applied up to a change of our own, whose keys are forgotten already.
// When the store does not answer just now, Run makes up for it.
func (d *Directory) followOwn(ctx context.Context, sequence int64) {
	if d.applied.Load() >= sequence {
		return
	}
	if err := d.look(context.WithoutCancel(ctx)); err != nil {
		d.cfg.Log.WarnContext(ctx, "the directory's change feed does not answer", "error", err)
	}
}

// forget drops from the cache what the changes may have made stale: answers under each
// key, and lists under each prefix of it.
func (d *Directory) forget(changes []Change) {
	for _, c := range changes {
		kind := cacheKind(c.Kind)
		for _, key := range c.Keys {
			d.cache.drop(cacheKey{c.Tenant, kind, key})
			for i := range len(key) {
				if key[i] == '/' {
					d.cache.drop(cacheKey{c.Tenant, kind, key[:i+1]})
				}
			}
		}
	}
}

// cacheKind is the kind under which answers made of such objects are kept. Applications
// and service principals share their app ids and names, and are answered together.
func cacheKind(kind string) string {
	return strings.Replace(kind, KindServicePrincipal, KindApplication, 1)
}

// pending holds changes until Run hands them to Config.OnChange.
type pending struct {
	mu      sync.Mutex
	changes []Change
	wanted  bool
	wake    chan struct{}
}

func (p *pending) add(changes []Change) {
	if !p.wanted || len(changes) == 0 {
		return
	}
	p.mu.Lock()
	p.changes = append(p.changes, changes...)
	if len(p.changes) > maxPending {
		p.changes = []Change{{}}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pending) take() []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	changes := p.changes
	p.changes = nil
	return changes
}

func (d *Directory) deliver() {
	for _, change := range d.pending.take() {
		d.cfg.OnChange(change)
	}
}

// Sequence returns the number of the newest change in the store.
func Sequence(ctx context.Context, d *Directory) (int64, error) { return d.cfg.Store.Sequence(ctx) }

// ChangedSince returns which objects of some kinds in a tenant were put or deleted after a
// sequence, in the order of their last change and at most limit of them (which is positive), and
// the sequence up to which that is so. ErrFeedTrimmed means that the store no longer has all changes
// since then: who follows them has to read everything anew.
func ChangedSince(ctx context.Context, d *Directory, tenant TenantID, since int64, limit int, kinds ...string) (changed []Change, next int64, err error) {
	newest, err := d.cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, 0, err
	}
	if since < 0 || since > newest || newest-since > maxFeedBehind {
		return nil, 0, ErrFeedTrimmed
	}
	tenant = fold(tenant)
	for next = since; next < newest; {
		changes, err := d.cfg.Store.Changes(ctx, next, feedPage)
		if err != nil {
			return nil, 0, err
		}
		if len(changes) == 0 || changes[0].Sequence != next+1 {
			return nil, 0, ErrFeedTrimmed
		}
		for _, change := range changes {
			if change.Tenant == string(tenant) && slices.Contains(kinds, change.Kind) {
				same := func(c Change) bool { return c.Kind == change.Kind && c.ID == change.ID }
				if known := slices.IndexFunc(changed, same); known >= 0 {
					changed = slices.Delete(changed, known, known+1)
				} else if len(changed) == limit {
					return changed, next, nil
				}
				changed = append(changed, change)
			}
			next = change.Sequence
		}
	}
	return changed, next, nil
}
