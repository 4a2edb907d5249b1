package remote

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/rolecall-auth/rolecall/internal/folder"
)

// secrets are what a sign-in is renewed with.
type secrets struct {
	Secret string `json:"secret,omitempty"` // of an application
	Cache  []byte `json:"cache,omitempty"`  // of Microsoft's library: tokens
}

// A secretFile holds them. Where there is a keyring it has the key that they are sealed with:
// keyrings take a few hundred bytes, and tokens are larger.
type secretFile struct {
	Sealed []byte   `json:"sealed,omitempty"`
	Plain  *secrets `json:"plain,omitempty"`
}

// keyName names the key of a server in the keyring, which other folders share.
func (s *Store) keyName(name string) string { return name + " " + s.cfg.Dir }

// sealSecrets keeps secrets under a new key, and reports whether the keyring has it. A keyring
// that does not take it is like none.
func (s *Store) sealSecrets(name string, kept secrets) (inKeyring bool, err error) {
	if s.cfg.Keyring != nil {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		if s.cfg.Keyring.Set(s.keyName(name), base64.StdEncoding.EncodeToString(key)) == nil {
			return true, s.writeSecrets(name, key, kept)
		}
	}
	return false, s.writeSecrets(name, nil, kept)
}

// writeSecrets replaces the secrets of a server, sealed unless the key is nil.
func (s *Store) writeSecrets(name string, key []byte, kept secrets) error {
	file := secretFile{Plain: &kept}
	if key != nil {
		seal, err := sealer(key)
		if err != nil {
			return err
		}
		content, err := json.Marshal(kept) //nolint:gosec // it is sealed before it is written
		if err != nil {
			return err
		}
		file = secretFile{Sealed: seal.Seal(nil, nil, content, []byte(name))} //nolint:gosec // the seal makes its own nonce
	}
	b, err := encode(file)
	if err != nil {
		return err
	}
	return folder.WriteFile(s.path(name+secretSuffix), b)
}

// key returns the key of a server's secrets, nil where they are not sealed.
func (s *Store) key(r *Record) ([]byte, error) {
	if !r.Keyring {
		return nil, nil //nolint:nilnil // there is none
	}
	lost := failure(ErrEnded, "unlock the keyring, or sign in again: `"+r.again()+"`", "the keyring of this machine does not give the key of the sign-in at %s", r.Name)
	if s.cfg.Keyring == nil {
		return nil, lost
	}
	encoded, err := s.cfg.Keyring.Get(s.keyName(r.Name))
	if err != nil {
		return nil, lost
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, lost
	}
	return key, nil
}

// readSecrets returns the secrets of a server.
func (s *Store) readSecrets(r *Record, key []byte) (secrets, error) {
	path := s.path(r.Name + secretSuffix)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets{}, failure(ErrEnded, "sign in again: `"+r.again()+"`", "nobody is signed in at %s any more", r.Name)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("read the sign-in at %s: %w", r.Name, err)
	}
	kept, err := openSecrets(r.Name, key, b)
	if err != nil {
		return secrets{}, failure(ErrEnded, "sign in again: `"+r.again()+"`", "%s is damaged, or its key is another's", path)
	}
	return kept, nil
}

// openSecrets reads a file of secrets. Its errors say nothing of the content.
func openSecrets(name string, key, b []byte) (secrets, error) {
	var file secretFile
	var kept secrets
	err := json.Unmarshal(b, &file)
	switch {
	case err != nil:
		return kept, errors.New("no JSON")
	case key == nil && file.Plain != nil:
		return *file.Plain, nil
	case key == nil || file.Sealed == nil:
		return kept, errors.New("it is sealed, or has nothing")
	}
	seal, err := sealer(key)
	if err != nil {
		return kept, err
	}
	content, err := seal.Open(nil, nil, file.Sealed, []byte(name))
	if err == nil {
		err = json.Unmarshal(content, &kept)
	}
	if err != nil {
		return kept, errors.New("it was not sealed with the key")
	}
	return kept, nil
}

// sealer returns a seal that makes its own nonces.
func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// forgetKey removes the key of a server from the keyring, if it is there.
func (s *Store) forgetKey(name string) error {
	kept, err := s.read()
	if err != nil {
		return err
	}
	r := kept.find(name)
	switch {
	case r == nil || !r.Keyring:
		return nil
	case s.cfg.Keyring == nil:
		return failure(nil, "do it in the session of the desktop in which you signed in", "the keyring of this machine, which has the key of the sign-in at %s, cannot be asked here", name)
	}
	return s.cfg.Keyring.Delete(s.keyName(name))
}

func encode(value any) ([]byte, error) {
	b, err := json.MarshalIndent(value, "", "  ")
	return append(b, '\n'), err
}
