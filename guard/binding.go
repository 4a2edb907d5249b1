package guard

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A binding is how a token is bound to a key of its client, in cnf (RFC 7800).
type binding uint8

const (
	boundBySigned      binding = iota + 1 // kid: the key signs requests, see SignedRequests
	boundByProof                          // jkt: the key signs proofs, see DPoP
	boundByCertificate                    // x5t#S256: the key is that of a certificate of the TLS connection (RFC 8705)
)

// binding reads the key to which a token is bound, if its proof can be checked
// here. Otherwise it refuses such a token: without a proof of possession it may
// have been stolen.
func (in *inspection) binding() *refusal {
	cnf, present := in.token.Claims.Get("cnf")
	if !present {
		return nil
	}
	var ok bool
	if in.boundBy, in.bound, ok = boundKey(cnf); !ok {
		return fail(BindingMissing, "Request a token that is bound by the thumbprint of one key or certificate (cnf.kid, cnf.jkt or cnf.x5t#S256), or by none.",
			"cnf is %s, a binding that is not known here", shown(cnf))
	}
	switch {
	case in.boundBy == boundBySigned && in.guard.signed == nil:
		return fail(BindingMissing, "Request a token without proof of possession, or set SignedRequests.", "cnf binds the token to a key, and signed requests are not taken here")
	case in.boundBy == boundByProof && in.guard.dpop == nil:
		return fail(BindingMissing, "Request a token without a header DPoP, or set DPoP.", "cnf binds the token to a key, and proofs by DPoP are not taken here")
	}
	return nil
}

// boundKey reads cnf of a token: the thumbprint of the one key (RFC 7638) or
// certificate to which it is bound.
func boundKey(cnf token.Value) (by binding, thumbprint string, ok bool) {
	members, isObject := cnf.Object()
	if !isObject || members.Len() != 1 {
		return 0, "", false
	}
	for _, known := range []struct {
		name string
		by   binding
	}{{"kid", boundBySigned}, {"jkt", boundByProof}, {"x5t#S256", boundByCertificate}} {
		if v, present := members.Get(known.name); present {
			thumbprint, _ = v.String()
			return known.by, thumbprint, isSHA256(thumbprint)
		}
	}
	return 0, "", false
}

// isSHA256 reports whether a text is the base64url of a SHA-256.
func isSHA256(text string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(sum) == sha256.Size && !strings.ContainsAny(text, "\r\n")
}

// unproven is why a token that was sent as Bearer does not count: it is bound,
// and its key has proven nothing, or it has to be bound, and is not. What the
// certificate of the connection proves, the request says; nil is none.
func (v *verified) unproven(r *Request) *refusal {
	if v.binding == boundByCertificate {
		return v.certified(r)
	}
	if v.bound {
		return v.elsewhere()
	}
	return fail(BindingMissing, "Ask for a token that is bound to a key or a certificate of the client: with token_type=pop, with a header DPoP, or over mutual TLS.", "the token is bound to no key")
}

// elsewhere is why a token that is bound in another way does not count.
func (v *verified) elsewhere() *refusal {
	switch v.binding {
	case boundByProof:
		return fail(BindingMissing, "Send the token with Authorization: DPoP, beside a proof of its key.", "the token is bound to a key by DPoP, and came without its proof")
	case boundByCertificate:
		return fail(BindingMissing, "Send the token as Bearer, over a connection with the certificate to which it is bound.", "the token is bound to a certificate, and was sent in another way")
	default:
		return fail(BindingMissing, "Send the token in a signed request, as the library makes it for token_type=pop.", "the token is bound to a key, and came alone")
	}
}

// certified demands that the client has shown on its connection that it has the
// key of the certificate to which the token is bound.
func (v *verified) certified(r *Request) *refusal {
	const fix = "Call over mutual TLS, with the certificate for which the token was asked for. Behind a proxy at which TLS ends, let it pass the certificate on (ForwardedCertificate, or clientCertificate in guard.yaml)."
	if r == nil || len(r.Certificate) == 0 {
		return fail(BindingMissing, fix, "the token is bound to a certificate, and the request came without one")
	}
	var shown [43]byte // of 32 bytes
	sum := sha256.Sum256(r.Certificate)
	base64.RawURLEncoding.Encode(shown[:], sum[:])
	if string(shown[:]) != v.thumbprint {
		return fail(BindingMismatch, fix, "the token is bound to the certificate %q, the request came with %q", v.thumbprint, string(shown[:]))
	}
	return nil
}
