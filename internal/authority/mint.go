package authority

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// How a token was asked for that this machine, and no credential of the client, vouches
// for. In tokens both count as a certificate, which is what a platform proves itself by.
const (
	credentialManagedIdentity = "managed-identity"
	credentialLocal           = "local" // an application, or a user, at a developer's machine
)

// A MintRequest asks for a token without a credential: the caller has made sure by other
// means that whoever asks may act as the identity, or is the user.
type MintRequest struct {
	Tenant        directory.TenantID
	Identity      directory.AppID // client id of a managed identity, or of an application
	Resource      string          // the API, by identifier URI or app id
	User          UserSignIn      // whom the application acts for; zero: itself
	Source        string          // who asks, for the sign-in row
	Library       string          // as the client library names itself
	CorrelationID string          // a GUID; empty means a new one
}

// A Minted token, and what it says.
type Minted struct {
	Token               string
	NotBefore, Expires  time.Time
	ClientID            directory.AppID
	ObjectID            directory.ObjectID
	ResourceID          string // ARM id of the identity; empty for an application
	Tenant              directory.TenantID
	Roles               []string
	Version             string
	TraceID, Correlated string // of the sign-in row
}

// Mint makes a token for an identity, by the same steps as the token endpoint. What it
// refuses is a [*aadsts.Problem]. Each call leaves a sign-in row.
func (a *Authority) Mint(ctx context.Context, req MintRequest) (Minted, error) {
	x := &exchange{trace: guid.New(), correlation: guid.New(), start: a.now(), source: text.Line(req.Source, aadsts.MaxNoted)}
	if guid.Is(req.CorrelationID) {
		x.correlation = req.CorrelationID
	}
	minted, err := a.mint(ctx, x, req)
	a.finish(ctx, x, err)
	if err != nil {
		return Minted{}, aadsts.Of(err)
	}
	return minted, nil
}

func (a *Authority) mint(ctx context.Context, x *exchange, req MintRequest) (Minted, error) {
	if req.User != (UserSignIn{}) {
		return a.mintForUser(ctx, x, req)
	}
	g, err := a.entitle(ctx, x, req)
	if err != nil {
		return Minted{}, err
	}
	lifetime := a.cfg.IdentityLifetime
	if g.client.Application != nil {
		lifetime = a.lifetime()
	}
	c, raw, err := a.seal(ctx, x, g, a.shortened(lifetime))
	if err != nil {
		return Minted{}, err
	}
	return Minted{
		Token: raw, NotBefore: time.Unix(c.NotBefore, 0), Expires: time.Unix(c.Expires, 0),
		ClientID: g.client.Principal.AppID, ObjectID: g.client.Principal.ID, ResourceID: c.Identity,
		Tenant: g.tenant.ID, Roles: c.Roles, Version: c.Version,
		TraceID: x.trace, Correlated: x.correlation,
	}, nil
}

// entitle decides what the identity gets, as token does for a client.
func (a *Authority) entitle(ctx context.Context, x *exchange, req MintRequest) (grant, error) {
	tenant, err := a.mintTenant(ctx, x, req)
	if err != nil {
		return grant{}, err
	}
	client, err := fresh(ctx, a.directory, func() (*directory.Instance, error) {
		return a.findClient(ctx, tenant, string(req.Identity))
	})
	if err != nil {
		x.signIn.AppID = directory.AppID(text.Line(string(req.Identity), aadsts.MaxNoted))
		return grant{}, err
	}
	proven := proof{client: client, credential: credentialManagedIdentity}
	if client.Application != nil {
		proven.credential = credentialLocal
	}
	x.signIn.AppID, x.signIn.Name, x.signIn.Credential = client.Principal.AppID, client.Principal.Name, proven.credential
	g, err := a.authorize(ctx, x, tenant, proven, &request{version: 1, resource: req.Resource})
	if err != nil {
		return grant{}, err
	}
	return g, nil
}

// mintTenant gives the tenant of a request, and notes what is known of that already.
func (a *Authority) mintTenant(ctx context.Context, x *exchange, req MintRequest) (*directory.Tenant, error) {
	if err := a.checkFresh(ctx); err != nil {
		return nil, err
	}
	tenant, err := a.tenantOf(ctx, string(req.Tenant))
	if err != nil {
		return nil, err
	}
	x.signIn.Tenant, x.signIn.Library = tenant.ID, text.Line(req.Library, aadsts.MaxNoted)
	return tenant, nil
}

// Fingerprint returns what a token for the request would say now, as a text to compare with
// that of a cached token: the same text means the same token. It leaves no sign-in row.
func (a *Authority) Fingerprint(ctx context.Context, req MintRequest) (string, error) {
	if req.User != (UserSignIn{}) {
		return a.userFingerprint(ctx, req)
	}
	g, err := a.entitle(ctx, &exchange{}, req)
	if err != nil {
		return "", aadsts.Of(err)
	}
	signer, err := a.keys.Signer(ctx, string(g.tenant.ID))
	if err != nil {
		return "", err
	}
	c := a.claims(g, time.Time{}, 0)
	return fmt.Sprintf("%q", []string{
		signer.KeyID(), c.Issuer, c.Audience, string(g.resource.Principal.ID), c.ObjectID, string(g.client.Principal.AppID),
		c.Identity, strings.Join(c.Roles, " "), a.age(ctx).String(),
	}), nil
}
