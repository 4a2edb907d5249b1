package managedidentity

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

const (
	challengeLife = 20 * time.Second // enough time to read a file
	maxChallenges = 2048             // open at once, for one endpoint
)

// challenges are files that a caller has to read, which proves that it may. Each is good for one
// request.
type challenges struct {
	folder *os.Root // so that no link leads outside
	log    *slog.Logger

	mu   sync.Mutex
	open map[[sha256.Size]byte]*challenge // guarded by mu; by the digest of the file's content
}

type challenge struct {
	name  string
	timer *time.Timer
}

// newChallenges uses a folder that must exist and must not be writable by other users.
func newChallenges(folder string, log *slog.Logger) (*challenges, error) {
	const fix = "make it, owned by the user of the server and writable by nobody else (sudo install -d -m 0755 -o $USER %s)"
	if !filepath.IsAbs(folder) {
		return nil, fmt.Errorf("azure arc: the folder of challenge files is %q: give an absolute path", folder)
	}
	info, err := os.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("azure arc: clients read challenge files in %s only, which does not exist: "+fix, folder, folder)
	case err != nil:
		return nil, fmt.Errorf("azure arc: the folder of challenge files: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("azure arc: %s is not a folder: "+fix, folder, folder)
	case !private(info):
		return nil, fmt.Errorf("azure arc: other users can write to %s: "+fix, folder, folder)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("azure arc: open the folder of challenge files: %w", err)
	}
	c := &challenges{folder: root, log: log, open: map[[sha256.Size]byte]*challenge{}}
	if err := c.sweep(); err != nil {
		log.Warn("azure arc: remove challenge files of a server that was killed", "error", err)
	}
	return c, nil
}

// challengeName matches the names of our files; the folder may contain others.
var challengeName = regexp.MustCompile(`^rolecall-[A-Z2-7]{26}\.key$`)

// sweep removes files of a server that was killed. They are no longer valid.
func (c *challenges) sweep() error {
	entries, err := fs.ReadDir(c.folder.FS(), ".")
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !challengeName.MatchString(entry.Name()) || time.Since(info.ModTime()) < challengeLife {
			continue // it may be gone already, or belong to another server
		}
		errs = append(errs, c.folder.Remove(entry.Name()))
	}
	return errors.Join(errs...)
}

// errTooMany says that callers request challenges and do not answer them.
var errTooMany = errors.New("too many challenges are open")

// make writes a challenge file and returns its path.
func (c *challenges) make() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= maxChallenges {
		return "", errTooMany
	}
	name, content := "rolecall-"+rand.Text()+".key", newSecret()
	f, err := c.folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("make a challenge file: %w", err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write a challenge file: %w", err), c.folder.Remove(name))
	}
	digest := sha256.Sum256([]byte(content))
	c.open[digest] = &challenge{name: name, timer: time.AfterFunc(challengeLife, func() { c.drop(digest) })}
	return filepath.Join(c.folder.Name(), name), nil
}

// take reports whether a key is that of an open challenge, and ends the challenge. The look-up
// is by digest, so that its duration reveals nothing about the key.
func (c *challenges) take(key string) bool { return c.drop(sha256.Sum256([]byte(key))) }

func (c *challenges) drop(digest [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.open[digest]
	if !ok {
		return false
	}
	delete(c.open, digest)
	found.timer.Stop()
	if err := c.folder.Remove(found.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Error("azure arc: remove a challenge file", "error", err)
	}
	return true
}

// close removes the remaining files.
func (c *challenges) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for digest, left := range c.open {
		left.timer.Stop()
		delete(c.open, digest)
		if err := c.folder.Remove(left.name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, c.folder.Close())...)
}
