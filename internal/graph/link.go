package graph

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

// linkPurpose is what the token of a link is good for: this list in this tenant.
func (c *call) linkPurpose(kind string) []string {
	return []string{kind, string(c.tenant()), c.version, strings.ToLower(c.request.URL.Path), c.options().Encode()}
}

// link is the URL of the same list with a token.
func (c *call) link(option, kind string, state any) (string, error) {
	token, err := c.api.sealer.seal(state, c.linkPurpose(kind)...)
	if err != nil {
		return "", err
	}
	// The names of options begin with a dollar sign, which need not be encoded.
	query := strings.ReplaceAll(c.options().Encode(), "%24", "$")
	if query != "" {
		query += "&"
	}
	return c.api.cfg.URL + c.request.URL.EscapedPath() + "?" + query + option + "=" + token, nil
}

// A sealer makes the tokens within links to more: what a client holds of the state of a list.
// They tell nothing, nobody else can make one, and each opens only for the tenant, the path and
// the options that it was made for. All servers of one directory have the same key, also
// after a restart.
type sealer struct{ aead cipher.AEAD }

func newSealer(d *directory.Directory) (*sealer, error) {
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
	return &sealer{aead}, nil
}

// seal makes a token of a state.
func (s *sealer) seal(state any, purpose ...string) (string, error) {
	plain, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, bound(purpose))), nil //nolint:gosec // the nonce is made within
}

var errNotSealed = errors.New("the token was not made for this request")

// open reads a token that was sealed for the same.
func (s *sealer) open(token string, state any, purpose ...string) error {
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
