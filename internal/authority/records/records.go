package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Records keeps token records in the directory's store. It is safe for concurrent use.
type Records struct {
	directory *directory.Directory
	now       func() time.Time
}

// New returns the records in a directory's store.
func New(d *directory.Directory, now func() time.Time) *Records {
	return &Records{directory: d, now: now}
}

// ID is the id of the record of an opaque token, or of another secret of a kind.
func (s *Records) ID(kind directory.TokenRecordKind, secret string) string {
	return s.directory.TokenRecordID(kind, secret)
}

// newRecord makes the record of an opaque token for a client and user of its tenant.
func (s *Records) newRecord(t OpaqueToken, client, user directory.ObjectID, life time.Duration, body any) (directory.TokenRecord, error) {
	encoded, err := encode(body)
	if err != nil {
		return directory.TokenRecord{}, err
	}
	return directory.TokenRecord{
		Tenant: t.Tenant, Kind: t.kind, ID: s.ID(t.kind, t.String()), Family: t.FamilyID(),
		Client: client, User: user, Expires: s.now().Add(life), Body: encoded,
	}, nil
}

func encode(body any) ([]byte, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode a token record: %w", err)
	}
	return encoded, nil
}

// Put keeps the record of an opaque token, which may be handed out then.
func (s *Records) Put(ctx context.Context, t OpaqueToken, client, user directory.ObjectID, life time.Duration, body any) error {
	record, err := s.newRecord(t, client, user, life, body)
	if err != nil {
		return err
	}
	return s.directory.PutTokenRecord(ctx, record)
}

// Find returns the record of an opaque token and reads its body. It returns nil when there
// is none: there never was one, it was taken, or it has expired.
func (s *Records) Find(ctx context.Context, t OpaqueToken, body any) (*directory.TokenRecord, error) {
	return s.FindID(ctx, t.Tenant, t.kind, s.ID(t.kind, t.String()), body)
}

// FindID is Find for a record whose id is known.
func (s *Records) FindID(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string, body any) (*directory.TokenRecord, error) {
	record, err := s.directory.TokenRecord(ctx, tenant, kind, id)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(record.Body, body); err != nil {
		return nil, fmt.Errorf("read a token record: %w", err)
	}
	return record, nil
}

// Take consumes a record; false means that somebody else did.
func (s *Records) Take(ctx context.Context, record *directory.TokenRecord) (bool, error) {
	_, err := s.directory.TakeTokenRecord(ctx, record.Tenant, record.Kind, record.ID)
	if errors.Is(err, directory.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Change replaces the body of a record. It fails if somebody else changed the record since
// it was found.
func (s *Records) Change(ctx context.Context, record *directory.TokenRecord, body any) (err error) {
	if record.Body, err = encode(body); err != nil {
		return err
	}
	return s.directory.UpdateTokenRecord(ctx, record)
}

// Replace marks the record of a refresh token as one that has a successor, and lets it end
// soon. False means that somebody else did.
func (s *Records) Replace(ctx context.Context, record *directory.TokenRecord, g GrantRecord) (bool, error) {
	g.Replaced = true
	record.Expires = s.now().Add(RefreshAgain)
	err := s.Change(ctx, record, g)
	if errors.Is(err, directory.ErrConflict) || errors.Is(err, directory.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// PutAgain is Put for a record that may be there already.
func (s *Records) PutAgain(ctx context.Context, t OpaqueToken, client, user directory.ObjectID, life time.Duration, body any) error {
	err := s.Put(ctx, t, client, user, life, body)
	if errors.Is(err, directory.ErrDuplicate) {
		return nil
	}
	return err
}

// Extend lets a record live on. A concurrent extension by somebody else does as well.
func (s *Records) Extend(ctx context.Context, record *directory.TokenRecord, life time.Duration) error {
	record.Expires = s.now().Add(life)
	err := s.directory.UpdateTokenRecord(ctx, record)
	if errors.Is(err, directory.ErrConflict) {
		return nil
	}
	return err
}
