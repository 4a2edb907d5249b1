package directory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// What a store answers besides success. Stores return them wrapped or bare; compare with errors.Is.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("changed by someone else meanwhile")
	ErrDuplicate = errors.New("already taken")
)

// ErrDamaged says that a store can no longer be read as it was written: a failing disk, a
// copy made while it was written to, or another program's hand. What it answers meanwhile
// may be wrong, so the way on is a backup, not another attempt.
var ErrDamaged = errors.New("the store is damaged")

// ErrReplaced says that a store's file is gone from its place, or is another one now.
var ErrReplaced = errors.New("the store is no longer in its place")

// ErrReadOnly says that a store is open for reading alone, because its place cannot be
// written.
var ErrReadOnly = errors.New("the store cannot be written")

// An Object is a row of the store: a JSON document with a version and the keys it is
// found by. The store knows nothing of what is in the body.
type Object struct {
	Tenant  string // "" for objects above tenants
	Kind    string // "application", "servicePrincipal", "assignment", …
	ID      string
	Version int64 // 0 before it is first put; the store counts up
	Body    []byte
	// Keys are unique within (Tenant, Kind) and ordered by their bytes. Parts are
	// separated by '/': objects are listed by any prefix that ends in one. Keys are
	// UTF-8 without NUL and line breaks.
	Keys []string
}

// A Change says that an object was put or deleted, and every key it had before or after.
type Change struct {
	Sequence int64 // 1, 2, 3 … without gaps; a store may forget old ones
	Tenant   string
	Kind     string
	ID       string
	Keys     []string
}

// A Reader reads objects as of one moment.
type Reader interface {
	// Get returns the object with the id, or ErrNotFound.
	Get(ctx context.Context, tenant, kind, id string) (Object, error)
	// Lookup returns the object that has the key, or ErrNotFound.
	Lookup(ctx context.Context, tenant, kind, key string) (Object, error)
	// List returns at most limit objects with a key that starts with prefix and sorts
	// after the key `after`, in the order of those keys, together with those keys. An
	// object with several such keys occurs once for each. Limit 0 means no limit.
	List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]Object, []string, error)
}

// A TokenRecordReader reads token records, which stand beside the objects: the feed and
// its sequence know nothing of them.
type TokenRecordReader interface {
	// TokenRecord returns a record, expired or not, or ErrNotFound.
	TokenRecord(ctx context.Context, tenant TenantID, kind TokenRecordKind, id string) (TokenRecord, error)
	// HasExpiredTokenRecords reports whether a record of any tenant had ended by a time.
	HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error)
}

// A TokenRecordTx changes token records within a transaction.
type TokenRecordTx interface {
	TokenRecordReader
	// PutTokenRecord creates (Version 0) or replaces (Version as read) a record and
	// returns its new version, or ErrConflict when the version is no longer the stored one.
	PutTokenRecord(ctx context.Context, record TokenRecord) (int64, error)
	// DeleteTokenRecord removes a record, or returns ErrNotFound.
	DeleteTokenRecord(ctx context.Context, tenant TenantID, kind TokenRecordKind, id string) error
	// DropTokenRecords removes the records of a tenant that belong together and says how
	// many there were.
	DropTokenRecords(ctx context.Context, tenant TenantID, by RecordSet, value string) (dropped int, err error)
	// SweepTokenRecords removes at most limit records that had ended by a time.
	SweepTokenRecords(ctx context.Context, by time.Time, limit int) error
}

// A RecordSet says which token records of a tenant fall together.
type RecordSet int

// The sets: the records of a family, those whose client or user has an object id, and all
// of a tenant, for which there is no value.
const (
	RecordsOfFamily RecordSet = iota + 1
	RecordsOfOwner
	RecordsOfTenant
)

