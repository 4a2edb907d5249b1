package guard

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// An Answer is the HTTP answer to a refused request. It says what kind of
// thing is wrong; what the token holds and what would be accepted it keeps to
// itself.
type Answer struct {
	Status int
	Header map[string][]string // names in the canonical form of net/http
	Body   []byte              // JSON; not to be sent in answer to HEAD
}

// Answer returns the answer to the request that was decided on. Where the
// request was allowed it is an empty 200.
func (d Decision) Answer() Answer {
	if d.Allowed() {
		return Answer{Status: d.Outcome.Status()}
	}
	text := d.about()
	header := map[string][]string{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
	}
	if text.challenge {
		header["Www-Authenticate"] = d.challenge.values(d, text)
	}
	if d.refusal != nil && d.refusal.nonce != "" {
		header[headerNonce] = []string{d.refusal.nonce}
	}
	if d.Outcome == Unavailable {
		header["Retry-After"] = []string{strconv.Itoa(retrySeconds(d.RetryAfter))}
	}
	body, _ := json.Marshal(refusalBody{text.code, text.description, d.Reason, d.TraceID}) // four strings: cannot fail
	return Answer{Status: d.Outcome.Status(), Header: header, Body: append(body, '\n')}
}

// about returns what the caller is told. It learns which kind of caller it is
// where that is what is wrong: it holds the token that says so.
func (d Decision) about() refusalText {
	text := d.Reason.about()
	if d.scheme == dpop && (d.Reason == ProofInvalid || d.Reason == ProofReplayed) {
		text.code = invalidProof // RFC 9449 section 7.1
	}
	if d.refusal != nil && d.refusal.newer != 0 {
		text.code = insufficientClaims
	}
	if d.caller == nil {
		return text
	}
	switch kind := d.caller.Kind; {
	case d.Reason == WrongCallerKind && kind == CallerUser:
		text.description = "The token speaks for a user, and only applications may call with tokens of their own."
	case d.Reason == WrongCallerKind && kind == CallerApplication:
		text.description = "The token is an application's own, and only calls on behalf of a user are allowed."
	case d.Reason == ScopeMissing && kind == CallerApplication:
		text.description = "The token is an application's own and has no scope; a call on behalf of a user is needed."
	}
	return text
}

type refusalBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Reason      Reason `json:"reason"`
	TraceID     string `json:"trace_id"`
}

// A challenge is what the configuration puts into WWW-Authenticate. Nothing
// that a client has sent ever stands there.
type challenge struct {
	realm            string
	authorizationURI string   // where a client gets a token; empty without a tenant's Authority
	resourceID       string   // what a client that knows nothing of the API asks a token for
	resource         string   // the resource in a scope
	metadata         string   // the URL of the metadata of RFC 9728
	schemes          []scheme // that are taken
	bearer           bool     // whether tokens that are not bound are taken
	skew             time.Duration
}

// newChallenge returns the challenge of a configuration that is complete.
func newChallenge(cfg *Config) challenge {
	c := challenge{schemes: []scheme{bearer}, bearer: true, skew: cfg.Skew, realm: cfg.Realm, metadata: cfg.ResourceMetadata, resourceID: cfg.Audience[0], resource: cfg.Audience[0]}
	if signed := cfg.SignedRequests; signed != nil {
		c.schemes, c.bearer = append(c.schemes, signedRequest), !signed.Required
	}
	if proofs := cfg.DPoP; proofs != nil {
		c.schemes, c.bearer = append(c.schemes, dpop), c.bearer && !proofs.Required
	}
	if cfg.Authority != "" {
		c.authorizationURI = authorizationURI(cfg.Authority)
	}
	for i := len(cfg.Audience) - 1; i >= 0; i-- { // the first of each kind counts
		if audience := cfg.Audience[i]; strings.Contains(audience, "://") {
			c.resource = audience
		} else {
			c.resourceID = audience
		}
	}
	return c
}

// values returns the challenges to a refused request: one of the scheme that
// it used, or should have used, and to a request without credentials one of
// each scheme.
func (c *challenge) values(d Decision, text refusalText) []string {
	if c == nil { // of a Decision that no guard has made
		c = &challenge{realm: defaultRealm, bearer: true, schemes: []scheme{bearer}}
	}
	var all []string
	for _, one := range c.schemes {
		if c.offers(one, &d) {
			all = append(all, c.value(one, d, text))
		}
	}
	if all == nil {
		all = append(all, c.value(bearer, d, text))
	}
	return all
}

// offers reports whether a scheme is one that the client should go on with.
func (c *challenge) offers(by scheme, d *Decision) bool {
	switch {
	case d.Reason == TokenMissing:
		return by != bearer || c.bearer
	case d.Reason == BindingMissing || d.scheme == bearer && !c.bearer:
		return by != bearer
	default:
		return by == d.scheme
	}
}

// value returns a value of WWW-Authenticate (RFC 6750 section 3). Whoever sent
// no token, or one that does not count, learns where to get one and for what;
// only a request without credentials learns no error.
func (c *challenge) value(by scheme, d Decision, text refusalText) string {
	var b strings.Builder
	b.WriteString(by.String() + ` realm="` + c.realm + `"`)
	attribute := func(name, value string) {
		if value != "" {
			b.WriteString(`, ` + name + `="` + value + `"`)
		}
	}
	if text.code != insufficientScope {
		attribute("authorization_uri", c.authorizationURI)
		attribute("resource_id", c.resourceID)
	}
	if d.Reason != TokenMissing {
		attribute("error", text.code)
		attribute("error_description", text.description)
	}
	if text.code == insufficientScope {
		attribute("scope", c.neededScope(d))
	}
	if text.code == insufficientClaims {
		attribute("claims", newerThan(d.refusal.newer))
	}
	if by == dpop {
		attribute("algs", strings.Join(token.ProofAlgorithms(), " "))
	}
	attribute("resource_metadata", c.metadata)
	return b.String()
}

// newerThan is what a client that understands claims challenges passes on to
// its authority, to get another token in place of the one it keeps.
func newerThan(seconds int64) string {
	claims := `{"access_token":{"nbf":{"essential":true,"value":"` + strconv.FormatInt(seconds, 10) + `"}}}`
	return base64.StdEncoding.EncodeToString([]byte(claims))
}

// neededScope returns what a client should ask its authority for; empty where
// another scope would not help, because another kind of caller is meant.
func (c *challenge) neededScope(d Decision) string {
	switch {
	case d.rule == nil, d.Reason == WrongCallerKind:
		return ""
	case d.Reason != ScopeMissing:
		return c.resource + "/.default"
	case d.caller != nil && d.caller.Kind == CallerApplication:
		return ""
	}
	scopes := make([]string, len(d.rule.Scopes))
	for i, scope := range d.rule.Scopes {
		scopes[i] = c.resource + "/" + quotable(scope)
	}
	return strings.Join(scopes, " ")
}

// quotable returns value without what may not stand between the quotes of a
// challenge.
func quotable(value string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, value)
}

func retrySeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

const traceLength = 32

// traceOf returns the trace that a traceparent names (W3C Trace Context).
func traceOf(parent string) (string, bool) {
	const version = len("00-")
	if len(parent) != 55 || !strings.HasPrefix(parent, "00-") || parent[version+traceLength] != '-' {
		return "", false
	}
	trace := parent[version : version+traceLength]
	_, err := hex.DecodeString(trace)
	return trace, err == nil && trace == strings.ToLower(trace)
}

func newTrace() string {
	var fresh [traceLength / 2]byte
	_, _ = rand.Read(fresh[:]) // never fails
	return hex.EncodeToString(fresh[:])
}
