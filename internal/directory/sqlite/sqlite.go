package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	keptChanges = 100_000 // older ones are forgotten; a reader that far behind starts afresh
	trimEvery   = 1000    // changes between two trims of the feed
)

// A Store keeps a directory in a SQLite file. It is safe for concurrent use.
type Store struct {
	file   file
	id     string
	writer *sql.DB // one connection, whose transactions begin IMMEDIATE
	reader *sql.DB
	write  *statements // on writer
	read   *statements // on reader

	keptSignIns int
	newSignIns  atomic.Int64 // rows since they were last counted
}

var _ directory.Store = (*Store)(nil)

// Get returns the object with the id, or directory.ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	return getObject(ctx, s.read.get, tenant, kind, id)
}

// Lookup returns the object that has the key, or directory.ErrNotFound.
func (s *Store) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	return getObject(ctx, s.read.lookup, tenant, kind, key)
}

// List returns the objects with a key of that prefix, in the order of their keys.
func (s *Store) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	return listObjects(ctx, s.read.list, tenant, kind, prefix, after, limit)
}

// TenantsWith returns the tenants in which an object of the kind has the key. There is an index
// for service principals; for other kinds it reads all keys.
func (s *Store) TenantsWith(ctx context.Context, kind, key string) ([]directory.TenantID, error) {
	q, args := s.read.tenantsWith, []any{kind, key}
	if kind == directory.KindServicePrincipal {
		q, args = s.read.principalTenants, []any{key}
	}
	tenants, err := collect(ctx, q, func(rows *sql.Rows, tenant *directory.TenantID) error { return rows.Scan(tenant) }, args...)
	if err != nil {
		return nil, fmt.Errorf("read the tenants with a key: %w", err)
	}
	return tenants, nil
}

// Sequence returns the number of the newest change.
func (s *Store) Sequence(ctx context.Context) (int64, error) {
	return newest(ctx, s.read.sequence)
}

// Changes returns at most limit changes after a sequence, oldest first.
func (s *Store) Changes(ctx context.Context, after int64, limit int) ([]directory.Change, error) {
	changes, err := collect(ctx, s.read.changes, func(rows *sql.Rows, c *directory.Change) error {
		var keys string
		err := rows.Scan(&c.Sequence, &c.Tenant, &c.Kind, &c.ID, &keys)
		c.Keys = splitKeys(keys)
		return err
	}, after, bound(limit))
	if err != nil {
		return nil, fmt.Errorf("read the change feed: %w", err)
	}
	return changes, nil
}

// AuditRows returns at most limit rows of the chain after a sequence, oldest first.
func (s *Store) AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	chain, err := collect(ctx, s.read.auditRows, func(rows *sql.Rows, r *audit.Row) error {
		var event []byte
		if err := rows.Scan(&r.Sequence, &event, &r.Hash); err != nil {
			return err
		}
		return json.Unmarshal(event, &r.Event)
	}, after, bound(limit))
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return chain, nil
}

// AuditHead returns the signed end of the audit chain.
func (s *Store) AuditHead(ctx context.Context) (audit.Head, error) {
	return auditHead(ctx, s.read.auditHead)
}

// Update runs f in a transaction: all of it is on disk when Update returns nil, nothing
// of it happened otherwise.
func (s *Store) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	var sequence int64
	err := s.transact(ctx, func(sqlTx *sql.Tx) (err error) {
		t := &tx{sql: sqlTx, statements: s.write}
		if t.sequence, err = newest(ctx, t.query(s.write.sequence)); err != nil {
			return err
		}
		before := t.sequence
		if err := f(t); err != nil {
			return err
		}
		sequence = t.sequence
		if before/trimEvery == sequence/trimEvery {
			return nil
		}
		return t.trimChanges(ctx)
	})
	if err != nil {
		return 0, err
	}
	return sequence, nil
}

// Close writes the log back into the file and closes it. Later calls fail.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} { // the last to close tidies up, and readers may not
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// transact runs f in a write transaction and commits it if f returns nil.
func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	if err := s.write.prepareWanted(ctx); err != nil {
		return ended(ctx, err)
	}
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return ended(ctx, fmt.Errorf("begin a transaction: %w", err))
	}
	defer func() { _ = sqlTx.Rollback() }() // of no effect after Commit
	if err := f(sqlTx); err != nil {
		return ended(ctx, err)
	}
	if err := sqlTx.Commit(); err != nil {
		// A commit that failed (disk full, say) may leave the one connection inside the
		// transaction; there is nothing to roll back when it did not.
		_, _ = s.writer.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		return ended(ctx, fmt.Errorf("commit: %w", err))
	}
	return nil
}

// ended names the reason when a call failed because its context had ended: database/sql
// and the driver each have words of their own for that. So it does for damage of the file.
func ended(ctx context.Context, err error) error {
	err = asDamage(err)
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}
