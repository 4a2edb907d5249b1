package issuance

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The types of access tokens, as requests and answers name them.
const (
	typeBearer = "Bearer"
	typePoP    = "pop" // bound to a key of the client, which signs each request with it
)

// A Binding says which key of the client an access token is bound to. The zero Binding is
// that of a bearer token, which whoever has it can use.
type Binding struct {
	keyID string // RFC 7638 thumbprint of the key
}

// TokenType is how an answer names the type of a token that is bound so.
func (b Binding) TokenType() string {
	if b == (Binding{}) {
		return typeBearer
	}
	return typePoP
}

// confirmation is the claim of a token that is bound so (RFC 7800 section 3).
func (b Binding) confirmation() *Confirmation {
	if b == (Binding{}) {
		return nil
	}
	return &Confirmation{KeyID: b.keyID}
}

// Confirmation is the claim "cnf": the key that has to sign a request which carries the token.
type Confirmation struct {
	KeyID string `json:"kid"`
}

// ParseBinding reads the parameters token_type and req_cnf. What it does not know it refuses:
// a client that asked for a bound token must not believe that it holds one.
func ParseBinding(tokenType, confirmation string) (Binding, error) {
	switch {
	case strings.EqualFold(tokenType, typePoP):
		return parseConfirmation(confirmation)
	case tokenType != "" && !strings.EqualFold(tokenType, typeBearer):
		return Binding{}, aadsts.TokenType(tokenType)
	case confirmation != "":
		return Binding{}, aadsts.Malformed("It has a 'req_cnf' without token_type=pop.")
	}
	return Binding{}, nil
}

// maxConfirmation is the greatest length of req_cnf, in bytes.
const maxConfirmation = 1 << 10

// parseConfirmation reads the req_cnf of a client: {"kid":"…"} in base64url. MSAL for
// JavaScript adds where it keeps the key ("xms_ksl"); any other member would be a binding
// that is not known here.
func parseConfirmation(raw string) (Binding, error) {
	if raw == "" {
		return Binding{}, aadsts.Missing("req_cnf")
	}
	if len(raw) > maxConfirmation {
		return Binding{}, aadsts.Confirmation("it is longer than 1 KB")
	}
	decoded, ok := decodeBase64URL(raw)
	if !ok {
		return Binding{}, aadsts.Confirmation("it is not base64url")
	}
	members, err := token.ParseObject(decoded, 1, 8)
	if err != nil {
		return Binding{}, aadsts.Confirmation("it does not hold a JSON object").Because(err)
	}
	for _, name := range members.Names() {
		if name != "kid" && name != "xms_ksl" {
			return Binding{}, aadsts.Confirmation("its member " + text.Quote(name) + " is not supported")
		}
	}
	keyID := TextClaim(members, "kid")
	if sum, ok := decodeBase64URL(keyID); !ok || len(sum) != sha256.Size {
		return Binding{}, aadsts.Confirmation("its 'kid' is not the SHA-256 thumbprint of a key in base64url")
	}
	return Binding{keyID: strings.TrimRight(keyID, "=")}, nil
}

// decodeBase64URL decodes base64url, with padding or without it.
func decodeBase64URL(s string) ([]byte, bool) {
	bare := strings.TrimRight(s, "=")
	padding := len(s) - len(bare)
	if padding > 2 || padding > 0 && len(s)%4 != 0 || strings.ContainsAny(bare, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(bare)
	return decoded, err == nil
}
