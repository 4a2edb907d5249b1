package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"modernc.org/sqlite"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A file is the database's, as it was opened. Another one may come to stand under its
// name, and none of it may mix with what the store has read.
type file struct {
	path string
	info os.FileInfo
}

// secureFile makes the file if need be, and takes it away from everyone but its owner.
// SQLite gives the files beside it the same mode.
func secureFile(path string) (_ file, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return file{}, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, errors.New("not a regular file")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(info.Mode().Perm() & fs.FileMode(0o700))
	}
	return file{path, info}, err
}

// inPlace returns directory.ErrReplaced unless the file is still found under its name.
func (f file) inPlace() error {
	now, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s was removed while it was open", directory.ErrReplaced, f.path)
	case err != nil:
		return err
	case !os.SameFile(now, f.info):
		return fmt.Errorf("%w: another file stands at %s since it was opened", directory.ErrReplaced, f.path)
	}
	return nil
}

// writer returns the one connection that changes the file.
func (f file) writer() (*sql.DB, error) {
	return f.pool(1, fmt.Sprintf("mode=rw&_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-%d)&_pragma=journal_size_limit(%d)&_txlock=immediate",
		busyTimeout, writerCacheKiB, maxLogBytes))
}

// reader returns connections that only read. What they ask at once is the cheapest question that
// opens the write-ahead log too; the schema is read when a connection is first used. They have
// the engine's own cache, of 2 MB each.
func (f file) reader() (*sql.DB, error) {
	return f.pool(readers, fmt.Sprintf("mode=rw&_pragma=busy_timeout(%d)&_pragma=query_only(1)&_pragma=user_version", busyTimeout))
}

func (f file) pool(connections int, options string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(fileName(f.path, options))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(inPlaceConnector{connector, f})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// An inPlaceConnector connects to no other file than the one that was opened.
type inPlaceConnector struct {
	driver.Connector
	file file
}

// Connect implements driver.Connector.
func (c inPlaceConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.file.inPlace(); err != nil {
		return nil, err
	}
	conn, err := c.patiently(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.file.inPlace(); err != nil { // replaced between the two
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// patiently connects, again while the engine says that the file is busy: two that turn a new
// file's journal into a write-ahead log at the same time do not wait for each other.
func (c inPlaceConnector) patiently(ctx context.Context) (driver.Conn, error) {
	var end <-chan time.Time
	for {
		conn, err := c.Connector.Connect(ctx)
		if err == nil || !isBusy(err) {
			return conn, err
		}
		if end == nil {
			end = time.After(busyTimeout * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-end:
			return nil, err
		case <-time.After(busyPause):
		}
	}
}

// busyPause is between two tries to connect to a busy file.
const busyPause = 5 * time.Millisecond

// ID names the store: it was drawn when the store was made, and its copies have it too.
func (s *Store) ID() string { return s.id }

// File describes the database's file as it was when it was opened.
func (s *Store) File() os.FileInfo { return s.file.info }

// InPlace returns directory.ErrReplaced when the database's file was removed, or another
// one has taken its name. What is written then would be lost with the process.
func (s *Store) InPlace() error { return s.file.inPlace() }
