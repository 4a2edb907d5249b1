package credential

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// assertionLife is how long an assertion is good for. One is made for each request.
const assertionLife = 10 * time.Minute

// certificateAssertion signs a client assertion (RFC 7523 section 3) the way the v1
// library did: RS256, the SHA-1 thumbprint as x5t, and the whole chain.
func certificateAssertion(clientID, audience string, certificate Certificate, now time.Time) (string, error) {
	signer, ok := certificate.Key.(crypto.Signer)
	if !ok {
		return "", errors.New("the private key cannot sign")
	}
	digest := thumbprint(certificate.Chain[0])
	chain := make([][]byte, len(certificate.Chain)) // encodes to standard base64, as x5c requires
	for i, c := range certificate.Chain {
		chain[i] = c.Raw
	}
	header, err := json.Marshal(map[string]any{
		"alg": "RS256", "typ": "JWT",
		"x5t": base64.RawURLEncoding.EncodeToString(digest[:]),
		"x5c": chain,
	})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"aud": audience, "iss": clientID, "sub": clientID, "jti": rand.Text(),
		"nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(input))
	signature, err := signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
