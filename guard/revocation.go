package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Revocations lets a guard follow what its authority takes away: a token that
// has not ended is refused (token_revoked) within seconds of its client being
// disabled or deleted, of the loss of an app role or scope that it carries, and of the
// revocation of the key that signed it. A client that is enabled again gets in
// with a token that it gets then.
//
// Entra tells nobody, so with an Authority of Entra nothing is followed. While
// an authority does not answer, what it has told before counts, and for
// Config.MaxKeyAge requests are decided without what it could tell.
type Revocations struct {
	// Token returns an access token for [RevocationScope] that the application
	// of this API itself has got: with its own secret, certificate or federated
	// credential. It is asked for one every half minute, so it should keep it.
	// Required.
	Token func(context.Context) (string, error)
}

// RevocationScope is what the application of an API asks its authority for, to
// read revocations.
const RevocationScope = "api://rolecall/.default"

// When revocations are asked for. The authority holds a request until there is
// something to tell.
const (
	revocationTimeout  = time.Minute
	revocationGap      = 500 * time.Millisecond // between two requests at least
	revocationIdle     = 2 * time.Second        // from one that was not held and told nothing
	revocationBackoff  = time.Second
	revocationWait     = 30 * time.Second // at most, after failures
	maxRevocationsSize = 16 << 20
	revocationsDepth   = 4
)

// check returns what is wrong with the settings.
func (r *Revocations) check(authority string) error {
	u, err := url.Parse(authority)
	switch {
	case r.Token == nil:
		return errors.New("Revocations has no Token: give a function that gets the API's own application a token for " + RevocationScope)
	case authority == "":
		return errors.New("Revocations needs Authority: the tenant whose revocations are followed")
	case err == nil && !inEntra(authority) && !isGUID(strings.ToLower(strings.Trim(u.Path, "/"))):
		return fmt.Errorf("Revocations are those of one tenant, and the Authority %q names none by its id", authority)
	}
	return nil
}

// A cutOff ends tokens that were issued before a time. It is of no use once
// the last of them has ended.
type cutOff struct{ before, until int64 }

// A holding is a role of a principal, or with no principal of all.
type holding struct{ principal, role string }

// A permission is a scope of a client for a user; empty fields mean all.
type permission struct{ client, principal, scope string }

// revoked is what was revoked. It is never changed.
type revoked struct {
	all        cutOff
	principals map[string]cutOff // by oid
	clients    map[string]cutOff // by appid or azp
	roles      map[holding]cutOff
	scopes     map[permission]cutOff
	keys       map[string]cutOff // by kid
}

// An event is one revocation, as the authority tells it.
type event struct {
	kind, principal, client, role, scope, key string
	cutOff
}

// with returns what is revoked after some more events, without what has ended.
func (r *revoked) with(events []event, now int64) *revoked {
	next := &revoked{principals: fresh(r.principals, now), clients: fresh(r.clients, now), roles: fresh(r.roles, now), scopes: fresh(r.scopes, now), keys: fresh(r.keys, now)}
	if r.all.until > now {
		next.all = r.all
	}
	for _, e := range events {
		if e.until <= now {
			continue
		}
		switch e.kind {
		case "principal":
			later(next.principals, e.principal, e.cutOff)
			later(next.clients, e.client, e.cutOff)
		case "assignment":
			later(next.roles, holding{e.principal, e.role}, e.cutOff)
		case "scope":
			later(next.scopes, permission{e.client, e.principal, e.scope}, e.cutOff)
		case "key":
			later(next.keys, e.key, e.cutOff)
		case "tenant":
			next.all = latest(next.all, e.cutOff)
		}
	}
	return next
}

func fresh[K comparable](old map[K]cutOff, now int64) map[K]cutOff {
	kept := make(map[K]cutOff, len(old))
	for key, c := range old {
		if c.until > now {
			kept[key] = c
		}
	}
	return kept
}

