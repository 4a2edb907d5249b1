package records

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The kinds of token records. A record of the exported ones is found by an opaque token of
// that kind; the first letter tells them apart.
const (
	KindCode    directory.TokenRecordKind = "code"
	KindDevice  directory.TokenRecordKind = "device"
	KindRefresh directory.TokenRecordKind = "refresh"
	KindSession directory.TokenRecordKind = "session"

	kindFamily   directory.TokenRecordKind = "family"   // the tokens of a sign-in are good
	kindUserCode directory.TokenRecordKind = "userCode" // what the user types for a device
)

// An OpaqueToken is a secret that the authority hands out and gets back: an authorization
// code, a device code, a refresh token, a browser's session. It means nothing to its holder.
// Its 256 secret bits are kept nowhere; the store knows it by a keyed digest of the whole.
type OpaqueToken struct {
	Tenant directory.TenantID // that keeps its record
	kind   directory.TokenRecordKind
	family [16]byte // common to all tokens of one sign-in
	secret [32]byte
}

const opaqueTokenSize = 1 + 16 + 16 + 32

// NewOpaqueToken makes a token of a new family.
func NewOpaqueToken(kind directory.TokenRecordKind, tenant directory.TenantID) OpaqueToken {
	t := OpaqueToken{kind: kind, Tenant: tenant}
	rand.Read(t.family[:])
	rand.Read(t.secret[:])
	return t
}

// Sibling makes a token of the same family.
func (t OpaqueToken) Sibling(kind directory.TokenRecordKind) OpaqueToken {
	next := NewOpaqueToken(kind, t.Tenant)
	next.family = t.family
	return next
}

// Successor makes the token that replaces another, always the same one. It takes the
// directory's key to make it, and nothing of it is kept.
func (s *Records) Successor(t OpaqueToken) OpaqueToken {
	next := t.Sibling(t.kind)
	sum, err := hex.DecodeString(s.ID("successor", t.String()))
	if err != nil || len(sum) != len(next.secret) {
		panic("authority: a record's id is no digest") // it always is one
	}
	copy(next.secret[:], sum)
	return next
}

func (t OpaqueToken) bytes() []byte {
	b := make([]byte, 1, opaqueTokenSize)
	b[0] = t.kind[0]
	var tenant [16]byte
	if raw, err := hex.DecodeString(strings.ReplaceAll(string(t.Tenant), "-", "")); err == nil {
		copy(tenant[:], raw)
	}
	b = append(b, tenant[:]...)
	b = append(b, t.family[:]...)
	return append(b, t.secret[:]...)
}

// String is the token as its holder gets it.
func (t OpaqueToken) String() string { return base64.RawURLEncoding.EncodeToString(t.bytes()) }

// FamilyID names the family, which all tokens of one sign-in have in common.
func (t OpaqueToken) FamilyID() string { return hex.EncodeToString(t.family[:]) }

// ParseOpaqueToken reads a token of a kind. What it says counts only once a record is found
// by its digest.
func ParseOpaqueToken(kind directory.TokenRecordKind, text string) (OpaqueToken, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != opaqueTokenSize || raw[0] != kind[0] {
		return OpaqueToken{}, false
	}
	t := OpaqueToken{kind: kind, Tenant: tenantFromBytes(raw[1:17])}
	copy(t.family[:], raw[17:33])
	copy(t.secret[:], raw[33:])
	return t, true
}

// tenantFromBytes writes a tenant's id as a GUID.
func tenantFromBytes(raw []byte) directory.TenantID {
	text := hex.EncodeToString(raw)
	return directory.TenantID(text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:])
}
