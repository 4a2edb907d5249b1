package records

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// How long opaque tokens live.
const (
	CodeLife    = 10 * time.Minute
	DeviceLife  = 15 * time.Minute
	RefreshLife = 90 * 24 * time.Hour // from its last use
	SessionLife = 8 * time.Hour
	// RefreshAgain is how long a refresh token that was replaced gets the same successor
	// again: programs that share a cache refresh at the same time, and an answer gets lost.
	RefreshAgain = 30 * time.Second
)

// A Session says who signed in, and when.
type Session struct {
	ID   string             `json:"id"` // a GUID: "sid"
	User directory.ObjectID `json:"user"`
	At   int64              `json:"at"` // Unix seconds
	// Proved is when it was last made sure that the user had not been revoked, in Unix
	// microseconds. Zero: at At.
	Proved int64 `json:"proved,omitempty"`
}

// NewSession returns the session of a user who signs in now.
func NewSession(user directory.ObjectID, now time.Time) Session {
	return Session{ID: guid.New(), User: user, At: now.Unix(), Proved: now.UnixMicro()}
}

// Began is what decides whether the session still counts: see [directory.User.SessionCounts].
func (s Session) Began() time.Time {
	if s.Proved != 0 {
		return time.UnixMicro(s.Proved)
	}
	return time.Unix(s.At, 0)
}

// A GrantRecord is what a client may have on behalf of a user, until it is revoked.
type GrantRecord struct {
	Session Session         `json:"session"`
	Client  directory.AppID `json:"client"`
	// Proven means that it was redeemed with the client's credential, and that it is good
	// with one only.
	Proven bool            `json:"proven,omitempty"`
	Scopes scope.Requested `json:"ask"`
	// Key is the one that a public client has shown to have: without it, whoever has a copy
	// could use the refresh token (RFC 9449 section 5, RFC 8705 section 4). Empty: none.
	Key string `json:"key,omitempty"`
	// Replaced means that a refresh token has a successor. Its record stays for a moment, for
	// a client that asks again.
	Replaced bool `json:"replaced,omitempty"`
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
