package guard

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// SignedRequests lets a guard take tokens that are bound to a key (token_type
// pop): a token of cnf.kid in a request that the key of that thumbprint has
// signed, with Authorization: PoP, as Microsoft's libraries send it
// (draft-ietf-oauth-signed-http-request). Host, path, method and time that were
// signed must be those of the request, and each signed request counts once.
// Hashes of headers and of the body (h, b) are not looked at.
//
// The memory of what was used is that of one guard. Where several serve the
// same API, a request can be sent again to another one within Lifetime.
type SignedRequests struct {
	// Hosts are those by which clients call this API, such as
	// orders.contoso.test or localhost:9443. Required.
	Hosts []string

	// Lifetime is how long a signed request counts; zero means five minutes.
	Lifetime time.Duration

	// HostOnly takes requests in which neither method nor path is signed, and
	// takes each of them as often as it comes while it counts. This is what
	// kubelogin sends. Whoever gets hold of one can use it for another request
	// to the same host.
	HostOnly bool

	// Required refuses tokens that are not bound.
	Required bool
}

const (
	defaultSignedLifetime = 5 * time.Minute
	maxSignedLifetime     = time.Hour
)

// withDefaults returns the settings with zero fields filled in, or what is
// wrong with them.
func (s SignedRequests) withDefaults() (SignedRequests, error) {
	if len(s.Hosts) == 0 {
		return s, errors.New("SignedRequests has no Hosts: list those by which clients call this API, such as orders.contoso.test")
	}
	hosts := make([]string, len(s.Hosts))
	for i, host := range s.Hosts {
		if host == "" || quotable(host) != host || strings.ContainsAny(host, "/@?# ") {
			return s, fmt.Errorf("the host %q of SignedRequests is not one such as orders.contoso.test or localhost:9443", host)
		}
		hosts[i] = plainHost(host)
	}
	s.Hosts = hosts
	if s.Lifetime < 0 || s.Lifetime > maxSignedLifetime {
		return s, fmt.Errorf("SignedRequests has a Lifetime of %v: use zero (five minutes) up to %v", s.Lifetime, maxSignedLifetime)
	}
	if s.Lifetime == 0 {
		s.Lifetime = defaultSignedLifetime
	}
	return s, nil
}

// plainHost returns a host in the form in which hosts are compared.
func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

// signedRequests are the settings and what was used.
type signedRequests struct {
	SignedRequests
	used *usedRequests
}

// newSignedRequests returns what a guard needs for settings that are complete,
// or nil for none.
func newSignedRequests(s *SignedRequests, skew time.Duration) *signedRequests {
	if s == nil {
		return nil
	}
	return &signedRequests{SignedRequests: *s, used: newUsedRequests(s.Lifetime + 2*skew)}
}

// A proof is a signed request on its way through the checks.
type proof struct {
	guard   *Guard
	request Request
	now     int64
	signed  *token.Token
	at      string // the access token
	ts      int64
}

// signedAlgorithms are those with which clients sign requests. It is never
// written to.
var signedAlgorithms = []string{"RS256", "PS256", "ES256"}

// decideSigned decides about a signed request by one rule. What costs
// something comes last: a stranger, who has no token, makes nobody verify a
// signature by a key of the stranger's choice.
func (g *Guard) decideSigned(ctx context.Context, r *Request, raw string, rule *Rule) Decision {
	p := &proof{guard: g, request: *r, now: g.cfg.Now().Unix()}
	refusal := p.read(raw)
	if refusal == nil {
		refusal = p.fits()
	}
	var v *verified
	if refusal == nil {
		v, refusal = g.verify(ctx, p.at, true)
	}
	if refusal == nil {
		refusal = p.proves(v, raw)
	}
	var d Decision
	if refusal != nil {
		d = g.refused(refusal, rule.Path)
	} else {
		d = g.decideProven(ctx, v, p.at, rule)
	}
	d.scheme = signedRequest
	return d
}

// read takes a signed request apart.
func (p *proof) read(raw string) *refusal {
	const advice = "Send PoP, one space and the signed request exactly as the library made it."
	most := p.guard.limits.Token
	if most == 0 {
		most = token.DefaultTokenSize
	}
	const besides = 8 << 10 // of the token: key, path, query
	signed, err := token.Parse(raw, token.Limits{Token: (most + besides) * 3 / 2, Payload: most + besides})
	if err != nil {
		detail := "the signed request cannot be read"
		var refused *token.Error
		if errors.As(err, &refused) {
			detail = refused.Detail
		}
		return fail(ProofInvalid, advice, "the signed request: %s", detail)
	}
	p.signed = signed
	for _, name := range append([]string{"crit"}, forbiddenParameters...) {
		if _, present := signed.Header.Get(name); present {
			return fail(ProofInvalid, advice, "the header of the signed request has %s", name)
		}
	}
	if typ, present := signed.Header.Get("typ"); present {
		if name, ok := typ.String(); !ok || !strings.EqualFold(name, "pop") {
			return fail(ProofInvalid, advice, "typ of the signed request is %s, not pop", shown(typ))
		}
	}
	at, _ := signed.Claims.Get("at")
	if p.at, _ = at.String(); p.at == "" {
		return fail(ProofInvalid, advice, "the signed request holds no access token (at)")
	}
	return nil
}

