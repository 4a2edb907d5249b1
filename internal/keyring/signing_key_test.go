package keyring

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

func TestKeyNamesAreNoFlags(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // its certificates are cheap to sign, and their length does not matter
	if err != nil {
		t.Fatal(err)
	}
	for range 400 { // one in 64 thumbprints begins with a hyphen
		der, err := namedCertificate(key, "test", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if id := token.Thumbprint(der); id[0] == '-' {
			t.Fatalf("the key would be called %s, which reads as a flag", id)
		}
	}
}
