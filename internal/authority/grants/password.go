package grants

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
)

// redeemPassword takes a user's name and password from the client (RFC 6749 section 4.3).
// The client learns the password by it, which is why this is off unless an operator turns it
// on.
func (e *tokenEndpoint) redeemPassword(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) error {
	switch {
	case !e.allowPassword:
		return aadsts.PasswordGrantOff()
	case !r.Client.Application.Public:
		return aadsts.PasswordGrantConfidential(string(r.Client.Principal.AppID))
	case req.username == "":
		return aadsts.Missing("username")
	case req.password == "":
		return aadsts.Missing("password")
	}
	requested, err := scope.Parse(req.version, req.scope, req.resource)
	if err != nil {
		return err
	}
	x.SignIn.User = exchange.Noted(req.username)
	if r.User, err = e.users.CheckPassword(ctx, x.Source, r.Tenant, req.username, req.password); err != nil {
		return err
	}
	r.Session = records.NewSession(r.User.ID, e.now())
	if err := e.issuer.ResolveUserAccess(ctx, &x.SignIn, &r.UserAccess, requested); err != nil {
		return err
	}
	return e.startFamily(ctx, r)
}
