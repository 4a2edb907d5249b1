package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/folder"
)

// watchEvery is how often a server looks whether its database is still in its place.
const watchEvery = time.Second

// A watchedStore is a store that remembers whether it was ever seen to be damaged, and says
// so in its errors and once in the log.
type watchedStore struct {
	directory.Store
	path    string // of its file; empty where it has none
	log     *slog.Logger
	damaged atomic.Bool
	moved   atomic.Bool // and said so
}

// placed is a store that knows whether its file is where it was.
type placed interface{ InPlace() error }

// problem says why the store is not to be relied on, and is empty when it is.
func (w *watchedStore) problem() string {
	if w.damaged.Load() {
		return "the database is damaged: restore a backup"
	}
	if store, ok := w.Store.(placed); ok && errors.Is(store.InPlace(), directory.ErrReplaced) {
		return "the database was removed or replaced while the server ran: restore it, and restart the server"
	}
	return ""
}

// watch looks, until the context ends, whether the database is still in its place.
func (w *watchedStore) watch(ctx context.Context) {
	store, ok := w.Store.(placed)
	if !ok {
		return
	}
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		w.noteMoved(ctx, store.InPlace())
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (w *watchedStore) noteMoved(ctx context.Context, err error) {
	moved := errors.Is(err, directory.ErrReplaced)
	if w.moved.Swap(moved) == moved {
		return
	}
	if moved {
		w.log.ErrorContext(ctx, "the database is no longer in its place; nothing is written any more. Stop the server, and restore a backup or put the file back",
			"database", w.path, "error", err)
		return
	}
	w.log.WarnContext(ctx, "the database is in its place again", "database", w.path)
}

// mark names the store and its file.
func (w *watchedStore) mark() storeMark {
	store, ok := w.Store.(interface {
		ID() string
		File() os.FileInfo
	})
	if !ok {
		return storeMark{}
	}
	return storeMark{store.ID(), folder.FileID(store.File())}
}

// note remembers damage.
func (w *watchedStore) note(ctx context.Context, err error) error {
	if errors.Is(err, directory.ErrReadOnly) {
		return &refusedError{what: err.Error(), fix: "make its folder one that can be written, or name another one with --data", cause: err}
	}
	if !errors.Is(err, directory.ErrDamaged) {
		return err
	}
	if !w.damaged.Swap(true) {
		w.log.ErrorContext(ctx, "the database is damaged: "+damagedFix, "database", w.path, "error", err)
	}
	return asDamaged(w.path, err)
}

// noted is note for calls with a result.
func noted[T any](ctx context.Context, w *watchedStore, v T, err error) (T, error) {
	return v, w.note(ctx, err)
}

func (w *watchedStore) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	object, err := w.Store.Get(ctx, tenant, kind, id)
	return noted(ctx, w, object, err)
}

func (w *watchedStore) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	object, err := w.Store.Lookup(ctx, tenant, kind, key)
	return noted(ctx, w, object, err)
}

func (w *watchedStore) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	objects, keys, err := w.Store.List(ctx, tenant, kind, prefix, after, limit)
	return objects, keys, w.note(ctx, err)
}

func (w *watchedStore) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	record, err := w.Store.TokenRecord(ctx, tenant, kind, id)
	return noted(ctx, w, record, err)
}

func (w *watchedStore) HasExpiredTokenRecords(ctx context.Context, by time.Time) (bool, error) {
	has, err := w.Store.HasExpiredTokenRecords(ctx, by)
	return noted(ctx, w, has, err)
}

func (w *watchedStore) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	sequence, err := w.Store.Update(ctx, f)
	return noted(ctx, w, sequence, err)
}

func (w *watchedStore) Sequence(ctx context.Context) (int64, error) {
	sequence, err := w.Store.Sequence(ctx)
	return noted(ctx, w, sequence, err)
}

func (w *watchedStore) Changes(ctx context.Context, after int64, limit int) ([]directory.Change, error) {
	changes, err := w.Store.Changes(ctx, after, limit)
	return noted(ctx, w, changes, err)
}

func (w *watchedStore) AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	rows, err := w.Store.AuditRows(ctx, after, limit)
	return noted(ctx, w, rows, err)
}

func (w *watchedStore) AuditHead(ctx context.Context) (audit.Head, error) {
	head, err := w.Store.AuditHead(ctx)
	return noted(ctx, w, head, err)
}

func (w *watchedStore) AppendSignIns(ctx context.Context, signIns []directory.SignIn) error {
	return w.note(ctx, w.Store.AppendSignIns(ctx, signIns))
}

func (w *watchedStore) SignIns(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	signIns, err := w.Store.SignIns(ctx, filter)
	return noted(ctx, w, signIns, err)
}
