package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// The files of Config.Dir.
const (
	certificateFile = "ca.pem"
	keyFile         = "ca.key"
	lockFile        = "ca.lock"
)

// Config says where the authority lives and which names its server answers to.
type Config struct {
	Dir string // required: the folder of ca.pem and ca.key; made if missing, mode 0700
	// Hosts are DNS names and IP addresses besides localhost, 127.0.0.1 and ::1.
	Hosts []string
	// SystemRoots is the PEM file with the roots that Bundle adds. Empty means what
	// SSL_CERT_FILE names, else the file that the operating system keeps.
	SystemRoots string
	Now         func() time.Time // nil means time.Now
}

// A CA is a certificate authority with the server certificate it issued last. It is safe
// for concurrent use.
type CA struct {
	dir         string
	systemRoots string
	now         func() time.Time
	hosts       names
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	renewed     bool
	changed     string // why a certificate that clients may have was issued again

	mu     sync.Mutex
	server *tls.Certificate // guarded by mu; the newest
}

// Open loads the authority of a folder, making whatever is missing, and issues a server
// certificate. Several processes may open one folder at the same time.
func Open(cfg Config) (*CA, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open the certificate authority: no folder given: set Config.Dir")
	}
	hosts, err := parseHosts(cfg.Hosts)
	if err != nil {
		return nil, err
	}
	ca := &CA{dir: cfg.Dir, systemRoots: cfg.SystemRoots, now: cfg.Now, hosts: builtin().union(hosts)}
	if ca.now == nil {
		ca.now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the certificate authority's folder: %w", err)
	}
	// The lock goes with the process, so one that dies between the two files leaves
	// nothing to clean up: the next one goes on from what it finds.
	unlock, err := lockedfile.MutexAt(filepath.Join(cfg.Dir, lockFile)).Lock()
	if err != nil {
		return nil, fmt.Errorf("lock the certificate authority: %w", err)
	}
	defer unlock()
	if err := ca.load(); err != nil {
		return nil, err
	}
	if _, err := ca.serverCertificate(nil); err != nil {
		return nil, err
	}
	return ca, nil
}

// load reads the key and the certificate, or makes what is missing or no longer enough.
func (c *CA) load() error {
	certificate, err := readCertificate(c.Path())
	if err != nil {
		return err
	}
	keyPath := filepath.Join(c.dir, keyFile)
	c.key, err = readKey(keyPath)
	if err != nil {
		return err
	}
	switch {
	case c.key == nil && certificate != nil:
		return fmt.Errorf("%s is there but its key %s is missing: restore the key, or remove %s to make a new authority",
			c.Path(), keyPath, certificateFile)
	case c.key == nil: // the key first: a certificate must never stand without one
		if c.key, err = createKey(keyPath); err != nil {
			return err
		}
	case certificate != nil && !c.key.PublicKey.Equal(certificate.PublicKey):
		return fmt.Errorf("%s and %s do not belong together: restore the right pair, or remove both to make a new authority",
			c.Path(), keyPath)
	}
	if certificate != nil && covers(certificate, c.hosts, c.now()) {
		c.certificate = certificate
		return nil
	}
	permitted := c.hosts
	if certificate != nil {
		permitted = permittedBy(certificate).union(c.hosts)
		c.changed = c.why(certificate)
	}
	c.certificate, err = issueRoot(c.key, permitted, rootLife, c.now())
	if err != nil {
		return err
	}
	c.renewed = true
	return writeFile(c.Path(), encodeCertificate(c.certificate.Raw), 0o644)
}

// Path returns where the root certificate is kept: DIR/ca.pem.
func (c *CA) Path() string { return filepath.Join(c.dir, certificateFile) }

// Certificate returns the root certificate.
func (c *CA) Certificate() *x509.Certificate { return c.certificate }

// Renewed reports whether Open wrote ca.pem, because there was none, a host was added or
// the old one is in its last year. Whoever keeps a copy of it needs the new one.
func (c *CA) Renewed() bool { return c.renewed }

// Changed says why Open wrote ca.pem in place of one that clients may have: a host was
// added, or its last year began. It is empty when Open did not.
func (c *CA) Changed() string { return c.changed }

// why says what an earlier issue of the root is no longer good for.
func (c *CA) why(earlier *x509.Certificate) string {
	if added := c.hosts.without(permittedBy(earlier)); len(added) > 0 {
		return "it was not allowed to sign for " + strings.Join(added, ", ")
	}
	return "the old one ends on " + earlier.NotAfter.UTC().Format(time.DateOnly)
}

// Pool returns a pool with this root alone, for clients in the same process.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.certificate)
	return pool
}

// TLSConfig returns what a server needs to answer for the names: TLS 1.2 or newer,
// HTTP/1.1 and HTTP/2, and a certificate that is renewed in time.
func (c *CA) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.serverCertificate,
	}
}

// serverCertificate returns the server certificate, a new one once two thirds of the life
// of the old one have passed. The name asked for does not matter: one certificate holds all.
func (c *CA) serverCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil && fresh(c.server.Leaf, now) {
		return c.server, nil
	}
	server, err := issueServer(c.certificate, c.key, c.hosts, now)
	if err != nil {
		return nil, err
	}
	c.server = server
	return server, nil
}
