package keyring

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Defaults of a [Config].
const (
	// DefaultPublishAhead is twice the day for which validators cache keys.
	DefaultPublishAhead = 48 * time.Hour
	// DefaultRetain is the longest lifetime of a token, a day, and an hour for nodes that
	// learn of a rotation late.
	DefaultRetain      = 25 * time.Hour
	DefaultRotateEvery = 90 * 24 * time.Hour
	DefaultPoll        = time.Minute
	DefaultSubject     = "Rolecall token signing"
)

// staleRetry is the time after a failed look for another node's change before the next one.
const staleRetry = time.Second

// A Store keeps one body for each tenant and counts its versions.
type Store interface {
	// Keyring returns a tenant's body with its version; nil and 0 when there is none.
	Keyring(ctx context.Context, tenant string) (body []byte, version int64, err error)
	// SetKeyring replaces the body if it still has that version, and records the change in
	// the audit trail: the event says who, what and what changed, and the store adds the rest.
	// Revoked is the id of a key that was revoked; empty: none was.
	SetKeyring(ctx context.Context, tenant string, version int64, body []byte, change audit.Event, revoked string) error
}

// Config says what a [Ring] works with.
type Config struct {
	Store Store // required
	KEK   *KEK  // required
	// PublishAhead is how long a key must have been published before it signs. Zero
	// means [DefaultPublishAhead].
	PublishAhead time.Duration
	// Retain is how long a key stays published after its last signature: a little more than
	// the longest lifetime of a token. Zero means [DefaultRetain].
	Retain time.Duration
	// RotateEvery is the age at which Run replaces a current key. Zero means
	// [DefaultRotateEvery], a negative value never.
	RotateEvery time.Duration
	// Poll is how often Run looks for changes made by other nodes. Zero means [DefaultPoll].
	Poll    time.Duration
	Subject string           // common name in certificates; empty means [DefaultSubject]
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil means discard
	// NewKey makes a private key. Nil means a fresh RSA key of 2048 bits.
	NewKey func() (*rsa.PrivateKey, error)
}

// A Ring gives out the signing keys of all tenants. It is safe for concurrent use, and
// any number of them, in any number of processes, may share one store.
type Ring struct {
	cfg     Config
	tenants sync.Map // tenant → *holder
}

