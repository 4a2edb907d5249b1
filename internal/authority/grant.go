package authority

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The grants that speak for a user. Device codes and on-behalf-of have long names by
// their RFCs; MSAL for Go and for Node send the short one for device codes.
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceShort = "device_code"
	grantOnBehalf    = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantPassword    = "password"
)

// isUserGrant reports whether a grant type speaks for a user.
func isUserGrant(grant string) bool {
	switch grant {
	case grantCode, grantRefresh, grantDevice, grantDeviceShort, grantOnBehalf, grantPassword:
		return true
	}
	return false
}

// A userGrant is what a client gets on behalf of a user: everything its tokens will say.
type userGrant struct {
	proof
	delegation
	tenant  *directory.Tenant
	user    *directory.User
	session session
	ask     ask
	nonce   string
	wishes  wishes
	refresh string // empty: none
}

// redeem turns what a client presents into a grant. What can be used once is used up by
// it, at the end, when nothing can be refused any more.
func (a *Authority) redeem(ctx context.Context, x *exchange, tenant *directory.Tenant, proven proof, req *request) (userGrant, error) {
	g := userGrant{proof: proven, tenant: tenant}
	if proven.client.Application == nil { // a managed identity acts for itself alone
		return g, aadsts.GrantType(req.grant)
	}
	var err error
	if g.wishes, err = parseWishes(req.claims); err != nil {
		return g, err
	}
	switch req.grant {
	case grantCode:
		return a.redeemCode(ctx, x, g, req)
	case grantRefresh:
		return a.redeemRefresh(ctx, x, g, req)
	case grantDevice:
		return a.redeemDevice(ctx, x, g, req)
	case grantOnBehalf:
		return a.redeemOnBehalf(ctx, x, g, req)
	}
	return a.redeemPassword(ctx, x, g, req)
}

// entrust fills in who the user is and what the client gets for an ask, and refuses what
// nobody consented to.
func (a *Authority) entrust(ctx context.Context, x *exchange, g *userGrant, w ask) error {
	x.signIn.Resource = text.Line(w.Identifier, aadsts.MaxNoted)
	var err error
	if g.user == nil {
		x.signIn.User = string(g.session.User) // unless they are found
		if g.user, err = a.findUser(ctx, g.tenant, string(g.session.User)); err != nil {
			return err
		}
	}
	x.signIn.User = g.user.PrincipalName
	g.ask = w
	if g.delegation, err = a.delegate(ctx, g.tenant, g.client, g.user, w); err != nil {
		return err
	}
	if len(g.missing) > 0 {
		return consentProblem(g.client, g.missing)
	}
	return nil
}

// A codeTicket is what an authorization code stands for.
type codeTicket struct {
	lease
	RedirectURI string `json:"redirect"`
	Challenge   string `json:"challenge,omitempty"`
	Method      string `json:"method,omitempty"`
	Nonce       string `json:"nonce,omitempty"`
}

// redeemCode redeems an authorization code (RFC 6749 section 4.1.3 and RFC 7636). A code
// that came back with something wrong is used up: whoever has it gets one attempt.
func (a *Authority) redeemCode(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, error) {
	v, err := req.artifact(ticketCode, "code", g.tenant)
	if err != nil {
		return g, err
	}
	var code codeTicket
	ticket, err := a.ticket(ctx, v, &code)
	switch {
	case err != nil:
		return g, err
	case ticket == nil:
		return g, a.codeGone(ctx, g, v)
	case code.Client != g.client.Principal.AppID:
		return g, aadsts.GrantClient("code")
	}
	if mine, err := a.take(ctx, ticket); err != nil {
		return g, err
	} else if !mine {
		return g, a.codeGone(ctx, g, v)
	}
	err = code.check(req, g.credential == "")
	var w ask
	if err == nil {
		w, err = req.again(code.Ask)
	}
	if err == nil {
		g.session, g.nonce = code.Session, code.Nonce
		err = a.entrust(ctx, x, &g, w)
	}
	if err != nil {
		return g, a.revoke(ctx, v, err)
	}
	return g, a.renew(ctx, &g, v)
}

// check holds the request against what the code was made for.
func (c *codeTicket) check(req *request, public bool) error {
	switch {
	case req.redirectURI != c.RedirectURI:
		return aadsts.RedirectDiffers()
	case c.Challenge == "" && (req.verifier != "" || public):
		return aadsts.Verifier()
	case c.Challenge != "" && !verifies(c.Challenge, c.Method, req.verifier):
		return aadsts.Verifier()
	}
	return nil
}

// The methods by which a challenge is made of a verifier (RFC 7636 section 4.2).
const (
	methodS256  = "S256"
	methodPlain = "plain"
)

// verifies holds a verifier against a challenge (RFC 7636 section 4.6).
func verifies(challenge, method, verifier string) bool {
	if !isVerifier(verifier) {
		return false
	}
	if method == methodS256 {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(challenge), []byte(verifier)) == 1
}

// isVerifier reports whether a text has the form of a verifier (RFC 7636 section 4.1).
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// codeGone says why there is no such code. One that was redeemed before may have been
// stolen, by whoever redeemed it or whoever comes now: what came of it is revoked.
func (a *Authority) codeGone(ctx context.Context, g userGrant, v artifact) error {
	l, err := a.familyOf(ctx, v)
	switch {
	case err != nil:
		return err
	case l == nil:
		return aadsts.CodeExpired()
	case l.Client != g.client.Principal.AppID:
		return aadsts.GrantClient("code")
	}
	return a.revoke(ctx, v, aadsts.CodeUsed())
}

// revoke ends a family and gives the reason, or what kept it from ending.
func (a *Authority) revoke(ctx context.Context, v artifact, why error) error {
	if err := a.directory.DropFamily(ctx, v.tenant, v.familyID()); err != nil {
		return err
	}
	return why
}

// lease is what the grant's refresh tokens stand for.
func (g *userGrant) lease() lease {
	return lease{Session: g.session, Client: g.client.Principal.AppID, Proven: g.credential != "", Ask: g.ask}
}

// renew hands out the next refresh token of a family, if the user agreed to one.
func (a *Authority) renew(ctx context.Context, g *userGrant, v artifact) error {
	if !g.ask.has("offline_access") {
		return nil
	}
	next := v.sibling(ticketRefresh)
	l := g.lease()
	err := a.extendFamily(ctx, v, refreshLife)
	if err == nil {
		err = a.keep(ctx, next, g.client.Principal.ID, g.user.ID, refreshLife, l)
	}
	if err != nil {
		return goneOr(err, aadsts.RefreshGone())
	}
	g.refresh = next.String()
	return nil
}

// found starts a family for a sign-in that has none yet.
func (a *Authority) found(ctx context.Context, g *userGrant) error {
	if !g.ask.has("offline_access") {
		return nil
	}
	v := newArtifact(ticketRefresh, g.tenant.ID)
	l := g.lease()
	if err := a.keepFamily(ctx, v, g.client.Principal.ID, g.user.ID, refreshLife, l); err != nil {
		return goneOr(err, aadsts.Revoked())
	}
	return a.renew(ctx, g, v)
}
