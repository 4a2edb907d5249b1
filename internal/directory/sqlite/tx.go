package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A tx is one transaction. It has the database's write lock from its beginning.
type tx struct {
	sql        *sql.Tx
	statements *statements
	own        map[*pooled]*sql.Stmt // prepared for this transaction alone
	sequence   int64                 // of the newest change
	last       *audit.Row            // the newest of the audit log, once that is known
	head       audit.Head            // of it, then
}

// A txQuery is run within a transaction, which closes its statement when it ends.
type txQuery struct {
	tx     *tx
	pooled *pooled
}

func (t *tx) query(q *pooled) query { return txQuery{t, q} }

func (q txQuery) statement(ctx context.Context) (*sql.Stmt, error) {
	t := q.tx
	if stmt := q.pooled.prepared.Load(); stmt != nil {
		return t.sql.StmtContext(ctx, stmt), nil
	}
	if stmt := t.own[q.pooled]; stmt != nil {
		return stmt, nil
	}
	stmt, err := t.sql.PrepareContext(ctx, q.pooled.text)
	if err != nil {
		return nil, fmt.Errorf("prepare a query: %w", err)
	}
	if t.own == nil {
		t.own = map[*pooled]*sql.Stmt{}
	}
	t.own[q.pooled] = stmt
	t.statements.want(q.pooled)
	return stmt, nil
}

func (t *tx) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	return getObject(ctx, t.query(t.statements.get), tenant, kind, id)
}

func (t *tx) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	return getObject(ctx, t.query(t.statements.lookup), tenant, kind, key)
}

func (t *tx) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	return listObjects(ctx, t.query(t.statements.list), tenant, kind, prefix, after, limit)
}

func (t *tx) Put(ctx context.Context, object directory.Object) (int64, error) {
	version, before, err := t.stored(ctx, object.Tenant, object.Kind, object.ID)
	if err != nil {
		return 0, err
	}
	if version != object.Version {
		return 0, fmt.Errorf("%s %s: %w", object.Kind, object.ID, directory.ErrConflict)
	}
	after := directory.MergeKeys(object.Keys, nil)
	if err := t.takeKeys(ctx, object, before, after); err != nil {
		return 0, err
	}
	if err := t.dropKeys(ctx, object.Tenant, object.Kind, before, after); err != nil {
		return 0, err
	}
	put := t.statements.update
	if version == 0 {
		put = t.statements.insert
	}
	version++
	if _, err := exec(ctx, t.query(put), version, object.Body, joinKeys(after), object.Tenant, object.Kind, object.ID); err != nil {
		return 0, fmt.Errorf("put %s %s: %w", object.Kind, object.ID, err)
	}
	return version, t.note(ctx, object.Tenant, object.Kind, object.ID, directory.MergeKeys(before, after))
}

func (t *tx) Delete(ctx context.Context, tenant, kind, id string, version int64) error {
	stored, keys, err := t.stored(ctx, tenant, kind, id)
	if err != nil {
		return err
	}
	if stored == 0 {
		return fmt.Errorf("%s %s: %w", kind, id, directory.ErrNotFound)
	}
	if stored != version {
		return fmt.Errorf("%s %s: %w", kind, id, directory.ErrConflict)
	}
	if err := t.dropKeys(ctx, tenant, kind, keys, nil); err != nil {
		return err
	}
	if _, err := exec(ctx, t.query(t.statements.remove), tenant, kind, id); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, id, err)
	}
	return t.note(ctx, tenant, kind, id, keys)
}

func (t *tx) Audit(ctx context.Context, signer audit.Signer, event audit.Event) error {
	if err := t.findAuditEnd(ctx); err != nil {
		return err
	}
	row, head, err := signer.Append(*t.last, t.head, event)
	if err != nil {
		return err
	}
	body, err := json.Marshal(row.Event)
	if err != nil {
		return fmt.Errorf("encode audit event %s: %w", event.Action, err)
	}
	if _, err := exec(ctx, t.query(t.statements.addAudit), row.Sequence, body, row.Hash); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	if head.Sequence != t.head.Sequence {
		if _, err := exec(ctx, t.query(t.statements.signAudit), head.Sequence, head.Hash, head.Keyed, head.Code); err != nil {
			return fmt.Errorf("sign the audit log: %w", err)
		}
	}
	t.last, t.head = &row, head
	return nil
}

// findAuditEnd reads the newest row of the audit log, and the signed head, once.
func (t *tx) findAuditEnd(ctx context.Context) (err error) {
	if t.last != nil {
		return nil
	}
	var last audit.Row
	err = scan(ctx, t.query(t.statements.lastAudit), nil, &last.Sequence, &last.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the audit log: %w", err)
	}
	if t.head, err = auditHead(ctx, t.query(t.statements.auditHead)); err != nil {
		return err
	}
	t.last = &last
	return nil
}

func auditHead(ctx context.Context, q query) (head audit.Head, err error) {
	err = scan(ctx, q, nil, &head.Sequence, &head.Hash, &head.Keyed, &head.Code)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, ended(ctx, fmt.Errorf("read the end of the audit log: %w", err))
	}
	return head, nil
}

// stored returns the version and the keys an object has now; version 0 for none.
func (t *tx) stored(ctx context.Context, tenant, kind, id string) (version int64, keys []string, err error) {
	var joined string
	err = scan(ctx, t.query(t.statements.stored), []any{tenant, kind, id}, &version, &joined)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read %s %s: %w", kind, id, err)
	}
	return version, splitKeys(joined), nil
}

// takeKeys gives the object the keys it did not have before: all of them or, when
// another object has one, none.
func (t *tx) takeKeys(ctx context.Context, object directory.Object, before, after []string) error {
	var took []string
	for _, key := range after {
		if slices.Contains(before, key) {
			continue
		}
		result, err := exec(ctx, t.query(t.statements.addKey), object.Tenant, object.Kind, key, object.ID)
		if err != nil {
			return fmt.Errorf("put %s %s: %w", object.Kind, object.ID, err)
		}
		added, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("put %s %s: %w", object.Kind, object.ID, err)
		}
		if added == 0 {
			taken := fmt.Errorf("%s %s: %w", object.Kind, key, directory.ErrDuplicate)
			return errors.Join(taken, t.dropKeys(ctx, object.Tenant, object.Kind, took, nil))
		}
		took = append(took, key)
	}
	return nil
}

// dropKeys removes the keys that are not among those to keep.
func (t *tx) dropKeys(ctx context.Context, tenant, kind string, keys, keep []string) error {
	for _, key := range keys {
		if slices.Contains(keep, key) {
			continue
		}
		if _, err := exec(ctx, t.query(t.statements.dropKey), tenant, kind, key); err != nil {
			return fmt.Errorf("drop a key of a %s: %w", kind, err)
		}
	}
	return nil
}

// note adds a change to the feed.
func (t *tx) note(ctx context.Context, tenant, kind, id string, keys []string) error {
	if _, err := exec(ctx, t.query(t.statements.addChange), t.sequence+1, tenant, kind, id, joinKeys(keys)); err != nil {
		return fmt.Errorf("write the change feed: %w", err)
	}
	t.sequence++
	return nil
}

// trimChanges forgets changes that no reader should be behind any more.
func (t *tx) trimChanges(ctx context.Context) error {
	if _, err := exec(ctx, t.query(t.statements.trimChanges), t.sequence-keptChanges); err != nil {
		return fmt.Errorf("forget old changes: %w", err)
	}
	return nil
}
