package issuance

import (
	"context"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// How a token was asked for that this machine, and no credential of the client, vouches
// for. In tokens both count as a certificate, which is what a platform proves itself by.
const (
	byManagedIdentity = "managed-identity"
	byLocal           = "local" // an application, or a user, at a developer's machine
)

// A MintRequest asks for a token without a credential: the caller has made sure by other
// means that the one who asks may act as the identity, or is the user.
type MintRequest struct {
	Tenant        directory.TenantID
	Identity      directory.AppID // client id of a managed identity, or of an application
	Resource      string          // the API, by identifier URI or app id
	User          UserSignIn      // whom the application acts for; zero: itself
	Claims        string          // a claims request, as the parameter "claims" of the token endpoint
	Source        string          // who asks, for the sign-in row
	Library       string          // as the client library names itself
	CorrelationID string          // a GUID; empty means a new one
	Origin        origin.Origin   // under which the token is issued; an authority puts its own in place of the zero value
	// Presented tells how the identity was chosen, for the sign-in row; nil when it was named.
	Presented *directory.Presented
	// Borrower is who gets the token in the place of the identity, which the sign-in row names. Such
	// a token lasts no longer than an application's: what lends it is a right that may end. Nil: nobody.
	Borrower *directory.Borrower
}

// A UserSignIn is a user who counts as signed in: this machine vouches for it, and nobody
// asked for a password.
type UserSignIn struct {
	User    directory.ObjectID
	Session string // a GUID, which tokens carry as "sid"
	// Scope is what to ask for, as at the v2.0 endpoint. It stands in place of Resource.
	Scope string
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

// A Minter makes tokens that this machine vouches for. It is safe for concurrent use.
type Minter struct {
	issuer           *Issuer
	clients          *clientauth.Authenticator
	recorder         *exchange.Recorder
	identityLifetime time.Duration
}

// NewMinter returns a minter, which gives tokens of managed identities a lifetime of their
// own.
func NewMinter(issuer *Issuer, clients *clientauth.Authenticator, recorder *exchange.Recorder, identityLifetime time.Duration) *Minter {
	return &Minter{issuer: issuer, clients: clients, recorder: recorder, identityLifetime: identityLifetime}
}

// Mint makes a token by the same steps as the token endpoint. Its refusals are problems of
// package aadsts. Each call leaves a sign-in row, whose ids are also returned with a refusal.
func (m *Minter) Mint(ctx context.Context, req MintRequest) (Minted, error) {
	x := &exchange.Exchange{
		Origin: req.Origin, Trace: guid.New(), Correlation: guid.New(),
		Start: m.issuer.now(), Now: m.issuer.now, Source: exchange.Noted(req.Source),
	}
	if guid.Is(req.CorrelationID) {
		x.Correlation = req.CorrelationID
	}
	x.SignIn.Library, x.SignIn.Presented, x.SignIn.Borrower = exchange.Noted(req.Library), req.Presented, req.Borrower
	minted, err := m.mint(ctx, x, req)
	m.recorder.Finish(ctx, x, http.StatusOK, err)
	if err != nil {
		minted, err = Minted{}, aadsts.Of(err)
	}
	minted.TraceID, minted.Correlated = x.Trace, x.Correlation
	return minted, err
}

func (m *Minter) mint(ctx context.Context, x *exchange.Exchange, req MintRequest) (Minted, error) {
	if req.User != (UserSignIn{}) {
		return m.mintForUser(ctx, x, req)
	}
	a, err := m.access(ctx, &x.SignIn, req)
	if err != nil {
		return Minted{}, err
	}
	lifetime := m.identityLifetime
	if a.Client.Application != nil || req.Borrower != nil {
		lifetime = m.issuer.lifetime()
	}
	made, err := m.issuer.ApplicationToken(ctx, x, &a, m.issuer.resolver.Shorten(lifetime))
	if err != nil {
		return Minted{}, err
	}
	minted := made.minted(a.Client, a.Tenant)
	minted.ResourceID = a.Client.Principal.ResourceID
	return minted, nil
}

// mintForUser makes an access token for a public client that acts for a user.
func (m *Minter) mintForUser(ctx context.Context, x *exchange.Exchange, req MintRequest) (Minted, error) {
	a, err := m.userAccess(ctx, &x.SignIn, req)
	if err != nil {
		return Minted{}, err
	}
	made, err := m.issuer.UserToken(ctx, x, &a, m.issuer.Lifetime())
	if err != nil {
		return Minted{}, err
	}
	return made.minted(a.Client, a.Tenant), nil
}

// minted tells what a token says.
func (t Token) minted(client *directory.Instance, tenant *directory.Tenant) Minted {
	return Minted{
		Token: t.Raw, NotBefore: time.Unix(t.NotBefore, 0), Expires: time.Unix(t.Expires, 0),
		ClientID: client.Principal.AppID, ObjectID: directory.ObjectID(t.ObjectID),
		Tenant: tenant.ID, Roles: t.Roles, Version: t.Version,
	}
}

// access decides what the identity gets, as the token endpoint does for a client, and notes
// in the row what it learns.
func (m *Minter) access(ctx context.Context, row *directory.SignIn, req MintRequest) (Access, error) {
	tenant, err := m.tenant(ctx, row, req)
	if err != nil {
		return Access{}, err
	}
	client, err := m.issuer.resolver.Client(ctx, tenant, string(req.Identity))
	if err != nil {
		row.AppID = directory.AppID(exchange.Noted(string(req.Identity)))
		return Access{}, err
	}
	proof := clientauth.Proof{Client: client, Credential: byManagedIdentity}
	if client.Application != nil {
		proof.Credential = byLocal
	}
	row.AppID, row.Name, row.Credential = client.Principal.AppID, client.Principal.Label(), proof.Credential
	identifier, err := scope.Resource(1, "", req.Resource)
	if err != nil {
		return Access{}, err
	}
	row.Resource = exchange.Noted(identifier)
	claims, err := ParseClaimsRequest(req.Claims)
	if err != nil {
		return Access{}, err
	}
	return m.issuer.ResolveAccess(ctx, tenant, proof, identifier, claims)
}

// userAccess decides what the client gets for the user: what a client gets for a refresh
// token, whose place the sign-in on this machine takes.
func (m *Minter) userAccess(ctx context.Context, row *directory.SignIn, req MintRequest) (UserAccess, error) {
	tenant, err := m.tenant(ctx, row, req)
	if err != nil {
		return UserAccess{}, err
	}
	proof, err := m.clients.Public(ctx, tenant, string(req.Identity))
	row.AppID = directory.AppID(exchange.Noted(string(req.Identity)))
	if proof.Client != nil {
		row.AppID, row.Name = proof.Client.Principal.AppID, proof.Client.Principal.Label()
	}
	if err != nil {
		return UserAccess{}, err
	}
	row.Credential = byLocal
	requested, err := scope.Parse(2, req.User.Scope, "")
	if err != nil {
		return UserAccess{}, err
	}
	claims, err := ParseClaimsRequest(req.Claims)
	if err != nil {
		return UserAccess{}, err
	}
	a := UserAccess{Proof: proof, Tenant: tenant, Claims: claims, Session: records.NewSession(req.User.User, m.issuer.now())}
	a.Session.ID = req.User.Session
	return a, m.issuer.ResolveUserAccess(ctx, row, &a, requested)
}

// tenant returns the tenant of a request.
func (m *Minter) tenant(ctx context.Context, row *directory.SignIn, req MintRequest) (*directory.Tenant, error) {
	if err := m.issuer.resolver.CheckFresh(ctx); err != nil {
		return nil, err
	}
	tenant, err := m.issuer.resolver.Tenant(ctx, string(req.Tenant))
	if err != nil {
		return nil, err
	}
	row.Tenant = tenant.ID
	return tenant, nil
}
