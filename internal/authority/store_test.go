package authority

import (
	"context"
	"sync/atomic"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A faultyStore tells of the sign-ins it keeps, and fails when told to.
type faultyStore struct {
	directory.Store
	kept   chan int    // the numbers of rows that came
	broken atomic.Bool // sign-ins are not kept
	hangs  atomic.Bool // sign-ins are not kept either, and nobody says so
	down   atomic.Bool // nothing is read
	full   atomic.Bool // nothing is written
	deaf   atomic.Bool // no changes are told of
	met    atomic.Pointer[meeting]
}

// A meeting is of so many who read a token record: each waits until all have, so that none of
// them has used it up before the last one read it.
type meeting struct {
	missing atomic.Int32
	all     chan struct{}
}

func newMeeting(of int32) *meeting {
	m := &meeting{all: make(chan struct{})}
	m.missing.Store(of)
	return m
}

func (m *meeting) join() {
	switch missing := m.missing.Add(-1); {
	case missing > 0:
		<-m.all
	case missing == 0:
		close(m.all)
	}
}

func (s *faultyStore) Update(ctx context.Context, f func(directory.Tx) error) (int64, error) {
	if s.full.Load() {
		return 0, errDown
	}
	return s.Store.Update(ctx, f)
}

func (s *faultyStore) AppendSignIns(ctx context.Context, rows []directory.SignIn) error {
	defer func() { s.kept <- len(rows) }()
	if s.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.broken.Load() {
		return errDown
	}
	return s.Store.AppendSignIns(ctx, rows)
}

func (s *faultyStore) Get(ctx context.Context, tenant, kind, id string) (directory.Object, error) {
	if s.down.Load() {
		return directory.Object{}, errDown
	}
	return s.Store.Get(ctx, tenant, kind, id)
}

func (s *faultyStore) TokenRecord(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string) (directory.TokenRecord, error) {
	if s.down.Load() {
		return directory.TokenRecord{}, errDown
	}
	record, err := s.Store.TokenRecord(ctx, tenant, kind, id)
	if m := s.met.Load(); m != nil {
		m.join()
	}
	return record, err
}

func (s *faultyStore) Lookup(ctx context.Context, tenant, kind, key string) (directory.Object, error) {
	if s.down.Load() {
		return directory.Object{}, errDown
	}
	return s.Store.Lookup(ctx, tenant, kind, key)
}

func (s *faultyStore) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	if s.down.Load() {
		return nil, nil, errDown
	}
	return s.Store.List(ctx, tenant, kind, prefix, after, limit)
}

func (s *faultyStore) Changes(ctx context.Context, after int64, limit int) ([]directory.Change, error) {
	if s.down.Load() || s.deaf.Load() {
		return nil, errDown
	}
	return s.Store.Changes(ctx, after, limit)
}

func (s *faultyStore) Sequence(ctx context.Context) (int64, error) {
	if s.down.Load() || s.deaf.Load() {
		return 0, errDown
	}
	return s.Store.Sequence(ctx)
}