// A Tx reads and writes within one serialisable transaction.
type Tx interface {
	Reader
	TokenRecordTx
	// Put creates (Version 0) or replaces (Version as read) an object and its keys, and
	// notes the change in the feed. It returns the new version, ErrConflict when the
	// version is no longer the stored one, or ErrDuplicate (wrapped, naming the key) when
	// another object has one of the keys.
	Put(ctx context.Context, object Object) (int64, error)
	// Delete removes an object of that version with its keys.
	Delete(ctx context.Context, tenant, kind, id string, version int64) error
	// Audit appends an event to the chain, by the signer, and replaces the chain's head.
	Audit(ctx context.Context, signer audit.Signer, event audit.Event) error
}

// A Store keeps objects, keys, the change feed, token records, the audit chain and
// sign-ins. Every engine is held to the contract of package storetest.
type Store interface {
	Reader
	TokenRecordReader
	// Update runs f in a transaction: all of it is durable when Update returns nil,
	// nothing of it happened otherwise, and then f's error is returned as it is.
	// Transactions run one after another; readers outside are not held up and see the
	// state before. The sequence is that of the newest change in the store.
	Update(ctx context.Context, f func(Tx) error) (sequence int64, err error)
	// TenantsWith returns the tenants, sorted, in which an object of the kind has the key. It
	// costs one look, however many tenants there are.
	TenantsWith(ctx context.Context, kind, key string) ([]TenantID, error)
	// Sequence returns the number of the newest change; cheap enough to ask often.
	Sequence(ctx context.Context) (int64, error)
	// Changes returns at most limit changes after a sequence, oldest first.
	Changes(ctx context.Context, after int64, limit int) ([]Change, error)
	// AuditRows returns at most limit rows of the chain after a sequence, oldest first.
	AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error)
	// AuditHead returns the signed end of the chain, a zero one before the first signed row.
	AuditHead(ctx context.Context) (audit.Head, error)
	// AppendSignIns keeps sign-in rows, all or none. A store keeps a number of them that it is
	// told; beyond it the oldest of the tenants with the most rows go, so that nobody pushes out
	// another tenant's: see SignInLevel.
	AppendSignIns(ctx context.Context, rows []SignIn) error
	// SignIns returns the newest rows first that the filter keeps.
	SignIns(ctx context.Context, filter SignInFilter) ([]SignIn, error)
	Close() error
}

// SignInLevel returns how many rows a tenant may keep so that all tenants together keep at most
// total; the counts are their rows. Tenants with fewer rows keep all of theirs.
func SignInLevel(counts []int, total int) int {
	slices.Sort(counts)
	left := total
	for i, count := range counts {
		if share := left / (len(counts) - i); count > share {
			return share
		}
		left -= count
	}
	return total // all have fewer
}

// DefaultSignIns is how many sign-in rows a store keeps unless it is told another number.
const DefaultSignIns = 100_000

// A SignInFilter chooses sign-ins; zero fields choose all.
type SignInFilter struct {
	Tenant        TenantID
	AppID         AppID
	CorrelationID string // or its beginning
	FailuresOnly  bool
	Since         time.Time // to the second; the zero time means from the first one on
	User          string    // principal name of the user who took part, in any case
	Limit         int       // zero means 100
}

// Keeps reports whether the filter, its limit aside, chooses the row.
func (f SignInFilter) Keeps(row SignIn) bool {
	return (f.Tenant == "" || f.Tenant == row.Tenant) &&
		(f.AppID == "" || f.AppID == row.AppID) &&
		strings.HasPrefix(row.CorrelationID, f.CorrelationID) &&
		(!f.FailuresOnly || row.Refused()) &&
		!row.Time.Before(f.Since.Truncate(time.Second)) &&
		(f.User == "" || strings.EqualFold(f.User, row.User))
}

// MergeKeys returns the keys of both lists, each once and sorted: those of a Change.
func MergeKeys(before, after []string) []string {
	all := slices.Concat(before, after)
	slices.Sort(all)
	return slices.Compact(all)
}
