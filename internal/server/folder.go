package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// checkLimit is how long a database is looked at before it is opened all the same.
const checkLimit = time.Minute

// openKEK loads the key-encryption key, or makes one for a folder that has neither that nor
// a store. One without the other is a loss: a store without its key cannot be read, and an
// empty store in the place of a lost one would look like a directory that forgot everything.
func openKEK(dir string, store storeurl.Location) (*keyring.KEK, error) {
	path := filepath.Join(dir, kekFile)
	if err := folder.CheckOwner(path, filepath.Join(dir, "ca.key"), store.File()); err != nil {
		return nil, err
	}
	kek, err := keyring.LoadKEK(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	exists, err := store.Exists()
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for the store: %w", err)
	case exists && missing:
		return nil, refused("restore the key from a backup", "the store %s exists but its key %s is missing", store, path)
	case !missing && (!exists || store.IsEmpty()) && !folder.IsFirstStart(dir):
		return nil, refused(fmt.Sprintf("restore a backup with `rolecall restore --force FILE`, or put %s back; only to begin anew, without any application or secret there was, remove the folder", store.File()),
			"the data folder %s has its key but no database: %s was lost, or left out of a copy", dir, store.File())
	case missing:
		if err := folder.BeginFirstStart(dir); err != nil {
			return nil, err
		}
		return keyring.CreateKEK(path)
	}
	return kek, nil
}

// openStore takes the folder and opens its store, looking at all of it first when it may
// not be as it was left.
func openStore(ctx context.Context, cfg DataConfig, location storeurl.Location) (*folder.Use, *watchedStore, error) {
	use, err := folder.Take(cfg.Dir, location.File())
	if err != nil {
		return nil, nil, err
	}
	opened, err := location.Open(ctx)
	if err != nil {
		return nil, nil, errors.Join(asDamaged(location.File(), err), use.Drop())
	}
	store := &watchedStore{Store: opened, path: location.File(), log: cfg.Log}
	err = checkStore(ctx, store, use.Doubt())
	if err == nil {
		err = sameAsServers(ctx, cfg.Dir, store)
	}
	if err == nil {
		err = folder.EndFirstStart(cfg.Dir)
	}
	if err != nil {
		return nil, nil, errors.Join(err, store.Close(), use.Drop())
	}
	return use, store, nil
}

// openReadOnly opens a folder that cannot be written, for commands that only read. Nobody is
// kept from it, and nothing is noted in it.
func openReadOnly(ctx context.Context, cfg DataConfig) (*Data, error) {
	location, err := storeurl.Parse(cmp.Or(cfg.Database, storeurl.InFolder(cfg.Dir)))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Dir, kekFile)
	if err := folder.CheckOwner(path, location.File()); err != nil {
		return nil, err
	}
	kek, err := keyring.LoadKEK(path)
	if err != nil {
		return nil, err
	}
	opened, err := location.OpenReadOnly(ctx)
	if err != nil {
		return nil, asDamaged(location.File(), err)
	}
	store := &watchedStore{Store: opened, path: location.File(), log: cfg.Log}
	data, err := newData(ctx, cfg, kek, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return data, nil
}

// checkStore looks at all of a store that there is a doubt about.
func checkStore(ctx context.Context, store *watchedStore, doubt string) error {
	checked, ok := store.Store.(interface {
		Check(ctx context.Context) error
	})
	if doubt == "" || !ok {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	began := time.Now()
	err := checked.Check(limited)
	took := slog.Duration("took", time.Since(began).Round(time.Millisecond))
	switch {
	case err == nil:
		store.log.LogAttrs(ctx, slog.LevelInfo, "checked the database: it is whole", slog.String("because", doubt), took)
		return nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		store.log.LogAttrs(ctx, slog.LevelWarn, "the database was not checked to its end", slog.String("because", doubt), took)
		return nil
	}
	return store.note(ctx, fmt.Errorf("check the database: %w", err))
}

// damagedFix is what to do about a damaged database.
const damagedFix = "stop whatever uses the folder and restore a backup: `rolecall restore --force FILE`; the folder as it is now is kept aside"

// asDamaged makes an error that says so out of one by which the engine reports damage.
func asDamaged(path string, err error) error {
	if !errors.Is(err, directory.ErrDamaged) {
		return err
	}
	return &refusedError{what: fmt.Sprintf("the database %s is damaged: %v", path, err), fix: damagedFix, cause: err}
}

// storeMark names the store that a server has open, and the file.
type storeMark struct {
	ID   string `json:"id,omitempty"`
	File string `json:"file,omitempty"`
}

// sameAsServers refuses a store that is another one than the running server's: what a
// command changed there, the server would never see.
func sameAsServers(ctx context.Context, dir string, store *watchedStore) error {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil //nolint:nilerr // no server has said what it serves
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil || s.Store == store.mark() || s.Store == (storeMark{}) {
		return nil //nolint:nilerr // as Find has it
	}
	found, err := Find(ctx, dir)
	if found == nil || err != nil {
		return err
	}
	return refused("stop the server, see to it that the right database is in the folder (`rolecall restore --force FILE` puts back a backup), and start it again",
		"the server on %s (process %d) has another database open than the one that is in the folder now: %s was replaced while it ran", dir, found.PID, store.path)
}

// Close closes the store. The last process to do so vouches for the file, unless it was
// seen to be damaged.
func (d *Data) Close() (err error) {
	if d.use == nil { // it was only read
		return d.store.Close()
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(d.Dir, openFile)).Lock()
	if err != nil { // the folder may be gone
		return errors.Join(d.store.Close(), d.use.Drop())
	}
	defer unlock()
	err = d.store.Close()
	if err != nil || d.store.problem() != "" {
		return errors.Join(err, d.use.Drop())
	}
	return d.use.End()
}
