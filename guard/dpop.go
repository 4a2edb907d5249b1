package guard

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// DPoP lets a guard take tokens that are bound to a key by DPoP (RFC 9449): a
// token of cnf.jkt with Authorization: DPoP, beside a header DPoP in which the
// key has signed method, URL, time and the hash of the token. Each such proof
// counts once.
//
// The memory of what was used is that of one guard. Where several serve the
// same API, a proof can be sent again to another one within Lifetime, unless
// Nonces are demanded, which each guard gives out for itself.
type DPoP struct {
	// Origins are scheme and host by which clients call this API, such as
	// https://orders.contoso.test or https://localhost:9443. Required.
	Origins []string

	// Lifetime is how long a proof counts; zero means five minutes.
	Lifetime time.Duration

	// Nonces demands in each proof a nonce that the guard gives out: a proof
	// that was signed ahead of time, by somebody who had the key for a moment,
	// is of no use later.
	Nonces bool

	// NonceKey makes the nonces, at least 16 bytes. Guards that serve the same
	// API take each other's nonces if they have the same key. Nil means a key
	// of the guard's own.
	NonceKey []byte

	// Required refuses tokens that are not bound.
	Required bool
}

const (
	headerProof   = "Dpop" // in the canonical form of net/http
	headerNonce   = "Dpop-Nonce"
	nonceLifetime = 5 * time.Minute
	shortestNonce = 16 // bytes of a key
	invalidProof  = "invalid_dpop_proof"
	useNonce      = "use_dpop_nonce"
)

// withDefaults returns the settings with zero fields filled in, or what is
// wrong with them.
func (d DPoP) withDefaults() (DPoP, error) {
	if len(d.Origins) == 0 {
		return d, errors.New("DPoP has no Origins: list scheme and host by which clients call this API, such as https://orders.contoso.test")
	}
	origins := make([]string, len(d.Origins))
	for i, origin := range d.Origins {
		u, err := url.Parse(origin)
		if err != nil || checkURL("origin", origin) != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || quotable(origin) != origin {
			return d, fmt.Errorf("the origin %q of DPoP is not one such as https://orders.contoso.test", origin)
		}
		origins[i] = token.Origin(u)
	}
	d.Origins = origins
	if d.Lifetime < 0 || d.Lifetime > maxSignedLifetime {
		return d, fmt.Errorf("DPoP has a Lifetime of %v: use zero (five minutes) up to %v", d.Lifetime, maxSignedLifetime)
	}
	if d.Lifetime == 0 {
		d.Lifetime = defaultSignedLifetime
	}
	switch {
	case d.NonceKey == nil:
		d.NonceKey = make([]byte, sha256.Size)
		_, _ = rand.Read(d.NonceKey) // never fails
	case len(d.NonceKey) < shortestNonce:
		return d, fmt.Errorf("DPoP has a NonceKey of %d bytes: use %d and more", len(d.NonceKey), shortestNonce)
	}
	return d, nil
}

// proofs are the settings and what was used.
type proofs struct {
	DPoP
	used *usedRequests
}

// newProofs returns what a guard needs for settings that are complete, or nil
// for none.
func newProofs(d *DPoP, skew time.Duration) *proofs {
	if d == nil {
		return nil
	}
	return &proofs{DPoP: *d, used: newUsedRequests(d.Lifetime + 2*skew)}
}

