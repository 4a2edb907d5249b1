package issuance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// The lifetimes that a token may have.
const (
	MinLifetime = time.Minute
	MaxLifetime = 24 * time.Hour
)

// Config says what an Issuer works with. All fields but Lifetime and Age are required.
type Config struct {
	Directory *directory.Directory
	Resolver  *resolve.Resolver
	Keys      *keyring.Ring
	Sealer    *records.Sealer // names users by audience
	// Lifetime of tokens. Zero means 60 to 90 minutes, at random for each token.
	Lifetime time.Duration
	// Age is how long ago the tokens of a request shall seem to have been issued; nil: they
	// are new.
	Age func(context.Context) time.Duration
	Now func() time.Time
}

// An Issuer decides what clients get and makes their tokens. It is safe for concurrent use.
type Issuer struct {
	directory *directory.Directory
	resolver  *resolve.Resolver
	keys      *keyring.Ring
	own       clientauth.OwnKeys
	sealer    *records.Sealer
	fixed     time.Duration // lifetime of tokens; 0: at random
	age       func(context.Context) time.Duration
	now       func() time.Time
	signing   inFlight
}

// New returns an issuer.
func New(cfg Config) *Issuer {
	if cfg.Age == nil {
		cfg.Age = func(context.Context) time.Duration { return 0 }
	}
	return &Issuer{
		directory: cfg.Directory, resolver: cfg.Resolver, keys: cfg.Keys, sealer: cfg.Sealer,
		own:   clientauth.OwnKeys{Directory: cfg.Directory, Keys: cfg.Keys},
		fixed: cfg.Lifetime, age: cfg.Age, now: cfg.Now,
	}
}

// Lifetime is that of a token issued now: shorter when the view of the directory is stale.
func (i *Issuer) Lifetime() time.Duration { return i.resolver.Shorten(i.lifetime()) }

func (i *Issuer) lifetime() time.Duration {
	if i.fixed != 0 {
		return i.fixed
	}
	spread := rand.Int64N(int64(30*time.Minute/time.Second) + 1) //nolint:gosec // it spreads renewals and is no secret
	return time.Hour + time.Duration(spread)*time.Second
}

// issueTime is when the tokens of a request are issued: now, unless a test asks for old ones.
func (i *Issuer) issueTime(ctx context.Context) time.Time { return i.now().Add(-i.age(ctx)) }

// A Token is a signed token and what it says.
type Token struct {
	Claims
	Raw string
}

// ApplicationToken makes an application's access token and notes what it says.
func (i *Issuer) ApplicationToken(ctx context.Context, x *exchange.Exchange, a *Access, lifetime time.Duration) (Token, error) {
	c := applicationClaims(x.Origin, a)
	c.stamp(a.Claims, i.issueTime(ctx), lifetime)
	i.startAnew(ctx, &c, a.Tenant, a.Resource)
	return i.accessToken(ctx, x, a.Tenant, c)
}

// UserToken makes a user's access token and notes what it says.
func (i *Issuer) UserToken(ctx context.Context, x *exchange.Exchange, a *UserAccess, lifetime time.Duration) (Token, error) {
	c := i.userClaims(x.Origin, x.Source, a)
	c.stamp(a.Claims, i.issueTime(ctx), lifetime)
	i.startAnew(ctx, &c, a.Tenant, a.Resource)
	c.RH, c.AIO = i.boundToResource(a.Tenant.ID, a.Resource.Principal, c.TokenID), i.boundToUser(a.User, c.TokenID)
	made, err := i.accessToken(ctx, x, a.Tenant, c)
	if err == nil {
		x.SignIn.Scopes = a.Granted
	}
	return made, err
}

// startAnew lets a token begin after what was revoked, where that is not long ago and was given
// back. Tokens say that they are some minutes older than they are; APIs that follow revocations
// would take this one for one of those that were revoked.
func (i *Issuer) startAnew(ctx context.Context, c *Claims, tenant *directory.Tenant, resource *directory.Instance) {
	if i.age(ctx) != 0 {
		return
	}
	from := i.tokensFrom(ctx, c, tenant, resource)
	if from.After(i.now().Add(time.Minute)) {
		return // the clock of another node is wrong
	}
	c.IssuedAt = max(c.IssuedAt, from.Unix())
	c.NotBefore = max(c.NotBefore, c.IssuedAt)
}

// tokensFrom is when tokens that say what the claims say began to count; zero: ever since.
func (i *Issuer) tokensFrom(ctx context.Context, c *Claims, tenant *directory.Tenant, resource *directory.Instance) time.Time {
	return i.directory.Revocations().TokensFrom(ctx, directory.TokenSubject{
		Tenant: tenant.ID, Principal: directory.ObjectID(c.ObjectID), Client: directory.AppID(cmp.Or(c.AppID, c.AZP)),
		Resource: resource.Principal.ID, Roles: c.Roles, Scopes: strings.Fields(c.Scopes),
	})
}

// accessToken signs an access token and notes what it says.
func (i *Issuer) accessToken(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, c Claims) (Token, error) {
	raw, err := i.sign(ctx, x.Origin, tenant, &c)
	if err != nil {
		return Token{}, err
	}
	x.SignIn.Roles, x.SignIn.Version, x.SignIn.TokenID = c.Roles, c.Version, c.TokenID
	return Token{c, raw}, nil
}

// idLifetime is that of id tokens, which tell a client who signed in and are looked at once.
const idLifetime = time.Hour

// IDToken makes an id token in the version of the endpoint. It is bound to an authorization
// code that the client gets with it, if there is one.
func (i *Issuer) IDToken(ctx context.Context, x *exchange.Exchange, a *UserAccess, version int, code string) (string, error) {
	c := i.idClaims(x.Origin, x.Source, a, version)
	if code != "" {
		c.CodeHash = halfHash(code)
	}
	c.stamp(ClaimsRequest{}, i.issueTime(ctx), idLifetime)
	return i.sign(ctx, x.Origin, a.Tenant, &c)
}

// sign makes a token: a compact JWS with the tenant's current key. Tokens of version 1.0
// name the key twice, as kid and x5t.
func (i *Issuer) sign(ctx context.Context, o origin.Origin, tenant *directory.Tenant, c *Claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	leave, err := i.signing.enter(ctx, c.client())
	if err != nil {
		return "", err
	}
	defer leave()
	signer, err := i.keys.Signer(ctx, o.KeyRing(string(tenant.ID)))
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return signer.Sign(payload, c.Version == "1.0")
}

// Subject is the name of a user that one audience knows, and no two audiences can compare:
// it cannot be computed without a key of this authority.
func (i *Issuer) Subject(tenant directory.TenantID, audience directory.AppID, user directory.ObjectID) string {
	return i.sealer.Digest("subject", string(tenant), string(audience), string(user))
}
