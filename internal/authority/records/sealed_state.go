package records

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Sealer protects the state that pages carry and bring back, unread and unchanged. Its
// keys come from the directory's, so that any process on the same store can open it.
type Sealer struct {
	key  []byte
	aead cipher.AEAD
	now  func() time.Time
}

// NewSealer returns the sealer of a directory.
func NewSealer(d *directory.Directory, now func() time.Time) (*Sealer, error) {
	s := &Sealer{key: []byte(d.TokenRecordID("state", "authority")), now: now}
	block, err := aes.NewCipher(s.MAC("seal"))
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	s.aead, err = cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	return s, nil
}

// MAC is a keyed digest of texts, the first of which says what it is for.
func (s *Sealer) MAC(texts ...string) []byte {
	h := hmac.New(sha256.New, s.key)
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return h.Sum(nil)
}

// Digest is a keyed digest as text.
func (s *Sealer) Digest(texts ...string) string {
	return base64.RawURLEncoding.EncodeToString(s.MAC(texts...))
}

// sealed is what a sealed text holds besides its value.
type sealed struct {
	Expires int64           `json:"e"`
	Value   json.RawMessage `json:"v"`
}

var errSeal = errors.New("not sealed here, for this purpose, or too long ago")

// Seal makes a text of a value that only Open with the same context reads, until it expires.
func (s *Sealer) Seal(value any, context string, life time.Duration) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	plain, err := json.Marshal(sealed{s.now().Add(life).Unix(), encoded})
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(context))), nil //nolint:gosec // G407: this AEAD draws its nonce itself and takes none
}

// Open reads a sealed text.
func (s *Sealer) Open(text, context string, value any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errSeal
	}
	plain, err := s.aead.Open(nil, nil, raw, []byte(context))
	if err != nil {
		return errSeal
	}
	var box sealed
	if err := json.Unmarshal(plain, &box); err != nil || s.now().Unix() >= box.Expires {
		return errSeal
	}
	return json.Unmarshal(box.Value, value)
}
