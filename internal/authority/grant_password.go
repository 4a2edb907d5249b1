package authority

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// redeemPassword takes a user's name and password from the client (RFC 6749 section 4.3).
// The client learns the password by it, which is why this is off unless an operator wants it.
func (a *Authority) redeemPassword(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, *aadsts.Problem) {
	switch {
	case !a.cfg.AllowPassword || !g.client.Application.Public:
		return g, aadsts.PasswordGrantOff()
	case req.username == "":
		return g, aadsts.Missing("username")
	case req.password == "":
		return g, aadsts.Missing("password")
	}
	w, problem := parseAsk(req.version, req.scope, req.resource)
	if problem != nil {
		return g, problem
	}
	x.signIn.User = aadsts.Clean(req.username, aadsts.MaxNoted)
	if g.user, problem = a.checkPassword(ctx, x, g.tenant, req.username, req.password); problem != nil {
		return g, problem
	}
	g.session = session{ID: newGUID(), User: g.user.ID, At: a.now().Unix()}
	if problem := a.entrust(ctx, x, &g, w); problem != nil {
		return g, problem
	}
	return g, a.found(ctx, &g)
}
