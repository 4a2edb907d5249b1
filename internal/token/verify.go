package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
)

// RSA keys outside these sizes are refused: shorter ones are weak, longer ones
// make every verification expensive.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// An algorithm is one row of RFC 7518 section 3.1.
type algorithm struct {
	keyType string
	hash    crypto.Hash
	pss     bool
	curve   elliptic.Curve
}

func lookup(alg string) (algorithm, bool) {
	switch alg {
	case "RS256":
		return algorithm{keyType: "RSA", hash: crypto.SHA256}, true
	case "RS384":
		return algorithm{keyType: "RSA", hash: crypto.SHA384}, true
	case "RS512":
		return algorithm{keyType: "RSA", hash: crypto.SHA512}, true
	case "PS256":
		return algorithm{keyType: "RSA", hash: crypto.SHA256, pss: true}, true
	case "PS384":
		return algorithm{keyType: "RSA", hash: crypto.SHA384, pss: true}, true
	case "PS512":
		return algorithm{keyType: "RSA", hash: crypto.SHA512, pss: true}, true
	case "ES256":
		return algorithm{keyType: "EC", hash: crypto.SHA256, curve: elliptic.P256()}, true
	case "ES384":
		return algorithm{keyType: "EC", hash: crypto.SHA384, curve: elliptic.P384()}, true
	case "ES512":
		return algorithm{keyType: "EC", hash: crypto.SHA512, curve: elliptic.P521()}, true
	case "EdDSA":
		return algorithm{keyType: "OKP"}, true
	default:
		return algorithm{}, false
	}
}

// Supported reports whether alg is a signature algorithm this package can
// verify. None of them is symmetric.
func Supported(alg string) bool {
	_, ok := lookup(alg)
	return ok
}

// Fits reports whether key is of the type, curve and size that alg demands.
func Fits(alg string, key crypto.PublicKey) bool {
	a, ok := lookup(alg)
	return ok && a.fits(key)
}

func (a algorithm) fits(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return a.keyType == "RSA" && bits >= minRSABits && bits <= maxRSABits
	case *ecdsa.PublicKey:
		return a.keyType == "EC" && key.Curve == a.curve
	case ed25519.PublicKey:
		return a.keyType == "OKP" && len(key) == ed25519.PublicKeySize
	default:
		return false
	}
}

// Verify checks the signature over the bytes that were received. The caller
// names the algorithm, having decided that it is acceptable; the token's own
// header must say the same, and the key must fit. A returned error is an
// [*Error].
func (t *Token) Verify(alg string, key crypto.PublicKey) error {
	a, ok := lookup(alg)
	if v, _ := t.Header.Get("alg"); !ok || v.Kind() != String || v.text[1:len(v.text)-1] != alg {
		return refuse(ReasonAlgorithm, "the token's alg is not the one to verify with")
	}
	if !a.fits(key) {
		return refuse(ReasonKey, "the key is not of the type, curve or size that alg demands")
	}
	if !a.verify(key, t.signed, t.signature) {
		return refuse(ReasonSignature, "the signature does not match the token and the key")
	}
	return nil
}

func (a algorithm) verify(key crypto.PublicKey, signed, signature []byte) bool {
	if key, ok := key.(ed25519.PublicKey); ok {
		return ed25519.Verify(key, signed, signature)
	}
	digest := sum(a.hash, signed)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if a.pss {
			return rsa.VerifyPSS(key, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, a.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (a.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size { // RFC 7518 section 3.4: R and S, fixed length, no DER
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(key, digest, r, s)
	default:
		return false
	}
}

func sum(hash crypto.Hash, text []byte) []byte {
	switch hash {
	case crypto.SHA384:
		digest := sha512.Sum384(text)
		return digest[:]
	case crypto.SHA512:
		digest := sha512.Sum512(text)
		return digest[:]
	default:
		digest := sha256.Sum256(text)
		return digest[:]
	}
}
