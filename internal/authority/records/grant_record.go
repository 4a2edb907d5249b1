package records

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// How long opaque tokens live.
const (
	CodeLife    = 10 * time.Minute
	DeviceLife  = 15 * time.Minute
	RefreshLife = 90 * 24 * time.Hour // from its last use
	SessionLife = 8 * time.Hour
)

// A Session says who signed in, when, and how.
type Session struct {
	ID   string             `json:"id"` // a GUID: "sid"
	User directory.ObjectID `json:"user"`
	At   int64              `json:"at"` // Unix seconds
}

// A GrantRecord is what a client may have on behalf of a user, until it is revoked.
type GrantRecord struct {
	Session Session         `json:"session"`
	Client  directory.AppID `json:"client"`
	// Proven means that it was redeemed with the client's credential, and that it is good
	// with one only.
	Proven bool            `json:"proven,omitempty"`
	Scopes scope.Requested `json:"ask"`
}

// A CodeRecord is what an authorization code stands for.
type CodeRecord struct {
	GrantRecord
	RedirectURI string `json:"redirect"`
	Challenge   string `json:"challenge,omitempty"`
	Method      string `json:"method,omitempty"`
	Nonce       string `json:"nonce,omitempty"`
}

// PutCode hands out an authorization code, which starts a token family.
func (s *Records) PutCode(ctx context.Context, tenant directory.TenantID, client, user directory.ObjectID, code CodeRecord) (OpaqueToken, error) {
	t := NewOpaqueToken(KindCode, tenant)
	if err := s.PutFamily(ctx, t, client, user, CodeLife, code.GrantRecord); err != nil {
		return OpaqueToken{}, err
	}
	return t, s.Put(ctx, t, client, user, CodeLife, code)
}
