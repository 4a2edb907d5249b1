package tempcred

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/launch"
)

const (
	folderName  = "credentials" // in the data folder
	keyEnding   = ".pem"
	toolsEnding = ".tools" // of folders with an application's shims for az and azd
)

// writeKey keeps a private key in the data folder, and removes those of certificates that
// are no longer valid.
func writeKey(dir, stem string, content []byte, now time.Time) (string, error) {
	old, err := list(dir, "")
	if err != nil {
		return "", err
	}
	for _, file := range old {
		if filepath.Ext(file) != keyEnding {
			continue
		}
		certificates, err := launch.ReadCertificates(file)
		if err != nil || len(certificates) == 0 || certificates[0].NotAfter.After(now) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the key of an expired certificate: %w", err)
		}
	}
	return WriteFile(dir, stem, keyEnding, content)
}

// WriteFile keeps something secret in the data folder, in a file that no other user can
// read and whose name begins and ends so.
func WriteFile(dir, stem, ending string, content []byte) (string, error) {
	folder, err := makeFolder(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, fmt.Sprintf("%s-%s%s", stem, rand.Text()[:8], ending))
	return path, launch.ReplaceFile(path, content, 0o600)
}

// makeFolder makes the folder, or one in it, that no other user can read.
func makeFolder(dir string, below ...string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(append([]string{dir, folderName}, below...)...))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("keep a credential: %w", err)
	}
	return folder, nil
}

// list returns what is kept of credentials under names that begin so: keys, and folders of
// shims.
func list(dir, stem string) ([]string, error) {
	folder := filepath.Join(dir, folderName)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the kept keys: %w", err)
	}
	var files []string
	for _, entry := range entries {
		ending := filepath.Ext(entry.Name())
		if strings.HasPrefix(entry.Name(), stem) && (ending == keyEnding || ending == toolsEnding) {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}

// removeFiles removes what is kept under names that begin so.
func removeFiles(dir, stem string) error {
	files, err := list(dir, stem)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.RemoveAll(file); err != nil {
			return fmt.Errorf("remove the files of a credential: %w", err)
		}
	}
	return nil
}
