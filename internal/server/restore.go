package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/rolecall-auth/rolecall/internal/backup"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// RestoreConfig says what to restore, and where to.
type RestoreConfig struct {
	Dir   string           // required: the data folder
	Actor directory.Actor  // required: who asks
	From  io.Reader        // the backup
	Key   string           // file with the folder's key, for a backup made without it
	Force bool             // put it in the place of what is in the folder, which is kept aside
	Now   func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil means discard
}

// Restored says what became of it.
type Restored struct {
	backup.Header
	Aside string // where what was in the folder is now; empty when there was nothing
}

// Restore makes a data folder of a backup. The folder is made beside its place, read and
// opened there, and only then put into its place, in one step where the system can; nothing
// is changed in it before, nor when anything fails.
func Restore(ctx context.Context, cfg RestoreConfig) (_ *Restored, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.Actor.May(directory.Update, directory.Backups); err != nil {
		return nil, err
	}
	target, err := restoreTarget(cfg.Dir, cfg.Force)
	if err != nil {
		return nil, err
	}
	if target.full {
		unlock, err := takeFolder(ctx, target.dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	draft, err := target.makeDraft()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(draft)) }() // gone already when all went well
	read, err := unpack(cfg, draft)
	if err != nil {
		return nil, err
	}
	if err := tryFolder(ctx, cfg, draft, &read.Header); err != nil {
		return nil, err
	}
	aside, err := target.swap(draft, cfg.Now())
	if err != nil {
		return nil, err
	}
	location, err := storeurl.Parse(storeurl.InFolder(target.dir))
	if err != nil {
		return nil, err
	}
	return &Restored{read.Header, aside}, folder.Vouch(target.dir, location.File())
}

// unpack writes the files of a backup into a new folder, durably, and returns once all of
// the backup is known to be whole.
func unpack(cfg RestoreConfig, draft string) (*backup.Backup, error) {
	private := map[string][]byte{}
	read, err := backup.Read(cfg.From, func(entry backup.Entry, content io.Reader) error {
		if entry.Name == backup.Database {
			return writeDurably(filepath.Join(draft, backup.Database), content)
		}
		all, err := io.ReadAll(content)
		private[entry.Name] = all
		return err
	})
	if err != nil {
		return nil, err
	}
	if read.Sealed {
		if private[backup.Key], err = readKey(cfg.Key, read.KEK); err != nil {
			return nil, err
		}
	}
	kek, err := keyring.KEKFromBytes(private[backup.Key])
	if err == nil {
		err = read.Belongs(kek)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(draft, credentialFolder), 0o700); err != nil {
		return nil, err
	}
	for name, content := range private {
		if name != backup.Key {
			if content, err = read.Open(kek, name, content); err != nil {
				return nil, err
			}
		}
		if err := writeDurably(filepath.Join(draft, filepath.FromSlash(name)), bytes.NewReader(content)); err != nil {
			return nil, err
		}
	}
	return read, errors.Join(folder.SyncDir(filepath.Join(draft, credentialFolder)), folder.SyncDir(draft))
}

// readKey reads the key of a folder whose backup was made without it.
func readKey(path, fingerprint string) ([]byte, error) {
	if path == "" {
		return nil, refused("give the file `kek` of the folder that was backed up with --key", "the backup was made without its key (fingerprint %.16s)", fingerprint)
	}
	if _, err := keyring.LoadKEK(path); err != nil { // which refuses what others can read
		return nil, err
	}
	return os.ReadFile(path)
}

