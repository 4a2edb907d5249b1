package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rolecall-auth/rolecall/directory"
)

// statements are the queries of a store, prepared on one of its pools.
type statements struct {
	get, lookup, list                  *sql.Stmt
	stored, insert, update, remove     *sql.Stmt
	addKey, dropKey                    *sql.Stmt
	sequence, changes                  *sql.Stmt
	addChange, trimChanges             *sql.Stmt
	lastAudit, addAudit, auditRows     *sql.Stmt
	signInSequence, signIns            *sql.Stmt
	correlated, addSignIn, trimSignIns *sql.Stmt
}

// prepare readies every query on a pool. Closing the pool closes them.
func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	s := &statements{}
	const columns = `o.tenant, o.kind, o.id, o.version, o.body, o.keys`
	const chosen = `(? = '' OR tenant = ?) AND (? = '' OR app_id = ?) AND (? = 0 OR code <> 0) ORDER BY sequence DESC LIMIT ?`
	for _, q := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.get, `SELECT ` + columns + ` FROM objects o WHERE o.tenant = ? AND o.kind = ? AND o.id = ?`},
		{&s.lookup, `SELECT ` + columns + ` FROM keys k JOIN objects o ON o.tenant = k.tenant AND o.kind = k.kind AND o.id = k.id
			WHERE k.tenant = ? AND k.kind = ? AND k.key = ?`},
		{&s.list, `SELECT ` + columns + `, k.key FROM keys k JOIN objects o ON o.tenant = k.tenant AND o.kind = k.kind AND o.id = k.id
			WHERE k.tenant = ? AND k.kind = ? AND k.key >= ? AND k.key < ? AND k.key > ? ORDER BY k.key LIMIT ?`},

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
		{&s.auditRows, `SELECT sequence, event, hash FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`},

		{&s.signInSequence, `SELECT COALESCE(MAX(sequence), 0) FROM signins`},
		{&s.signIns, `SELECT body FROM signins WHERE ` + chosen},
		{&s.correlated, `SELECT body FROM signins WHERE correlation = ? AND ` + chosen},
		{&s.addSignIn, `INSERT INTO signins (sequence, tenant, app_id, correlation, code, body) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.trimSignIns, `DELETE FROM signins WHERE sequence <= ?`},
	} {
		stmt, err := db.PrepareContext(ctx, q.text)
		if err != nil {
			return nil, fmt.Errorf("prepare a query: %w", err)
		}
		*q.stmt = stmt
	}
	return s, nil
}

// getObject runs a query for one object by its id or a key.
func getObject(ctx context.Context, stmt *sql.Stmt, tenant, kind, name string) (object directory.Object, err error) {
	var keys string
	err = stmt.QueryRowContext(ctx, tenant, kind, name).
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

func listObjects(ctx context.Context, stmt *sql.Stmt, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	head, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return nil, nil, fmt.Errorf("list %s: the prefix %q does not end in a slash", kind, prefix)
	}
	const next = "0" // the character behind '/': all keys with the prefix sort before head+next
	rows, err := stmt.QueryContext(ctx, tenant, kind, prefix, head+next, after, bound(limit))
	if err != nil {
		return nil, nil, ended(ctx, fmt.Errorf("list %s: %w", kind, err))
	}
	var keys []string
	objects, err := collect(rows, func(o *directory.Object) error {
		var key, all string
		err := rows.Scan(&o.Tenant, &o.Kind, &o.ID, &o.Version, &o.Body, &all, &key)
		o.Keys = splitKeys(all)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, nil, ended(ctx, err)
	}
	return objects, keys, nil
}

// newest returns the highest sequence of a table, 0 when it is empty.
func newest(ctx context.Context, stmt *sql.Stmt) (sequence int64, err error) {
	if err := stmt.QueryRowContext(ctx).Scan(&sequence); err != nil {
		return 0, ended(ctx, fmt.Errorf("read a sequence: %w", err))
	}
	return sequence, nil
}

// collect scans every row and closes rows.
func collect[T any](rows *sql.Rows, scan func(*T) error) (all []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var v T
		if err := scan(&v); err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
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
