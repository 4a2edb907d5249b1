package issuance

import (
	"crypto/rand"
	"encoding/base64"
)

// opaqueSize is how many bytes stand in "aio" and "rh".
const opaqueSize = 27

// opaque returns n random bytes as base64url text: a claim without meaning to anyone.
func opaque(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
