package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a thumbprint names a certificate; it protects nothing
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
)

// A Key is a public key as a keys document publishes it.
type Key struct {
	ID            string           // kid
	Use           string           // "sig", or empty where the document says nothing
	Operations    []string         // key_ops, nil where the document says nothing
	Algorithm     string           // alg; Entra publishes none
	KeyType       string           // RSA, EC or OKP
	Issuer        string           // Entra: the only issuer the key may sign for; may hold {tenantid}
	CloudInstance string           // Entra: cloud_instance_name
	Public        crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	Certificates  [][]byte         // x5c, DER, leaf first
}

// Verifies reports whether k is published for verifying signatures of alg: its
// type and size fit, and nothing that the document says about it excludes that.
func (k Key) Verifies(alg string) bool {
	return Fits(alg, k.Public) &&
		(k.Use == "" || k.Use == "sig") &&
		(k.Operations == nil || slices.Contains(k.Operations, "verify")) &&
		(k.Algorithm == "" || k.Algorithm == alg)
}

// A JWK is the JSON form of a [Key] (RFC 7517). It has no member for anything
// private, so none can be published by mistake.
type JWK struct {
	KeyType       string   `json:"kty"`
	Use           string   `json:"use,omitempty"`
	ID            string   `json:"kid,omitempty"`
	Thumbprint    string   `json:"x5t,omitempty"`
	N             string   `json:"n,omitempty"`
	E             string   `json:"e,omitempty"`
	Curve         string   `json:"crv,omitempty"`
	X             string   `json:"x,omitempty"`
	Y             string   `json:"y,omitempty"`
	Certificates  []string `json:"x5c,omitempty"`
	CloudInstance string   `json:"cloud_instance_name,omitempty"`
	Issuer        string   `json:"issuer,omitempty"`
}

// JWK returns the JSON form of k. Like Entra it says nothing about alg.
func (k Key) JWK() JWK {
	j := JWK{Use: k.Use, ID: k.ID, CloudInstance: k.CloudInstance, Issuer: k.Issuer}
	encode := base64.RawURLEncoding.EncodeToString
	switch key := k.Public.(type) {
	case *rsa.PublicKey:
		j.KeyType = "RSA"
		j.N, j.E = encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		j.KeyType, j.Curve = "EC", key.Curve.Params().Name
		if point, err := key.Bytes(); err == nil { // 4, X, Y
			half := (len(point) - 1) / 2
			j.X, j.Y = encode(point[1:1+half]), encode(point[1+half:])
		}
	case ed25519.PublicKey:
		j.KeyType, j.Curve, j.X = "OKP", "Ed25519", encode(key)
	}
	for _, der := range k.Certificates {
		j.Certificates = append(j.Certificates, base64.StdEncoding.EncodeToString(der))
	}
	if len(k.Certificates) > 0 {
		j.Thumbprint = Thumbprint(k.Certificates[0])
	}
	return j
}

// Thumbprint returns the base64url SHA-256 of the members that make up the key,
// in their one canonical form (RFC 7638).
func (k Key) Thumbprint() string {
	j := k.JWK()
	// None of these values needs escaping.
	var text string
	switch j.KeyType {
	case "RSA":
		text = `{"e":"` + j.E + `","kty":"RSA","n":"` + j.N + `"}`
	case "EC":
		text = `{"crv":"` + j.Curve + `","kty":"EC","x":"` + j.X + `","y":"` + j.Y + `"}`
	case "OKP": // RFC 8037 appendix A.3
		text = `{"crv":"` + j.Curve + `","kty":"OKP","x":"` + j.X + `"}`
	}
	digest := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// KeysDocument returns the JSON document that publishes keys.
func KeysDocument(keys []Key) ([]byte, error) {
	document := struct {
		Keys []JWK `json:"keys"`
	}{Keys: make([]JWK, 0, len(keys))}
	for _, k := range keys {
		j := k.JWK()
		if j.KeyType == "" {
			return nil, fmt.Errorf("publish key %q: %T is not a public key that can be published", k.ID, k.Public)
		}
		document.Keys = append(document.Keys, j)
	}
	return json.Marshal(document)
}

// Thumbprint returns the base64url SHA-1 of a DER certificate: the x5t of
// RFC 7515 section 4.1.7, which Entra also uses as kid.
func Thumbprint(der []byte) string {
	digest := sha1.Sum(der) //nolint:gosec // see the import
	return base64.RawURLEncoding.EncodeToString(digest[:])
}
