package guard_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// askedAuthority and askedBundle are set for this test's own process behind a proxy.
const (
	askedAuthority = "GUARD_TEST_AUTHORITY"
	askedBundle    = "GUARD_TEST_BUNDLE"
)

// Keys decide over access, so the guard's own client fetches them past the proxy that the
// environment names. Go asks none for the loopback addresses anyway; 0.0.0.0 leads to the loopback
// interface too, and is not one of them.
func TestKeysComeThroughNoProxy(t *testing.T) {
	t.Parallel()
	if authority := os.Getenv(askedAuthority); authority != "" {
		g, err := guard.New(t.Context(), guard.Config{Authority: authority, Audience: []string{"api://orders"}, CABundle: os.Getenv(askedBundle)})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	server := httptest.NewUnstartedServer(nil)
	root := strings.Replace("https://"+server.Listener.Addr().String(), "127.0.0.1", "0.0.0.0", 1)
	a := newAuthority(root)
	server.Config.Handler = a
	certificate := certificateFor(t, net.IPv4zero)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKeysComeThroughNoProxy$")
	cmd.Env = append(os.Environ(), askedAuthority+"="+a.config().Authority, askedBundle+"="+bundle,
		"HTTPS_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

// certificateFor makes a certificate for an address that signs itself.
func certificateFor(t *testing.T, address net.IP) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{address}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
