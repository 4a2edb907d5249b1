package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A query is prepared, on a pool of connections or within one transaction.
type query struct{ stmt *sql.Stmt }

// in returns the query within a transaction, which closes it when it ends.
func (q query) in(ctx context.Context, tx *sql.Tx) query { return query{tx.StmtContext(ctx, q.stmt)} }

func (q query) exec(ctx context.Context, args ...any) (sql.Result, error) {
	return q.stmt.ExecContext(ctx, args...)
}

func (q query) row(ctx context.Context, args ...any) *sql.Row {
	return q.stmt.QueryRowContext(ctx, args...)
}

// collect runs a query and scans each of its rows.
func collect[T any](ctx context.Context, q query, scan func(rows *sql.Rows, v *T) error, args ...any) (all []T, err error) {
	rows, err := q.stmt.QueryContext(ctx, args...)
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

// statements are the queries of a store, prepared on one of its pools.
type statements struct {
	get, lookup, list                  query
	tenantsWith, principalTenants      query
	stored, insert, update, remove     query
	addKey, dropKey                    query
	sequence, changes                  query
	addChange, trimChanges             query
	auditHead, signAudit               query
	lastAudit, addAudit, auditRows     query
	signInSequence, signIns            query
	correlated, addSignIn, trimSignIns query
	signInCounts                       query
	getRecord, expiredRecord           query
	addRecord, updateRecord            query
	dropRecord, dropFamily, dropOwned  query
	dropTenantRecords, sweepRecords    query
}

// prepare readies every query on a pool. Closing the pool closes them.
func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	s := &statements{}
	const columns = `o.tenant, o.kind, o.id, o.version, o.body, o.keys`
	const chosen = `(? = '' OR tenant = ?) AND (? = '' OR app_id = ?) AND (? = 0 OR code <> 0)
		AND (? = '' OR json_extract(CAST(body AS TEXT), '$.time') >= ?)
		AND (? = '' OR json_extract(CAST(body AS TEXT), '$.user') = ? COLLATE NOCASE) ORDER BY sequence DESC LIMIT ?`
	for _, q := range []struct {
		query *query
		text  string
	}{
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
	} {
		stmt, err := db.PrepareContext(ctx, q.text)
		if err != nil {
			return nil, fmt.Errorf("prepare a query: %w", err)
		}
		q.query.stmt = stmt
	}
	return s, nil
}

// getObject runs a query for one object by its id or a key.
func getObject(ctx context.Context, q query, tenant, kind, name string) (object directory.Object, err error) {
	var keys string
	err = q.row(ctx, tenant, kind, name).
		Scan(&object.Tenant, &object.Kind, &object.ID, &object.Version, &object.Body, &keys)
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
	if err := q.row(ctx).Scan(&sequence); err != nil {
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
