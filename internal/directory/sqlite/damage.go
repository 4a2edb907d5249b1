package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// shownProblems is how many problems of a damaged file its error names.
const shownProblems = 3

// primaryCode is the part of SQLite's extended result codes that says what went wrong.
const primaryCode = 0xff

// IsDamage reports whether the engine says that the file is no database, or no whole one.
func IsDamage(err error) bool {
	code := codeOf(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// isBusy reports whether the engine says that another process has the file to itself.
func isBusy(err error) bool { return codeOf(err) == sqlite3.SQLITE_BUSY }

// codeOf is the primary result code of an error of the engine's, or zero.
func codeOf(err error) int {
	var engine *sqlite.Error
	if !errors.As(err, &engine) {
		return 0
	}
	return engine.Code() & primaryCode
}

// asDamage adds directory.ErrDamaged to an error by which the engine says that.
func asDamage(err error) error {
	if err == nil || errors.Is(err, directory.ErrDamaged) || !IsDamage(err) {
		return err
	}
	return fmt.Errorf("%w: %w", directory.ErrDamaged, err)
}

// Check reads the whole database of a file that no process has open, and returns an error
// that is directory.ErrDamaged unless every page, index and constraint is as it should be.
// It changes nothing, and makes no file beside it.
func Check(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", fileName(path, "mode=ro&immutable=1"))
	if err != nil {
		return fmt.Errorf("check the database %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkIntegrity(ctx, db); err != nil {
		return fmt.Errorf("check the database %s: %w", path, err)
	}
	return nil
}

// Check does so for the open database, while others use it.
func (s *Store) Check(ctx context.Context) error { return checkIntegrity(ctx, s.reader) }

func checkIntegrity(ctx context.Context, db *sql.DB) (err error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`PRAGMA integrity_check(%d)`, shownProblems))
	if err != nil {
		return asDamage(ended(ctx, err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var problems []string
	for rows.Next() {
		var problem string
		if err := rows.Scan(&problem); err != nil {
			return asDamage(ended(ctx, err))
		}
		problems = append(problems, problem)
	}
	if err := rows.Err(); err != nil {
		return asDamage(ended(ctx, err))
	}
	if len(problems) == 1 && problems[0] == "ok" {
		return nil
	}
	return fmt.Errorf("%w: %s", directory.ErrDamaged, strings.Join(problems, "; "))
}
