package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations bring a database from the version that is their index to the next one.
// A released one is never edited; a new one is added at the end.
var migrations = [...]string{`
CREATE TABLE objects (
	tenant  TEXT   NOT NULL,
	kind    TEXT   NOT NULL,
	id      TEXT   NOT NULL,
	version BIGINT NOT NULL,
	body    BLOB   NOT NULL,
	keys    TEXT   NOT NULL, -- those in table keys, one a line
	PRIMARY KEY (tenant, kind, id)
);
CREATE TABLE keys (
	tenant TEXT NOT NULL,
	kind   TEXT NOT NULL,
	key    TEXT NOT NULL,
	id     TEXT NOT NULL,
	PRIMARY KEY (tenant, kind, key)
) WITHOUT ROWID;
CREATE TABLE changes (
	sequence INTEGER PRIMARY KEY,
	tenant   TEXT NOT NULL,
	kind     TEXT NOT NULL,
	id       TEXT NOT NULL,
	keys     TEXT NOT NULL -- one a line
);
CREATE TABLE audit (
	sequence INTEGER PRIMARY KEY,
	event    BLOB NOT NULL,
	hash     BLOB NOT NULL
);
CREATE TABLE signins (
	sequence    INTEGER PRIMARY KEY,
	tenant      TEXT    NOT NULL,
	app_id      TEXT    NOT NULL,
	correlation TEXT    NOT NULL,
	code        INTEGER NOT NULL,
	body        BLOB    NOT NULL
);
CREATE INDEX signins_correlation ON signins (correlation, sequence);
`, `
CREATE TABLE token_records (
	tenant  TEXT   NOT NULL,
	kind    TEXT   NOT NULL,
	id      TEXT   NOT NULL,
	version BIGINT NOT NULL,
	family  TEXT   NOT NULL,
	client  TEXT   NOT NULL, -- object id of a service principal, or empty
	member  TEXT   NOT NULL, -- object id of a user, or empty
	expires BIGINT NOT NULL, -- microseconds since 1970
	body    BLOB,
	PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID;
CREATE INDEX token_records_family ON token_records (tenant, family);
CREATE INDEX token_records_client ON token_records (tenant, client);
CREATE INDEX token_records_member ON token_records (tenant, member);
CREATE INDEX token_records_expires ON token_records (expires);
-- They were objects before. Their owners sign in again.
DELETE FROM keys WHERE kind = 'ticket';
DELETE FROM objects WHERE kind = 'ticket';
`, `
CREATE TABLE store (id TEXT NOT NULL);
INSERT INTO store (id) VALUES (lower(hex(randomblob(16))));
`, `
CREATE TABLE audit_head (
	one      INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row, or none
	sequence INTEGER NOT NULL,
	hash     BLOB    NOT NULL,
	keyed    INTEGER NOT NULL,
	code     BLOB    NOT NULL
);
`, `
CREATE INDEX keys_of_principals ON keys (key, tenant) WHERE kind = 'servicePrincipal';
`, `
-- SQLite compares "kind = ?" of every query with "kind = 'servicePrincipal'" of an index, and
-- prepares the query again each time that its parameter changes. It leaves an expression alone.
DROP INDEX keys_of_principals;
CREATE INDEX keys_of_principals ON keys (key, tenant) WHERE kind || '' = 'servicePrincipal';
`, `
CREATE INDEX signins_tenant ON signins (tenant, sequence);
`}

// migrate brings the schema up to what this program knows, whichever process comes
// first. It refuses a database that a newer program has written.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of no effect after Commit
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("it has schema %d, written by a newer Rolecall, and this one knows schemas up to %d: upgrade Rolecall, or restore a backup made before the upgrade", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", version+1, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version) VALUES (?)`, version+1); err != nil {
			return err
		}
	}
	return tx.Commit()
}
