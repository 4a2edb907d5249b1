package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// An inspection is one token on its way through the checks. A check may rely
// on what those before it have found.
type inspection struct {
	guard *Guard
	ctx   context.Context // of the one call that the inspection is for
	raw   string
	now   int64

	token      *token.Token
	alg, kid   string
	iss        string
	issuer     *issuer
	tenant     string // the one that iss names
	keys       []token.Key
	key        *token.Key
	generation uint64
	exp, iat   int64 // iat is zero if the token has none
	idtyp      string
	scoped     bool // whether the token has a scope
	capable    bool // whether the client understands claims challenges
	boundBy    binding
	bound      string // thumbprint of the key or certificate to which the token is bound
	caller     Caller
}

// A refusal says why a check was not passed. Only the reason reaches the
// caller; the rest is for operators and may quote the claims of the token.
type refusal struct {
	reason     Reason
	detail     string
	fix        string
	retryAfter time.Duration
	nonce      string // for the client to sign; empty if none is needed
	newer      int64  // Unix time from which another token has to begin; zero if that would not help, or the client would not understand

	at           int64         // Unix time by the guard's clock
	method, path string        // of the request; empty if only a token was looked at
	claims       *token.Object // of the token, proven or not; nil if there are none to read, or nobody listens
}

// fail returns a refusal. An empty fix means the usual one for the reason.
func fail(reason Reason, fix, format string, args ...any) *refusal {
	if fix == "" {
		fix = reason.about().fix
	}
	return &refusal{reason: reason, fix: fix, detail: fmt.Sprintf(format, args...)}
}

// A check is one step of the verification. The order matters: what is cheap
// and structural first, the signature before any claim is believed.
type check struct {
	name  string
	run   func(*inspection) *refusal
	needs func(*inspection) bool // whether Explain can run it after another one failed; nil means yes
}

// checks is never written to.
var checks = [...]check{
	{"form", (*inspection).form, nil},
	{"header", (*inspection).header, nil},
	{"key id", (*inspection).keyID, nil},
	{"issuer", (*inspection).selectIssuer, nil},
	{"key", (*inspection).findKeys, (*inspection).hasIssuer},
	{"key use", (*inspection).chooseKey, (*inspection).hasKeys},
	{"signature", (*inspection).signature, (*inspection).hasKey},
	{"expiry", (*inspection).expiry, nil},
	{"start", (*inspection).start, (*inspection).hasExpiry},
	{"lifetime", (*inspection).lifetime, (*inspection).hasExpiry},
	{"audience", (*inspection).audience, nil},
	{"version", (*inspection).version, (*inspection).hasIssuer},
	{"tenant", (*inspection).tenantOf, (*inspection).hasIssuer},
	{"access token", (*inspection).accessToken, nil},
	{"caller", (*inspection).callerOf, nil},
	{"binding", (*inspection).binding, nil},
}

func (in *inspection) hasIssuer() bool { return in.issuer != nil }
func (in *inspection) hasKeys() bool   { return len(in.keys) > 0 }
func (in *inspection) hasKey() bool    { return in.key != nil }
func (in *inspection) hasExpiry() bool { return in.exp != 0 }

// form reads the token.
func (in *inspection) form() *refusal {
	t, err := token.Parse(in.raw, in.guard.limits)
	if err == nil {
		in.token = t
		return nil
	}
	reason, detail := TokenMalformed, "the token cannot be read"
	var refused *token.Error
	if errors.As(err, &refused) {
		reason, detail = Reason(refused.Reason), refused.Detail
	}
	if seen, odd := seenInstead(in.raw); odd && (reason == TokenMalformed || strings.HasSuffix(in.raw, "..")) {
		return fail(reason, seen.fix, "%s: %s", detail, seen.what)
	}
	return fail(reason, "Send the access token exactly as the authority issued it.", "%s", detail)
}

// header applies the rules for what a header may say. Nothing in it chooses a
// key or an algorithm that the configuration has not chosen before.
func (in *inspection) header() *refusal {
	h := in.token.Header
	alg, _ := h.Get("alg")
	name, ok := alg.String()
	if !ok || !slices.Contains(in.guard.cfg.Algorithms, name) {
		return fail(AlgNotAllowed, "Configure the authority to sign with "+strings.Join(in.guard.cfg.Algorithms, " or ")+".", "alg is %s", shown(alg))
	}
	in.alg = name
	if _, present := h.Get("crit"); present {
		return fail(CritUnsupported, "", "crit requires an extension, and this guard implements none")
	}
	for _, name := range forbiddenParameters {
		if _, present := h.Get(name); present {
			return fail(HeaderForbidden, "", "the header has %s", name)
		}
	}
	if h.Endless() {
		return fail(HeaderInvalid, "", "%s", endlessNumber)
	}
	for _, name := range textParameters {
		if v, present := h.Get(name); present && v.Kind() != token.String {
			return fail(HeaderInvalid, "", "%s is %s, not a string", name, shown(v))
		}
	}
	if v, present := h.Get("x5t#S256"); present {
		if thumbprint, _ := v.String(); !isSHA256(thumbprint) {
			return fail(HeaderInvalid, "", "x5t#S256 is %s, not the thumbprint of a certificate", shown(v))
		}
	}
	if typ, present := h.Get("typ"); present {
		name, ok := typ.String()
		if !ok || !slices.ContainsFunc(accessTokenTypes, func(t string) bool { return strings.EqualFold(t, name) }) {
			return fail(TypNotAllowed, "Send an access token, not another kind of JWT.", "typ is %s", shown(typ))
		}
	}
	return nil
}