// New checks the configuration and returns a ring. It reads nothing and starts nothing.
func New(cfg Config) (*Ring, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("keyring: Store is missing")
	case cfg.KEK == nil:
		return nil, errors.New("keyring: KEK is missing: signing keys are not stored unsealed")
	case cfg.PublishAhead < 0:
		return nil, fmt.Errorf("keyring: PublishAhead is %v: give 0 (for %v) or more", cfg.PublishAhead, DefaultPublishAhead)
	case cfg.Retain < 0:
		return nil, fmt.Errorf("keyring: Retain is %v: give 0 (for %v) or more", cfg.Retain, DefaultRetain)
	case cfg.Poll < 0:
		return nil, fmt.Errorf("keyring: Poll is %v: give 0 (for %v) or more", cfg.Poll, DefaultPoll)
	}
	setDefault(&cfg.PublishAhead, DefaultPublishAhead)
	setDefault(&cfg.Retain, DefaultRetain)
	setDefault(&cfg.RotateEvery, DefaultRotateEvery)
	setDefault(&cfg.Poll, DefaultPoll)
	setDefault(&cfg.Subject, DefaultSubject)
	if cfg.RotateEvery > 0 && cfg.RotateEvery < cfg.PublishAhead {
		return nil, fmt.Errorf("keyring: RotateEvery is %v, shorter than PublishAhead (%v): no key would be published long enough before it signs", cfg.RotateEvery, cfg.PublishAhead)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.NewKey == nil {
		cfg.NewKey = newKey
	}
	return &Ring{cfg: cfg}, nil
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// String names the type. A ring holds keys, so it does not print itself.
func (r *Ring) String() string { return "keyring.Ring" }

// A holder is what this process has in memory of one tenant.
type holder struct {
	// lock is full while someone reads or writes the store, so that a tenant is loaded once
	// for all who wait. It is a channel because waiting respects a context.
	lock     chan struct{}
	snapshot atomic.Pointer[snapshot] // replaced whole
	stale    atomic.Bool              // another node has changed the ring
}

// A snapshot is a ring ready for use. It never changes.
type snapshot struct {
	version   int64
	document  document
	signer    *token.Signer
	published []token.Key
	infos     []KeyInfo
}

func (r *Ring) holder(tenant string) *holder {
	if h, ok := r.tenants.Load(tenant); ok {
		return h.(*holder)
	}
	h, _ := r.tenants.LoadOrStore(tenant, &holder{lock: make(chan struct{}, 1)})
	return h.(*holder)
}

func (h *holder) acquire(ctx context.Context) error {
	select {
	case h.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *holder) release() { <-h.lock }

// Signer returns the signer with the tenant's current key. A tenant without keys gets them. Once
// the ring is in memory, it reads no store and takes no lock.
func (r *Ring) Signer(ctx context.Context, tenant string) (*token.Signer, error) {
	s, err := r.ready(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.signer, nil
}

// Published returns the tenant's public keys: the current one, the next one, and the
// retired ones, newest first. A tenant without keys gets them. The caller fills in
// the issuer.
func (r *Ring) Published(ctx context.Context, tenant string) ([]token.Key, error) {
	s, err := r.ready(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.published), nil
}

// LastRevoked returns when a key of the tenant was last revoked, as far as memory knows: the zero
// time for never. Those who have asked for its keys have brought it there.
func (r *Ring) LastRevoked(tenant string) time.Time {
	if s := r.holder(tenant).snapshot.Load(); s != nil {
		return s.document.Revoked
	}
	return time.Time{}
}

// Present is Published for a ring that nothing was signed with yet: it makes none, and returns
// no keys then.
func (r *Ring) Present(ctx context.Context, tenant string) ([]token.Key, error) {
	h := r.holder(tenant)
	if h.snapshot.Load() == nil {
		if err := r.Refresh(ctx, tenant); err != nil {
			return nil, err
		}
		if h.snapshot.Load() == nil {
			return nil, nil
		}
	}
	return r.Published(ctx, tenant)
}

// List describes the tenant's keys in the order of [Ring.Published], as they are in the store
// now. It makes none.
func (r *Ring) List(ctx context.Context, tenant string) ([]KeyInfo, error) {
	if err := r.Refresh(ctx, tenant); err != nil {
		return nil, err
	}
	if s := r.holder(tenant).snapshot.Load(); s != nil {
		return slices.Clone(s.infos), nil
	}
	return nil, nil
}

// ready returns a ring that can sign, from memory if possible.
func (r *Ring) ready(ctx context.Context, tenant string) (*snapshot, error) {
	h := r.holder(tenant)
	s := h.snapshot.Load()
	if s == nil {
		return r.ensure(ctx, tenant)
	}
	if !h.stale.Load() || !h.stale.CompareAndSwap(true, false) {
		return s, nil
	}
	if err := r.Refresh(ctx, tenant); err != nil {
		// Tokens are signed with the keys in memory, but one of them may have been revoked.
		time.AfterFunc(staleRetry, func() { h.stale.Store(true) })
		r.cfg.Log.WarnContext(ctx, "key ring not reloaded", "tenant", tenant, "err", err)
		return s, nil
	}
	if s = h.snapshot.Load(); s == nil {
		return r.ensure(ctx, tenant)
	}
	return s, nil
}

// Forget says that another node has changed one of a tenant's rings, which have the tenant's name,
// or that, a slash and a name of their own: their next use reads the store. The keys in memory
// stay in use if the store does not answer.
func (r *Ring) Forget(tenant string) {
	for key, h := range r.tenants.Range {
		if owner, _, _ := strings.Cut(key.(string), "/"); owner == tenant {
			h.(*holder).stale.Store(true)
		}
	}
}

// Refresh reads a tenant's ring from the store.
func (r *Ring) Refresh(ctx context.Context, tenant string) error {
	h := r.holder(tenant)
	if err := h.acquire(ctx); err != nil {
		return err
	}
	defer h.release()
	_, err := r.reload(ctx, tenant, h)
	return err
}

// reload reads the store and replaces the snapshot if the ring has changed. It returns
// nil when the store has no ring. The caller holds the lock.
func (r *Ring) reload(ctx context.Context, tenant string, h *holder) (*snapshot, error) {
	h.stale.Store(false) // before reading: a later change is seen next time
	body, version, err := r.cfg.Store.Keyring(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read key ring of tenant %s: %w", tenant, err)
	}
	old := h.snapshot.Load()
	if len(body) == 0 {
		h.snapshot.Store(nil)
		return nil, nil
	}
	if old != nil && old.version == version {
		return old, nil
	}
	doc, err := unseal(r.cfg.KEK, tenant, body)
	if err != nil {
		return nil, fmt.Errorf("key ring of tenant %s: %w", tenant, err)
	}
	if old != nil && doc.Revision < old.document.Revision {
		return nil, fmt.Errorf("key ring of tenant %s: the store has revision %d after revision %d was seen: if a backup was restored on purpose, restart", tenant, doc.Revision, old.document.Revision)
	}
	s, err := newSnapshot(version, doc)
	if err != nil {
		return nil, fmt.Errorf("key ring of tenant %s: %w", tenant, err)
	}
	h.snapshot.Store(s)
	return s, nil
}

// newSnapshot loads every key and proves that the current one signs.
func newSnapshot(version int64, doc document) (*snapshot, error) {
	s := &snapshot{version: version, document: doc}
	for _, e := range doc.inOrder() {
		key, err := load(e)
		if err != nil {
			return nil, err
		}
		if e.State == Current {
			if err := key.check(); err != nil {
				return nil, err
			}
			s.signer = key.signer
		}
		s.published = append(s.published, key.published)
		s.infos = append(s.infos, e.info())
	}
	if s.signer == nil {
		return nil, errors.New("it has no current key")
	}
	return s, nil
}

// inOrder returns the current key, the next one, then retired ones, newest first.
func (d document) inOrder() []entry {
	rank := map[State]int{Current: 0, Next: 1, Retired: 2}
	keys := slices.Clone(d.Keys)
	slices.SortStableFunc(keys, func(a, b entry) int {
		if c := rank[a.State] - rank[b.State]; c != 0 {
			return c
		}
		return b.Retired.Compare(a.Retired)
	})
	return keys
}
