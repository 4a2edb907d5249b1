package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate for names and puts it into a folder.
func writePair(t *testing.T, dir string, until time.Time, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := serialNumber()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until, DNSNames: names}
	leaf, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: pemCertificate, Bytes: leaf.Raw}, "tls.key": {Type: pemKey, Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder of secrets as Kubernetes mounts it: tls.crt leads to ..data/tls.crt, and ..data
// is a link that is replaced in one step.
type mount struct {
	dir     string
	version int
}

func newMount(t *testing.T) *mount {
	m := &mount{dir: t.TempDir()}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	return m
}

// swap lets the links lead to a new folder, which fill fills.
func (m *mount) swap(t *testing.T, fill func(dir string)) {
	t.Helper()
	m.version++
	next := filepath.Join(m.dir, "..v"+strings.Repeat("i", m.version))
	if err := os.Mkdir(next, 0o700); err != nil {
		t.Fatal(err)
	}
	fill(next)
	if err := os.Symlink(filepath.Base(next), filepath.Join(m.dir, "..next")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(m.dir, "..next"), filepath.Join(m.dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// presented is the end of the certificate that a client gets to see.
func presented(t *testing.T, f *Files) time.Time {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_ = tls.Server(far, f.ServerConfig()).HandshakeContext(t.Context())
	}()
	client := tls.Client(near, f.ClientConfig())
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState().PeerCertificates[0].NotAfter
}

func TestACertificateOfTheOperatorsIsReadAgain(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	now := time.Now()
	first, second, third := now.Add(24*time.Hour).Truncate(time.Second), now.Add(48*time.Hour).Truncate(time.Second), now.Add(72*time.Hour).Truncate(time.Second)
	m.swap(t, func(dir string) { writePair(t, dir, first, "auth.corp.test") })
	var log bytes.Buffer
	f, err := OpenFiles(FilesConfig{
		Certificate: filepath.Join(m.dir, "tls.crt"), Key: filepath.Join(m.dir, "tls.key"), Hosts: []string{"auth.corp.test"},
		Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name   string
		change func()
		want   time.Time
		logged string // once
	}{
		{"at first", func() {}, first, ""},
		{"replaced", func() { m.swap(t, func(dir string) { writePair(t, dir, second, "auth.corp.test") }) }, second, "certificate read again"},
		{"cut short", func() {
			m.swap(t, func(dir string) {
				writePair(t, dir, third, "auth.corp.test")
				_ = os.Truncate(filepath.Join(dir, "tls.crt"), 100)
			})
		}, second, "is not used"},
		{"without its key", func() {
			m.swap(t, func(dir string) {
				writePair(t, dir, third, "auth.corp.test")
				_ = os.Remove(filepath.Join(dir, "tls.key"))
			})
		}, second, "is not used"},
		{"the key of another", func() {
			m.swap(t, func(dir string) {
				writePair(t, dir, third, "auth.corp.test")
				key, _ := os.ReadFile(filepath.Join(dir, "tls.key"))
				writePair(t, dir, third, "auth.corp.test")
				_ = os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600)
			})
		}, second, "private key does not match"},
		{"for another name", func() { m.swap(t, func(dir string) { writePair(t, dir, third, "other.corp.test") }) }, second, "is for other.corp.test, not for auth.corp.test"},
		{"already over", func() { m.swap(t, func(dir string) { writePair(t, dir, now.Add(-time.Hour), "auth.corp.test") }) }, second, "ended on"},
		{"right again", func() { m.swap(t, func(dir string) { writePair(t, dir, third, "auth.corp.test") }) }, third, "certificate read again"},
		{"written in place", func() { writePair(t, m.dir, first, "auth.corp.test") }, first, "certificate read again"},
	}
	for _, step := range steps {
		log.Reset()
		step.change()
		for range 3 {
			now = now.Add(2 * lookInterval)
			if got := presented(t, f); !got.Equal(step.want) {
				t.Fatalf("%s: the certificate that ends on %v is presented, want that of %v\n%s", step.name, got, step.want, &log)
			}
		}
		if count := strings.Count(log.String(), "\n"); step.logged == "" && count != 0 || step.logged != "" && (count != 1 || !strings.Contains(log.String(), step.logged)) {
			t.Errorf("%s: want one line with %q, got\n%s", step.name, step.logged, &log)
		}
	}
}

func TestAWrongCertificateIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		until time.Time
		names []string
		want  string // in the next step
	}{
		{"for another name", time.Now().Add(time.Hour), []string{"login.corp.test"}, "--host login.corp.test"},
		{"a wildcard for others", time.Now().Add(time.Hour), []string{"*.other.test"}, "get one with that name"},
		{"over", time.Now().Add(-time.Hour), []string{"auth.corp.test"}, "renew"},
	} {
		dir := t.TempDir()
		writePair(t, dir, tt.until, tt.names...)
		_, err := OpenFiles(FilesConfig{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Hosts: []string{"auth.corp.test"}})
		var wrong *FileError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Fix(), tt.want) {
			t.Errorf("%s: %v, %+v", tt.name, err, wrong)
		}
	}
	if _, err := OpenFiles(FilesConfig{Certificate: filepath.Join(t.TempDir(), "tls.crt"), Key: "tls.key"}); err == nil {
		t.Error("files that are not there are taken")
	}
}

// Another server at our address is no server of ours, whoever certifies it.
func TestOnlyTheOwnCertificateIsTrusted(t *testing.T) {
	t.Parallel()
	open := func() *Files {
		dir := t.TempDir()
		writePair(t, dir, time.Now().Add(time.Hour), "auth.corp.test")
		f, err := OpenFiles(FilesConfig{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	own, other := open(), open()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_ = tls.Server(far, other.ServerConfig()).HandshakeContext(t.Context())
	}()
	if err := tls.Client(near, own.ClientConfig()).HandshakeContext(t.Context()); err == nil {
		t.Error("another certificate is trusted")
	}
}
