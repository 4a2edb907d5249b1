package library

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
)

// clockAllowance is how far in the past a new certificate becomes valid, because clocks differ.
const clockAllowance = 5 * time.Minute

// NewCertificate makes a self-signed certificate and its key, with which an application can
// prove its identity.
func NewCertificate(name string, now time.Time, life time.Duration) (credential.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return credential.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return credential.Certificate{}, fmt.Errorf("make a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockAllowance), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return credential.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return credential.Certificate{}, fmt.Errorf("read the new certificate: %w", err)
	}
	return credential.Certificate{Chain: []*x509.Certificate{certificate}, Key: key}, nil
}
