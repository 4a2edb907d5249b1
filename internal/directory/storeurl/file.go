package storeurl

import (
	"context"
	"os"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// File is the path of the store, or empty for one that is no file.
func (l Location) File() string { return l.path }

// IsEmpty reports whether there is a file with nothing in it: one that was about to become
// a store, or has been one.
func (l Location) IsEmpty() bool {
	info, err := os.Stat(l.path)
	return err == nil && info.Size() == 0
}

// OpenReadOnly opens a store in a place that cannot be written.
func (l Location) OpenReadOnly(ctx context.Context) (directory.Store, error) {
	store, err := sqlite.OpenReadOnly(ctx, l.path)
	if err != nil { // as for Open
		return nil, err
	}
	return store, nil
}

// Snapshot copies the store, as it is at one moment, into a new file, and checks the copy.
// Others may use the store all the while.
func (l Location) Snapshot(ctx context.Context, target string) error {
	return sqlite.Snapshot(ctx, l.path, target)
}

// Check reads all of a store that no process has open; see sqlite.Check.
func (l Location) Check(ctx context.Context) error { return sqlite.Check(ctx, l.path) }
