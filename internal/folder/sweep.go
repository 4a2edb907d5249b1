package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// drafts begin the names of files and folders that are written beside the real ones and
// then renamed. One that is there while nobody uses the folder is of a process that was
// killed in between.
var drafts = [...]string{".server.json-", ".kek-", ".ca.key-", ".ca.pem-", ".ca-bundle.pem-", ".new-", ".backup-", ".closed.json"}

// draftFolders are where there may be some, below the data folder.
var draftFolders = [...]string{".", "credentials"}

// sweep removes what killed processes left half-written. Nobody else uses the folder.
func sweep(dir string) error {
	var errs []error
	for _, below := range draftFolders {
		folder := filepath.Join(dir, below)
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, entry := range entries {
			if isDraft(entry.Name()) {
				errs = append(errs, os.RemoveAll(filepath.Join(folder, entry.Name())))
			}
		}
	}
	return errors.Join(errs...)
}

func isDraft(name string) bool {
	for _, start := range drafts {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}
