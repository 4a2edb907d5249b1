package records

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// PutFamily starts the token family of an opaque token: as long as its record is there, the
// tokens of the sign-in are good. It lives as long as what may come of it.
func (s *Records) PutFamily(ctx context.Context, t OpaqueToken, client, user directory.ObjectID, life time.Duration, g GrantRecord) error {
	record, err := s.newRecord(t, client, user, life, g)
	if err != nil {
		return err
	}
	record.Kind, record.ID = kindFamily, t.FamilyID()
	return s.directory.PutTokenRecord(ctx, record)
}

// ExtendFamily lets a family live on. It fails when the family was revoked meanwhile.
func (s *Records) ExtendFamily(ctx context.Context, t OpaqueToken, life time.Duration) error {
	record, err := s.directory.TokenRecord(ctx, t.Tenant, kindFamily, t.FamilyID())
	if err != nil {
		return err
	}
	return s.Extend(ctx, record, life)
}

// Family returns the grant record of a token's family, or nil when the family was revoked or
// has expired.
func (s *Records) Family(ctx context.Context, t OpaqueToken) (*GrantRecord, error) {
	g := new(GrantRecord)
	record, err := s.FindID(ctx, t.Tenant, kindFamily, t.FamilyID(), g)
	if err != nil || record == nil {
		return nil, err
	}
	return g, nil
}

// RevokeFamily ends a token family: nothing of it can be redeemed any more.
func (s *Records) RevokeFamily(ctx context.Context, t OpaqueToken) error {
	return s.directory.DropFamily(ctx, t.Tenant, t.FamilyID())
}
