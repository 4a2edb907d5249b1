package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Bundle writes a PEM file with this root and the system's roots, mode 0644, for runtimes
// that take one file in place of their own roots (SSL_CERT_FILE, CURL_CA_BUNDLE …). An up
// to date file is left alone. Where SSL_CERT_FILE names a bundle of this authority, as it
// does for processes that Rolecall started, the result is the same again and does not grow.
func (c *CA) Bundle(path string) error {
	roots, err := c.readSystemRoots()
	if err != nil {
		return err
	}
	bundle := bytes.NewBuffer(encodeCertificate(c.certificate.Raw))
	for {
		var block *pem.Block
		if block, roots = pem.Decode(roots); block == nil {
			break
		}
		// An earlier issue of this root holds the same key; only the newest belongs in.
		if block.Type == pemCertificate && !bytes.Contains(block.Bytes, c.certificate.RawSubjectPublicKeyInfo) {
			bundle.Write(encodeCertificate(block.Bytes))
		}
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, bundle.Bytes()) {
		return nil
	}
	return writeFile(path, bundle.Bytes(), 0o644)
}

// readSystemRoots returns the roots that programs on this machine trust, nothing when the
// system keeps them elsewhere than in a file.
func (c *CA) readSystemRoots() ([]byte, error) {
	candidates := SystemRootFiles()
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		candidates = append([]string{file}, candidates...)
	}
	if c.systemRoots != "" {
		candidates = []string{c.systemRoots}
	}
	for _, file := range candidates {
		roots, err := os.ReadFile(file) //nolint:gosec // G703: the operator's own choice of file
		if errors.Is(err, fs.ErrNotExist) && c.systemRoots == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the system's roots: %w: let SSL_CERT_FILE name a PEM file that can be read, or unset it", err)
		}
		return roots, nil
	}
	return nil, nil
}

// SystemRootFiles lists where operating systems keep their roots in one PEM file.
func SystemRootFiles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
		"/etc/pki/tls/certs/ca-bundle.crt",                  // older Fedora and RHEL
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/ssl/cert.pem",                                 // Alpine, macOS, OpenBSD, FreeBSD
		"/usr/local/share/certs/ca-root-nss.crt",            // older FreeBSD
		"/etc/certs/ca-certificates.crt",                    // illumos
	}
}
