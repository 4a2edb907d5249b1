package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// A secret that is rotated in its file counts from then on, and one that is not stays the same
// credential, with its token.
func TestCredentialsInFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const id = "a9100002-5a5a-4c4c-8d8d-000000000002"
	own := &fileCredential{Credential: guardfile.Credential{Client: id, SecretFile: file}, tenant: "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"}
	write("first-secret\n")
	first, err := own.current()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := own.current(); err != nil || same != first {
		t.Errorf("without a change: another credential, %v", err)
	}
	write("second-secret\n")
	if second, err := own.current(); err != nil || second == first {
		t.Errorf("after a change: the same credential, %v", err)
	}
	write("")
	if _, err := own.current(); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("an empty secret: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := own.current(); err == nil || !strings.Contains(err.Error(), "read the credential of the API "+id) {
		t.Errorf("no file: %v", err)
	}
}
