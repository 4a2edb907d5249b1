package guard_test

import (
	"bufio"
	"bytes"
	"crypto"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall-auth/rolecall/guard"
)

// judge has go-jose, which shares no code with us, verify a token that was
// let in.
func judge(t testing.TB, raw string, keys ...crypto.PublicKey) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA})
	if err != nil {
		t.Errorf("go-jose cannot read a token that was let in: %v", err)
		return
	}
	for _, key := range append(keys, trustedKey().Public(), spareKey().Public()) {
		if _, err := signed.Verify(key); err == nil {
			return
		}
	}
	t.Error("go-jose does not verify a token that was let in")
}

// TestWellKnownSecrets signs with every secret people are known to use.
func TestWellKnownSecrets(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	payload := text(t, a.claims())
	count := 0
	lines := bufio.NewScanner(bytes.NewReader(vector(t, "weak_hmac_secrets.txt")))
	for lines.Scan() {
		count++
		secret := lines.Bytes()
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			honest := mac(alg, secret, `{"alg":"`+alg+`","typ":"JWT","kid":"trusted"}`, payload)
			if r := reason(g, honest); r != guard.AlgNotAllowed {
				t.Errorf("secret %d, %s: %q", count, alg, r)
			}
			lying := mac(alg, secret, `{"alg":"RS256","typ":"JWT","kid":"trusted"}`, payload)
			if r := reason(g, lying); r != guard.SignatureInvalid {
				t.Errorf("secret %d, %s as RS256: %q", count, alg, r)
			}
		}
	}
	if err := lines.Err(); err != nil || count < 900 {
		t.Errorf("%d secrets, error %v", count, err)
	}
}

// vector returns a file of public test data, which lies beside the project's
// folder where it is present, as it is in CI.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "..", "shared", "vectors", name))
	if err != nil {
		t.Skipf("public test data %s is not here: %v", name, err)
	}
	return b
}
