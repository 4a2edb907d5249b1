package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

const kekSize = 32

// A KEK is the key-encryption key: 32 random bytes that seal what is in the store and from
// which the other long-lived symmetric keys are derived. It never enters the store, and it
// prints only as its fingerprint.
type KEK struct{ key [kekSize]byte }

// CreateKEK makes a key-encryption key and writes it to a new file of mode 0600. It refuses to
// replace a file: a lost key-encryption key is a lost key ring. The file exists whole or not at
// all, even if the machine stops.
func CreateKEK(path string) (*KEK, error) {
	k := new(KEK)
	if _, err := rand.Read(k.key[:]); err != nil {
		return nil, fmt.Errorf("make key-encryption key: %w", err)
	}
	draft, err := writeDraft(path, k.key[:])
	if err != nil {
		return nil, fmt.Errorf("write key-encryption key: %w", err)
	}
	err = os.Link(draft, path) // unlike a rename, it replaces nothing
	if err = errors.Join(err, os.Remove(draft)); err != nil {
		return nil, fmt.Errorf("create key-encryption key: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil { // the file stays: others may have read it already
		return nil, fmt.Errorf("write key-encryption key: %w", err)
	}
	return k, nil
}

// writeDraft writes a file of mode 0600 beside the path, durably, and returns its name.
func writeDraft(path string, content []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes a new directory entry durable. Systems that cannot open a directory need
// no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// LoadKEK reads a key-encryption key that [CreateKEK] wrote. It refuses a file that others than
// its owner can read or write.
func LoadKEK(path string) (*KEK, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key-encryption key %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("key-encryption key %s has mode %04o, so other users can reach it: run chmod 600 %s, and replace the key if it may have been read", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, kekSize+1))
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	defer clear(b)
	k, err := KEKFromBytes(b)
	if err == nil && k.key == [kekSize]byte{} {
		err = errors.New("all bytes are zero, as after a crash of the machine: restore the file from its backup")
	}
	if err != nil {
		return nil, fmt.Errorf("key-encryption key %s: %w", path, err)
	}
	return k, nil
}

// KEKFromBytes returns the key-encryption key with those 32 bytes.
func KEKFromBytes(b []byte) (*KEK, error) {
	if len(b) != kekSize {
		return nil, fmt.Errorf("want exactly %d bytes, have %s: restore the file from its backup", kekSize, sizeText(len(b)))
	}
	k := new(KEK)
	copy(k.key[:], b)
	return k, nil
}

func sizeText(n int) string {
	if n > kekSize {
		return "more"
	}
	return fmt.Sprint(n)
}

// Derive returns the 32-byte key for a purpose (HKDF-SHA-256, RFC 5869). Different
// purposes give unrelated keys.
func (k *KEK) Derive(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, k.key[:], nil, "rolecall/"+purpose, kekSize)
	if err != nil {
		panic("keyring: HKDF-SHA-256 refuses 32 bytes: " + err.Error()) // its limit is 8160
	}
	return b
}

// Fingerprint identifies the key-encryption key without revealing it, so that a sealed document
// can name the one that it needs.
func (k *KEK) Fingerprint() string { return hex.EncodeToString(k.Derive("kek-fingerprint")[:8]) }

// Seal encrypts plain with AES-256-GCM and a fresh random nonce. [KEK.Open] needs the same
// context, which is authenticated and not part of the result.
func (k *KEK) Seal(plain, context []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, context), nil //nolint:gosec // G407: this AEAD draws its nonce itself and takes none
}

// Open decrypts what [KEK.Seal] returned for that context. Anything else, even by one bit, gives
// [ErrSealed].
func (k *KEK) Open(sealed, context []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, context)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

func (k *KEK) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Derive("seal"))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// ErrSealed says that sealed bytes were altered, were moved from elsewhere, or belong to
// another key-encryption key.
var ErrSealed = errors.New("sealed data cannot be opened: it was altered or moved, or sealed by another key-encryption key")

// String returns the fingerprint.
func (k KEK) String() string { return "kek " + k.Fingerprint() }

// Format prints the fingerprint for every verb, including %#v and %x.
func (k KEK) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue logs the fingerprint.
func (k KEK) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText encodes the fingerprint.
func (k KEK) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
