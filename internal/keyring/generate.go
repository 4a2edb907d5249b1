package keyring

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	keyBits = 2048
	maxBits = 8192
	// minExponent keeps out the small public exponents that make padding mistakes fatal.
	minExponent = 65537
	// certificateLife is only what the certificate says: its key signs for as long as
	// the ring lets it.
	certificateLife = 5 * 365 * 24 * time.Hour
)

func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }

// generate makes n keys at once: a prime search keeps one core busy, and a new tenant
// needs two keys.
func (r *Ring) generate(ctx context.Context, n int) ([]entry, error) {
	entries, errs := make([]entry, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { entries[i], errs[i] = r.generateOne() })
	}
	wg.Wait()
	return entries, errors.Join(append(errs, ctx.Err())...)
}

// generateOne makes a key with its certificate and proves that the pair works. Its state
// and times are the caller's to set.
func (r *Ring) generateOne() (entry, error) {
	key, err := r.cfg.NewKey()
	if err != nil {
		return entry{}, fmt.Errorf("make signing key: %w", err)
	}
	if err := checkStrength(key); err != nil {
		return entry{}, fmt.Errorf("make signing key: %w", err)
	}
	der, err := namedCertificate(key, r.cfg.Subject, r.cfg.Now())
	if err != nil {
		return entry{}, fmt.Errorf("make signing certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return entry{}, fmt.Errorf("encode signing key: %w", err)
	}
	e := entry{ID: token.Thumbprint(der), Certificate: der, Private: private}
	loaded, err := load(e)
	if err != nil {
		return entry{}, err
	}
	return e, loaded.check()
}

// checkStrength refuses keys that must not sign: too short, too long to verify cheaply,
// with a small or even exponent, or not an RSA key at all.
func checkStrength(key *rsa.PrivateKey) error {
	if key == nil || key.N == nil {
		return errors.New("no key")
	}
	if bits := key.N.BitLen(); bits < keyBits || bits > maxBits {
		return fmt.Errorf("RSA key of %d bits, want %d to %d", bits, keyBits, maxBits)
	}
	if key.E < minExponent || key.E%2 == 0 {
		return fmt.Errorf("RSA public exponent %d, want an odd number of at least %d", key.E, minExponent)
	}
	if err := key.Validate(); err != nil {
		return fmt.Errorf("RSA key is not sound: %w", err)
	}
	return nil
}

// namedCertificate returns a certificate whose thumbprint, which becomes the key's name,
// does not begin with a hyphen: people type it on command lines.
func namedCertificate(key *rsa.PrivateKey, subject string, now time.Time) ([]byte, error) {
	for {
		der, err := certificate(key, subject, now)
		if err != nil || token.Thumbprint(der)[0] != '-' {
			return der, err
		}
	}
}

// certificate returns a self-signed certificate. Microsoft's libraries know keys by
// certificate thumbprints, so each signing key has one; nobody builds a chain from it.
func certificate(key *rsa.PrivateKey, subject string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: subject},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// A signingKey is an entry ready for use.
type signingKey struct {
	signer    *token.Signer
	published token.Key
}

// load decodes an entry and makes sure that id, certificate and private key are one.
func load(e entry) (signingKey, error) {
	if id := token.Thumbprint(e.Certificate); id != e.ID {
		return signingKey{}, fmt.Errorf("signing key %s: its certificate belongs to key %s", e.ID, id)
	}
	cert, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		return signingKey{}, fmt.Errorf("signing key %s: %w", e.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(e.Private)
	if err != nil {
		return signingKey{}, fmt.Errorf("signing key %s: its private key cannot be decoded", e.ID)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return signingKey{}, fmt.Errorf("signing key %s: not an RSA key", e.ID)
	}
	if err := checkStrength(key); err != nil {
		return signingKey{}, fmt.Errorf("signing key %s: %w", e.ID, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return signingKey{}, fmt.Errorf("signing key %s: certificate and private key do not belong together", e.ID)
	}
	return signingKey{
		signer: token.NewSigner(e.ID, e.ID, key),
		published: token.Key{
			ID: e.ID, Use: "sig", Algorithm: "RS256", KeyType: "RSA",
			Public: cert.PublicKey, Certificates: [][]byte{e.Certificate},
		},
	}, nil
}

// check signs a probe and verifies it the way others will: through the published
// document. A fault of memory, entropy or code shows here and not in a token.
func (k signingKey) check() error {
	raw, err := k.signer.Sign([]byte(`{"sub":"self-check"}`), true)
	if err != nil {
		return fmt.Errorf("signing key %s: self-check: %w", k.published.ID, err)
	}
	doc, err := token.KeysDocument([]token.Key{k.published})
	if err != nil {
		return fmt.Errorf("signing key %s: self-check: %w", k.published.ID, err)
	}
	keys, skipped, err := token.ParseKeys(doc)
	if err != nil || len(keys) != 1 {
		return fmt.Errorf("signing key %s: self-check: the published document does not hold the key: %w", k.published.ID, errors.Join(append(skipped, err)...))
	}
	probe, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return fmt.Errorf("signing key %s: self-check: %w", k.published.ID, err)
	}
	if err := probe.Verify("RS256", keys[0].Public); err != nil {
		return fmt.Errorf("signing key %s: self-check: its signature does not verify: %w", k.published.ID, err)
	}
	return nil
}
