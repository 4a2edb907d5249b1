package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// snapshotStep is how many pages are copied in one go: about a megabyte, so that a copy can
// be stopped and lets others at the processor between two steps.
const snapshotStep = 256

// Snapshot copies the database at source, as it is at one moment, into a new file at target
// with mode 0600, and checks the copy. Other processes may read and write the source all
// the while; nobody waits for it. The copy is on disk when Snapshot returns nil, and there
// is none otherwise.
func Snapshot(ctx context.Context, source, target string) error {
	if err := snapshot(ctx, source, target); err != nil {
		return fmt.Errorf("copy the database %s: %w", source, asDamage(ended(ctx, err)))
	}
	return nil
}

func snapshot(ctx context.Context, source, target string) (err error) {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return errors.New("it is not a database")
	}
	file, err := os.OpenFile(target, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(target))
		}
	}()
	db, err := sql.Open("sqlite", fileName(source, fmt.Sprintf("mode=rw&_pragma=busy_timeout(%d)&_pragma=query_only(1)", busyTimeout)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := copyPages(ctx, db, target); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return Check(ctx, target)
}

// copyPages copies within one read transaction, so that changes made meanwhile neither get
// into the copy nor make it start again.
func copyPages(ctx context.Context, db *sql.DB, target string) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it only read
	var tables int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`).Scan(&tables); err != nil { // the transaction begins with its first look
		return err
	}
	return conn.Raw(func(driverConn any) error {
		source, ok := driverConn.(interface {
			NewBackup(target string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver's connection is a %T, which makes no copies", driverConn)
		}
		backup, err := source.NewBackup(fileName(target, "mode=rw&_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)"))
		if err != nil {
			return err
		}
		return errors.Join(stepThrough(ctx, backup), backup.Finish())
	})
}

// stepThrough copies everything, and after each step leaves the processor alone for as long
// as the step took: a copy is never urgent, and answers to clients are.
func stepThrough(ctx context.Context, backup *sqlite.Backup) error {
	for {
		began := time.Now()
		more, err := backup.Step(snapshotStep)
		if err != nil || !more {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
}

// fileName is what the driver calls a file that is opened with those options.
func fileName(path, options string) string {
	if absolute, err := filepath.Abs(path); err == nil { // else the driver will say what is wrong with the path
		path = absolute
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true, RawQuery: options}
	return name.String()
}
