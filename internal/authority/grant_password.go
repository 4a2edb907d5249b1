package authority

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// redeemPassword takes a user's name and password from the client (RFC 6749 section 4.3).
// The client learns the password by it, which is why this is off unless an operator wants it.
func (a *Authority) redeemPassword(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, error) {
	switch {
	case !a.cfg.AllowPassword || !g.client.Application.Public:
		return g, aadsts.PasswordGrantOff()
	case req.username == "":
		return g, aadsts.Missing("username")
	case req.password == "":
		return g, aadsts.Missing("password")
	}
	w, err := parseAsk(req.version, req.scope, req.resource)
	if err != nil {
		return g, err
	}
	x.signIn.User = text.Line(req.username, aadsts.MaxNoted)
	if g.user, err = a.checkPassword(ctx, x, g.tenant, req.username, req.password); err != nil {
		return g, err
	}
	g.session = session{ID: guid.New(), User: g.user.ID, At: a.now().Unix()}
	if err := a.entrust(ctx, x, &g, w); err != nil {
		return g, err
	}
	return g, a.found(ctx, &g)
}
