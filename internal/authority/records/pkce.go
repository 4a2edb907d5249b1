package records

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// The methods by which a challenge is made of a verifier (RFC 7636 section 4.2).
const (
	MethodS256  = "S256"
	MethodPlain = "plain"
)

// Verifies compares a verifier with a challenge (RFC 7636 section 4.6).
func Verifies(challenge, method, verifier string) bool {
	if !isVerifier(verifier) {
		return false
	}
	if method == MethodS256 {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(challenge), []byte(verifier)) == 1
}

// IsChallenge reports whether a text can be a challenge of a method.
func IsChallenge(challenge, method string) bool {
	switch method {
	case MethodS256:
		return isVerifier(challenge) && len(challenge) == 43
	case MethodPlain:
		return isVerifier(challenge)
	}
	return false
}

// isVerifier reports whether a text has the form of a verifier (RFC 7636 section 4.1).
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}