// nonce returns the nonce of a while.
func (p *proofs) nonce(now time.Time, before int64) string {
	var slot [8]byte
	binary.BigEndian.PutUint64(slot[:], uint64(now.Unix()/int64(nonceLifetime/time.Second)-before))
	mac := hmac.New(sha256.New, p.NonceKey)
	mac.Write([]byte("dpop nonce "))
	mac.Write(slot[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// gave reports whether a nonce is one of this while, or of the one before.
func (p *proofs) gave(nonce string, now time.Time) bool {
	for before := range int64(2) {
		if hmac.Equal([]byte(nonce), []byte(p.nonce(now, before))) {
			return true
		}
	}
	return false
}

// decideDPoP decides about a request with a proof by one rule. What costs
// something comes last: a stranger, who has no token, makes nobody verify a
// signature by a key of the stranger's choice.
func (g *Guard) decideDPoP(ctx context.Context, r *Request, raw string, rule *Rule) Decision {
	d := g.provenByKey(ctx, r, raw, rule)
	d.scheme = dpop
	return d
}

func (g *Guard) provenByKey(ctx context.Context, r *Request, raw string, rule *Rule) Decision {
	p, refusal := g.proofOf(r, raw)
	var v *verified
	if refusal == nil {
		v, refusal = g.verify(ctx, raw, true)
	}
	if refusal == nil {
		refusal = g.dpop.proves(p, v)
	}
	if refusal != nil {
		return g.refused(refusal, rule.Path)
	}
	return g.decideProven(ctx, v, raw, rule)
}

// proofOf returns the one proof of a request, if that is what it is for: this
// request, this token, and now.
func (g *Guard) proofOf(r *Request, raw string) (*token.Proof, *refusal) {
	const anew = "Sign each request when it is sent, as it is sent: libraries do so by themselves."
	lines := r.Header[headerProof]
	if len(lines) != 1 {
		return nil, fail(ProofInvalid, anew, "there are %d headers DPoP", len(lines))
	}
	p, err := token.ParseProof(lines[0])
	if err != nil {
		detail := "it cannot be read"
		var refused *token.Error
		if errors.As(err, &refused) {
			detail = refused.Detail
		}
		return nil, fail(ProofInvalid, anew, "the header DPoP: %s", detail)
	}
	now := g.cfg.Now()
	sum := sha256.Sum256([]byte(raw))
	switch skew, with := g.cfg.Skew, g.dpop; {
	case !p.IsFor(r.Method, with.Origins, r.Path):
		return nil, fail(ProofInvalid, "Sign the method and the URL by which the request is sent, or list its scheme and host in DPoP.Origins.",
			"the proof is for %s %s; the request is %s %q of %s", oneLine(p.Method, maxShown), oneLine(p.URL, maxShown), oneLine(r.Method, maxMethod), r.Path, strings.Join(with.Origins, ", "))
	case p.IssuedAt > now.Add(skew).Unix() || p.IssuedAt < now.Add(-with.Lifetime-skew).Unix():
		return nil, fail(ProofInvalid, "Sign each request when it is sent, and set the clocks of the client and of this machine.",
			"iat of the proof is %s, it is %s", clock(p.IssuedAt), clock(now.Unix()))
	case p.Hash != base64.RawURLEncoding.EncodeToString(sum[:]):
		return nil, fail(ProofInvalid, "Put the hash of the token that is sent into the proof (ath).", "ath of the proof is not the hash of the token")
	case with.Nonces && !with.gave(p.Nonce, now):
		refused := fail(NonceRequired, "", "the proof has no nonce of this API, or an old one")
		refused.nonce = with.nonce(now, 0)
		return nil, refused
	}
	return p, nil
}

// proves demands that the key to which the token is bound has signed the proof,
// and that the proof was not used before.
func (p *proofs) proves(proof *token.Proof, v *verified) *refusal {
	switch {
	case !v.bound:
		return fail(BindingMismatch, "Ask for the token with a header DPoP, or send it as Bearer.", "the token is bound to no key")
	case v.binding != boundByProof:
		return v.elsewhere()
	case proof.Thumbprint != v.thumbprint:
		return fail(BindingMismatch, "Sign with the key for which the token was asked for.", "the token is bound to the key %q, the proof is signed by %q", v.thumbprint, proof.Thumbprint)
	}
	if err := proof.Verify(); err != nil {
		return fail(ProofInvalid, "The proof was changed after it was signed, or signed by somebody else.", "the signature of the proof does not fit")
	}
	if !p.used.first(proof.Thumbprint+" "+proof.ID, proof.IssuedAt, time.Now()) {
		return fail(ProofReplayed, "Sign each request anew.", "a proof of this jti has been taken already")
	}
	return nil
}
