package server

import (
	"os"
	"path/filepath"

	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
)

// HasData reports whether a folder has data in it, for those who would rather have none than
// new data.
func HasData(dir string) bool {
	files := []string{filepath.Join(dir, kekFile)}
	if location, err := storeurl.Parse(storeurl.InFolder(dir)); err == nil {
		files = append(files, location.File())
	}
	for _, file := range files {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			return true // or it cannot be seen, which opening it tells better
		}
	}
	return false
}
