package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
)

// keysVariable names a file with the private keys that servers of the tests sign with. A key
// takes longer to make than most scripts to run, and a keyring tells keys apart by their
// certificates, which are always new.
const keysVariable = "ROLECALL_TEST_KEYS"

// testKeys makes the keys of a test binary.
var testKeys = sync.OnceValues(func() ([2]*rsa.PrivateKey, error) {
	var keys [2]*rsa.PrivateKey
	var making sync.WaitGroup
	for i := range keys {
		making.Go(func() { keys[i], _ = rsa.GenerateKey(rand.Reader, 2048) })
	}
	making.Wait()
	for _, key := range keys {
		if key == nil {
			return keys, fmt.Errorf("make keys for tests")
		}
	}
	return keys, nil
})

// keysFile writes the keys for other processes.
func keysFile(t *testing.T) string {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	var content []byte
	for _, key := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	file := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// rolecall is the program as scripts run it: with keys that are there already.
func rolecall() {
	c := newCLI(streamsOf(os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
	if file := os.Getenv(keysVariable); file != "" {
		c.NewKey = inTurn(func() ([]*rsa.PrivateKey, error) { return readKeys(file) })
	}
	os.Exit(start(c))
}

func readKeys(file string) (keys []*rsa.PrivateKey, err error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return keys, nil
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.(*rsa.PrivateKey))
	}
}

// inTurn gives out keys that are read once, when the first is needed.
func inTurn(read func() ([]*rsa.PrivateKey, error)) func() (*rsa.PrivateKey, error) {
	var n atomic.Int64
	once := sync.OnceValues(read)
	return func() (*rsa.PrivateKey, error) {
		keys, err := once()
		if err != nil {
			return nil, err
		}
		return keys[n.Add(1)%int64(len(keys))], nil
	}
}

// testCLI is an invocation in this process.
func testCLI(s command.Streams) *cli {
	c := newCLI(s)
	c.NewKey = newTestKeys()
	return c
}

// newTestKeys gives out the keys of this test binary.
func newTestKeys() func() (*rsa.PrivateKey, error) {
	return inTurn(func() ([]*rsa.PrivateKey, error) {
		keys, err := testKeys()
		return keys[:], err
	})
}
