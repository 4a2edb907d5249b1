package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	useFile  = "use.lock"    // locked, together, by every process that has the database open
	markFile = "closed.json" // how the last of them left it
	walEnd   = "-wal"        // ends the name of the database's log, which is gone once it was closed
)

// A mark says how the database's file was when the last process that used it closed it.
type mark struct {
	Path     string    `json:"path"`
	File     string    `json:"file,omitempty"` // device and inode
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// A Use is one process's use of a database in a data folder.
type Use struct {
	dir, database string
	lock          *os.File
	doubt         string
}

// Take begins a use. It is called before the database is opened, by one process at a time.
func Take(dir, database string) (*Use, error) {
	lock, err := os.OpenFile(filepath.Join(dir, useFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the data folder: %w", err)
	}
	u := &Use{dir: dir, database: database, lock: lock}
	alone, err := lockAlone(lock)
	if err == nil && alone {
		u.doubt, err = doubt(dir, database)
		err = errors.Join(err, sweep(dir))
	}
	if err == nil {
		err = lockShared(lock)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take the data folder: %w", err), lock.Close())
	}
	return u, nil
}

// Doubt says why the database may not be as the last process left it, and is empty when it
// is, or is in use.
func (u *Use) Doubt() string { return u.doubt }

// End ends the use. It is called after the database was closed, by one process at a time.
// The last one notes how it leaves the file.
func (u *Use) End() error {
	alone, err := lockAlone(u.lock)
	if err == nil && alone {
		err = leaveMark(u.dir, u.database)
	}
	return errors.Join(err, u.lock.Close())
}

// Drop ends the use of a database that nobody should vouch for: the next one to take it
// will doubt it as this one did.
func (u *Use) Drop() error {
	err := os.Remove(filepath.Join(u.dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, u.lock.Close())
}

// Alone calls f while no process uses the folder, and reports whether it did.
func Alone(dir string, f func() error) (alone bool, err error) {
	lock, err := os.OpenFile(filepath.Join(dir, useFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, fmt.Errorf("take the data folder: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if alone, err = lockAlone(lock); err != nil || !alone {
		return alone, err
	}
	return true, f()
}

// Vouch notes that the database is whole as it is, though it was moved: it was checked
// before.
func Vouch(dir, database string) error { return leaveMark(dir, database) }

func doubt(dir, database string) (string, error) {
	now, err := markOf(database)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // there is nothing to doubt
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(database + walEnd); err == nil {
		return "it was not closed", nil
	}
	content, err := os.ReadFile(filepath.Join(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing says how it was closed", nil
	}
	if err != nil {
		return "", err
	}
	var before mark
	if err := json.Unmarshal(content, &before); err != nil {
		return "what says how it was closed cannot be read", nil //nolint:nilerr // then it is looked at
	}
	switch {
	case before.Path != now.Path || before.File != now.File:
		return "it was moved or copied", nil
	case before.Size != now.Size || !before.Modified.Equal(now.Modified):
		return "it was changed after it was closed", nil
	}
	return "", nil
}

func markOf(database string) (mark, error) {
	path, err := filepath.Abs(database)
	if err != nil {
		return mark{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return mark{}, err
	}
	return mark{Path: path, File: FileID(info), Size: info.Size(), Modified: info.ModTime().Round(0)}, nil
}

// leaveMark notes how the database is now. It need not outlive the machine: without it, or
// with an older one, the database is looked at.
func leaveMark(dir, database string) error {
	now, err := markOf(database)
	if err != nil {
		return fmt.Errorf("note how the database was closed: %w", err)
	}
	content, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("note how the database was closed: %w", err)
	}
	path := filepath.Join(dir, markFile)
	draft := filepath.Join(dir, "."+markFile)
	if err := errors.Join(os.WriteFile(draft, content, 0o600), os.Rename(draft, path)); err != nil {
		return fmt.Errorf("note how the database was closed: %w", err)
	}
	return nil
}
