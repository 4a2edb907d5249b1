package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// TokenRecord returns a token record, or directory.ErrNotFound.
func (s *Store) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	return getRecord(ctx, s.read.getRecord, tenant, kind, id)
}

// HasExpiredTokenRecords reports whether a record had ended by a time.
func (s *Store) HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error) {
	return hasExpired(ctx, s.read.expiredRecord, by)
}

func getRecord(ctx context.Context, q query, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (r directory.TokenRecord, err error) {
	var expires int64
	err = scan(ctx, q, []any{tenant, kind, id},
		&r.Tenant, &r.Kind, &r.ID, &r.Version, &r.Family, &r.Client, &r.User, &expires, &r.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return directory.TokenRecord{}, fmt.Errorf("token record: %w", directory.ErrNotFound)
	}
	if err != nil {
		return directory.TokenRecord{}, ended(ctx, fmt.Errorf("read a token record: %w", err))
	}
	r.Expires = time.UnixMicro(expires).UTC()
	return r, nil
}

func hasExpired(ctx context.Context, q query, by time.Time) (bool, error) {
	var one int
	err := scan(ctx, q, []any{by.UnixMicro()}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, ended(ctx, fmt.Errorf("look for expired token records: %w", err))
	}
	return true, nil
}

func (t *tx) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	return getRecord(ctx, t.query(t.statements.getRecord), tenant, kind, id)
}

func (t *tx) HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error) {
	return hasExpired(ctx, t.query(t.statements.expiredRecord), by)
}

func (t *tx) PutTokenRecord(ctx context.Context, r directory.TokenRecord) (int64, error) {
	args := []any{r.Version + 1, r.Family, r.Client, r.User, r.Expires.UnixMicro(), r.Body, r.Tenant, r.Kind, r.ID}
	put := t.statements.addRecord
	if r.Version != 0 {
		put, args = t.statements.updateRecord, append(args, r.Version)
	}
	written, err := t.change(ctx, put, args...)
	if err != nil {
		return 0, fmt.Errorf("keep a token record: %w", err)
	}
	if written == 0 {
		return 0, fmt.Errorf("token record: %w", directory.ErrConflict)
	}
	return r.Version + 1, nil
}

func (t *tx) DeleteTokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) error {
	removed, err := t.change(ctx, t.statements.dropRecord, tenant, kind, id)
	if err == nil && removed == 0 {
		err = directory.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("token record: %w", err)
	}
	return nil
}

func (t *tx) DropTokenRecords(ctx context.Context, tenant directory.TenantID, by directory.RecordSet, value string) (dropped int, err error) {
	q, args := t.statements.dropTenantRecords, []any{tenant}
	switch by {
	case directory.RecordsOfFamily:
		q, args = t.statements.dropFamily, append(args, value)
	case directory.RecordsOfOwner:
		q, args = t.statements.dropOwned, append(args, value, value)
	case directory.RecordsOfTenant:
	default:
		return 0, fmt.Errorf("drop token records: there is no set %d", by)
	}
	if dropped, err = t.change(ctx, q, args...); err != nil {
		return 0, fmt.Errorf("drop token records: %w", err)
	}
	return dropped, nil
}

func (t *tx) SweepTokenRecords(ctx context.Context, by time.Time, limit int) error {
	if _, err := t.change(ctx, t.statements.sweepRecords, by.UnixMicro(), bound(limit)); err != nil {
		return fmt.Errorf("remove expired token records: %w", err)
	}
	return nil
}

// change runs a query that writes and says how many rows it wrote.
func (t *tx) change(ctx context.Context, q *pooled, args ...any) (int, error) {
	result, err := exec(ctx, t.query(q), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}