// fits demands that what was signed is this request, and now.
func (p *proof) fits() *refusal {
	with := &p.guard.signed.SignedRequests
	ts, _ := p.signed.Claims.Get("ts")
	var ok bool
	skew := int64(p.guard.cfg.Skew / time.Second)
	if p.ts, ok = ts.Integer(); !ok || p.ts > p.now+skew || p.now-p.ts > int64(with.Lifetime/time.Second)+skew {
		return fail(ProofInvalid, "Sign each request when it is sent, and set the clocks of the client and of this machine.",
			"ts is %s, it is %s", shown(ts), clock(p.now))
	}
	u, _ := p.signed.Claims.Get("u")
	if host, ok := u.String(); !ok || !slices.Contains(with.Hosts, plainHost(host)) {
		return fail(ProofInvalid, "Sign the request for the host by which it is sent, or list that host in SignedRequests.Hosts.",
			"u is %s; this API is called by %s", shown(u), strings.Join(with.Hosts, ", "))
	}
	m, present := p.signed.Claims.Get("m")
	if method, ok := m.String(); present && (!ok || method != p.request.Method) || !present && !with.HostOnly {
		return fail(ProofInvalid, "Sign the request with its method.", "m is %s; the method is %q", shown(m), p.request.Method)
	}
	path, present := p.signed.Claims.Get("p")
	if text, ok := path.String(); present && (!ok || !samePath(text, p.request.Path)) || !present && !with.HostOnly {
		return fail(ProofInvalid, "Sign the request with its path, as it is sent.", "p is %s; the path is %q", shown(path), p.request.Path)
	}
	if q, present := p.signed.Claims.Get("q"); present && !coversQuery(q, p.request.Query) {
		return fail(ProofInvalid, "Sign the request with its query, as it is sent.", "q is %s, which does not fit the query", shown(q))
	}
	return nil
}

// samePath compares paths as they are sent, but for one slash at either end.
func samePath(signed, sent string) bool {
	trim := func(path string) string { return strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/") }
	return sent != "" && trim(signed) == trim(sent)
}

// coversQuery reports whether q is what was signed of a query: the names of
// parameters in their order and the hash of "name=value" of all of them, or, as
// MSAL.js has it, no name and the query itself.
func coversQuery(q token.Value, query string) bool {
	parts, ok := q.Elements()
	if !ok || len(parts) != 2 {
		return false
	}
	names, ok := parts[0].Strings()
	if !ok {
		return false
	}
	sum, ok := parts[1].String()
	if !ok {
		return false
	}
	if len(names) == 0 {
		return strings.TrimPrefix(sum, "?") == query
	}
	var pairs []string
	for _, name := range names {
		found := ""
		for pair := range strings.SplitSeq(query, "&") {
			if key, _, _ := strings.Cut(pair, "="); key != name {
				continue
			}
			if found != "" {
				return false // one of them was signed, and nobody can tell which
			}
			found = pair
		}
		if found == "" {
			return false
		}
		pairs = append(pairs, found)
	}
	digest := sha256.Sum256([]byte(strings.Join(pairs, "&")))
	return sum == base64.RawURLEncoding.EncodeToString(digest[:])
}

// proves demands that the key to which the token is bound has signed the
// request, and not before.
func (p *proof) proves(v *verified, raw string) *refusal {
	bound := v.thumbprint
	switch {
	case v.bound && v.binding != boundBySigned:
		return v.elsewhere()
	case bound == "":
		return fail(BindingMismatch, "Ask for the token with token_type=pop and the key's req_cnf, or send it as Bearer.", "the token is bound to no key")
	}
	key, err := p.key()
	if err != nil {
		return fail(ProofInvalid, "", "cnf.jwk of the signed request: %v", err)
	}
	if thumbprint := key.Thumbprint(); thumbprint != bound {
		return fail(BindingMismatch, "Sign with the key for which the token was asked for.", "the token is bound to the key %q, the request is signed by %q", bound, thumbprint)
	}
	alg, _ := p.signed.Header.Get("alg")
	name, _ := alg.String()
	if !slices.Contains(signedAlgorithms, name) {
		return fail(ProofInvalid, "", "alg of the signed request is %s, not one of %s", shown(alg), strings.Join(signedAlgorithms, ", "))
	}
	if err := p.signed.Verify(name, key.Public); err != nil {
		return fail(ProofInvalid, "The request was changed after it was signed, or signed by somebody else.", "the signature of the request does not fit")
	}
	with := p.guard.signed
	if with.HostOnly {
		return nil
	}
	// Of two signatures that fit the same request, one counts.
	if !with.used.first(raw[:strings.LastIndexByte(raw, '.')], p.ts, time.Now()) {
		return fail(ProofReplayed, "Sign each request anew.", "a request that was signed so has been taken already")
	}
	return nil
}

// key returns the key with which the request says it was signed.
func (p *proof) key() (token.Key, error) {
	cnf, _ := p.signed.Claims.Get("cnf")
	members, ok := cnf.Object()
	if !ok {
		return token.Key{}, errors.New("there is none")
	}
	jwk, _ := members.Get("jwk")
	return token.ParseKey(jwk)
}
