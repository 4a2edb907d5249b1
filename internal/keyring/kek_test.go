package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// encodings returns the texts in which a secret could hide in output.
func encodings(secret []byte) map[string]string {
	list := new(strings.Builder) // as fmt prints a byte slice
	for i, b := range secret {
		if i > 0 {
			list.WriteByte(' ')
		}
		list.WriteString(big.NewInt(int64(b)).String())
	}
	return map[string]string{
		"bytes":     string(secret),
		"hex":       hex.EncodeToString(secret),
		"base64":    strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "=")[:20],
		"base64url": base64.RawURLEncoding.EncodeToString(secret)[:20],
		"decimal":   new(big.Int).SetBytes(secret).String(),
		"byte list": list.String(),
	}
}

func TestKEKFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kek")
	made, err := CreateKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("file is %v of %d bytes, want 0600 of 32", info.Mode(), info.Size())
	}
	loaded, err := LoadKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != made.Fingerprint() {
		t.Error("the loaded key is another one")
	}
	if _, err := CreateKEK(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("second creation: %v, want os.ErrExist", err)
	}
}

// Processes that start on a new folder at the same moment get one key, and none of them
// sees half of it.
func TestCreateKEKAtOnce(t *testing.T) {
	t.Parallel()
	const folders, processes = 100, 4
	for range folders {
		dir := t.TempDir()
		path := filepath.Join(dir, "kek")
		keys, failures := make([]*KEK, processes), make([]error, processes)
		var begin, end sync.WaitGroup
		begin.Add(1)
		for i := range processes {
			end.Go(func() {
				begin.Wait()
				keys[i], failures[i] = CreateKEK(path)
				if errors.Is(failures[i], os.ErrExist) {
					keys[i], failures[i] = LoadKEK(path)
				}
			})
		}
		begin.Done()
		end.Wait()
		if err := errors.Join(failures...); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if k.Fingerprint() != keys[0].Fingerprint() {
				t.Fatal("two processes have different keys")
			}
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Fatalf("the folder holds %v (%v), want the key alone", files, err)
		}
	}
}

func TestLoadKEKRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		mode os.FileMode
		body []byte
		want string
	}{
		{"group may read", 0o640, bytes.Repeat([]byte{1}, 32), "chmod 600"},
		{"others may read", 0o604, bytes.Repeat([]byte{1}, 32), "chmod 600"},
		{"others may write", 0o602, bytes.Repeat([]byte{1}, 32), "chmod 600"},
		{"empty", 0o600, nil, "exactly 32 bytes, have 0"},
		{"short", 0o600, bytes.Repeat([]byte{1}, 31), "exactly 32 bytes, have 31"},
		{"long", 0o600, bytes.Repeat([]byte{1}, 33), "exactly 32 bytes, have more"},
		{"zeros", 0o600, make([]byte, 32), "zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek")
			if err := os.WriteFile(path, tt.body, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadKEK(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := LoadKEK(t.TempDir()); err == nil {
		t.Error("a directory was loaded")
	}
	if _, err := LoadKEK(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v, want os.ErrNotExist", err)
	}
}

func TestDeriveSeparatesPurposes(t *testing.T) {
	t.Parallel()
	a, b := testKEK(t, 1), testKEK(t, 2)
	if len(a.Derive("x")) != 32 || !bytes.Equal(a.Derive("x"), a.Derive("x")) {
		t.Error("derivation is not repeatable")
	}
	if bytes.Equal(a.Derive("x"), a.Derive("y")) || bytes.Equal(a.Derive("x"), b.Derive("x")) {
		t.Error("derived keys coincide")
	}
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	k := testKEK(t, 1)
	sealed, err := k.Seal([]byte("plain"), []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(sealed, []byte("here")); err != nil || string(plain) != "plain" {
		t.Errorf("got %q, %v", plain, err)
	}
	if _, err := k.Open(sealed, []byte("there")); !errors.Is(err, ErrSealed) {
		t.Errorf("other context: %v, want ErrSealed", err)
	}
	if _, err := testKEK(t, 2).Open(sealed, []byte("here")); !errors.Is(err, ErrSealed) {
		t.Errorf("other key: %v, want ErrSealed", err)
	}
}
