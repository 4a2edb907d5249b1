// Package storeurl opens the store of a directory by its URL. It is the only place that
// knows which stores there are:
//
//	sqlite:PATH    a SQLite file, made if it is missing; PATH is absolute or relative
//
// The package owns the URLs. What a store does is the store's own affair (package
// directory defines it, package storetest checks it). Start reading at [Parse].
package storeurl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

const (
	sqliteScheme = "sqlite"
	fileName     = "rolecall.db"
)

// A Location is where a store is.
type Location struct {
	path string // of a SQLite file
}

// InFolder is the URL of the store that a data folder has of its own.
func InFolder(dir string) string { return sqliteScheme + ":" + filepath.Join(dir, fileName) }

// An InvalidError says that a URL names no store. It shows no more of the URL than its
// scheme, because URLs of databases hold passwords.
type InvalidError struct {
	What string
}

func (e *InvalidError) Error() string { return e.What }

// Fix says what a good URL looks like.
func (e *InvalidError) Fix() string {
	return "write sqlite: and the path of a file, such as sqlite:/var/lib/rolecall/rolecall.db"
}

// Parse reads the URL of a store and opens nothing.
func Parse(url string) (Location, error) {
	scheme, path, ok := strings.Cut(url, ":")
	switch {
	case !ok:
		return Location{}, &InvalidError{"the database URL has no scheme"}
	case !strings.EqualFold(scheme, sqliteScheme):
		return Location{}, &InvalidError{fmt.Sprintf("the database URL has the scheme %.20q, and only %s: is supported", scheme, sqliteScheme)}
	case path == "" || strings.HasPrefix(path, "//"):
		return Location{}, &InvalidError{"the database URL names no file"}
	}
	return Location{path}, nil
}

// String returns the URL.
func (l Location) String() string { return sqliteScheme + ":" + l.path }

// Exists reports whether the store has been made already.
func (l Location) Exists() (bool, error) {
	_, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Open opens the store, and makes it if there is none.
func (l Location) Open(ctx context.Context) (directory.Store, error) {
	store, err := sqlite.Open(ctx, l.path)
	if err != nil { // a nil *sqlite.Store is no nil directory.Store
		return nil, err
	}
	return store, nil
}
