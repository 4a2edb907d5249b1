package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A query is run through its statement, which is prepared on a pool of connections when it is
// first needed, or within one transaction.
type query interface {
	statement(ctx context.Context) (*sql.Stmt, error)
}

func exec(ctx context.Context, q query, args ...any) (sql.Result, error) {
	stmt, err := q.statement(ctx) //nolint:sqlclosecheck // it belongs to the pool, or to the transaction
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// scan runs a query for one row, and is sql.ErrNoRows when there is none.
func scan(ctx context.Context, q query, args []any, into ...any) error {
	stmt, err := q.statement(ctx) //nolint:sqlclosecheck // it belongs to the pool, or to the transaction
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(ctx, args...).Scan(into...)
}

// collect runs a query and scans each of its rows.
func collect[T any](ctx context.Context, q query, scan func(rows *sql.Rows, v *T) error, args ...any) (all []T, err error) {
	stmt, err := q.statement(ctx) //nolint:sqlclosecheck // it belongs to the pool, or to the transaction
	if err != nil {
		return nil, ended(ctx, err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, ended(ctx, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, ended(ctx, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, ended(ctx, err)
	}
	return all, nil
}

// A pooled query is prepared on a pool of connections, and stays so.
type pooled struct {
	db   *sql.DB
	text string

	preparing sync.Mutex
	prepared  atomic.Pointer[sql.Stmt]
}

func (q *pooled) statement(ctx context.Context) (*sql.Stmt, error) {
	if stmt := q.prepared.Load(); stmt != nil {
		return stmt, nil
	}
	q.preparing.Lock()
	defer q.preparing.Unlock()
	if stmt := q.prepared.Load(); stmt != nil { // by another, meanwhile
		return stmt, nil
	}
	stmt, err := q.db.PrepareContext(ctx, q.text) //nolint:sqlclosecheck // it is closed with the pool
	if err != nil {
		return nil, fmt.Errorf("prepare a query: %w", err)
	}
	q.prepared.Store(stmt)
	return stmt, nil
}

// statements are the queries of a store on one of its pools.
type statements struct {
	get, lookup, list                  *pooled
	tenantsWith, principalTenants      *pooled
	stored, insert, update, remove     *pooled
	addKey, dropKey                    *pooled
	sequence, changes                  *pooled
	addChange, trimChanges             *pooled
	auditHead, signAudit               *pooled
	lastAudit, addAudit, auditRows     *pooled
	signInSequence, signIns            *pooled
	correlated, addSignIn, trimSignIns *pooled
	signInCounts                       *pooled
	getRecord, expiredRecord           *pooled
	addRecord, updateRecord            *pooled
	dropRecord, dropFamily, dropOwned  *pooled
	dropTenantRecords, sweepRecords    *pooled

	mu     sync.Mutex
	wanted []*pooled // were needed within a transaction, and are not prepared on the pool yet
}

// on returns the queries, to be run on a pool. Closing the pool closes what they have prepared.
func on(db *sql.DB) *statements {
	s := &statements{}
	for _, q := range s.texts() {
		*q.query = &pooled{db: db, text: q.text}
	}
	return s
}

type text struct {
	query **pooled
	text  string
}

func (s *statements) texts() []text {
	const columns = `o.tenant, o.kind, o.id, o.version, o.body, o.keys`
	const chosen = `(? = '' OR tenant = ?) AND (? = '' OR app_id = ?) AND (? = 0 OR code <> 0)
		AND (? = '' OR json_extract(CAST(body AS TEXT), '$.time') >= ?)
		AND (? = '' OR json_extract(CAST(body AS TEXT), '$.user') = ? COLLATE NOCASE) ORDER BY sequence DESC LIMIT ?`
	return []text{
		{&s.get, `SELECT ` + columns + ` FROM objects o WHERE o.tenant = ? AND o.kind = ? AND o.id = ?`},
		{&s.lookup, `SELECT ` + columns + ` FROM keys k JOIN objects o ON o.tenant = k.tenant AND o.kind = k.kind AND o.id = k.id
			WHERE k.tenant = ? AND k.kind = ? AND k.key = ?`},
		{&s.list, `SELECT ` + columns + `, k.key FROM keys k JOIN objects o ON o.tenant = k.tenant AND o.kind = k.kind AND o.id = k.id
			WHERE k.tenant = ? AND k.kind = ? AND k.key >= ? AND k.key < ? AND k.key > ? ORDER BY k.key LIMIT ?`},

		{&s.tenantsWith, `SELECT tenant FROM keys WHERE kind = ? AND key = ? ORDER BY tenant`},
		// The condition is that of the index of these keys alone, to the letter.
		{&s.principalTenants, `SELECT tenant FROM keys WHERE kind || '' = 'servicePrincipal' AND key = ? ORDER BY tenant`},

		{&s.stored, `SELECT version, keys FROM objects WHERE tenant = ? AND kind = ? AND id = ?`},
		{&s.insert, `INSERT INTO objects (version, body, keys, tenant, kind, id) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.update, `UPDATE objects SET version = ?, body = ?, keys = ? WHERE tenant = ? AND kind = ? AND id = ?`},
		{&s.remove, `DELETE FROM objects WHERE tenant = ? AND kind = ? AND id = ?`},
		{&s.addKey, `INSERT INTO keys (tenant, kind, key, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.dropKey, `DELETE FROM keys WHERE tenant = ? AND kind = ? AND key = ?`},

		{&s.sequence, `SELECT COALESCE(MAX(sequence), 0) FROM changes`},
		{&s.changes, `SELECT sequence, tenant, kind, id, keys FROM changes WHERE sequence > ? ORDER BY sequence LIMIT ?`},
		{&s.addChange, `INSERT INTO changes (sequence, tenant, kind, id, keys) VALUES (?, ?, ?, ?, ?)`},
		{&s.trimChanges, `DELETE FROM changes WHERE sequence <= ?`},

		{&s.lastAudit, `SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1`},
		{&s.addAudit, `INSERT INTO audit (sequence, event, hash) VALUES (?, ?, ?)`},
		{&s.auditHead, `SELECT sequence, hash, keyed, code FROM audit_head`},
		{&s.signAudit, `INSERT INTO audit_head (one, sequence, hash, keyed, code) VALUES (1, ?, ?, ?, ?)
			ON CONFLICT (one) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, keyed = excluded.keyed, code = excluded.code`},
		{&s.auditRows, `SELECT sequence, event, hash FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`},

		{&s.signInSequence, `SELECT COALESCE(MAX(sequence), 0) FROM signins`},
		{&s.signIns, `SELECT body FROM signins WHERE ` + chosen},
		{&s.correlated, `SELECT body FROM signins WHERE correlation >= ? AND correlation < ? AND ` + chosen},
		{&s.addSignIn, `INSERT INTO signins (sequence, tenant, app_id, correlation, code, body) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.signInCounts, `SELECT tenant, COUNT(*) FROM signins GROUP BY tenant`},
		{&s.trimSignIns, `DELETE FROM signins WHERE tenant = ? AND sequence <=
			(SELECT sequence FROM signins WHERE tenant = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`},

		{&s.getRecord, `SELECT tenant, kind, id, version, family, client, member, expires, body FROM token_records WHERE tenant = ? AND kind = ? AND id = ?`},
		{&s.expiredRecord, `SELECT 1 FROM token_records WHERE expires <= ? LIMIT 1`},
		{&s.addRecord, `INSERT INTO token_records (version, family, client, member, expires, body, tenant, kind, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`},
		{&s.updateRecord, `UPDATE token_records SET version = ?, family = ?, client = ?, member = ?, expires = ?, body = ?
			WHERE tenant = ? AND kind = ? AND id = ? AND version = ?`},
		{&s.dropRecord, `DELETE FROM token_records WHERE tenant = ? AND kind = ? AND id = ?`},
		{&s.dropFamily, `DELETE FROM token_records WHERE tenant = ? AND family = ?`},
		{&s.dropOwned, `DELETE FROM token_records WHERE tenant = ? AND (client = ? OR member = ?)`},
		{&s.dropTenantRecords, `DELETE FROM token_records WHERE tenant = ?`},
		{&s.sweepRecords, `DELETE FROM token_records WHERE (tenant, kind, id) IN
			(SELECT tenant, kind, id FROM token_records WHERE expires <= ? LIMIT ?)`},
	}
}

// want notes a query that a transaction had to prepare for itself.
func (s *statements) want(q *pooled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = append(s.wanted, q)
}

// prepareWanted prepares what earlier transactions wanted, so that later ones need not. It cannot
// be done within one: that has the only connection of its pool.
func (s *statements) prepareWanted(ctx context.Context) error {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	for _, q := range wanted { // one that fails is wanted again by the transaction that needs it
		if _, err := q.statement(ctx); err != nil { //nolint:sqlclosecheck // it is closed with the pool
			return err
		}
	}
	return nil
}

// getObject runs a query for one object by its id or a key.
func getObject(ctx context.Context, q query, tenant, kind, name string) (object directory.Object, err error) {
	var keys string
	err = scan(ctx, q, []any{tenant, kind, name},
		&object.Tenant, &object.Kind, &object.ID, &object.Version, &object.Body, &keys)
	if errors.Is(err, sql.ErrNoRows) {
		return directory.Object{}, fmt.Errorf("%s %s: %w", kind, name, directory.ErrNotFound)
	}
	if err != nil {
		return directory.Object{}, ended(ctx, fmt.Errorf("read %s %s: %w", kind, name, err))
	}
	object.Keys = splitKeys(keys)
	return object, nil
}

func listObjects(ctx context.Context, q query, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	head, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return nil, nil, fmt.Errorf("list %s: the prefix %q does not end in a slash", kind, prefix)
	}
	const next = "0" // the character behind '/': all keys with the prefix sort before head+next
	var keys []string
	objects, err := collect(ctx, q, func(rows *sql.Rows, o *directory.Object) error {
		var key, all string
		err := rows.Scan(&o.Tenant, &o.Kind, &o.ID, &o.Version, &o.Body, &all, &key)
		o.Keys = splitKeys(all)
		keys = append(keys, key)
		return err
	}, tenant, kind, prefix, head+next, after, bound(limit))
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return objects, keys, nil
}

// newest returns the highest sequence of a table, 0 when it is empty.
func newest(ctx context.Context, q query) (sequence int64, err error) {
	if err := scan(ctx, q, nil, &sequence); err != nil {
		return 0, ended(ctx, fmt.Errorf("read a sequence: %w", err))
	}
	return sequence, nil
}

// bound is a limit in SQL, for which 0 means none.
func bound(limit int) int {
	if limit <= 0 {
		return math.MaxInt32
	}
	return limit
}

// Keys hold no line breaks, so a list of them is kept as lines.
func joinKeys(keys []string) string { return strings.Join(keys, "\n") }

func splitKeys(joined string) []string {
	if joined == "" {
		return nil
	}
	return strings.Split(joined, "\n")
}
