package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// OpenReadOnly opens a database in a folder that cannot be written, such as a mounted
// snapshot. Everything that would change it is directory.ErrReadOnly.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	s := &Store{}
	if err := s.openReadOnly(ctx, path); err != nil {
		return nil, fmt.Errorf("open the database %s for reading: %w", path, errors.Join(asDamage(err), s.Close()))
	}
	return s, nil
}

func (s *Store) openReadOnly(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	s.file = file{path, info}
	options := fmt.Sprintf("mode=ro&_pragma=busy_timeout(%d)", busyTimeout)
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() == 0 {
		options += "&immutable=1" // without a log nobody writes to it, and SQLite need not make the files beside it
	}
	if s.reader, err = s.file.pool(readers, options); err != nil {
		return err
	}
	var version int
	if err := s.reader.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version); err != nil {
		return err
	}
	if version != len(migrations) {
		return fmt.Errorf("it has schema %d and this Rolecall works with schema %d: run a command of this version on it once where it can be written", version, len(migrations))
	}
	if err := s.reader.QueryRowContext(ctx, `SELECT id FROM store`).Scan(&s.id); err != nil {
		return err
	}
	s.read = on(s.reader)
	return nil
}

// writable returns directory.ErrReadOnly for a store that is open for reading alone.
func (s *Store) writable() error {
	if s.writer == nil {
		return fmt.Errorf("%w: %s", directory.ErrReadOnly, s.file.path)
	}
	return s.file.inPlace()
}
