package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A follower keeps up with what an authority revokes.
type follower struct {
	address string
	tenant  string
	token   func(context.Context) (string, error)
	fetcher *fetcher
	maxAge  time.Duration
	clock   func() time.Time
	log     *slog.Logger
	refresh func() // fetches keys anew, because one was revoked

	revoked   atomic.Pointer[revoked]
	goodUntil atomic.Int64  // Unix time of clock from which what is known counts no more
	asked     chan struct{} // closed once the first request has ended

	mu      sync.Mutex // guards what follows
	cursor  string
	fetched time.Time // when the authority last told what there is
	failure error
}

// newFollower returns the follower of a configuration that is complete, or nil
// where nothing is followed.
func (g *Guard) newFollower() *follower {
	if g.cfg.Revocations == nil || inEntra(g.cfg.Authority) {
		return nil
	}
	u, err := url.Parse(g.cfg.Authority)
	if err != nil {
		return nil // which was refused before
	}
	tenant := strings.ToLower(strings.Trim(u.Path, "/"))
	f := &follower{
		address: token.Origin(u) + "/" + tenant + "/revocations", tenant: tenant, token: g.cfg.Revocations.Token, fetcher: g.issuers[0].keys.fetcher.patient(revocationTimeout),
		maxAge: g.cfg.MaxKeyAge, clock: g.cfg.Now, log: g.cfg.Log, asked: make(chan struct{}),
		refresh: func() {
			for _, i := range g.issuers {
				i.keys.refresh()
			}
		},
	}
	f.revoked.Store(&revoked{})
	f.goodUntil.Store(g.cfg.Now().Add(f.maxAge).Unix())
	return f
}

// run follows until the context ends.
func (f *follower) run(ctx context.Context) {
	var once sync.Once
	first := true
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		told, err := f.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := revocationGap - time.Since(began)
		if !told && !first {
			pause = revocationIdle - time.Since(began)
		}
		first = false
		if err != nil {
			pause = min(revocationWait, revocationBackoff<<min(failures, 10))
			pause += rand.N(pause / 4) //nolint:gosec // spreads load; nobody gains by guessing it
			failures++
		} else {
			failures = 0
		}
		f.note(err)
		once.Do(func() { close(f.asked) })
		if pause <= 0 {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// note keeps how the last request went, and logs where that has changed.
func (f *follower) note(err error) {
	f.mu.Lock()
	before := f.failure
	f.failure = err
	first := f.fetched.IsZero()
	if err == nil {
		f.fetched = time.Now().Round(0)
	}
	f.mu.Unlock()
	switch {
	case err != nil && before == nil:
		f.log.Warn("follow revocations", "error", err, "goes_on_for", f.maxAge)
	case err == nil && (before != nil || first):
		f.log.Info("follow revocations", "authority", f.address)
	}
}

// ask asks what is new and takes it in. It reports whether there was anything.
func (f *follower) ask(ctx context.Context) (told bool, err error) {
	raw, err := f.token(ctx)
	if err != nil {
		return false, fmt.Errorf("get a token for %s: %w", RevocationScope, err)
	}
	if !isB64Token(raw) {
		return false, errors.New("Revocations.Token has returned something that is not a token")
	}
	began := f.clock()
	body, err := f.get(ctx, raw)
	if err != nil {
		return false, err
	}
	cursor, events, err := readRevocations(body)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", f.address, err)
	}
	f.revoked.Store(f.revoked.Load().with(events, f.clock().Unix()))
	f.goodUntil.Store(began.Add(f.maxAge).Unix())
	f.mu.Lock()
	f.cursor = cursor
	f.mu.Unlock()
	for _, e := range events {
		f.log.Info("token revocation", "kind", e.kind, "principal", oneLine(e.principal, maxShown), "client", oneLine(e.client, maxShown),
			"role", oneLine(e.role, maxShown), "scope", oneLine(e.scope, maxShown), "key", oneLine(e.key, maxShown), "issued_before", clock(e.before))
		if e.kind == "key" {
			f.refresh()
		}
	}
	return len(events) > 0, nil
}

// get asks the authority, which answers when there is something to tell.
func (f *follower) get(ctx context.Context, raw string) ([]byte, error) {
	f.mu.Lock()
	address := f.address
	if f.cursor != "" {
		address += "?since=" + f.cursor
	}
	f.mu.Unlock()
	body, err := f.fetcher.getAs(ctx, address, raw, maxRevocationsSize)
	var status *statusError
	if errors.As(err, &status) && status.status == 401 {
		err = fmt.Errorf("%w: the token of Revocations.Token is not one that the API's own application got for %s in this tenant", err, RevocationScope)
	}
	return body, err
}

// stands returns why a token that is otherwise good counts no more. A request
// that comes before the authority could be asked waits for that.
func (f *follower) stands(ctx context.Context, c *Caller, kid string, capable bool) *refusal {
	select {
	case <-f.asked:
	default:
		f.await(ctx, waitForFirst)
	}
	if f.clock().Unix() >= f.goodUntil.Load() {
		state := f.state()
		r := fail(RevocationsUnavailable, fixForFetch(state.Err), "revocations could not be read since %s: %v", state.since(), state.Err)
		r.retryAfter = revocationWait
		return r
	}
	if c.TenantID != f.tenant {
		return nil
	}
	why, before := f.revoked.Load().ends(c, kid)
	if why == "" {
		return nil
	}
	r := fail(TokenRevoked, "Get a new token. If the authority issues none, the client was disabled or deleted there.", "%s", why)
	if capable {
		r.newer = before
	}
	return r
}

// await waits for the first request to end, but not for ever.
func (f *follower) await(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-f.asked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ready returns why nothing is known of what was revoked.
func (f *follower) ready(ctx context.Context) error {
	f.await(ctx, 2*fetchTimeout)
	state := f.state()
	if state.Fetched.IsZero() {
		if state.Err == nil {
			return errors.New("revocations could not be read yet")
		}
		return fmt.Errorf("revocations: %w", state.Err)
	}
	return nil
}

// A RevocationState says how a guard stands with the revocations of its
// authority.
type RevocationState struct {
	Followed bool      // whether there are any to follow: see [Revocations]
	Fetched  time.Time // when the authority last said what there is; zero if never
	Err      error     // why it could not be asked last time; nil if it could
}

func (s RevocationState) since() string {
	if s.Fetched.IsZero() {
		return "the start"
	}
	return s.Fetched.UTC().Format(time.RFC3339)
}

func (f *follower) state() RevocationState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return RevocationState{Followed: true, Fetched: f.fetched, Err: f.failure}
}

// Revocations says how the guard stands with the revocations of its authority,
// for metrics and health checks. It asks nobody.
func (g *Guard) Revocations() RevocationState {
	if g.follower == nil {
		return RevocationState{}
	}
	return g.follower.state()
}
