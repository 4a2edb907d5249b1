package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/rolecall-auth/rolecall/internal/backup"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/machine"
)

const (
	backupDraft      = ".rolecall-backup-" // begins the names of folders in which a backup is made
	forgottenDraft   = 24 * time.Hour      // when one is surely of a process that was killed
	credentialFolder = "credentials"
)

// BackupConfig says what to back up, and where to.
type BackupConfig struct {
	Dir        string          // required: the data folder
	Actor      directory.Actor // required: who asks
	File       string          // where the backup goes, or
	Out        io.Writer       // what it is written to
	WithoutKey bool            // seal the private files by the folder's key, which stays out
	Version    string
	Now        func() time.Time // nil means time.Now
}

// Backup writes a backup of a data folder, as it is at one moment, whether or not a server
// runs on it. A file is there whole, read back, and for its owner alone, or not at all. Once it
// is there, the folder's audit trail says so: where it does not, that is the error.
func Backup(ctx context.Context, cfg BackupConfig) (*backup.Header, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.Actor.May(directory.Create, directory.Backups); err != nil {
		return nil, err
	}
	location, kek, err := backupSource(cfg.Dir)
	if err != nil {
		return nil, err
	}
	place := cfg.Dir // when the backup is no file, the copy of the database is made here
	if cfg.File != "" {
		if place, err = backupPlace(cfg.Dir, cfg.File); err != nil {
			return nil, err
		}
	}
	draft, err := os.MkdirTemp(place, backupDraft) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make room for the backup: %w", err)
	}
	var header *backup.Header
	err = machine.InBackground(func() (err error) {
		header, err = makeBackup(ctx, cfg, location, kek, draft)
		return err
	})
	if err = errors.Join(err, os.RemoveAll(draft)); err != nil {
		return header, err
	}
	return header, recordBackup(ctx, cfg, header)
}

// recordBackup says in the audit trail who took a copy of everything, and whether with the key.
// That comes after the copy, which is of the folder as it was found, of an older version too.
func recordBackup(ctx context.Context, cfg BackupConfig, header *backup.Header) (err error) {
	data, err := OpenData(ctx, DataConfig{Dir: cfg.Dir, Now: cfg.Now})
	if err == nil {
		defer func() { err = errors.Join(err, data.Close()) }()
		_, err = data.Directory.Change(ctx, cfg.Actor, func(e *directory.Editor) error { return e.RecordBackup(backupDetail(header)) })
	}
	if err != nil {
		return fmt.Errorf("the backup is made, but the audit trail does not say so: %w", err)
	}
	return nil
}

// backupDetail is what the audit trail says of a backup.
func backupDetail(header *backup.Header) string {
	key := "with the key"
	if header.Sealed {
		key = "without the key"
	}
	return fmt.Sprintf("of %s, %s %s", header.Created.UTC().Format(time.RFC3339), key, header.KEK)
}

// backupSource finds the store and the key of a data folder, without making anything.
func backupSource(dir string) (location storeurl.Location, kek *keyring.KEK, err error) {
	if dir == "" {
		return location, nil, errNoFolder
	}
	if location, err = storeurl.Parse(storeurl.InFolder(dir)); err != nil {
		return location, nil, err
	}
	exists, err := location.Exists()
	if err != nil {
		return location, nil, err
	}
	if !exists || location.IsEmpty() {
		return location, nil, refused("name the data folder with --data", "there is nothing to back up: %s has no database", dir)
	}
	path := filepath.Join(dir, kekFile)
	if err := folder.CheckOwner(dir, path, location.File()); err != nil {
		return location, nil, err
	}
	kek, err = keyring.LoadKEK(path)
	return location, kek, err
}

// backupPlace finds the folder that a backup goes to, and removes what killed backups left
// there.
func backupPlace(dir, file string) (string, error) {
	place, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return "", err
	}
	if inside, err := isInside(dir, place); err != nil || inside {
		return "", errors.Join(err, refused("name a file elsewhere, best on another disk", "the backup %s would be lost with the data folder that it is in", file))
	}
	if err := replaceable(file); err != nil {
		return "", err
	}
	return place, sweepDrafts(place, backupDraft)
}

