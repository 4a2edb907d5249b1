package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// Bounds of a keys document.
const (
	maxKeysSize    = 1 << 20
	maxKeys        = 200
	maxKeysDepth   = 6
	maxKeysMembers = 256
)

// An IgnoredKey says why an entry of a keys document cannot be used.
type IgnoredKey struct {
	ID    string // its kid, if it has one
	Cause error
}

// Error names the entry and the cause.
func (e *IgnoredKey) Error() string { return fmt.Sprintf("key %q: %v", e.ID, e.Cause) }

// Unwrap returns the cause.
func (e *IgnoredKey) Unwrap() error { return e.Cause }

// ParseKeys reads a keys document (RFC 7517 section 5). An entry that cannot
// be used does not affect the others: it is left out and reported among the
// ignored, as an [*IgnoredKey]. The error, an [*Error], is for text that is not a
// keys document at all.
func ParseKeys(b []byte) (keys []Key, ignored []error, err error) {
	if len(b) > maxKeysSize {
		return nil, nil, refuse(reasonKeysFormat, "the document is longer than 1 MiB")
	}
	document, err := parseObject(string(b), maxKeysDepth, maxKeysMembers, nil)
	if err != nil {
		return nil, nil, refuse(reasonKeysFormat, err.Error())
	}
	list, _ := document.Get("keys")
	entries, ok := list.Elements()
	if !ok {
		return nil, nil, refuse(reasonKeysFormat, `the document has no array "keys"`)
	}
	if len(entries) > maxKeys {
		return nil, nil, refuse(reasonKeysFormat, "the document has more than 200 keys")
	}
	for _, entry := range entries {
		key, err := parseKey(entry)
		if err != nil {
			ignored = append(ignored, &IgnoredKey{ID: key.ID, Cause: err})
			continue
		}
		keys = append(keys, key)
	}
	return keys, ignored, nil
}

// ParseKey reads one public key in its JSON form (RFC 7517), such as a client
// shows beside a proof. A key that could not stand in a keys document is
// refused.
func ParseKey(v Value) (Key, error) {
	k, err := parseKey(v)
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

// parseKey reads one entry. With an error, the key may still have its ID.
func parseKey(entry Value) (Key, error) {
	members, ok := entry.Object()
	if !ok {
		return Key{}, errors.New("the entry is not an object")
	}
	var k Key
	var unused string // a thumbprint or address chooses nothing, and is a string all the same
	for _, text := range []struct {
		name  string
		field *string
	}{
		{"kid", &k.ID}, {"use", &k.Use}, {"alg", &k.Algorithm}, {"kty", &k.KeyType}, {"issuer", &k.Issuer},
		{"cloud_instance_name", &k.CloudInstance}, {"x5t", &unused}, {"x5t#S256", &unused}, {"x5u", &unused},
	} {
		if v, present := members.Get(text.name); present {
			if *text.field, ok = v.String(); !ok {
				return k, fmt.Errorf("%s is not a string", text.name)
			}
		}
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, present := members.Get(private); present {
			return k, errors.New("the entry holds a secret or private key")
		}
	}
	if v, present := members.Get("key_ops"); present {
		if k.Operations, ok = v.Strings(); !ok {
			return k, errors.New("key_ops is not an array of strings")
		}
	}
	if k.Algorithm != "" && k.Use != "enc" && !Supported(k.Algorithm) {
		return k, errors.New("alg is not a signature algorithm known here")
	}
	var err error
	if k.Public, err = publicKey(k.KeyType, members); err != nil {
		return k, err
	}
	if k.Certificates, err = certificates(members); err != nil {
		return k, err
	}
	return k, k.agrees()
}

// agrees demands that the first certificate of an entry is for the key of the entry (RFC
// 7517 section 4.7). Where it is not, one reader goes by the one, another by the other.
func (k Key) agrees() error {
	if len(k.Certificates) == 0 {
		return nil
	}
	certificate, err := x509.ParseCertificate(k.Certificates[0])
	if err != nil {
		return errors.New("the first certificate of x5c cannot be read")
	}
	if own, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(certificate.PublicKey) {
		return errors.New("the first certificate of x5c is for another key than the entry's own")
	}
	return nil
}

func publicKey(keyType string, members Object) (crypto.PublicKey, error) {
	switch keyType {
	case "RSA":
		return rsaKey(members)
	case "EC":
		return ecKey(members)
	case "OKP":
		return edKey(members)
	default:
		return nil, errors.New("kty is not RSA, EC or OKP")
	}
}

func rsaKey(members Object) (*rsa.PublicKey, error) {
	n, err := bytesOf(members, "n")
	if err != nil {
		return nil, err
	}
	e, err := bytesOf(members, "e")
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < minRSABits || bits > maxRSABits {
		return nil, fmt.Errorf("an RSA key has %d to %d bits, this one has %d", minRSABits, maxRSABits, bits)
	}
	if modulus.Bit(0) == 0 {
		return nil, errors.New("the RSA modulus is even")
	}
	// crypto/rsa takes no exponent above 2^31-1; the usual one is 65537.
	if !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > math.MaxInt32 || exponent.Bit(0) == 0 {
		return nil, errors.New("the RSA exponent is not an odd number from 3 to 2^31-1")
	}
	if rocaWeak(modulus) {
		return nil, errors.New("the RSA key comes from a generator whose keys can be factored (CVE-2017-15361)")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

// rocaWeak reports whether a modulus has the mark of Infineon's RSALib: modulo
// each of these primes it is a power of 65537. One in a hundred million
// other keys has it too.
func rocaWeak(modulus *big.Int) bool {
	for _, prime := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		residue := new(big.Int).Mod(modulus, big.NewInt(prime)).Int64()
		power, found := int64(1), false
		for range prime {
			found = found || power == residue
			power = power * 65537 % prime
		}
		if !found {
			return false
		}
	}
	return true
}

func ecKey(members Object) (*ecdsa.PublicKey, error) {
	curve, err := curveOf(members)
	if err != nil {
		return nil, err
	}
	x, err := bytesOf(members, "x")
	if err != nil {
		return nil, err
	}
	y, err := bytesOf(members, "y")
	if err != nil {
		return nil, err
	}
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, errors.New("a coordinate of the EC point has not the length of the curve")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("the EC point is not on the curve")
	}
	return key, nil
}

func curveOf(members Object) (elliptic.Curve, error) {
	v, _ := members.Get("crv")
	name, _ := v.String()
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if curve.Params().Name == name {
			return curve, nil
		}
	}
	return nil, errors.New("crv is not P-256, P-384 or P-521")
}

