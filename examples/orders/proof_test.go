package orders_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/authoritytest"
)

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// An issuer stands for a cluster or a build service that vouches for its workloads.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{key: newKey(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "kid": "1", "alg": "RS256",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": "AQAB",
		}}})
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) host() string { return strings.TrimPrefix(i.URL, "https://") }

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// addFederated makes the application trust a workload of the issuer, and returns a file
// with that workload's token.
func addFederated(t *testing.T, login *authoritytest.Authority, client string, i *issuer) string {
	t.Helper()
	const subject, audience = "system:serviceaccount:orders:client", "api://AzureADTokenExchange"
	login.Trust(client, i.URL, subject)
	now := time.Now()
	input := encodeJSON(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": "1"}) + "." + encodeJSON(t, map[string]any{
		"iss": i.URL, "sub": subject, "aud": []string{audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "assertion", []byte(input+"."+base64.RawURLEncoding.EncodeToString(signature)))
}

func encodeJSON(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(content)
}
