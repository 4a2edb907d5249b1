// Package selfguard protects the server's own APIs with package guard, one guard for each
// tenant of the directory.
//
// It owns which tenant a caller belongs to, and the guards. It refuses to own permissions and
// answers: an API says which rule its callers have to satisfy, and words its own refusals.
//
// Start at [Guard.Admit].
package selfguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Config says what a Guard works with.
type Config struct {
	Authority  string               // required: root of the authority, such as https://localhost:8443
	Audience   []string             // required: what tokens for the API name
	Directory  *directory.Directory // required
	HTTPClient *http.Client         // required: reaches the authority
	Now        func() time.Time     // nil means time.Now
	// WithoutPermissions admits callers whose token carries no role and no scope.
	WithoutPermissions bool
}

// A Guard admits callers to one API. It is safe for concurrent use.
type Guard struct {
	cfg    Config
	life   context.Context // of the tenants' guards
	cancel context.CancelFunc

	mu     sync.Mutex
	guards map[directory.TenantID]*guard.Guard // guarded by mu; of tenants that exist
}

// A Caller was admitted.
type Caller struct {
	guard.Caller
	Tenant *directory.Tenant
}

// A Refusal is the error for a caller who is not admitted. Every other error means that the
// caller cannot be checked at the moment.
type Refusal struct {
	Outcome guard.Outcome // Unauthenticated or Forbidden
	Reason  guard.Reason  // empty if no guard was asked
	What    string        // a sentence; never contains the token
}

// Error implements error.
func (r *Refusal) Error() string { return r.What }

// New checks the configuration and returns a guard. It fetches keys only when a token is
// presented.
func New(cfg Config) (*Guard, error) {
	switch {
	case cfg.Authority == "":
		return nil, errors.New("selfguard: Authority is missing")
	case len(cfg.Audience) == 0:
		return nil, errors.New("selfguard: Audience is missing")
	case cfg.Directory == nil:
		return nil, errors.New("selfguard: Directory is missing")
	case cfg.HTTPClient == nil:
		return nil, errors.New("selfguard: HTTPClient is missing")
	}
	g := &Guard{cfg: cfg, guards: map[directory.TenantID]*guard.Guard{}}
	g.life, g.cancel = context.WithCancel(context.Background())
	return g, nil
}

// Close ends the guards of all tenants, and their connections to the authority.
func (g *Guard) Close() {
	g.cancel()
	g.cfg.HTTPClient.CloseIdleConnections()
}

// Admit returns the caller whose bearer token is in the header and satisfies the rule. The
// error is a *Refusal if there is no such caller.
func (g *Guard) Admit(ctx context.Context, header http.Header, rule guard.Rule) (Caller, error) {
	scheme, raw, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return Caller{}, &Refusal{Outcome: guard.Unauthenticated, What: "There is no bearer token in the request."}
	}
	from, err := g.tenantOf(ctx, raw)
	if errors.Is(err, directory.ErrNotFound) {
		return Caller{}, &Refusal{Outcome: guard.Unauthenticated, What: "The token does not come from a tenant of this directory."}
	}
	if err != nil {
		return Caller{}, err
	}
	checks, err := g.guardOf(from.ID)
	if err != nil {
		return Caller{}, err
	}
	decision := checks.Check(ctx, raw, rule)
	caller, _ := decision.Caller()
	switch {
	case decision.Allowed(), g.cfg.WithoutPermissions && decision.Reason == guard.NoPermissions:
		if g.ended(ctx, caller, from.ID) {
			return Caller{}, &Refusal{Outcome: guard.Unauthenticated, Reason: guard.TokenRevoked, What: "The token was ended before it expires."}
		}
		return Caller{Caller: caller, Tenant: from}, nil
	case decision.Outcome == guard.Unavailable:
		return Caller{}, fmt.Errorf("check a token: %s", decision.Reason)
	}
	return Caller{}, &Refusal{
		Outcome: decision.Outcome, Reason: decision.Reason, What: "The token is not accepted here: " + string(decision.Reason) + ".",
	}
}

// ended reports whether the tokens that an application or a managed identity had got were ended
// since, by [directory.PrincipalEditor.EndTokens] or while it was disabled. That it is disabled,
// or gone, the directory tells itself, and likewise which sessions of a user count.
func (g *Guard) ended(ctx context.Context, caller guard.Caller, tenant directory.TenantID) bool {
	if caller.Kind == guard.CallerUser {
		return false
	}
	client, err := g.cfg.Directory.Instance(ctx, tenant, directory.AppID(caller.ClientID))
	if err != nil || client.Principal == nil || !client.Principal.Enabled {
		return false
	}
	from := g.cfg.Directory.Revocations().TokensFrom(ctx, directory.TokenSubject{
		Tenant: tenant, Principal: directory.ObjectID(strings.ToLower(caller.ObjectID)), Client: directory.AppID(strings.ToLower(caller.ClientID)),
	})
	return caller.IssuedAt.Before(from.Truncate(time.Second)) // tokens say whole seconds
}

// tenantOf finds the tenant that a token claims to come from. That tenant's guard then checks
// the claim.
func (g *Guard) tenantOf(ctx context.Context, raw string) (*directory.Tenant, error) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return nil, directory.ErrNotFound
	}
	value, _ := parsed.Claims.Get("tid")
	id, _ := value.String()
	from, err := g.cfg.Directory.Tenant(ctx, id)
	if err == nil && !from.Enabled {
		return nil, directory.ErrNotFound
	}
	return from, err
}

// guardOf returns the guard for callers from one tenant.
func (g *Guard) guardOf(id directory.TenantID) (*guard.Guard, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if checks, ok := g.guards[id]; ok {
		return checks, nil
	}
	checks, err := guard.New(g.life, guard.Config{
		Authority: g.cfg.Authority + "/" + string(id), Audience: g.cfg.Audience, Caller: guard.CallerAny,
		HTTPClient: g.cfg.HTTPClient, Now: g.cfg.Now, // and no log: the API logs its refusals
	})
	if err != nil {
		return nil, err
	}
	g.guards[id] = checks
	return checks, nil
}
