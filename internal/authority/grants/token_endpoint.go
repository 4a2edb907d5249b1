package grants

import (
	"cmp"
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/userauth"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A tokenEndpoint answers token requests.
type tokenEndpoint struct {
	resolver      *resolve.Resolver
	clients       *clientauth.Authenticator
	users         *userauth.Authenticator
	issuer        *issuance.Issuer
	records       *records.Records
	polls         coordination.Polls
	proofs        coordination.Replays
	allowPassword bool
	now           func() time.Time
}

// serve answers a token request. Its order is the order in which problems win: a wrong
// tenant beats a wrong secret, a wrong secret beats an unknown resource.
func (e *tokenEndpoint) serve(ctx context.Context, x *exchange.Exchange, version int) (exchange.Answer, error) {
	form, unreadable := x.TokenForm()
	x.NoteCorrelation(form)
	if err := e.resolver.CheckFresh(ctx); err != nil {
		return exchange.Answer{}, err
	}
	tenant, err := e.tenant(ctx, x.Tenant, form)
	if err != nil {
		x.NoteClient(form)
		return exchange.Answer{}, err
	}
	x.SignIn.Tenant = tenant.ID
	if unreadable != nil {
		return exchange.Answer{}, unreadable
	}
	req, err := parse(form, x.Request.Header, certificateOf(x.Request), version)
	if err != nil {
		return exchange.Answer{}, err
	}
	req.spn = version == 1 && x.Request.URL.Query().Get("api-version") == "1.0"
	x.SignIn.Library = x.Library(form)
	proof, err := e.clients.Authenticate(ctx, x, tenant, req.credential)
	if err != nil {
		return exchange.Answer{}, err
	}
	if err := e.bind(ctx, x, tenant, proof, req); err != nil {
		return exchange.Answer{}, err
	}
	if req.grant == grantClientCredentials {
		return e.issueForApplication(ctx, x, tenant, proof, req)
	}
	redeemed := &redemption{UserAccess: issuance.UserAccess{Proof: proof, Tenant: tenant, Binding: req.binding}}
	if err := e.redeem(ctx, x, redeemed, req); err != nil {
		return exchange.Answer{}, err
	}
	return e.issueForUser(ctx, x, redeemed, req)
}

// tenant returns the tenant that a token request is about: the one in the path, or at an
// alias the one of the user that it speaks for. No application has an alias for a home.
func (e *tokenEndpoint) tenant(ctx context.Context, ref string, form exchange.Form) (*directory.Tenant, error) {
	if !resolve.IsShared(ref) {
		return e.resolver.Tenant(ctx, ref)
	}
	req := &tokenRequest{
		code: form["code"], refreshToken: form["refresh_token"], deviceCode: cmp.Or(form["device_code"], form["code"]),
	}
	switch form["grant_type"] {
	case grantPassword:
		return e.resolver.Home(ctx, form["username"])
	case grantCode:
		return e.tenantOfToken(ctx, req, records.KindCode, "code")
	case grantRefresh:
		return e.tenantOfToken(ctx, req, records.KindRefresh, "refresh_token")
	case grantDevice, grantDeviceShort:
		device, record, err := e.findDevice(ctx, req)
		if err == nil {
			err = e.checkApproved(ctx, device, record)
		}
		if err != nil {
			return nil, err
		}
		return e.resolver.Tenant(ctx, string(cmp.Or(device.Home, record.Tenant)))
	}
	return e.resolver.Tenant(ctx, ref)
}

// tenantOfToken returns the tenant where an opaque token was handed out.
func (e *tokenEndpoint) tenantOfToken(ctx context.Context, req *tokenRequest, kind directory.TokenRecordKind, parameter string) (*directory.Tenant, error) {
	t, err := req.opaqueToken(kind, parameter, nil)
	if err != nil {
		return nil, err
	}
	return e.resolver.Tenant(ctx, string(t.Tenant))
}

// A redemption is what a client gets for what it presents on behalf of a user.
type redemption struct {
	issuance.UserAccess
	refresh string // refresh token; empty: none
}

// redeem turns what a client presents into access. What can be used once is used up by it,
// at the end, when nothing can be refused any more.
func (e *tokenEndpoint) redeem(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) (err error) {
	if r.Client.Application == nil { // a managed identity acts for itself alone
		return aadsts.GrantType(req.grant)
	}
	if r.Claims, err = issuance.ParseClaimsRequest(req.claims); err != nil {
		return err
	}
	switch req.grant {
	case grantCode:
		return e.redeemCode(ctx, x, r, req)
	case grantRefresh:
		return e.redeemRefresh(ctx, x, r, req)
	case grantDevice:
		return e.redeemDevice(ctx, x, r, req)
	case grantOnBehalf:
		return e.redeemOnBehalf(ctx, x, r, req)
	}
	return e.redeemPassword(ctx, x, r, req)
}
