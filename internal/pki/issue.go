package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	rootLife     = 10 * 365 * 24 * time.Hour
	rootLastYear = 365 * 24 * time.Hour // a root with less than this left is issued again
	serverLife   = 90 * 24 * time.Hour  // browsers refuse more than 397 days
	backdate     = time.Hour            // for clients whose clock is slow
)

// issueRoot signs a root certificate that may sign for the permitted names only. With the
// same key it is the same authority as before: what one issue signed, every issue verifies.
func issueRoot(key *ecdsa.PrivateKey, permitted names, life time.Duration, now time.Time) (*x509.Certificate, error) {
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode the authority's public key: %w", err)
	}
	id := sha256.Sum256(public)
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// A part of the key's digest tells the roots of several folders apart in a trust store.
		Subject:      pkix.Name{Organization: []string{"Rolecall"}, CommonName: fmt.Sprintf("Rolecall local CA %x", id[:4])},
		SubjectKeyId: id[:20],
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign,

		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         permitted.dns,
		PermittedIPRanges:           permitted.ranges(),
	}
	if len(permitted.ips) == 0 { // of addresses, no list would mean that all are permitted
		template.ExcludedIPRanges = everyAddress()
	}
	return sign(template, template, &key.PublicKey, key)
}

func everyAddress() []*net.IPNet {
	return []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
}

// issueServer makes a key and a certificate for a server that answers to the names.
func issueServer(root *x509.Certificate, rootKey *ecdsa.PrivateKey, hosts names, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a server key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	notAfter := now.Add(serverLife)
	if notAfter.After(root.NotAfter) {
		notAfter = root.NotAfter
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serial,
		// Verifiers that still look at the common name must not take it for a host name.
		Subject:     pkix.Name{Organization: []string{"Rolecall"}, CommonName: "Rolecall server"},
		NotBefore:   now.Add(-backdate),
		NotAfter:    notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    hosts.dns,
		IPAddresses: hosts.addresses(),

		BasicConstraintsValid: true,
	}, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// serialNumber returns 127 random bits: positive and at most 16 bytes long, as RFC 5280
// section 4.1.2.2 requires.
func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// fresh reports whether a server certificate has a third of its life left, and whether
// that life has begun: a clock that was set back makes a certificate of the future useless.
func fresh(leaf *x509.Certificate, now time.Time) bool {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return now.After(leaf.NotBefore) && now.Before(leaf.NotBefore.Add(life*2/3))
}

// covers reports whether a root certificate is good enough to go on with.
func covers(root *x509.Certificate, hosts names, now time.Time) bool {
	return now.After(root.NotBefore) && now.Add(rootLastYear).Before(root.NotAfter) &&
		permittedBy(root).contains(hosts)
}