func writeDurably(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// tryFolder checks the database of a folder that was just unpacked and opens the folder, so
// that one which cannot be used is put into nobody's place. Its audit trail goes on with what
// it was restored from, and by whom.
func tryFolder(ctx context.Context, cfg RestoreConfig, draft string, from *backup.Header) error {
	location, err := storeurl.Parse(storeurl.InFolder(draft))
	if err != nil {
		return err
	}
	if err := location.Check(ctx); err != nil {
		return &refusedError{what: "the database in the backup is damaged: " + err.Error(), fix: "take another backup", cause: err}
	}
	data, err := OpenData(ctx, DataConfig{Dir: draft, Now: cfg.Now, Log: cfg.Log})
	if err != nil {
		return fmt.Errorf("open what was restored: %w", err)
	}
	_, err = data.Directory.Change(ctx, cfg.Actor, func(e *directory.Editor) error { return e.RecordRestore(backupDetail(from)) })
	return errors.Join(err, data.Close())
}

// A target is where a folder is to be restored.
type target struct {
	dir    string // absolute, and no link
	exists bool
	full   bool // it holds something
}

func restoreTarget(dir string, force bool) (t target, err error) {
	if dir == "" {
		return t, errNoFolder
	}
	if t.dir, err = filepath.Abs(dir); err != nil {
		return t, err
	}
	if resolved, err := filepath.EvalSymlinks(t.dir); err == nil {
		t.dir = resolved
	}
	entries, err := os.ReadDir(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("restore the data folder: %w", err)
	}
	t.exists, t.full = true, len(entries) > 0
	if err := folder.CheckOwner(t.dir); err != nil {
		return t, err
	}
	if t.full && !force {
		return t, refused("name an empty folder with --data, or give --force: what is in the folder is then kept aside", "the data folder %s is not empty", t.dir)
	}
	return t, nil
}

// takeFolder makes this process the folder's server, so that there is no other.
func takeFolder(ctx context.Context, dir string) (unlock func() error, err error) {
	unlock, err = lock(filepath.Join(dir, lockFile))
	if !errors.Is(err, errLocked) {
		return unlock, err
	}
	other, err := Find(ctx, dir)
	if err != nil {
		return nil, err
	}
	what := &InUseError{Dir: dir, Other: other}
	return nil, &refusedError{what: what.Error(), fix: "stop it first: a folder is not restored under a server", cause: what}
}

// makeDraft makes the folder that becomes the target: beside it, on the same disk.
func (t target) makeDraft() (string, error) {
	parent, base := filepath.Split(t.dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("restore the data folder: %w", err)
	}
	prefix := "." + base + ".restore-"
	if err := sweepDrafts(parent, prefix); err != nil {
		return "", err
	}
	draft, err := os.MkdirTemp(parent, prefix+"*") // mode 0700
	if err != nil {
		return "", fmt.Errorf("restore the data folder beside its place: %w", err)
	}
	return draft, nil
}

// swap puts the new folder into its place and returns where the old one is now.
func (t target) swap(draft string, now time.Time) (aside string, err error) {
	switch {
	case !t.exists:
		err = os.Rename(draft, t.dir)
	case !t.full:
		if err = os.Remove(t.dir); err == nil { // it is empty, or this fails
			err = os.Rename(draft, t.dir)
		}
	default:
		aside, err = t.setAside(draft, now)
	}
	if errors.Is(err, errInUse) {
		return "", err
	}
	if err != nil {
		return "", &refusedError{
			what: fmt.Sprintf("the folder %s cannot be replaced: %v", t.dir, err), cause: err,
			fix: "where it is a mount point, restore into a folder below it, and name that one with --data",
		}
	}
	return aside, folder.SyncDir(filepath.Dir(t.dir))
}

var errInUse = errors.New("in use")

// setAside puts the new folder into the place of one that holds something and that nobody
// uses.
func (t target) setAside(draft string, now time.Time) (aside string, err error) {
	unlock, err := lockedfile.MutexAt(filepath.Join(t.dir, openFile)).Lock()
	if err != nil {
		return "", fmt.Errorf("lock the data folder: %w", err)
	}
	defer unlock()
	aside = fmt.Sprintf("%s.before-restore-%s", t.dir, now.UTC().Format("20060102T150405.000Z"))
	alone, err := folder.Alone(t.dir, func() error { return folder.Replace(t.dir, draft, aside) })
	if err == nil && !alone {
		return "", &refusedError{what: fmt.Sprintf("another rolecall process is using %s", t.dir), fix: "let it end, and try again", cause: errInUse}
	}
	return aside, err
}
