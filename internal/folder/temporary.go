package folder

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

const (
	// heldName is the file, in a temporary folder, that its process holds.
	heldName = ".held"
	// settled is the age from which a temporary folder has that file, locked, or never will.
	settled = time.Minute
)

// MakeTemporary makes a folder in the system's folder for temporary files, which no other user
// can read and whose name begins with a prefix, and removes those of its kind that killed
// processes of this user left behind. The caller removes its own.
func MakeTemporary(prefix string) (path string, remove func() error, err error) {
	sweepTemporary(prefix)
	if path, err = os.MkdirTemp("", prefix); err != nil { // mode 0700
		return "", nil, err
	}
	release, err := Hold(filepath.Join(path, heldName))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(path))
	}
	return path, func() error { return errors.Join(release(), os.RemoveAll(path)) }, nil
}

// sweepTemporary removes what it can. What it cannot is the next one's to try.
func sweepTemporary(prefix string) {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return
	}
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || checkOwner(path, info) != nil || time.Since(info.ModTime()) < settled {
			continue
		}
		held := filepath.Join(path, heldName)
		if _, err := os.Lstat(held); err == nil {
			if abandoned, err := Abandoned(held); err != nil || !abandoned {
				continue
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			continue
		}
		_ = os.RemoveAll(path)
	}
}
