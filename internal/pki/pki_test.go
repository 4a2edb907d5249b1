package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

// A clock that tests set by hand.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func open(t *testing.T, cfg pki.Config) *pki.CA {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = newClock().read
	}
	ca, err := pki.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// leaf returns the server certificate as a client would meet it now.
func leaf(t *testing.T, ca *pki.CA) *x509.Certificate {
	t.Helper()
	certificate, err := ca.TLSConfig().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Leaf
}

func verify(certificate *x509.Certificate, roots *x509.CertPool, name string, at time.Time) error {
	_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at})
	return err
}

func TestServerCertificateVerifiesForEveryName(t *testing.T) {
	t.Parallel()
	now := newClock()
	ca := open(t, pki.Config{Dir: t.TempDir(), Hosts: []string{"Login.Corp.test", "10.1.2.3", "[2001:db8::7]"}, Now: now.read})
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "login.corp.test", "10.1.2.3", "2001:db8::7"} {
		if err := verify(leaf(t, ca), ca.Pool(), name, now.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.com", "corp.test", "10.1.2.4"} {
		if verify(leaf(t, ca), ca.Pool(), name, now.now) == nil {
			t.Errorf("%s: verified, want refused", name)
		}
	}
}

func TestRootIsBoundToItsNames(t *testing.T) {
	t.Parallel()
	ca := open(t, pki.Config{Dir: t.TempDir(), Hosts: []string{"login.corp.test"}})
	root := ca.Certificate()
	if !root.PermittedDNSDomainsCritical || !slices.Equal(root.PermittedDNSDomains, []string{"localhost", "login.corp.test"}) {
		t.Errorf("permitted names %v, critical %v", root.PermittedDNSDomains, root.PermittedDNSDomainsCritical)
	}
	if len(root.PermittedIPRanges) != 2 {
		t.Errorf("permitted addresses %v, want the two loopback ones", root.PermittedIPRanges)
	}
	if !root.IsCA || !root.MaxPathLenZero {
		t.Error("the root may sign other authorities")
	}
}

func TestOpenTwiceKeepsTheRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, pki.Config{Dir: dir})
	if !first.Renewed() {
		t.Error("the first start does not say that it wrote ca.pem")
	}
	second := open(t, pki.Config{Dir: dir})
	if second.Renewed() || !first.Certificate().Equal(second.Certificate()) {
		t.Error("the second start made another root")
	}
	if err := verify(leaf(t, second), first.Pool(), "localhost", newClock().now); err != nil {
		t.Error(err)
	}
}

func TestAddedHostIssuesTheRootAgain(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), newClock()
	before := open(t, pki.Config{Dir: dir, Hosts: []string{"one.test"}})
	after := open(t, pki.Config{Dir: dir, Hosts: []string{"two.test"}})
	if !after.Renewed() {
		t.Fatal("the root was not issued again")
	}
	if err := verify(leaf(t, after), after.Pool(), "two.test", now.now); err != nil {
		t.Error(err)
	}
	// The same key: what was served before is still good for who takes the new root.
	if err := verify(leaf(t, before), after.Pool(), "one.test", now.now); err != nil {
		t.Error(err)
	}
	if err := verify(leaf(t, after), before.Pool(), "localhost", now.now); err == nil {
		t.Error("the old root verified a name it is not bound to")
	}
	if again := open(t, pki.Config{Dir: dir}); again.Renewed() {
		t.Error("a host that is no longer configured changed the root")
	}
}

func TestServerCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	now := newClock()
	ca := open(t, pki.Config{Dir: t.TempDir(), Now: now.read})
	first := leaf(t, ca)
	life := first.NotAfter.Sub(first.NotBefore)
	if limit := 397 * 24 * time.Hour; life > limit {
		t.Errorf("life %v, want at most %v", life, limit)
	}
	now.now = first.NotBefore.Add(life*2/3 - time.Minute)
	if !leaf(t, ca).Equal(first) {
		t.Error("renewed before two thirds of its life")
	}
	now.now = now.now.Add(2 * time.Minute)
	second := leaf(t, ca)
	if second.Equal(first) {
		t.Fatal("not renewed after two thirds of its life")
	}
	if err := verify(second, ca.Pool(), "localhost", now.now); err != nil {
		t.Error(err)
	}
	now.now = first.NotBefore.Add(-24 * time.Hour)
	if !leaf(t, ca).NotBefore.Before(now.now) {
		t.Error("a clock that was set back still gets a certificate of the future")
	}
}

