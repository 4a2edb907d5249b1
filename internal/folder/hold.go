package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Hold makes a file that says, for as long as this process lives and has not released it, that
// what carries its name is in use. The system ends that with the process, however it ends.
func Hold(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	alone, err := lockAlone(f)
	if err != nil || !alone {
		return nil, errors.Join(fmt.Errorf("lock %s", path), err, f.Close(), os.Remove(path))
	}
	return func() error { return errors.Join(f.Close(), os.Remove(path)) }, nil
}

// Abandoned reports whether a file of Hold is still there although its process has ended. A
// file that is not there says nothing: it may be in another machine's folder.
func Abandoned(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	alone, err := lockAlone(f)
	return alone, errors.Join(err, f.Close())
}
