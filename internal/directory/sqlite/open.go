package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	busyTimeout    = 30_000 // milliseconds to wait for another process's transaction
	readers        = 4
	writerCacheKiB = 8 << 10
	maxLogBytes    = 64 << 20 // of the write-ahead log between checkpoints
)

// Open opens the database file at path, and makes it if there is none. The file is for
// its owner alone (mode 0600), as it holds digests of credentials and sealed keys.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{keptSignIns: directory.DefaultSignIns}
	if err := s.open(ctx, path); err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, errors.Join(asDamage(err), s.Close()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if s.file, err = secureFile(path); err != nil {
		return err
	}
	if s.writer, err = s.file.writer(); err != nil {
		return err
	}
	if err := checkDurable(ctx, s.writer); err != nil {
		return err
	}
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	if err := s.writer.QueryRowContext(ctx, `SELECT id FROM store`).Scan(&s.id); err != nil {
		return err
	}
	if s.reader, err = s.file.reader(); err != nil {
		return err
	}
	if err := connectAll(ctx, s.reader, readers); err != nil {
		return err
	}
	s.write, s.read = on(s.writer), on(s.reader)
	return nil
}

// connectAll opens all connections of a pool, so that none is opened at a time when the
// file may have been replaced by another.
func connectAll(ctx context.Context, db *sql.DB, connections int) error {
	open := make([]*sql.Conn, 0, connections)
	defer func() {
		for _, conn := range open {
			_ = conn.Close() // back into the pool
		}
	}()
	for range connections {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		open = append(open, conn)
	}
	return nil
}

// checkDurable makes sure that the settings an acknowledged change rests on took hold;
// some network file systems cannot have a write-ahead log.
func checkDurable(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system allows journal mode %q but not a write-ahead log: put the database on a local disk", mode)
	}
	const full = 2
	var synchronous int
	if err := db.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
		return err
	}
	if synchronous < full {
		return fmt.Errorf("synchronous is %d instead of FULL: acknowledged changes would not survive a power cut", synchronous)
	}
	return nil
}