func edKey(members Object) (ed25519.PublicKey, error) {
	v, _ := members.Get("crv")
	if name, _ := v.String(); name != "Ed25519" {
		return nil, errors.New("crv is not Ed25519")
	}
	x, err := bytesOf(members, "x")
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, errors.New("an Ed25519 key has 32 bytes")
	}
	if smallOrder(x) {
		return nil, errors.New("the Ed25519 point has small order: one signature would fit every message")
	}
	return ed25519.PublicKey(x), nil
}

// smallOrder reports whether x encodes, canonically or not, one of the eight
// points whose order divides the cofactor.
func smallOrder(x []byte) bool {
	ff := strings.Repeat("\xff", 30)
	y := slices.Clone(x)
	y[31] &= 0x7f // without the sign of the other coordinate
	switch string(y) {
	case strings.Repeat("\x00", 32), // 0: order 4
		"\x01" + strings.Repeat("\x00", 31), // 1: order 1
		"\xec" + ff + "\x7f",                // p-1: order 2
		"\xed" + ff + "\x7f",                // p, another 0
		"\xee" + ff + "\x7f",                // p+1, another 1
		"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05", // order 8
		"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a": // order 8
		return true
	default:
		return false
	}
}

// bytesOf returns a member that is base64url text.
func bytesOf(members Object, name string) ([]byte, error) {
	v, _ := members.Get(name)
	text, ok := v.String()
	if !ok || text == "" {
		return nil, fmt.Errorf("%s is missing or not a string", name)
	}
	b, err := decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url", name)
	}
	return b, nil
}

func certificates(members Object) ([][]byte, error) {
	v, present := members.Get("x5c")
	if !present {
		return nil, nil
	}
	encoded, ok := v.Strings()
	if !ok {
		return nil, errors.New("x5c is not an array of strings")
	}
	var out [][]byte
	for _, text := range encoded {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("x5c is not base64")
		}
		out = append(out, der)
	}
	return out, nil
}
