package memory

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	keptChanges = 100_000 // older ones are forgotten; a reader that far behind starts afresh
)

// A Store keeps a directory in memory. It is safe for concurrent use.
type Store struct {
	seed    maphash.Seed
	current atomic.Pointer[state]
	writing chan struct{} // holds one token while a transaction runs
	closed  atomic.Bool

	signInsMu sync.Mutex
	signIns   []directory.SignIn // oldest first
	kept      int                // sign-ins
}

// A state is everything as of one moment; it is never changed once published.
type state struct {
	objects    tree[directory.Object]      // by objectKey
	keys       tree[string]                // by lookupKey: the object's id
	records    tree[directory.TokenRecord] // by recordKey
	recordSets tree[string]                // by setKeys: the record's key
	sequence   int64
	changes    []directory.Change
	audit      []audit.Row
	auditHead  audit.Head
}

var _ directory.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	s := &Store{seed: maphash.MakeSeed(), writing: make(chan struct{}, 1), kept: directory.DefaultSignIns}
	s.current.Store(&state{})
	return s
}

var errClosed = errors.New("the store is closed")

// view returns the present state, unless the context or the store has ended.
func (s *Store) view(ctx context.Context) (*state, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, errClosed
	}
	return s.current.Load(), nil
}

// Get returns the object with the id, or directory.ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	v, err := s.view(ctx)
	if err != nil {
		return directory.Object{}, err
	}
	return v.get(tenant, kind, id)
}

// Lookup returns the object that has the key, or directory.ErrNotFound.
func (s *Store) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	v, err := s.view(ctx)
	if err != nil {
		return directory.Object{}, err
	}
	return v.lookup(tenant, kind, key)
}

// List returns the objects with a key of that prefix, in the order of their keys.
func (s *Store) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, nil, err
	}
	return v.list(tenant, kind, prefix, after, limit)
}

// TenantsWith returns the tenants in which an object of the kind has the key.
func (s *Store) TenantsWith(ctx context.Context, kind, key string) ([]directory.TenantID, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	var tenants []directory.TenantID
	wanted := lookupKey("", kind, key)
	v.keys.ascend("", func(key, _ string) bool {
		if tenant, found := strings.CutSuffix(key, wanted); found {
			tenants = append(tenants, directory.TenantID(tenant))
		}
		return true
	})
	return tenants, nil
}

// Sequence returns the number of the newest change.
func (s *Store) Sequence(ctx context.Context) (int64, error) {
	v, err := s.view(ctx)
	if err != nil {
		return 0, err
	}
	return v.sequence, nil
}

// Changes returns at most limit changes after a sequence, oldest first.
func (s *Store) Changes(ctx context.Context, after int64, limit int) ([]directory.Change, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(v.changes, after, func(c directory.Change, n int64) int { return int(c.Sequence - n) })
	if found {
		i++
	}
	return slices.Clone(bounded(v.changes[i:], limit)), nil
}

// AuditHead returns the signed end of the audit chain.
func (s *Store) AuditHead(ctx context.Context) (audit.Head, error) {
	v, err := s.view(ctx)
	if err != nil {
		return audit.Head{}, err
	}
	return v.auditHead, nil
}

// AuditRows returns at most limit rows of the chain after a sequence, oldest first.
func (s *Store) AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	after = min(max(after, 0), int64(len(v.audit)))
	return slices.Clone(bounded(v.audit[after:], limit)), nil
}

// Update runs f in a transaction. Transactions run one after another; readers outside
// see the state before until f has returned nil.
func (s *Store) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	before, err := s.view(ctx)
	if err != nil {
		return 0, err
	}
	t := &tx{seed: s.seed, state: *before}
	if err := f(t); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(t.state.changes) > 2*keptChanges {
		t.state.changes = slices.Clone(t.state.changes[len(t.state.changes)-keptChanges:])
	}
	s.current.Store(&t.state)
	return t.state.sequence, nil
}

