package issuance

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The types of access tokens, as requests and answers name them.
const (
	typeBearer      = "Bearer"
	typePoP         = "pop"      // bound to a key of the client, which signs each request with it
	typeDPoP        = "DPoP"     // bound to a key of the client, which signs a proof for each request (RFC 9449)
	typeCertificate = "mtls_pop" // bound to the certificate of the client's TLS connection (RFC 8705)
)

// A Binding says which key of the client an access token is bound to. The zero Binding is
// that of a bearer token, which whoever has it can use.
type Binding struct {
	tokenType  string // as the answer names it
	member     string // of cnf
	thumbprint string // of the key (RFC 7638) or certificate
}

// The members of "cnf" that name a key.
const (
	memberKey         = "kid"
	memberProof       = "jkt"
	memberCertificate = "x5t#S256"
)

// TokenType is how an answer names the type of a token that is bound so.
func (b Binding) TokenType() string {
	if b == (Binding{}) {
		return typeBearer
	}
	return b.tokenType
}

// Key names the key in a record of who may have tokens bound to it; empty: none.
func (b Binding) Key() string {
	if b.member == memberProof || b.member == memberCertificate {
		return b.member + " " + b.thumbprint
	}
	return "" // whoever asks for signed requests names another key whenever they like
}

// ProofKey is [Binding.Key] of tokens that are bound by proofs of the key with a thumbprint
// (dpop_jkt), if it is one.
func ProofKey(thumbprint string) (key string, ok bool) {
	sum, ok := decodeBase64URL(thumbprint)
	if !ok || len(sum) != sha256.Size || strings.HasSuffix(thumbprint, "=") {
		return "", false
	}
	return Binding{member: memberProof, thumbprint: thumbprint}.Key(), true
}

// confirmation is the claim of a token that is bound so (RFC 7800 section 3).
func (b Binding) confirmation() *Confirmation {
	switch b.member {
	case memberKey:
		return &Confirmation{KeyID: b.thumbprint}
	case memberProof:
		return &Confirmation{Proof: b.thumbprint}
	case memberCertificate:
		return &Confirmation{Certificate: b.thumbprint}
	}
	return nil
}

// Confirmation is the claim "cnf": the key whose proof has to come with the token.
type Confirmation struct {
	KeyID       string `json:"kid,omitempty"`
	Proof       string `json:"jkt,omitempty"`
	Certificate string `json:"x5t#S256,omitempty"`
}

// A BindingRequest is what a token request says of how the token shall be bound.
type BindingRequest struct {
	TokenType    string   // parameter token_type
	Confirmation string   // parameter req_cnf
	Proofs       []string // headers DPoP
	Certificate  []byte   // of the TLS connection (DER); empty: none
}

// ParseBinding reads it. What it does not know it refuses: a client that asked for a bound token
// must not believe that it holds one. A proof has still to be verified.
func ParseBinding(r BindingRequest) (Binding, *token.Proof, error) {
	switch kind := r.TokenType; {
	case len(r.Proofs) > 0:
		return parseProof(r)
	case strings.EqualFold(kind, typePoP):
		b, err := parseConfirmation(r.Confirmation)
		return b, nil, err
	case kind != "" && !strings.EqualFold(kind, typeBearer) && !strings.EqualFold(kind, typeCertificate) && !strings.EqualFold(kind, typeDPoP):
		return Binding{}, nil, aadsts.TokenType(kind)
	case r.Confirmation != "":
		return Binding{}, nil, aadsts.Malformed("It has a 'req_cnf' without token_type=pop.")
	case strings.EqualFold(kind, typeDPoP):
		return Binding{}, nil, aadsts.DPoPProof("there is no header DPoP")
	case strings.EqualFold(kind, typeCertificate) && len(r.Certificate) == 0:
		return Binding{}, nil, aadsts.NoClientCertificate(kind)
	case strings.EqualFold(kind, typeCertificate):
		return Binding{typeCertificate, memberCertificate, CertificateThumbprint(r.Certificate)}, nil, nil
	}
	return Binding{}, nil, nil
}

// parseProof reads the header DPoP (RFC 9449 section 5).
func parseProof(r BindingRequest) (Binding, *token.Proof, error) {
	switch {
	case len(r.Proofs) > 1:
		return Binding{}, nil, aadsts.DPoPProof("there are several headers DPoP")
	case r.Confirmation != "" || r.TokenType != "" && !strings.EqualFold(r.TokenType, typeBearer) && !strings.EqualFold(r.TokenType, typeDPoP):
		return Binding{}, nil, aadsts.Malformed("It has a header DPoP, and asks for a token that is bound in another way.")
	}
	proof, err := token.ParseProof(r.Proofs[0])
	if refused, ok := errors.AsType[*token.Error](err); ok {
		return Binding{}, nil, aadsts.DPoPProof(refused.Detail)
	}
	if err != nil {
		return Binding{}, nil, aadsts.DPoPProof("it cannot be read").Because(err)
	}
	return Binding{typeDPoP, memberProof, proof.Thumbprint}, proof, nil
}

// BoundToCertificate is the binding of tokens for a client that has proven itself by the
// certificate of its TLS connection (RFC 8705 section 3): it sends them as Bearer.
func BoundToCertificate(der []byte) Binding {
	return Binding{typeBearer, memberCertificate, CertificateThumbprint(der)}
}

// CertificateThumbprint is x5t#S256 of a certificate.
func CertificateThumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxConfirmation is the greatest length of req_cnf, in bytes.
const maxConfirmation = 1 << 10

// parseConfirmation reads the req_cnf of a client: {"kid":"…"} in base64url. MSAL for
// JavaScript adds where it keeps the key ("xms_ksl"); any other member would be a binding
// that is not known here.
func parseConfirmation(raw string) (Binding, error) {
	if raw == "" {
		return Binding{}, aadsts.Missing("req_cnf")
	}
	if len(raw) > maxConfirmation {
		return Binding{}, aadsts.Confirmation("it is longer than 1 KB")
	}
	decoded, ok := decodeBase64URL(raw)
	if !ok {
		return Binding{}, aadsts.Confirmation("it is not base64url")
	}
	members, err := token.ParseObject(decoded, 1, 8)
	if err != nil {
		return Binding{}, aadsts.Confirmation("it does not hold a JSON object").Because(err)
	}
	for _, name := range members.Names() {
		if name != "kid" && name != "xms_ksl" {
			return Binding{}, aadsts.Confirmation("its member " + text.Quote(name) + " is not supported")
		}
	}
	keyID := TextClaim(members, "kid")
	if sum, ok := decodeBase64URL(keyID); !ok || len(sum) != sha256.Size {
		return Binding{}, aadsts.Confirmation("its 'kid' is not the SHA-256 thumbprint of a key in base64url")
	}
	return Binding{typePoP, memberKey, strings.TrimRight(keyID, "=")}, nil
}

// decodeBase64URL decodes base64url, with padding or without it.
func decodeBase64URL(s string) ([]byte, bool) {
	bare := strings.TrimRight(s, "=")
	padding := len(s) - len(bare)
	if padding > 2 || padding > 0 && len(s)%4 != 0 || strings.ContainsAny(bare, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(bare)
	return decoded, err == nil
}
