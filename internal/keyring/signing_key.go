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

// A State is the stage of a key's life.
type State string

// The states of a key, in the order in which it passes through them.
const (
	Next    State = "next"    // published, does not sign yet
	Current State = "current" // published, signs
	Retired State = "retired" // published, no longer signs
)

// A KeyInfo is what may be known about a key.
type KeyInfo struct {
	ID          string    `json:"id"` // kid and x5t
	State       State     `json:"state"`
	Created     time.Time `json:"created"` // and published
	Activated   time.Time `json:"activated,omitzero"`
	Retired     time.Time `json:"retired,omitzero"`
	RetainUntil time.Time `json:"retainUntil,omitzero"` // of a retired key: when it stops being published
}

// info is an entry without its private part.
func (e entry) info() KeyInfo {
	return KeyInfo{e.ID, e.State, e.Created, e.Activated, e.Retired, e.RetainUntil}
}

// A signingKey is an entry ready for use.
type signingKey struct {
	signer    *token.Signer
	published token.Key
}

// load decodes an entry and checks that id, certificate and private key belong together.
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

// check signs a probe and verifies it as others will, with the published document. A fault of
// memory, entropy or code shows here and not in a token.
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
		return fmt.Errorf("signing key %s: self-check: the published document does not contain the key: %w", k.published.ID, errors.Join(append(skipped, err)...))
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

const (
	keyBits = 2048
	maxBits = 8192
	// minExponent excludes the small public exponents that make padding mistakes fatal.
	minExponent = 65537
	// certificateLife is the validity in the certificate; how long its key signs is decided by
	// the ring.
	certificateLife = 5 * 365 * 24 * time.Hour
)

func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }

// generate makes n keys in parallel: each prime search occupies one core, and a new tenant needs
// two keys.
func (r *Ring) generate(ctx context.Context, n int) ([]entry, error) {
	entries, errs := make([]entry, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { entries[i], errs[i] = r.generateOne() })
	}
	wg.Wait()
	return entries, errors.Join(append(errs, ctx.Err())...)
}

// generateOne makes a key and its certificate, and proves that the pair works. The caller sets
// its state and times.
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
		return fmt.Errorf("RSA key of %d bits: it must have %d to %d", bits, keyBits, maxBits)
	}
	if key.E < minExponent || key.E%2 == 0 {
		return fmt.Errorf("RSA public exponent %d: it must be an odd number of at least %d", key.E, minExponent)
	}
	if err := key.Validate(); err != nil {
		return fmt.Errorf("RSA key is not sound: %w", err)
	}
	return nil
}

// namedCertificate returns a certificate whose thumbprint, which becomes the key's id, does not
// begin with a hyphen, because people type it on command lines.
func namedCertificate(key *rsa.PrivateKey, subject string, now time.Time) ([]byte, error) {
	for {
		der, err := certificate(key, subject, now)
		if err != nil || token.Thumbprint(der)[0] != '-' {
			return der, err
		}
	}
}

// certificate returns a self-signed certificate. Microsoft's libraries identify keys by
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