func later[K comparable](all map[K]cutOff, key K, c cutOff) {
	var none K
	if key != none {
		all[key] = latest(all[key], c)
	}
}

func latest(a, b cutOff) cutOff { return cutOff{max(a.before, b.before), max(a.until, b.until)} }

// ends says why a token counts no more, and from when another one would; an
// empty reason if it counts, and no time if only another key helps.
func (r *revoked) ends(c *Caller, kid string) (why string, before int64) {
	if _, gone := r.keys[kid]; gone {
		return "the key that signed it was revoked", 0
	}
	var issued int64
	if !c.IssuedAt.IsZero() {
		issued = c.IssuedAt.Unix()
	}
	note := func(cut cutOff, reason string) {
		if issued < cut.before && before < cut.before {
			why, before = reason, cut.before
		}
	}
	note(r.all, "its tenant was disabled after it was issued")
	note(r.clients[c.ClientID], "its client was disabled or deleted after it was issued")
	note(r.principals[c.ObjectID], "its principal was disabled or deleted, or its sessions were ended, after it was issued")
	for _, role := range c.Roles {
		note(r.roles[holding{c.ObjectID, role}], "its principal has lost a role after it was issued")
		note(r.roles[holding{"", role}], "one of its roles was disabled or removed after it was issued")
	}
	for _, scope := range c.Scopes {
		note(r.scopes[permission{c.ClientID, c.ObjectID, scope}], "its client has lost a scope after it was issued")
		note(r.scopes[permission{c.ClientID, "", scope}], "its client has lost a scope after it was issued")
		note(r.scopes[permission{"", "", scope}], "one of its scopes was disabled or removed after it was issued")
	}
	return why, before
}

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

// readRevocations reads an answer of the authority: what is new, and what to
// ask with next time.
func readRevocations(body []byte) (cursor string, events []event, err error) {
	document, err := token.ParseObject(body, revocationsDepth, len(body))
	if err != nil {
		return "", nil, err
	}
	v, _ := document.Get("cursor")
	next, ok := v.Integer()
	if !ok {
		return "", nil, fmt.Errorf("cursor is %s, not a number", shown(v))
	}
	v, _ = document.Get("events")
	all, ok := v.Elements()
	if !ok {
		return "", nil, fmt.Errorf("events is %s, not a list", shown(v))
	}
	for _, element := range all {
		members, ok := element.Object()
		if !ok {
			return "", nil, fmt.Errorf("an event is %s", shown(element))
		}
		e, err := readEvent(members)
		if err != nil {
			return "", nil, err
		}
		events = append(events, e)
	}
	return strconv.FormatInt(next, 10), events, nil
}

// readEvent reads one event. A kind that is not known here is of no effect.
func readEvent(members token.Object) (event, error) {
	var e event
	for name, text := range map[string]*string{"kind": &e.kind, "principal": &e.principal, "client": &e.client, "role": &e.role, "scope": &e.scope, "key": &e.key} {
		v, present := members.Get(name)
		var ok bool
		if *text, ok = v.String(); present && !ok {
			return e, fmt.Errorf("%s of an event is %s, not a text", name, shown(v))
		}
	}
	for name, number := range map[string]*int64{"before": &e.before, "until": &e.until} {
		v, present := members.Get(name)
		var ok bool
		if *number, ok = v.Integer(); present && !ok {
			return e, fmt.Errorf("%s of an event is %s, not a time", name, shown(v))
		}
	}
	return e, nil
}

// stands returns why a token that is otherwise good counts no more. A request
// that comes before the authority could be asked waits for that.
func (f *follower) stands(ctx context.Context, c *Caller, kid string, capable bool) *refusal {
	select {
	case <-f.asked:
	default:
		f.await(ctx)
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
func (f *follower) await(ctx context.Context) {
	timer := time.NewTimer(waitForFirst)
	defer timer.Stop()
	select {
	case <-f.asked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ready returns why nothing is known of what was revoked.
func (f *follower) ready(ctx context.Context) error {
	f.await(ctx)
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
