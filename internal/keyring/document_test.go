package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fixture"
)

func TestAlteredRingIsRefused(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	if err := newRing(t, cfg).Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	body := store.bodies[contoso]
	if _, err := unseal(cfg.KEK, contoso, body); err != nil {
		t.Fatal(err)
	}
	flips := []byte{0x01, 0x20, 0x80} // among them another case of a letter
	for i := range body {
		if fixture.Raced && i%7 != 0 {
			continue
		}
		altered := slices.Clone(body)
		altered[i] ^= flips[i%len(flips)]
		if _, err := unseal(cfg.KEK, contoso, altered); !errors.Is(err, ErrSealed) {
			t.Fatalf("byte %d: got %v, want ErrSealed", i, err)
		}
	}
	for _, n := range []int{0, 1, len(body) / 2, len(body) - 1} {
		if _, err := unseal(cfg.KEK, contoso, body[:n]); !errors.Is(err, ErrSealed) {
			t.Errorf("first %d bytes: got %v, want ErrSealed", n, err)
		}
	}
	if _, err := unseal(cfg.KEK, contoso, append(slices.Clone(body), '\n')); !errors.Is(err, ErrSealed) {
		t.Errorf("a byte more: got %v, want ErrSealed", err)
	}
}

func TestMovedRingIsRefused(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	r := newRing(t, cfg)
	for _, tenant := range []string{contoso, fabrikam} {
		if err := r.Ensure(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	store.bodies[contoso], store.bodies[fabrikam] = store.bodies[fabrikam], store.bodies[contoso]
	fresh := newRing(t, cfg)
	for _, tenant := range []string{contoso, fabrikam} {
		if _, err := fresh.Signer(t.Context(), tenant); !errors.Is(err, ErrSealed) {
			t.Errorf("ring of another tenant: got %v, want ErrSealed", err)
		}
	}
	// The same bytes sealed for another purpose or as another format do not open either.
	var env envelope
	if err := json.Unmarshal(store.bodies[contoso], &env); err != nil {
		t.Fatal(err)
	}
	env.Format++
	other, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unseal(cfg.KEK, fabrikam, other); !errors.Is(err, ErrSealed) {
		t.Errorf("other format: got %v, want ErrSealed", err)
	}
	if _, err := cfg.KEK.Open(env.Sealed, []byte("something else")); !errors.Is(err, ErrSealed) {
		t.Errorf("other purpose: got %v, want ErrSealed", err)
	}
}

func TestWrongKEKIsNamed(t *testing.T) {
	t.Parallel()
	cfg, _, _ := testConfig(t)
	if err := newRing(t, cfg).Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	needed := cfg.KEK.Fingerprint()
	cfg.KEK = testKEK(t, 9)
	_, err := newRing(t, cfg).Signer(t.Context(), contoso)
	if !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), needed) || !strings.Contains(err.Error(), cfg.KEK.Fingerprint()) {
		t.Errorf("got %v, want an error that names both keys", err)
	}
}

// Keys and certificates within one ring cannot be exchanged for one another, even by
// someone who can seal.
func TestMismatchedPartsAreRefused(t *testing.T) {
	t.Parallel()
	cfg, _, _ := testConfig(t)
	r := newRing(t, cfg)
	entries, err := r.generate(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	a, b := entries[0], entries[1]
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalPKCS8PrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]entry{
		"other id":          {ID: b.ID, Certificate: a.Certificate, Private: a.Private},
		"other certificate": {ID: a.ID, Certificate: b.Certificate, Private: a.Private},
		"other private key": {ID: a.ID, Certificate: a.Certificate, Private: b.Private},
		"no private key":    {ID: a.ID, Certificate: a.Certificate},
		"elliptic curve":    {ID: a.ID, Certificate: a.Certificate, Private: ec},
	} {
		if _, err := load(e); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := newSnapshot(1, document{Keys: []entry{a}}); err == nil {
		t.Error("a ring without a current key was accepted")
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	sound, err := cfg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*rsa.PrivateKey)) *rsa.PrivateKey {
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Set(sound.N), E: sound.E}, D: new(big.Int).Set(sound.D),
			Primes: []*big.Int{new(big.Int).Set(sound.Primes[0]), new(big.Int).Set(sound.Primes[1])}}
		change(k)
		return k
	}
	for name, key := range map[string]*rsa.PrivateKey{
		"none":           nil,
		"empty":          {},
		"1024 bits":      with(func(k *rsa.PrivateKey) { k.N.Rsh(k.N, 1024) }),
		"2047 bits":      with(func(k *rsa.PrivateKey) { k.N.Rsh(k.N, 1) }),
		"8193 bits":      with(func(k *rsa.PrivateKey) { k.N.Lsh(k.N, 8193-2048) }),
		"exponent 1":     with(func(k *rsa.PrivateKey) { k.E = 1 }),
		"exponent 3":     with(func(k *rsa.PrivateKey) { k.E = 3 }),
		"even exponent":  with(func(k *rsa.PrivateKey) { k.E = 65538 }),
		"wrong modulus":  with(func(k *rsa.PrivateKey) { k.N.Add(k.N, big.NewInt(2)) }),
		"wrong exponent": with(func(k *rsa.PrivateKey) { k.D.Add(k.D, big.NewInt(2)) }),
		"wrong prime":    with(func(k *rsa.PrivateKey) { k.Primes[0].Add(k.Primes[0], big.NewInt(2)) }),
	} {
		cfg.NewKey = func() (*rsa.PrivateKey, error) { return key, nil }
		if err := newRing(t, cfg).Ensure(t.Context(), contoso); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if len(store.audit) != 0 {
		t.Errorf("refused keys were stored: %v", store.audit)
	}
}