func TestRootIsRenewedInItsLastYear(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), newClock()
	first := open(t, pki.Config{Dir: dir, Now: now.read})
	now.now = now.now.AddDate(9, 1, 0)
	second := open(t, pki.Config{Dir: dir, Now: now.read})
	if !second.Renewed() {
		t.Fatal("not renewed in its last year")
	}
	for name, pool := range map[string]*x509.CertPool{"old": first.Pool(), "new": second.Pool()} {
		if err := verify(leaf(t, second), pool, "localhost", now.now); err != nil {
			t.Errorf("under the %s root: %v", name, err)
		}
	}
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "made", "here")
	ca := open(t, pki.Config{Dir: dir, SystemRoots: rootsFile(t)})
	bundle := filepath.Join(dir, "ca-bundle.pem")
	if err := ca.Bundle(bundle); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		dir: 0o700, ca.Path(): 0o644, bundle: 0o644, filepath.Join(dir, "ca.key"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %04o, want %04o", filepath.Base(path), got, want)
		}
	}
	if leftover, _ := filepath.Glob(filepath.Join(dir, ".*")); leftover != nil {
		t.Errorf("temporary files stay behind: %v", leftover)
	}
}

func TestOpenGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := open(t, pki.Config{Dir: dir})
	if err := os.Remove(before.Path()); err != nil { // as if killed between the two files
		t.Fatal(err)
	}
	after := open(t, pki.Config{Dir: dir})
	if err := verify(leaf(t, after), before.Pool(), "localhost", newClock().now); err != nil {
		t.Error("the key that was there is not the one in use:", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	write := func(name, content string, mode os.FileMode) func(string) error {
		return func(dir string) error {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), mode); err != nil {
				return err
			}
			return os.Chmod(path, mode)
		}
	}
	for _, tt := range []struct {
		name   string
		hosts  []string
		damage func(dir string) error
		want   string
	}{
		{"a key that others can read", nil, func(dir string) error { return os.Chmod(filepath.Join(dir, "ca.key"), 0o640) }, "mode 0640"},
		{"a root without its key", nil, func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) }, "is missing"},
		{"an empty key file", nil, write("ca.key", "", 0o600), "no PEM block"},
		{"a key that is none", nil, write("ca.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600), "not a PKCS #8 key"},
		{"a torn root", nil, write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644), "ca.pem"},
		{"the key of another authority", nil, otherKey, "do not belong together"},
		{"a host with token in it", []string{"tokens.corp.test"}, nil, `replacing every "token"`},
		{"a URL for a host", []string{"https://login.test"}, nil, "without scheme"},
		{"a port in a host", []string{"login.test:8443"}, nil, "without scheme, port"},
		{"a wildcard", []string{"*.login.test"}, nil, "wildcard"},
		{"an empty host", []string{""}, nil, "neither a DNS name nor an IP address"},
		{"an address with a zone", []string{"fe80::1%eth0"}, nil, "neither a DNS name nor an IP address"},
		{"a name of other letters", []string{"büro.test"}, nil, "xn--"},
		{"a name too long", []string{strings.Repeat("long.", 60) + "test"}, nil, "253"},
		{"a label too long", []string{strings.Repeat("a", 64) + ".test"}, nil, "neither a DNS name"},
		{"a label that ends in a hyphen", []string{"login-.test"}, nil, "neither a DNS name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, pki.Config{Dir: dir})
			if tt.damage != nil {
				if err := tt.damage(dir); err != nil {
					t.Fatal(err)
				}
			}
			_, err := pki.Open(pki.Config{Dir: dir, Hosts: tt.hosts})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := pki.Open(pki.Config{}); err == nil {
		t.Error("opened without a folder")
	}
}

// otherKey puts the key of another authority in place.
func otherKey(dir string) error {
	other := filepath.Join(dir, "other")
	if _, err := pki.Open(pki.Config{Dir: other}); err != nil {
		return err
	}
	return os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key"))
}

func TestManyStartsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authorities := make([]*pki.CA, 16)
	var wg sync.WaitGroup
	for i := range authorities {
		wg.Go(func() {
			ca, err := pki.Open(pki.Config{Dir: dir, Now: newClock().read})
			if err != nil {
				t.Error(err)
				return
			}
			authorities[i] = ca
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	made := 0
	for _, ca := range authorities {
		if !ca.Certificate().Equal(authorities[0].Certificate()) {
			t.Error("two starts hold different roots")
		}
		if ca.Renewed() {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d starts made a root, want 1", made)
	}
}

func TestTLSServer(t *testing.T) {
	t.Parallel()
	ca := open(t, pki.Config{Dir: t.TempDir(), Now: time.Now})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	server.EnableHTTP2 = true
	server.TLS = ca.TLSConfig()
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().(*net.TCPAddr).AddrPort().String()

	for _, protocol := range []string{"h2", "http/1.1"} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{protocol}})
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != protocol {
			t.Errorf("spoke %q, want %q", got, protocol)
		}
		conn.Close()
	}
	old := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", address, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}
