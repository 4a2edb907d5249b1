package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// firstFile is there from before a folder's key is made until its database is: a key
// without a database is then a first start that was interrupted, and otherwise a loss.
const firstFile = ".first-start"

// BeginFirstStart notes that the folder's key and database are about to be made.
func BeginFirstStart(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, firstFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("begin the first start: %w", err)
	}
	return errors.Join(f.Sync(), f.Close(), SyncDir(dir))
}

// IsFirstStart reports whether one was begun and has not ended.
func IsFirstStart(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, firstFile))
	return err == nil
}

// EndFirstStart notes that both are there.
func EndFirstStart(dir string) error {
	if err := os.Remove(filepath.Join(dir, firstFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the first start: %w", err)
	}
	return nil
}
