package grants

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// onBehalfUse is the only use of a bearer assertion there is.
const onBehalfUse = "on_behalf_of"

// redeemOnBehalf lets an API that a user's client called call another API for that user.
// What it presents is the access token it was called with.
func (e *tokenEndpoint) redeemOnBehalf(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) error {
	switch {
	case req.onBehalfOf == "":
		return aadsts.Missing("assertion")
	case req.use == "":
		return aadsts.Missing("requested_token_use")
	case req.use != onBehalfUse:
		return aadsts.Malformed("The requested_token_use " + text.Quote(req.use) + " is not supported; send on_behalf_of.")
	}
	claims, err := e.issuer.ReadToken(ctx, x.Origin, req.onBehalfOf, r.Tenant)
	if err != nil {
		return err
	}
	if err := e.issuer.CheckBearer(claims, r.Client); err != nil {
		return err
	}
	requested, err := scope.Parse(req.version, req.scope, req.resource)
	if err != nil {
		return err
	}
	r.Session = records.NewSession(directory.ObjectID(issuance.TextClaim(claims, "oid")), e.now())
	r.Session.At, _ = issuance.IntegerClaim(claims, "iat")
	x.SignIn.User = string(r.Session.User) // unless they are found
	if r.User, err = e.resolver.User(ctx, r.Tenant, r.Session.User, func(user *directory.User) error {
		return e.issuer.CheckUser(claims, user)
	}); err != nil {
		return err
	}
	if err := e.issuer.ResolveUserAccess(ctx, &x.SignIn, &r.UserAccess, requested); err != nil {
		return err
	}
	return e.startFamily(ctx, r)
}