// sweepDrafts removes what killed backups and restores left in a folder, by the beginning of
// its name: there are secrets in it. A folder that cannot be listed may still be written to.
func sweepDrafts(place, prefix string) error {
	entries, err := os.ReadDir(place)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		old := filepath.Join(place, entry.Name())
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) || folder.CheckOwner(old) != nil {
			continue
		}
		if info, err := entry.Info(); err != nil || time.Since(info.ModTime()) <= forgottenDraft {
			continue
		}
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("remove what a killed command left: %w", err)
		}
	}
	return nil
}

func isInside(dir, place string) (bool, error) {
	outer, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	for {
		info, err := os.Stat(place)
		if err != nil {
			return false, err
		}
		if os.SameFile(outer, info) {
			return true, nil
		}
		above := filepath.Dir(place)
		if above == place {
			return false, nil
		}
		place = above
	}
}

// replaceable allows a backup to take the place of an older one, and of nothing else.
func replaceable(file string) error {
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	start := make([]byte, backup.StartSize)
	if info.Mode().IsRegular() {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		_, _ = io.ReadFull(f, start) // a file that is too short is no backup
		if err := f.Close(); err != nil {
			return err
		}
	}
	if !backup.Begins(start) {
		return refused("name a file that does not exist, or an older backup", "%s is there and is no backup: it is left alone", file)
	}
	return nil
}

func makeBackup(ctx context.Context, cfg BackupConfig, location storeurl.Location, kek *keyring.KEK, draft string) (*backup.Header, error) {
	database := filepath.Join(draft, backup.Database)
	if err := snapshot(ctx, cfg.Dir, location, database); err != nil {
		return nil, err
	}
	header := &backup.Header{Created: cfg.Now().UTC().Truncate(time.Second), Version: cfg.Version, Sealed: cfg.WithoutKey}
	if cfg.File == "" {
		return header, writeBackup(cfg.Out, header, cfg.Dir, kek, database)
	}
	whole := filepath.Join(draft, "backup")
	if err := writeBackupFile(whole, header, cfg.Dir, kek, database); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.Rename(whole, cfg.File); err != nil {
		return nil, fmt.Errorf("put the backup in its place: %w", err)
	}
	return header, folder.SyncDir(filepath.Dir(cfg.File))
}

// snapshot copies the folder's database while the folder is taken, so that nobody takes it
// for one that nobody uses.
func snapshot(ctx context.Context, dir string, location storeurl.Location, target string) error {
	opening := lockedfile.MutexAt(filepath.Join(dir, openFile))
	unlock, err := opening.Lock()
	if err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	use, err := folder.Take(dir, location.File())
	unlock()
	if err != nil {
		return err
	}
	err = asDamaged(location.File(), location.Snapshot(ctx, target))
	if unlock, locked := opening.Lock(); locked == nil {
		defer unlock()
	}
	if err != nil {
		return errors.Join(err, use.Drop())
	}
	return use.End()
}

// writeBackupFile writes a backup, durably, and reads it back.
func writeBackupFile(path string, header *backup.Header, dir string, kek *keyring.KEK, database string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := writeBackup(f, header, dir, kek, database); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	written, err := backup.Read(f, func(backup.Entry, io.Reader) error { return nil })
	if err == nil {
		err = written.Belongs(kek)
	}
	if err != nil {
		return fmt.Errorf("read the backup back: %w", err)
	}
	return nil
}

func writeBackup(w io.Writer, header *backup.Header, dir string, kek *keyring.KEK, database string) (err error) {
	files, err := privateFiles(dir, header.Sealed)
	if err != nil {
		return err
	}
	f, err := os.Open(database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	files = append(files, backup.File{Name: backup.Database, Size: info.Size(), Content: f})
	return backup.Write(w, *header, kek, files)
}

// privateFiles reads what a folder has besides its database.
func privateFiles(dir string, withoutKey bool) ([]backup.File, error) {
	names := []string{"ca.key", "ca.pem"}
	if !withoutKey {
		names = append(names, backup.Key)
	}
	entries, err := os.ReadDir(filepath.Join(dir, credentialFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("back up the credentials: %w", err)
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() && backup.IsCredential(entry.Name()) {
			names = append(names, backup.Credentials+entry.Name())
		}
	}
	var files []backup.File
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) && name != backup.Key { // before the first server, or used up meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("back up: %w", err)
		}
		files = append(files, backup.Bytes(name, content))
	}
	return files, nil
}
