package folder

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// checkOwner has nothing to look at: the folder's access list decides who may write to it.
func checkOwner(string, fs.FileInfo) error { return nil }

// FileID names nothing here: path, length and time have to do.
func FileID(fs.FileInfo) string { return "" }

// lockAlone locks the file for this process alone and reports whether that went without
// waiting; it gives up a lock that the file has through f.
func lockAlone(f *os.File) (bool, error) {
	unlock(f)
	err := lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// lockShared locks the file together with others.
func lockShared(f *os.File) error {
	unlock(f)
	return lock(f, 0)
}

func lock(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}

func unlock(f *os.File) {
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped)) // there may be none
}

// SyncDir does nothing: the system keeps entries of folders by itself.
func SyncDir(string) error { return nil }

// IsWritable leaves it to trying.
func IsWritable(string) bool { return true }
