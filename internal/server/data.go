package server

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/storeurl"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// The files of a data folder, besides those of the certificate authority.
const (
	kekFile   = "kek"
	lockFile  = "server.lock"
	openFile  = "open.lock"
	stateFile = "server.json"
	// BundleFile holds the folder's root certificate and the system's.
	BundleFile = "ca-bundle.pem"
)

var errNoFolder = errors.New("open the data folder: no folder given")

// DataConfig says which folder to open.
type DataConfig struct {
	Dir string // required; made if missing, mode 0700
	// Database is the URL of the directory's store (package storeurl). Empty means a file in
	// the folder.
	Database string
	// NewKey makes the private keys of tenants; see keyring.Config. Nil means fresh ones.
	NewKey func() (*rsa.PrivateKey, error)
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means discard
}

// Data is an open data folder: the directory kept in it, and its signing keys.
type Data struct {
	Dir       string
	Directory *directory.Directory
	Keys      *keyring.Ring

	store   *watchedStore
	use     *folder.Use
	log     *slog.Logger
	hostKey []byte        // of the secrets of hosts
	hosts   chan struct{} // has something when hosts, or tenants, may have changed
}

// OpenData opens a data folder, making what is missing. Several processes may open one
// folder at the same time.
func OpenData(ctx context.Context, cfg DataConfig) (*Data, error) {
	if cfg.Dir == "" {
		return nil, errNoFolder
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := makeFolder(cfg.Dir); err != nil {
		return nil, err
	}
	if !folder.IsWritable(cfg.Dir) {
		return openReadOnly(ctx, cfg)
	}
	// One at a time: in a new folder two would make the key and the store side by side. The
	// lock goes with the process.
	unlock, err := lockedfile.MutexAt(filepath.Join(cfg.Dir, openFile)).Lock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	defer unlock()
	location, err := storeurl.Parse(cmp.Or(cfg.Database, storeurl.InFolder(cfg.Dir)))
	if err != nil {
		return nil, err
	}
	kek, err := openKEK(cfg.Dir, location)
	if err != nil {
		return nil, err
	}
	use, store, err := openStore(ctx, cfg, location)
	if err != nil {
		return nil, err
	}
	data, err := newData(ctx, cfg, kek, store)
	if err != nil {
		return nil, errors.Join(err, store.Close(), use.Drop())
	}
	data.use = use
	data.adoptAudit(ctx)
	return data, nil
}

func newData(ctx context.Context, cfg DataConfig, kek *keyring.KEK, store *watchedStore) (*Data, error) {
	data := &Data{Dir: cfg.Dir, store: store, log: cfg.Log, hostKey: kek.Derive("host-secrets"), hosts: make(chan struct{}, 1)}
	var err error
	data.Directory, err = directory.Open(ctx, directory.Config{
		Store: store, SecretKey: kek.Derive("client-secrets"), Audit: audit.NewSigner(kek.Derive("audit-chain")), OnChange: data.onChange, Now: cfg.Now, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	data.Keys, err = keyring.New(keyring.Config{Store: data.Directory, KEK: kek, NewKey: cfg.NewKey, Now: cfg.Now, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// onChange lets the signing keys and the hosts follow the change feed.
func (d *Data) onChange(change directory.Change) {
	missed := change.Sequence == 0
	switch {
	case missed:
		d.forgetKeys(context.Background())
	case change.Kind == directory.KindKeyring:
		d.Keys.Forget(change.Tenant)
	}
	if missed || change.Kind == directory.KindHost || change.Kind == directory.KindTenant {
		select {
		case d.hosts <- struct{}{}:
		default: // somebody is about to look already
		}
	}
}

// forgetKeys makes every tenant's keys be looked up again at their next use.
func (d *Data) forgetKeys(ctx context.Context) {
	tenants, err := d.Directory.Tenants(ctx)
	if err != nil { // then the ring's own polling makes up for it
		d.log.WarnContext(ctx, "list tenants", "error", err)
	}
	for _, tenant := range tenants {
		d.Keys.Forget(string(tenant.ID))
	}
}

// makeFolder makes the data folder. One that other users can look into is closed to them
// while it is empty, and refused when it holds something: it may not be meant for us.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &refusedError{what: fmt.Sprintf("make the data folder: %v", err), fix: "name a folder of your own with --data or ROLECALL_DATA", cause: err}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("open the data folder: %w", err)
	}
	if err := folder.CheckOwner(dir); err != nil {
		return err
	}
	// Windows has no such bits; there the folder's access list decides.
	mode := info.Mode().Perm()
	if mode&0o077 == 0 || runtime.GOOS == "windows" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("open the data folder: %w", err)
	}
	if len(entries) > 0 {
		return refused(fmt.Sprintf("run `chmod 700 %s`, or name another folder with --data", dir), "the data folder %s is open to other users (mode %04o)", dir, mode)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs the x bit
		return fmt.Errorf("close the data folder to other users: %w", err)
	}
	return nil
}

// Sequence returns the number of the newest change in the store.
func (d *Data) Sequence(ctx context.Context) (int64, error) { return d.store.Sequence(ctx) }
