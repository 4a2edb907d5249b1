package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Config describes an API to its guard. Authority (or Issuers) and Audience
// are required; every other field may be left zero for a sensible default.
type Config struct {
	// Authority is the tenant at its authority, such as
	// https://login.microsoftonline.com/<tenant id> or
	// https://localhost:8443/<tenant id>; always https. Tokens of both of its
	// issuers, v1.0 and v2.0, are accepted. With common or organizations in place of
	// the tenant id, Tenants must say which tenants are meant.
	Authority string

	// Issuers are trusted besides those of Authority.
	Issuers []Issuer

	// Audience lists the values of aud that mean this API, compared exactly:
	// the application id and each identifier URI. The id may be written in
	// either case; tokens have it in lower case. A URI stands for itself
	// with and without one slash at its end. The list applies to v1.0 and v2.0
	// tokens alike. Entra puts the URI into v1.0 tokens (the application id
	// if it was asked for) and always the application id into v2.0 tokens.
	Audience []string

	Caller     CallerKind // who may call where a rule does not say; empty means CallerApplication
	Tenants    []string   // tenant ids that may call; empty means those the issuers name
	Clients    []string   // application ids that may call; empty means any
	Principals []string   // object ids that may call; empty means any

	// ObjectIDOptional takes tokens without oid. Entra issues such tokens to an
	// application that has no service principal in the tenant; nobody can give
	// it a role. Where a rule lets it in, the rule (or Clients above) names it
	// by its application id.
	ObjectIDOptional bool

	// SignedRequests takes tokens that are bound to a key (token_type pop), in
	// requests that the key has signed. Nil refuses them.
	SignedRequests *SignedRequests

	// DPoP takes tokens that are bound to a key by DPoP, beside a proof of it.
	// Nil refuses them. Tokens that are bound to a certificate are always taken,
	// over a connection with that certificate: see Request.Certificate.
	DPoP *DPoP

	// ForwardToken leaves the header Authorization in requests that the
	// protected handler gets, for instance for a token on behalf of the caller.
	// Otherwise the handler learns who calls, and never sees a credential.
	ForwardToken bool

	Algorithms  []string      // signature algorithms; empty means RS256
	Skew        time.Duration // how far clocks may differ; zero means a minute
	MaxLifetime time.Duration // longest life of a token; zero means 29 hours, which a managed identity's needs
	MaxToken    int           // longest token in bytes, at most 64 KiB; zero means 16 KiB
	CacheBytes  int           // memory for tokens already verified; zero means 32 MiB, below zero none

	// Revoked is asked on every request about a token that is otherwise good.
	Revoked func(Caller) bool

	// Revocations follows what the authority revokes. Nil means that a token
	// counts until it ends.
	Revocations *Revocations

	HTTPClient *http.Client // to fetch keys with; nil means one of our own that uses no proxy
	CABundle   string       // PEM file of the only authorities to trust for fetching; not with HTTPClient

	// MaxKeyAge is how long keys count that cannot be fetched anew. After that
	// requests are answered 503, because a key may have been revoked meanwhile.
	// Zero means 24 hours.
	MaxKeyAge time.Duration

	// StateDir is a folder of the guard's own, in which it keeps the keys that it
	// has fetched, so that a restart while the authority is down lets the same
	// callers in, as long as the keys count. Anybody who can write there chooses who
	// is let in. Empty means that nothing is kept.
	StateDir string

	Realm string // in challenges; empty means "api"

	// Resource lets the guard publish how to call the API, and name the document
	// in challenges. Nil publishes nothing.
	Resource *Resource

	// ResourceMetadata is in challenges the URL of such a document elsewhere.
	ResourceMetadata string

	IgnoreCase bool // match paths as a server does that ignores case

	OnDecision func(Decision)   // told every decision, for metrics; must be fast
	Now        func() time.Time // nil means time.Now

	// Log says at the start what the guard trusts, and of every refusal what
	// was found, what to do and the Evidence, never a token; nil means no log.
	Log *slog.Logger
}

const (
	defaultSkew        = time.Minute
	maxSkew            = 10 * time.Minute
	defaultMaxLifetime = 29 * time.Hour
	defaultCacheBytes  = 32 << 20
	defaultMaxKeyAge   = 24 * time.Hour
	minMaxKeyAge       = 10 * time.Minute
	maxTokenSize       = 64 << 10
	defaultRealm       = "api"
)

