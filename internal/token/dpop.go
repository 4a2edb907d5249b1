package token

import (
	"net/url"
	"slices"
	"strings"
)

// MaxProofSize is how long a proof may be, in bytes: a key, a URL and some hashes.
const MaxProofSize = 8 << 10

// A Proof is a DPoP proof (RFC 9449) that has been taken apart: by its signature, the holder
// of a key says that it makes one request. Until [Proof.Verify] returns nil, anybody may have
// written it.
type Proof struct {
	Thumbprint string // of the key (RFC 7638)
	ID         string // jti
	Method     string // htm
	URL        string // htu
	IssuedAt   int64  // iat
	Hash       string // ath: of the access token that the request carries; empty: none is named
	Nonce      string // that the server has given out; empty: none

	token *Token
	alg   string
	key   Key
}

// ProofAlgorithms lists the algorithms by which proofs may be signed.
func ProofAlgorithms() []string { return []string{"ES256", "ES384", "PS256", "RS256", "EdDSA"} }

// Bounds of what stands in a proof.
const (
	proofType    = "dpop+jwt"
	maxProofText = 2048
)

// ParseProof takes a proof apart, and refuses whatever has more than one reading. A returned
// error is an [*Error].
func ParseProof(raw string) (*Proof, error) {
	t, err := Parse(raw, Limits{Token: MaxProofSize, Payload: MaxProofSize})
	if err != nil {
		return nil, err
	}
	p := &Proof{token: t}
	if err := p.header(); err != nil {
		return nil, err
	}
	if err := p.claims(); err != nil {
		return nil, err
	}
	return p, nil
}

// header reads type, algorithm and key. Nothing else may change how the proof is read.
func (p *Proof) header() error {
	h := p.token.Header
	typ, _ := h.Get("typ")
	if name, _ := typ.String(); !strings.EqualFold(name, proofType) {
		return refuse(ReasonHeader, "typ is not dpop+jwt")
	}
	for _, name := range []string{"crit", "b64", "zip", "cty", "enc", "jku", "x5u", "x5c"} {
		if _, present := h.Get(name); present {
			return refuse(ReasonHeader, "the header has "+name)
		}
	}
	alg, _ := h.Get("alg")
	if p.alg, _ = alg.String(); !slices.Contains(ProofAlgorithms(), p.alg) {
		return refuse(ReasonAlgorithm, "alg is not one of "+strings.Join(ProofAlgorithms(), ", "))
	}
	jwk, _ := h.Get("jwk")
	var err error
	if p.key, err = ParseKey(jwk); err != nil {
		return refuse(ReasonKey, "jwk: "+err.Error())
	}
	if !p.key.Verifies(p.alg) {
		return refuse(ReasonKey, "jwk is not a key for alg")
	}
	p.Thumbprint = p.key.Thumbprint()
	return nil
}

// claims reads what is proven. Those that are required are not empty.
func (p *Proof) claims() error {
	for _, claim := range []struct {
		name     string
		field    *string
		required bool
	}{{"jti", &p.ID, true}, {"htm", &p.Method, true}, {"htu", &p.URL, true}, {"ath", &p.Hash, false}, {"nonce", &p.Nonce, false}} {
		v, present := p.token.Claims.Get(claim.name)
		if !present && !claim.required {
			continue
		}
		text, ok := v.String()
		if !ok || text == "" || len(text) > maxProofText {
			return refuse(ReasonClaims, claim.name+" is not the text it has to be")
		}
		*claim.field = text
	}
	iat, _ := p.token.Claims.Get("iat")
	var ok bool
	if p.IssuedAt, ok = iat.Integer(); !ok || p.IssuedAt == 0 {
		return refuse(ReasonClaims, "iat is not a time")
	}
	return nil
}

// Verify checks that the key in the proof has signed it. A returned error is an [*Error].
func (p *Proof) Verify() error { return p.token.Verify(p.alg, p.key.Public) }

// IsFor reports whether the proof is for a method and a URL: one of the origins, followed by
// the path as it is sent. A query in the proof does not count, and neither does how the same
// URL is spelt (RFC 3986 sections 6.2.2 and 6.2.3).
func (p *Proof) IsFor(method string, origins []string, path string) bool {
	u, err := url.Parse(p.URL)
	if err != nil || p.Method != method || u.User != nil || u.Opaque != "" {
		return false
	}
	return slices.Contains(origins, Origin(u)) && samePath(u.EscapedPath(), path)
}

// Origin returns scheme and host of a URL in the form in which they are compared: in lower
// case, without the scheme's default port.
func Origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + strings.TrimSuffix(host, ":")
}

// samePath compares paths as they are sent. Escapes of characters that need none, and the case
// of escapes, make no difference; those of a separator do.
func samePath(a, b string) bool {
	if a == "" {
		a = "/"
	}
	if b == "" {
		b = "/"
	}
	return a == b || normalPath(a) == normalPath(b)
}

// normalPath takes escapes away that are not needed, and writes the others in upper case.
func normalPath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		if c, err := url.PathUnescape(escape); err == nil && isUnreserved(c[0]) {
			b.WriteByte(c[0])
		} else {
			b.WriteString(escape)
		}
		i += 2
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
