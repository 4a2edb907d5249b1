package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// Config says what a Directory works with.
type Config struct {
	Store Store // required
	// SecretKey keys the digests of client secrets: 32 bytes, derived from the
	// key-encryption key and never kept in the store. Required.
	SecretKey []byte
	// Audit makes the rows of the audit log by a key derived from the key-encryption key. The
	// zero one leaves them without.
	Audit audit.Signer
	// SlowHash is what a digest of a chosen secret or password costs. Zero is what an
	// installation needs; tests in which the hash is not the subject take CheapHash.
	SlowHash HashCost
	// CacheBytes bounds the in-memory view. Zero means 64 MiB.
	CacheBytes int64
	// Poll is how often Run looks at the change feed. Zero means 100 ms.
	Poll time.Duration
	// OnChange is told each change in the feed, from any process, by Run and in order, but for
	// revocations, of which Revocations tells;
	// a zero Change says that any number of changes were missed. It must not block for long.
	OnChange func(Change)
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil means discard
}

const (
	secretKeySize     = 32
	defaultCacheBytes = 64 << 20
)

// A Directory answers questions about, and makes changes to, what a store keeps. It is
// safe for concurrent use. What it returns is shared: read it, never write to it.
//
// Answers come from memory once they were asked for; the store is only asked for what
// is not there. When it does not answer, what is in memory still holds, and the rest is
// an error that is never ErrNotFound.
type Directory struct {
	cfg     Config
	cache   *cache
	secrets *secrets

	feedMu    sync.Mutex   // held while the feed is followed
	applied   atomic.Int64 // sequence; written under feedMu
	fresh     atomic.Int64 // Unix nanoseconds
	changed   atomic.Int64 // Unix nanoseconds
	newest    atomic.Int64 // sequence that the store was last seen to have
	refreshes refreshes
	pending   pending
	revoking  signal
}

// Open returns a directory on a store. It starts nothing; see Run. What an older version has
// kept is brought into this one's form first.
func Open(ctx context.Context, cfg Config) (*Directory, error) {
	if cfg.Store == nil {
		return nil, errors.New("directory: Config.Store is nil; open one with package sqlite or memory")
	}
	if len(cfg.SecretKey) != secretKeySize {
		return nil, fmt.Errorf("directory: Config.SecretKey has %d bytes; it takes %d, derived from the key-encryption key", len(cfg.SecretKey), secretKeySize)
	}
	if cfg.CacheBytes < 0 || cfg.Poll < 0 {
		return nil, errors.New("directory: Config.CacheBytes and Config.Poll cannot be negative; leave them zero for the defaults")
	}
	if err := cfg.SlowHash.check(); err != nil {
		return nil, err
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = defaultCacheBytes
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{cfg: cfg, cache: newCache(cfg.CacheBytes), secrets: newSecrets(cfg.SecretKey, cfg.SlowHash)}
	d.pending.wanted, d.pending.wake = cfg.OnChange != nil, make(chan struct{}, 1)
	if err := (keyRenewal{cfg.Store, cfg.Log}).run(ctx); err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	sequence, err := cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	d.applied.Store(sequence)
	d.newest.Store(sequence)
	d.fresh.Store(time.Now().UnixNano())
	return d, nil
}

// now is the time as it is kept.
func (d *Directory) now() time.Time { return stamp(d.cfg.Now()) }

// stamp is a time in the form in which it survives being stored.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Stats is what a directory tells of itself, for metrics.
type Stats struct {
	Entries   int   // answers in memory, also those that there is nothing
	Bytes     int64 // that they take, roughly
	Hits      uint64
	Misses    uint64
	Evictions uint64 // for want of room
	Applied   int64  // sequence of the newest change taken in
	Behind    int64  // changes that the store was last seen to have beyond that
	Fresh     time.Time
}

// Stats counts since Open, except what is the case now.
func (d *Directory) Stats() Stats {
	s := Stats{Applied: d.Applied(), Fresh: d.Fresh()}
	s.Behind = max(d.newest.Load()-s.Applied, 0)
	d.cache.count(&s)
	return s
}

// AddSignIns keeps sign-in rows, all or none.
func (d *Directory) AddSignIns(ctx context.Context, rows []SignIn) error {
	if len(rows) == 0 {
		return nil
	}
	return d.cfg.Store.AppendSignIns(ctx, rows)
}

// SignIns returns the newest rows first that the filter keeps.
func (d *Directory) SignIns(ctx context.Context, filter SignInFilter) ([]SignIn, error) {
	return d.cfg.Store.SignIns(ctx, filter)
}

// AuditRows returns at most limit rows of the audit chain after a sequence, oldest
// first; VerifyAudit tells whether they are whole.
func (d *Directory) AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	return d.cfg.Store.AuditRows(ctx, after, limit)
}

// AuditRowsBefore returns at most limit rows of the audit chain before a sequence (0: its end),
// newest first.
func AuditRowsBefore(ctx context.Context, d *Directory, before int64, limit int) ([]audit.Row, error) {
	if before == 0 {
		end, err := auditEnd(ctx, d)
		if err != nil {
			return nil, err
		}
		before = end + 1
	}
	after := max(before-1-int64(limit), 0)
	if before-1 <= after {
		return nil, nil
	}
	rows, err := d.cfg.Store.AuditRows(ctx, after, int(before-1-after))
	slices.Reverse(rows)
	return rows, err
}

// auditEnd is the sequence of the last row. A chain that nobody signs has no head, and is read.
func auditEnd(ctx context.Context, d *Directory) (int64, error) {
	head, err := d.cfg.Store.AuditHead(ctx)
	if err != nil || head.Sequence > 0 {
		return head.Sequence, err
	}
	const chunk = 1000
	for {
		rows, err := d.cfg.Store.AuditRows(ctx, head.Sequence, chunk)
		if err != nil {
			return 0, err
		}
		if len(rows) > 0 {
			head.Sequence = rows[len(rows)-1].Sequence
		}
		if len(rows) < chunk {
			return head.Sequence, nil
		}
	}
}

// VerifyAudit reads the whole audit log and returns an error that says what was done to it,
// if anything: audit.ErrUnsigned where nobody has signed it yet.
func (d *Directory) VerifyAudit(ctx context.Context) (audit.Report, error) {
	return d.cfg.Audit.Verify(
		func() (audit.Head, error) { return d.cfg.Store.AuditHead(ctx) },
		func(after int64, limit int) ([]audit.Row, error) { return d.cfg.Store.AuditRows(ctx, after, limit) },
	)
}

// AdoptAudit signs an audit log of an older version as it is, by a row that says so, and
// reports how many rows it had. One that is signed, or was changed, is left alone.
func (d *Directory) AdoptAudit(ctx context.Context) (adopted int64, err error) {
	if head, err := d.cfg.Store.AuditHead(ctx); err != nil || len(head.Code) != 0 {
		return 0, err
	}
	report, err := d.VerifyAudit(ctx)
	if !errors.Is(err, audit.ErrUnsigned) {
		return 0, err
	}
	_, err = d.cfg.Store.Update(ctx, func(tx Tx) error {
		return tx.Audit(ctx, d.cfg.Audit, audit.Event{
			Time: d.now(), Actor: "directory", ActorKind: string(ActorSystem), Action: "audit.sign", Kind: "audit", Target: "audit",
			Detail: fmt.Sprintf("the %d rows before this one were written without a key", report.Rows),
		})
	})
	return report.Rows, err
}
