package authority

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A UserSignIn is a user who counts as signed in: this machine vouches for it, and nobody
// asked for a password.
type UserSignIn struct {
	User    directory.ObjectID
	Session string // a GUID, which tokens carry as "sid"
	// Scope is what to ask for, as at the v2.0 endpoint. It stands in place of Resource.
	Scope string
}

// mintForUser makes an access token for a public client that acts for a user.
func (a *Authority) mintForUser(ctx context.Context, x *exchange, req MintRequest) (Minted, error) {
	g, err := a.entitleUser(ctx, x, req)
	if err != nil {
		return Minted{}, err
	}
	c, raw, err := a.sealUser(ctx, x, &g, a.lifetimeNow())
	if err != nil {
		return Minted{}, err
	}
	return Minted{
		Token: raw, NotBefore: time.Unix(c.NotBefore, 0), Expires: time.Unix(c.Expires, 0),
		ClientID: g.client.Principal.AppID, ObjectID: g.user.ID, Tenant: g.tenant.ID, Roles: c.Roles, Version: c.Version,
		TraceID: x.trace, Correlated: x.correlation,
	}, nil
}

// entitleUser decides what the client gets for the user: what one who comes back with a
// refresh token gets, of which the sign-in on this machine takes the place.
func (a *Authority) entitleUser(ctx context.Context, x *exchange, req MintRequest) (userGrant, error) {
	tenant, err := a.mintTenant(ctx, x, req)
	if err != nil {
		return userGrant{}, err
	}
	proven, err := a.authenticate(ctx, x, tenant, &request{grant: grantRefresh, clientID: string(req.Identity)})
	if err != nil {
		return userGrant{}, err
	}
	x.signIn.Credential = credentialLocal
	w, err := parseAsk(2, req.User.Scope, "")
	if err != nil {
		return userGrant{}, err
	}
	g := userGrant{proof: proven, tenant: tenant, session: session{ID: req.User.Session, User: req.User.User, At: x.start.Unix()}}
	if err := a.entrust(ctx, x, &g, w); err != nil {
		return userGrant{}, err
	}
	return g, nil
}

// userFingerprint is all that a token for the request would say, but for what is new in
// each.
func (a *Authority) userFingerprint(ctx context.Context, req MintRequest) (string, error) {
	g, err := a.entitleUser(ctx, &exchange{}, req)
	if err != nil {
		return "", aadsts.Of(err)
	}
	signer, err := a.keys.Signer(ctx, string(g.tenant.ID))
	if err != nil {
		return "", err
	}
	c := a.accessClaims(&exchange{}, &g, time.Time{}, 0)
	c.AIO, c.RH, c.TokenID = "", "", ""
	text, err := json.Marshal([]any{signer.KeyID(), string(g.resource.Principal.ID), a.age(ctx).String(), c})
	if err != nil {
		return "", err
	}
	return string(text), nil
}
