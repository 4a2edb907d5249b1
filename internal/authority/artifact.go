package authority

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The kinds of tickets. The first four are found by an artifact of that kind; the first
// letter tells artifacts apart.
const (
	ticketCode    directory.TokenRecordKind = "code"
	ticketDevice  directory.TokenRecordKind = "device"
	ticketRefresh directory.TokenRecordKind = "refresh"
	ticketSession directory.TokenRecordKind = "session"
	ticketFamily  directory.TokenRecordKind = "family"   // that a sign-in's tokens are good
	ticketUser    directory.TokenRecordKind = "userCode" // what the user types for a device
)

// An artifact is what this authority hands out and wants back: an authorization code, a
// device code, a refresh token, a browser's session. To its holder it is opaque. Its 256
// secret bits are kept nowhere; the store knows it by a keyed digest of the whole.
type artifact struct {
	kind   directory.TokenRecordKind
	tenant directory.TenantID // where its ticket is
	family [16]byte           // what was handed out for one sign-in has this in common
	secret [32]byte
}

const artifactSize = 1 + 16 + 16 + 32

// newArtifact makes one of a new family.
func newArtifact(kind directory.TokenRecordKind, tenant directory.TenantID) artifact {
	v := artifact{kind: kind, tenant: tenant}
	rand.Read(v.family[:])
	rand.Read(v.secret[:])
	return v
}

// sibling makes an artifact of the same family.
func (v artifact) sibling(kind directory.TokenRecordKind) artifact {
	next := newArtifact(kind, v.tenant)
	next.family = v.family
	return next
}

func (v artifact) bytes() []byte {
	b := make([]byte, 1, artifactSize)
	b[0] = v.kind[0]
	var tenant [16]byte
	if raw, err := hex.DecodeString(strings.ReplaceAll(string(v.tenant), "-", "")); err == nil {
		copy(tenant[:], raw)
	}
	b = append(b, tenant[:]...)
	b = append(b, v.family[:]...)
	return append(b, v.secret[:]...)
}

// String is the artifact as its holder gets it.
func (v artifact) String() string { return base64.RawURLEncoding.EncodeToString(v.bytes()) }

// familyID names what was handed out for one sign-in.
func (v artifact) familyID() string { return hex.EncodeToString(v.family[:]) }

// parseArtifact reads one of a kind. What it says is only worth something when a ticket
// is found by its digest.
func parseArtifact(kind directory.TokenRecordKind, text string) (artifact, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != artifactSize || raw[0] != kind[0] {
		return artifact{}, false
	}
	v := artifact{kind: kind, tenant: tenantFromBytes(raw[1:17])}
	copy(v.family[:], raw[17:33])
	copy(v.secret[:], raw[33:])
	return v, true
}

// tenantFromBytes writes a tenant's id as a GUID.
func tenantFromBytes(raw []byte) directory.TenantID {
	text := hex.EncodeToString(raw)
	return directory.TenantID(text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:])
}
