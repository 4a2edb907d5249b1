package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
)

// A Signer signs tokens with one key. The header is encoded once, so that a
// token costs little more than its signature. It is safe for concurrent use if its
// crypto.Signer is, as those of the standard library are.
type Signer struct {
	kid      string
	key      crypto.Signer
	plain    string // encoded header with kid, and the dot
	withX5t  string // the same with x5t, for v1.0 tokens
	problems error  // why this signer cannot sign
}

// NewSigner returns a signer with RS256 for the RSA key behind key. The kid
// names it in the keys document; x5t is the thumbprint of its certificate.
func NewSigner(kid, x5t string, key crypto.Signer) *Signer {
	s := &Signer{kid: kid, key: key}
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		s.problems = fmt.Errorf("sign with key %q: RS256 needs an RSA key, not %T", kid, key.Public())
		return s
	}
	s.plain = encodedHeader(map[string]any{"typ": "JWT", "alg": "RS256", "kid": kid})
	s.withX5t = encodedHeader(map[string]any{"typ": "JWT", "alg": "RS256", "kid": kid, "x5t": x5t})
	return s
}

// KeyID returns the kid of the tokens that s makes.
func (s *Signer) KeyID() string { return s.kid }

// Sign returns the token that carries claims, which must be a JSON object.
// Tokens of version 1.0 also name the key by x5t.
func (s *Signer) Sign(claims []byte, withX5t bool) (string, error) {
	if s.problems != nil {
		return "", s.problems
	}
	header := s.plain
	if withX5t {
		header = s.withX5t
	}
	return sign(header, claims, s.key, crypto.SHA256)
}

// Sign returns a token with the header typ, alg, kid and what header adds or
// replaces. It signs with RS256 or PS256. It is for occasional use;
// an issuer uses [Signer].
func Sign(alg, kid string, header map[string]any, claims []byte, signer crypto.Signer) (string, error) {
	if _, ok := signer.Public().(*rsa.PublicKey); !ok {
		return "", fmt.Errorf("sign with key %q: %s needs an RSA key, not %T", kid, alg, signer.Public())
	}
	var opts crypto.SignerOpts
	switch alg {
	case "RS256":
		opts = crypto.SHA256
	case "PS256":
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	default:
		return "", fmt.Errorf("sign with key %q: algorithm %q is not offered; use RS256 or PS256", kid, alg)
	}
	members := map[string]any{"typ": "JWT", "alg": alg, "kid": kid}
	maps.Copy(members, header)
	if _, err := json.Marshal(members); err != nil {
		return "", fmt.Errorf("sign with key %q: encode header: %w", kid, err)
	}
	return sign(encodedHeader(members), claims, signer, opts)
}

// SignES256 returns a token that a key of the curve P-256 has signed (RFC 7518
// section 3.4), for those who need a key at once: making one takes no time.
func SignES256(kid string, claims []byte, key *ecdsa.PrivateKey) (string, error) {
	if key.Curve != elliptic.P256() {
		return "", fmt.Errorf("sign with key %q: ES256 needs a key of the curve P-256", kid)
	}
	encoding := base64.RawURLEncoding
	signed := encodedHeader(map[string]any{"typ": "JWT", "alg": "ES256", "kid": kid}) + encoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	const half = 32 // of a signature
	var signature [2 * half]byte
	r.FillBytes(signature[:half])
	s.FillBytes(signature[half:])
	return signed + "." + encoding.EncodeToString(signature[:]), nil
}

// encodedHeader returns the first part of a token and its dot. The members
// are ones that json can encode.
func encodedHeader(members map[string]any) string {
	text, _ := json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(text) + "."
}

// sign builds header.payload.signature in one buffer.
func sign(header string, claims []byte, key crypto.Signer, opts crypto.SignerOpts) (string, error) {
	encoding := base64.RawURLEncoding
	const room = 700 // a dot and the signature of the longest usual key, 4096 bits
	buf := make([]byte, 0, len(header)+encoding.EncodedLen(len(claims))+room)
	buf = append(buf, header...)
	buf = encoding.AppendEncode(buf, claims)
	digest := sha256.Sum256(buf)
	signature, err := key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	buf = append(buf, '.')
	return string(encoding.AppendEncode(buf, signature)), nil
}
