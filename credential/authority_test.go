package credential

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testTenant = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	testClient = "c11e0001-5a5a-4c4c-8d8d-000000000001"
	testSecret = "canary-Zk8~very;secret'value\""
	testScope  = "api://orders/.default"
)

// A tokenRequest is what the authority below received.
type tokenRequest struct {
	path string
	form url.Values
}

// authority speaks just enough of the token endpoints for a client to be content.
type authority struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r tokenRequest) // nil means a token

	mu       sync.Mutex
	requests []tokenRequest
}

// TestMain leaves nothing in the environment that a credential would read.
func TestMain(m *testing.M) {
	if os.Getenv(askedEndpoint) != "" { // a process of a test's own, and its environment
		os.Exit(m.Run())
	}
	for _, name := range []string{envAuthorityHost, envCABundle, envCertificates, "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
		"IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "AZURE_REGIONAL_AUTHORITY_NAME"} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func startAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = log.New(io.Discard, "", 0) // some tests distrust it on purpose
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
		tenant := a.URL + "/" + strings.Split(r.URL.Path, "/")[1]
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q}`,
			tenant+"/v2.0", tenant+"/oauth2/v2.0/authorize", tenant+"/oauth2/v2.0/token", tenant+"/discovery/v2.0/keys")
		return
	}
	if err := r.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	req := tokenRequest{path: r.URL.RequestURI(), form: r.PostForm}
	a.mu.Lock()
	a.requests = append(a.requests, req)
	a.mu.Unlock()
	if a.answer != nil {
		a.answer(w, req)
		return
	}
	if strings.Contains(req.path, "/v2.0/") {
		fmt.Fprint(w, `{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"v2-token"}`)
		return
	}
	fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":"3600","expires_on":"%d","access_token":"v1-token"}`, time.Now().Unix()+3600)
}

func (a *authority) seen() []tokenRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// options reach the authority the way a program would: by host and CA bundle.
func (a *authority) options(t *testing.T) *Options {
	t.Helper()
	return &Options{AuthorityHost: a.URL, CABundle: writeFile(t, "ca.pem", certificatePEM(a.Certificate()))}
}

// refuse answers like Entra does.
func refuse(status, code int, oauth, description string) func(http.ResponseWriter, tokenRequest) {
	return func(w http.ResponseWriter, _ tokenRequest) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"error":             oauth,
			"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: 1 Correlation ID: 2 Timestamp: 3", code, description),
			"error_codes":       []int{code},
		})
	}
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newCertificate makes a self-signed client certificate.
func newCertificate(t testing.TB, name string, notBefore time.Time) Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    notBefore,
		NotAfter:     notBefore.Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{Chain: []*x509.Certificate{leaf}, Key: key}
}

// pemOf writes a certificate and its key the way tools do, key first.
func pemOf(t testing.TB, c Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, each := range c.Chain {
		content = append(content, certificatePEM(each)...)
	}
	return content
}
