package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// An OwnerError says that something in a data folder belongs to another user. Whoever owns
// the folder's key can read what is sealed by it, so a folder that somebody else has made
// is not used, not even by root.
type OwnerError struct {
	Path  string
	Owner int // user id
	User  int // of this process
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to another user (id %d; this process runs as %d), who may know the keys in it", e.Path, e.Owner, e.User)
}

// Fix says what to do.
func (e *OwnerError) Fix() string {
	return fmt.Sprintf("run this as that user, name another folder with --data, or, when the folder is yours, run `chown -R %d` on it", e.User)
}

// CheckOwner refuses files and folders that belong to another user than the one that this
// process acts as. Those that do not exist are nobody's.
func CheckOwner(paths ...string) error {
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 { // the link is as good as its target
			if err := checkOwner(path, info); err != nil {
				return err
			}
			info, err = os.Stat(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := checkOwner(path, info); err != nil {
			return err
		}
	}
	return nil
}
