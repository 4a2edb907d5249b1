package authority

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// redeemRefresh redeems a refresh token, for the resource it was made for or another one.
//
// A public client gets a new one each time, because anybody who has a copy could use it:
// when one comes back that was replaced, somebody has a copy, and the family ends (RFC
// 9700 section 4.14). A confidential client proves itself and keeps the one it has.
func (a *Authority) redeemRefresh(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, error) {
	v, err := req.artifact(ticketRefresh, "refresh_token", g.tenant)
	if err != nil {
		return g, err
	}
	var l lease
	ticket, err := a.ticket(ctx, v, &l)
	switch {
	case err != nil:
		return g, err
	case ticket == nil:
		return g, a.refreshGone(ctx, g, v)
	case l.Client != g.client.Principal.AppID:
		return g, aadsts.GrantClient("refresh_token")
	case l.Proven && g.credential == "": // of a client that is public as well
		return g, aadsts.NoCredential(req.clientID)
	}
	w, err := req.again(l.Ask)
	if err != nil {
		return g, err
	}
	g.session = l.Session
	if err := a.entrust(ctx, x, &g, w); err != nil {
		return g, err
	}
	if g.credential != "" {
		return g, a.prolong(ctx, &g, v, ticket)
	}
	mine, err := a.take(ctx, ticket)
	switch {
	case err != nil:
		return g, err
	case !mine:
		return g, a.refreshGone(ctx, g, v)
	}
	return g, a.renew(ctx, &g, v)
}

// prolong lets a confidential client's refresh token live on.
func (a *Authority) prolong(ctx context.Context, g *userGrant, v artifact, ticket *directory.TokenRecord) error {
	ticket.Expires = a.now().Add(refreshLife)
	err := a.updateTicket(ctx, ticket)
	if err == nil {
		err = a.extendFamily(ctx, v, refreshLife)
	}
	if err != nil {
		return goneOr(err, aadsts.RefreshGone())
	}
	g.refresh = v.String()
	return nil
}

// refreshGone says why there is no such refresh token, and ends the family of one that
// was replaced.
func (a *Authority) refreshGone(ctx context.Context, g userGrant, v artifact) error {
	l, err := a.familyOf(ctx, v)
	switch {
	case err != nil:
		return err
	case l == nil:
		return aadsts.RefreshGone()
	case l.Client != g.client.Principal.AppID:
		return aadsts.GrantClient("refresh_token")
	}
	return a.revoke(ctx, v, aadsts.RefreshUsed())
}

// goneOr tells a ticket that is gone from a store that does not answer.
func goneOr(err error, gone *aadsts.Problem) error {
	if errors.Is(err, directory.ErrNotFound) {
		return gone.Because(err)
	}
	return err
}