// withDefaults returns the configuration with every zero field filled in, or
// everything that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	check := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	if c.Authority == "" && len(c.Issuers) == 0 {
		check(errors.New("no Authority: name the tenant whose tokens are accepted, such as https://login.microsoftonline.com/<tenant id>"))
	}
	check(checkAudience(c.Audience))
	var err error
	if c.Caller, err = callerKind(c.Caller, CallerApplication); err != nil {
		check(err)
	}
	for _, list := range []struct {
		name string
		ids  *[]string
	}{{"Tenants", &c.Tenants}, {"Clients", &c.Clients}, {"Principals", &c.Principals}} {
		*list.ids, err = guids(list.name, *list.ids)
		check(err)
	}
	check(c.algorithmsOrDefault())
	check(c.boundsOrDefaults())
	if c.SignedRequests != nil {
		signed, err := c.SignedRequests.withDefaults()
		check(err)
		c.SignedRequests = &signed
	}
	if c.DPoP != nil {
		proofs, err := c.DPoP.withDefaults()
		check(err)
		c.DPoP = &proofs
	}
	if c.Resource != nil {
		check(c.Resource.check())
		if c.ResourceMetadata == "" {
			c.ResourceMetadata = c.Resource.metadataURL()
		}
	}
	if c.Revocations != nil {
		check(c.Revocations.check(c.Authority))
	}
	for name, value := range map[string]string{"Realm": c.Realm, "ResourceMetadata": c.ResourceMetadata} {
		if quotable(value) != value {
			check(fmt.Errorf("%s %q: use printable ASCII without quotes and backslashes, it stands in a header", name, value))
		}
	}
	if c.Realm == "" {
		c.Realm = defaultRealm
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(problems...)
}

func checkAudience(audience []string) error {
	if len(audience) == 0 {
		return errors.New("no Audience: list the application id of this API and its identifier URI, such as api://orders")
	}
	for _, a := range audience {
		if a == "" || quotable(a) != a || strings.Contains(a, " ") {
			return fmt.Errorf("the Audience %q is not an application id or identifier URI, such as api://orders", a)
		}
	}
	return nil
}

// callerKind returns the kind, or fallback for an empty one.
func callerKind(kind, fallback CallerKind) (CallerKind, error) {
	switch kind {
	case "":
		return fallback, nil
	case CallerApplication, CallerUser, CallerAny:
		return kind, nil
	default:
		return kind, fmt.Errorf("the Caller %q is not known: use %q, %q or %q", kind, CallerApplication, CallerUser, CallerAny)
	}
}

// guids returns ids in lower case, if all of them are GUIDs.
func guids(name string, ids []string) ([]string, error) {
	out := make([]string, len(ids))
	for i, id := range ids {
		if out[i] = strings.ToLower(id); !isGUID(out[i]) {
			return ids, fmt.Errorf("%s holds %q, which is not a GUID such as 7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", name, id)
		}
	}
	return out, nil
}

func (c *Config) algorithmsOrDefault() error {
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256"}
	}
	c.Algorithms = slices.Clone(c.Algorithms)
	for _, alg := range c.Algorithms {
		if !token.Supported(alg) {
			return fmt.Errorf("the algorithm %q is not a public-key signature known here: use RS256, PS256, ES256, ES384 or EdDSA", alg)
		}
	}
	return nil
}

func (c *Config) boundsOrDefaults() error {
	if c.Skew < 0 || c.Skew > maxSkew {
		return fmt.Errorf("a Skew of %v: use zero (a minute) up to %v", c.Skew, maxSkew)
	}
	if c.MaxLifetime < 0 {
		return fmt.Errorf("a MaxLifetime of %v: use zero (29 hours) or more", c.MaxLifetime)
	}
	if c.MaxToken < 0 || c.MaxToken > maxTokenSize {
		return fmt.Errorf("a MaxToken of %d: use zero (16 KiB) up to %d", c.MaxToken, maxTokenSize)
	}
	if c.MaxKeyAge == 0 {
		c.MaxKeyAge = defaultMaxKeyAge
	}
	if c.MaxKeyAge < minMaxKeyAge {
		return fmt.Errorf("a MaxKeyAge of %v: use zero (24 hours), or %v and more", c.MaxKeyAge, minMaxKeyAge)
	}
	if c.Skew == 0 {
		c.Skew = defaultSkew
	}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = defaultMaxLifetime
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	return nil
}