// Header parameters that would bring a key or another encoding along, those
// that are texts wherever they are known (x5t stands in Entra's v1.0 tokens,
// but what another reader refuses is no token), and the values of typ that mean
// an access token (RFC 9068 and Entra).
var (
	forbiddenParameters = []string{"b64", "zip", "cty", "enc", "jku", "x5u", "jwk", "x5c"}
	textParameters      = []string{"x5t", "nonce"}
	accessTokenTypes    = []string{"JWT", "at+jwt", "application/at+jwt"}
)

// keyID reads the name of the key. It is a name only: the key of a map, never
// part of a path, a URL or a query.
func (in *inspection) keyID() *refusal {
	kid, present := in.token.Header.Get("kid")
	if !present {
		return fail(KeyUnknown, "Configure the authority to put the id of its key into the header (kid).", "the header has no kid")
	}
	name, ok := kid.String()
	if !ok || name == "" || len(name) > 256 || strings.Contains(name, "..") || strings.ContainsFunc(name, notKidChar) {
		return fail(KidInvalid, "", "kid is not 1 to 256 letters, digits or -_.=+/:")
	}
	in.kid = name
	return nil
}

// endlessNumber is what is wrong with a token that readers do not agree about.
const endlessNumber = "it has a number that is larger than any that all readers know"

func notKidChar(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.=+/:", c)
}

// selectIssuer finds who claims to have issued the token, which decides where
// its key must come from. Keys of different issuers never mix.
func (in *inspection) selectIssuer() *refusal {
	v, _ := in.token.Claims.Get("iss")
	iss, ok := v.String()
	if ok && in.issuedBy(iss) {
		return nil
	}
	if first := in.guard.issuers[0]; ok && first.learns && first.keys.set.Load() == nil {
		if err := first.keys.ready(in.ctx); err != nil {
			retry, _ := first.keys.absence()
			r := fail(KeysUnavailable, fixForFetch(err),
				"iss is %s, and whether the authority issues version 1.0 tokens under that name could not be asked: %v; trusted: %s", shown(v), err, in.guard.issuerNames())
			r.retryAfter = retry
			return r
		}
		if in.issuedBy(iss) {
			return nil
		}
	}
	near, fix := in.guard.nearIssuer(iss)
	return fail(IssuerUnknown, fix, "iss is %s%s; trusted: %s", shown(v), near, in.guard.issuerNames())
}

// issuedBy notes the issuer that is called so, if it is one of the guard's.
func (in *inspection) issuedBy(iss string) bool {
	for _, candidate := range in.guard.issuers {
		if tenant, match := candidate.match(iss); match {
			in.iss, in.issuer, in.tenant = iss, candidate, tenant
			return true
		}
	}
	return false
}

func (g *Guard) issuerNames() string {
	names := make([]string, len(g.issuers))
	for i, issuer := range g.issuers {
		names[i] = issuer.called()
	}
	return strings.Join(names, ", ")
}

func (in *inspection) findKeys() *refusal {
	source, name := in.issuer.keys, in.issuer.called()
	in.generation = source.generation.Load() // before the keys, so that a key that goes now ends the result
	keys, err := source.find(in.ctx, in.kid)
	if _, still := in.issuer.match(in.iss); !still { // its name was presumed, and its metadata says another one
		return fail(IssuerUnknown, "Get a new token: the authority issues them under another name now.",
			"iss is %q; trusted: %s", in.iss, in.guard.issuerNames())
	}
	switch {
	case errors.Is(err, errKeysUnavailable):
		retry, cause := source.absence()
		r := fail(KeysUnavailable, fixForFetch(cause), "%s: %v", name, cause)
		r.retryAfter = retry
		return r
	case err != nil:
		return fail(KeyUnknown, "Get a new token. If new ones are refused too, another authority issued them.",
			"%s publishes no key %q as far as is known: %s", name, in.kid, source.knowledge())
	case len(keys) == 0:
		return fail(KeyMismatch, "", "the key %q cannot verify signatures", in.kid)
	}
	in.keys = keys
	return nil
}

// chooseKey finds the one key of that kid that is meant for this signature.
func (in *inspection) chooseKey() *refusal {
	for i := range in.keys {
		switch key := &in.keys[i]; {
		case !in.suits(key):
		case in.key == nil:
			in.key = key
		case !samePublic(key.Public, in.key.Public):
			in.key = nil
			return fail(KeyMismatch, "Configure the authority to publish only one key under each id.", "there is more than one key %q", in.kid)
		}
	}
	if in.key == nil {
		return fail(KeyMismatch, "", "the key %q is not published for %s signatures of this issuer", in.kid, in.alg)
	}
	return nil
}

func (in *inspection) suits(key *token.Key) bool {
	return key.Verifies(in.alg) && in.issuer.mayUse(key.Issuer, in.iss, in.tenant)
}

func (in *inspection) signature() *refusal {
	err := in.token.Verify(in.alg, in.key.Public)
	if err == nil {
		return nil
	}
	reason, detail := SignatureInvalid, "the signature cannot be verified"
	var refused *token.Error
	if errors.As(err, &refused) {
		reason, detail = Reason(refused.Reason), refused.Detail
	}
	return fail(reason, "The token was changed after it was signed, or signed by someone else. Get a new one.", "%s", detail)
}

// shown returns a value of the token as operators may see it: short, on one
// line and without characters that cannot be seen. It is never part of an
// answer.
func shown(v token.Value) string {
	raw := v.Raw()
	if raw == "" {
		return "absent"
	}
	return oneLine(raw, maxShown)
}

// maxShown is how much of a claim, in bytes, is shown.
const maxShown = 120