// KeepSignIns says how many sign-in rows are kept; a tenth more may be there at times. It is
// called before the store is used.
func (s *Store) KeepSignIns(n int) { s.kept = n }

// AppendSignIns keeps sign-in rows, and forgets the oldest of the tenants with the most.
func (s *Store) AppendSignIns(ctx context.Context, rows []directory.SignIn) error {
	if _, err := s.view(ctx); err != nil {
		return err
	}
	s.signInsMu.Lock()
	defer s.signInsMu.Unlock()
	s.signIns = append(s.signIns, rows...)
	if len(s.signIns) > s.kept+s.kept/10 {
		s.signIns = newestOfEach(s.signIns, s.kept)
	}
	return nil
}

// newestOfEach returns at most kept rows, the newest of each tenant.
func newestOfEach(rows []directory.SignIn, kept int) []directory.SignIn {
	counts := map[directory.TenantID]int{}
	for _, row := range rows {
		counts[row.Tenant]++
	}
	level := directory.SignInLevel(slices.Collect(maps.Values(counts)), kept)
	var newest []directory.SignIn // a new array, for readers have the old one
	for _, row := range rows {
		if counts[row.Tenant]--; counts[row.Tenant] < level {
			newest = append(newest, row)
		}
	}
	return newest
}

// SignIns returns the newest rows first that the filter keeps.
func (s *Store) SignIns(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	if _, err := s.view(ctx); err != nil {
		return nil, err
	}
	s.signInsMu.Lock()
	rows := bounded(s.signIns, len(s.signIns))
	s.signInsMu.Unlock()
	limit := filter.Limit
	if limit <= 0 {
		limit = 100
	}
	var kept []directory.SignIn
	for _, row := range slices.Backward(rows) {
		if len(kept) == limit {
			break
		}
		if filter.Keeps(row) {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

// Close makes every later call fail.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// A NUL cannot occur in a tenant id or a kind, and keys are compared behind both, so
// joined keys sort as their parts do.
func objectKey(tenant, kind, id string) string  { return tenant + "\x00" + kind + "\x00" + id }
func lookupKey(tenant, kind, key string) string { return tenant + "\x00" + kind + "\x00" + key }

func (v *state) get(tenant, kind, id string) (directory.Object, error) {
	object, ok := v.objects.get(objectKey(tenant, kind, id))
	if !ok {
		return directory.Object{}, fmt.Errorf("%s %s: %w", kind, id, directory.ErrNotFound)
	}
	return object, nil
}

func (v *state) lookup(tenant, kind, key string) (directory.Object, error) {
	id, ok := v.keys.get(lookupKey(tenant, kind, key))
	if !ok {
		return directory.Object{}, fmt.Errorf("%s %s: %w", kind, key, directory.ErrNotFound)
	}
	return v.get(tenant, kind, id)
}

func (v *state) list(tenant, kind, prefix, after string, limit int) (objects []directory.Object, keys []string, err error) {
	if !strings.HasSuffix(prefix, "/") {
		return nil, nil, fmt.Errorf("list %s: the prefix %q does not end in a slash", kind, prefix)
	}
	space := lookupKey(tenant, kind, "")
	v.keys.ascend(space+max(prefix, after), func(joined, id string) bool {
		key, inSpace := strings.CutPrefix(joined, space)
		if !inSpace || !strings.HasPrefix(key, prefix) {
			return false
		}
		if key == after {
			return true
		}
		object, _ := v.objects.get(objectKey(tenant, kind, id))
		objects, keys = append(objects, object), append(keys, key)
		return limit <= 0 || len(objects) < limit
	})
	return objects, keys, nil
}

// bounded returns the first limit rows (all, for 0), with no room to append in place.
func bounded[T any](rows []T, limit int) []T {
	if limit <= 0 || limit > len(rows) {
		limit = len(rows)
	}
	return rows[:limit:limit]
}
