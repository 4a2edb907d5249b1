// Package linktoken makes the tokens within links to more of a list: what a client holds of the
// list's state between two requests.
//
// It owns that nobody else can make or read such a token. It refuses to own what the state is, and
// what a token is for: its user names that.
//
// Start at [Sealer].
package linktoken

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Sealer makes the tokens. They tell nothing, nobody else can make one, and each opens only for the tenant, the path and
// the options that it was made for. All servers of one directory have the same key, also
// after a restart.
type Sealer struct{ aead cipher.AEAD }

// New returns the sealer of a directory.
func New(d *directory.Directory) (*Sealer, error) {
	// A keyed digest of the directory: nobody without its key-encryption key knows it.
	secret := d.TokenRecordID("graph link", "key")
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "rolecall graph links 1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive a key for links: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive a key for links: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("derive a key for links: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal makes a token of a state.
func (s *Sealer) Seal(state any, purpose ...string) (string, error) {
	plain, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, bound(purpose))), nil //nolint:gosec // the nonce is made within
}

var errNotSealed = errors.New("the token was not made for this request")

// Open reads a token that was sealed for the same.
func (s *Sealer) Open(token string, state any, purpose ...string) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return errNotSealed
	}
	plain, err := s.aead.Open(nil, nil, sealed, bound(purpose))
	if err != nil {
		return errNotSealed
	}
	return json.Unmarshal(plain, state)
}

// bound joins what a token is made for; no part holds a NUL.
func bound(parts []string) []byte { return []byte(strings.Join(parts, "\x00")) }
