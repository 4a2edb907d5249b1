package credential

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the thumbprint of a certificate is its SHA-1 by definition
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxCertificateFile bounds what is read as a certificate.
const maxCertificateFile = 1 << 20

// A Certificate is an X.509 certificate with its private key.
type Certificate struct {
	Chain []*x509.Certificate // the certificate itself first, then those that issued it
	Key   crypto.PrivateKey   // an RSA key, or a crypto.Signer with one
}

// LoadCertificate reads a certificate and its private key from a PEM or PKCS#12 file.
// The password is that of the PKCS#12 file, or of the encrypted key in the PEM file; a file
// without one is read whatever the password.
func LoadCertificate(path, password string) (Certificate, error) {
	content, err := readLimited(path, maxCertificateFile)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate %s: %w", path, err)
	}
	certificate, err := ParseCertificate(content, password)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate %s: %w", path, err)
	}
	return certificate, nil
}

// ParseCertificate is LoadCertificate for the content of such a file.
func ParseCertificate(content []byte, password string) (Certificate, error) {
	certificate, err := readCertificate(content, password)
	if err != nil {
		return Certificate{}, err
	}
	certificate.Chain = leafFirst(certificate.Chain, certificate.Key)
	return certificate, certificate.check()
}

// check reports what would make every use of the certificate fail.
func (c Certificate) check() error {
	if len(c.Chain) == 0 {
		return errors.New("there is no certificate")
	}
	signer, ok := c.Key.(crypto.Signer)
	if !ok {
		return errors.New("there is no private key that can sign")
	}
	public, ok := signer.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the key is %T; authorities accept RSA keys", signer.Public())
	}
	if !public.Equal(c.Chain[0].PublicKey) {
		return errors.New("the private key belongs to another certificate")
	}
	return nil
}

// leafFirst puts the certificate of the key before those that issued it; files have them in
// any order.
func leafFirst(chain []*x509.Certificate, key crypto.PrivateKey) []*x509.Certificate {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return chain
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return chain
	}
	for i, c := range chain {
		if public.Equal(c.PublicKey) {
			ordered := append([]*x509.Certificate{c}, chain[:i]...)
			return append(ordered, chain[i+1:]...)
		}
	}
	return chain
}

// thumbprint is the SHA-1 of the encoded certificate, as certificate stores show it.
func thumbprint(c *x509.Certificate) [sha1.Size]byte {
	return sha1.Sum(c.Raw) //nolint:gosec // names a certificate, protects nothing
}

// byThumbprint matches certificates as people paste thumbprints: any case, with spaces,
// colons or the invisible mark that Windows puts in front.
func byThumbprint(text string) (func(*x509.Certificate) bool, error) {
	digits := strings.Map(func(r rune) rune {
		if r == ' ' || r == ':' || r == '\u200e' {
			return -1
		}
		return r
	}, text)
	want, err := hex.DecodeString(digits)
	if err != nil || len(want) != sha1.Size {
		return nil, errors.New("must be the SHA-1 of a certificate, 40 hexadecimal digits")
	}
	return func(c *x509.Certificate) bool {
		got := thumbprint(c)
		return bytes.Equal(got[:], want)
	}, nil
}

// bySubject matches a distinguished name such as "CN=orders-client", or a common name alone.
func bySubject(name string) func(*x509.Certificate) bool {
	want := strings.ReplaceAll(name, ", ", ",")
	return func(c *x509.Certificate) bool {
		return strings.EqualFold(c.Subject.String(), want) || strings.EqualFold(c.Subject.CommonName, want)
	}
}

// findCertificates searches a folder of PEM files, which takes the place of the certificate
// store of Windows, for certificates that are valid now. The newest comes first.
func findCertificates(dir string, match func(*x509.Certificate) bool) ([]Certificate, error) {
	if dir == "" {
		return nil, fmt.Errorf("there is no certificate store on this system; set Options.CertificateDir or %s to a folder of PEM files, or name one file with CertificateFile", envCertificates)
	}
	files, err := pemFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("search for the certificate: %w", err)
	}
	var found []Certificate
	var unreadable []error
	now := time.Now()
	for _, file := range files {
		c, err := LoadCertificate(file, "")
		if err != nil { // somebody else's file, perhaps: it matters only if nothing is found
			unreadable = append(unreadable, err)
			continue
		}
		leaf := c.Chain[0]
		if !match(leaf) || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			continue
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return nil, errors.Join(append([]error{
			fmt.Errorf("none of the %d PEM files in %s holds such a certificate, valid now, with its private key", len(files), dir)}, unreadable...)...)
	}
	slices.SortStableFunc(found, func(a, b Certificate) int { return b.Chain[0].NotBefore.Compare(a.Chain[0].NotBefore) })
	return found, nil
}

func pemFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if strings.EqualFold(filepath.Ext(entry.Name()), ".pem") {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files, nil
}

// readLimited reads a file. Its errors leave the path to the caller.
func readLimited(path string, limit int64) ([]byte, error) {
	content, err := readFile(path, limit)
	var at *fs.PathError
	if errors.As(err, &at) {
		return nil, at.Err
	}
	return content, err
}

func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) //nolint:gosec // the path is the operator's own setting
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are plausible", info.Size(), limit)
	}
	return os.ReadFile(path) //nolint:gosec // the path is the operator's own setting
}
