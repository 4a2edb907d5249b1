package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// TokenRecord returns a token record, or directory.ErrNotFound.
func (s *Store) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	v, err := s.view(ctx)
	if err != nil {
		return directory.TokenRecord{}, err
	}
	return v.record(recordKey(tenant, kind, id))
}

// HasExpiredTokenRecords reports whether a record had ended by a time.
func (s *Store) HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error) {
	v, err := s.view(ctx)
	if err != nil {
		return false, err
	}
	return len(v.recordKeys(expiries, expiryKey(by), 1)) > 0, nil
}

// Records are found by their own key and by those of the sets they belong to. A NUL
// cannot occur in a tenant, a kind or an object id, and a family is compared behind its
// length.
const expiries = "expires\x00"

func recordKey(tenant directory.TenantID, kind directory.TokenRecordKind, id string) string {
	return string(tenant) + "\x00" + string(kind) + "\x00" + id
}

func setKey(tenant directory.TenantID, by directory.RecordSet, value string) string {
	return fmt.Sprintf("%s\x00%d\x00%d\x00%s\x00", tenant, by, len(value), value)
}

// expiryKey sorts as the times do.
func expiryKey(at time.Time) string {
	return expiries + string(binary.BigEndian.AppendUint64(nil, uint64(max(at.UnixMicro(), 0)))) + "\x00"
}

func setKeys(r *directory.TokenRecord) []string {
	own := recordKey(r.Tenant, r.Kind, r.ID)
	keys := []string{expiryKey(r.Expires) + own, setKey(r.Tenant, directory.RecordsOfTenant, "") + own}
	if r.Family != "" {
		keys = append(keys, setKey(r.Tenant, directory.RecordsOfFamily, r.Family)+own)
	}
	for _, owner := range []directory.ObjectID{r.Client, r.User} {
		if owner != "" {
			keys = append(keys, setKey(r.Tenant, directory.RecordsOfOwner, string(owner))+own)
		}
	}
	return keys
}

func (v *state) record(key string) (directory.TokenRecord, error) {
	r, ok := v.records.get(key)
	if !ok {
		return directory.TokenRecord{}, fmt.Errorf("token record: %w", directory.ErrNotFound)
	}
	r.Body = bytes.Clone(r.Body)
	return r, nil
}

// recordKeys lists the records with a set key that begins with prefix and sorts before
// the end of last, at most limit of them (all, for 0).
func (v *state) recordKeys(prefix, last string, limit int) (own []string) {
	v.recordSets.ascend(prefix, func(key, record string) bool {
		if !strings.HasPrefix(key, prefix) || key > last && !strings.HasPrefix(key, last) {
			return false
		}
		own = append(own, record)
		return limit <= 0 || len(own) < limit
	})
	return own
}

func (t *tx) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	if err := ctx.Err(); err != nil {
		return directory.TokenRecord{}, err
	}
	return t.state.record(recordKey(tenant, kind, id))
}

func (t *tx) HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error) {
	return len(t.state.recordKeys(expiries, expiryKey(by), 1)) > 0, ctx.Err()
}

func (t *tx) PutTokenRecord(ctx context.Context, r directory.TokenRecord) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	own := recordKey(r.Tenant, r.Kind, r.ID)
	old, present := t.state.records.get(own)
	if old.Version != r.Version {
		return 0, fmt.Errorf("token record: %w", directory.ErrConflict)
	}
	if present {
		t.removeRecord(own, &old)
	}
	r.Version++
	r.Body = bytes.Clone(r.Body)
	t.state.records = t.state.records.set(t.seed, own, r)
	for _, key := range setKeys(&r) {
		t.state.recordSets = t.state.recordSets.set(t.seed, key, own)
	}
	return r.Version, nil
}

func (t *tx) DeleteTokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	own := recordKey(tenant, kind, id)
	old, err := t.state.record(own)
	if err == nil {
		t.removeRecord(own, &old)
	}
	return err
}

func (t *tx) DropTokenRecords(ctx context.Context, tenant directory.TenantID, by directory.RecordSet, value string) (int, error) {
	set := setKey(tenant, by, value)
	return t.removeRecords(t.state.recordKeys(set, set, 0)), ctx.Err()
}

func (t *tx) SweepTokenRecords(ctx context.Context, by time.Time, limit int) error {
	t.removeRecords(t.state.recordKeys(expiries, expiryKey(by), limit))
	return ctx.Err()
}

func (t *tx) removeRecords(keys []string) (removed int) {
	for _, own := range keys {
		if old, ok := t.state.records.get(own); ok {
			t.removeRecord(own, &old)
			removed++
		}
	}
	return removed
}

func (t *tx) removeRecord(own string, r *directory.TokenRecord) {
	t.state.records = t.state.records.remove(own)
	for _, key := range setKeys(r) {
		t.state.recordSets = t.state.recordSets.remove(key)
	}
}
