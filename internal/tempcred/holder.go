package tempcred

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/folder"
)

// holdEnding is that of the files by which one tells whether a process lives.
const holdEnding = ".held"

// longestHeld is longer than credentials outlive a holder that was killed.
const longestHeld = 30 * 24 * time.Hour

// A Holder is a process that has credentials for as long as it lives. Those of one that was
// killed are removed when another makes credentials.
type Holder struct {
	name    string
	release func() error
}

// Hold makes a holder of this process, until it is released.
func Hold(dir string) (*Holder, error) {
	in, err := makeFolder(dir)
	if err != nil {
		return nil, err
	}
	h := &Holder{name: rand.Text()[:12]}
	if h.release, err = folder.Hold(filepath.Join(in, h.name+holdEnding)); err != nil {
		return nil, fmt.Errorf("keep a credential: %w", err)
	}
	return h, nil
}

// Release says that there are no credentials of the process any more.
func (h *Holder) Release() error { return h.release() }

// credentialName is what a credential is called in the directory.
func (i Issuer) credentialName() string {
	if i.Holder == nil {
		return prefix + i.Purpose
	}
	return prefix + i.Purpose + " " + i.Holder.name
}

// abandoned are the names of holders that were killed.
func (i Issuer) abandoned() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(i.Dir, folderName, "*"+holdEnding))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		switch over, err := folder.Abandoned(file); {
		case err != nil:
			return nil, fmt.Errorf("look for credentials of processes that were killed: %w", err)
		case over:
			names = append(names, strings.TrimSuffix(filepath.Base(file), holdEnding))
		}
	}
	return names, nil
}

// ofHolder selects the credentials of some holders.
func ofHolder(names []string) func(temporary) bool {
	return func(c temporary) bool {
		for _, name := range names {
			if strings.HasSuffix(c.name, " "+name) {
				return true
			}
		}
		return false
	}
}

// forget removes the private keys of holders that were killed. That they existed is kept,
// because they may have had credentials of an application that was not looked at, until the
// last of those would have expired.
func (i Issuer) forget(names []string) error {
	var errs []error
	for _, name := range names {
		keys, err := filepath.Glob(filepath.Join(i.Dir, folderName, "*-"+name+"-*"+keyEnding))
		errs = append(errs, err)
		held := filepath.Join(i.Dir, folderName, name+holdEnding)
		if info, err := os.Stat(held); err == nil && i.Now().Sub(info.ModTime()) > longestHeld {
			keys = append(keys, held)
		}
		for _, file := range keys {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
