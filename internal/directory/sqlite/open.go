package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // the driver
)

const (
	busyTimeout    = 30_000 // milliseconds to wait for another process's transaction
	readers        = 4
	readerCacheKiB = 2 << 10
	writerCacheKiB = 8 << 10
	maxLogBytes    = 64 << 20 // of the write-ahead log between checkpoints
)

// Open opens the database file at path, and makes it if there is none. The file is for
// its owner alone (mode 0600), as it holds digests of credentials and sealed keys.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{}
	if err := s.open(ctx, path); err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := secureFile(path); err != nil {
		return err
	}
	if s.writer, err = connect(path, 1, writerCacheKiB, "_txlock=immediate"); err != nil {
		return err
	}
	if err := checkDurable(ctx, s.writer); err != nil {
		return err
	}
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	if s.reader, err = connect(path, readers, readerCacheKiB, "_pragma=query_only(1)"); err != nil {
		return err
	}
	if s.write, err = prepare(ctx, s.writer); err != nil {
		return err
	}
	s.read, err = prepare(ctx, s.reader)
	return err
}

// secureFile makes the file if need be, and takes it away from everyone but its owner.
// SQLite gives the files beside it the same mode.
func secureFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return f.Chmod(info.Mode().Perm() & fs.FileMode(0o700))
}

func connect(path string, connections, cacheKiB int, option string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true}
	name.RawQuery = fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-%d)&_pragma=journal_size_limit(%d)&%s",
		busyTimeout, cacheKiB, maxLogBytes, option)
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
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
