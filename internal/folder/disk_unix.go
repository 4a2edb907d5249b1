//go:build unix

package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("find out whom %s belongs to", path)
	}
	if user := os.Geteuid(); int(stat.Uid) != user {
		return &OwnerError{Path: path, Owner: int(stat.Uid), User: user}
	}
	return nil
}

// FileID names a file as long as it exists, wherever it is moved on its disk.
func FileID(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// lockAlone locks the file for this process alone and reports whether that went without
// waiting; it gives up a lock that the file has through f.
func lockAlone(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// lockShared locks the file together with others.
func lockShared(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_SH) }

// SyncDir makes new and renamed entries of a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// IsWritable reports whether this process may make files in the folder. When that cannot be
// told, trying will.
func IsWritable(dir string) bool {
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS)
	return !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EACCES)
}
