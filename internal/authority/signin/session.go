package signin

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// sessionCookie holds the session of a browser. Its prefix lets no other host and no plain
// connection set it.
const sessionCookie = "__Host-rolecall-session"

// A browserSession is the user who is signed in at a browser.
type browserSession struct {
	records.Session
	tenant *directory.Tenant
	user   *directory.User
}

// sessions keeps the sessions of browsers.
type sessions struct {
	records  *records.Records
	resolver *resolve.Resolver
	now      func() time.Time
}

// current returns the session of a browser. Nil means that nobody is signed in: there is no
// session, it has ended, or its user may not sign in any more.
func (s sessions) current(ctx context.Context, x *exchange.Exchange) (*browserSession, error) {
	cookie, err := x.Request.Cookie(sessionCookie)
	if err != nil {
		return nil, nil
	}
	t, ok := records.ParseOpaqueToken(records.KindSession, cookie.Value)
	if !ok {
		return nil, nil
	}
	b := &browserSession{}
	record, err := s.records.Find(ctx, t, &b.Session)
	if err != nil || record == nil {
		return nil, err
	}
	if b.tenant, err = s.resolver.Tenant(ctx, string(t.Tenant)); err != nil {
		return nil, outageOnly(err)
	}
	if b.user, err = s.resolver.SessionUser(ctx, b.tenant, b.User, b.Began()); err != nil {
		return nil, outageOnly(err)
	}
	return b, nil
}

// outageOnly returns only errors that mean "unavailable".
func outageOnly(err error) error {
	if aadsts.Of(err).IsOutage() {
		return err
	}
	return nil
}

// start starts a session, always a new one, and ends the one before.
func (s sessions) start(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, user *directory.User) (*browserSession, error) {
	if err := s.end(ctx, x); err != nil {
		return nil, err
	}
	b := &browserSession{
		Session: records.NewSession(user.ID, s.now()),
		tenant:  tenant, user: user,
	}
	t := records.NewOpaqueToken(records.KindSession, tenant.ID)
	if err := s.records.Put(ctx, t, "", user.ID, records.SessionLife, b.Session); err != nil {
		return nil, err
	}
	x.SetCookie(sessionCookie, t.String(), 0)
	return b, nil
}

// end ends the session of a browser, if there is one.
func (s sessions) end(ctx context.Context, x *exchange.Exchange) error {
	cookie, err := x.Request.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	x.SetCookie(sessionCookie, "", -1)
	t, ok := records.ParseOpaqueToken(records.KindSession, cookie.Value)
	if !ok {
		return nil
	}
	record, err := s.records.Find(ctx, t, new(records.Session))
	if err != nil || record == nil {
		return err
	}
	_, err = s.records.Take(ctx, record)
	return err
}
