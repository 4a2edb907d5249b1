package grants

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
)

// redeemCode redeems an authorization code (RFC 6749 section 4.1.3 and RFC 7636). A code
// that comes back with something wrong is used up: whoever has it gets one attempt.
func (e *tokenEndpoint) redeemCode(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) error {
	t, err := req.opaqueToken(records.KindCode, "code", r.Tenant)
	if err != nil {
		return err
	}
	var code records.CodeRecord
	record, err := e.records.Find(ctx, t, &code)
	switch {
	case err != nil:
		return err
	case record == nil:
		return e.codeGone(ctx, r, t)
	case code.Client != r.Client.Principal.AppID:
		return aadsts.GrantClient("code")
	}
	if mine, err := e.records.Take(ctx, record); err != nil {
		return err
	} else if !mine {
		return e.codeGone(ctx, r, t)
	}
	if err := e.resolveCode(ctx, x, r, req, &code); err != nil {
		return e.revoke(ctx, t, err)
	}
	return e.renew(ctx, r, t)
}

// resolveCode decides what a client gets for a code.
func (e *tokenEndpoint) resolveCode(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest, code *records.CodeRecord) error {
	if err := checkCode(code, req, r.Credential == ""); err != nil {
		return err
	}
	requested, err := code.Scopes.Again(req.version, req.scope, req.resource)
	if err != nil {
		return err
	}
	r.Session, r.Nonce = code.Session, code.Nonce
	return e.issuer.ResolveUserAccess(ctx, &x.SignIn, &r.UserAccess, requested)
}

// checkCode compares a request with what the code was made for.
func checkCode(code *records.CodeRecord, req *tokenRequest, public bool) error {
	switch {
	case req.redirectURI != code.RedirectURI:
		return aadsts.RedirectDiffers()
	case code.Key != "" && code.Key != req.binding.Key():
		return aadsts.CodeKey()
	case code.Challenge == "" && (req.verifier != "" || public):
		return aadsts.Verifier()
	case code.Challenge != "" && !records.Verifies(code.Challenge, code.Method, req.verifier):
		return aadsts.Verifier()
	}
	return nil
}

// codeGone says why there is no such code. One that was redeemed before may have been
// stolen, by whoever redeemed it or whoever comes now: what came of it is revoked.
func (e *tokenEndpoint) codeGone(ctx context.Context, r *redemption, t records.OpaqueToken) error {
	family, err := e.records.Family(ctx, t)
	switch {
	case err != nil:
		return err
	case family == nil:
		return aadsts.CodeExpired()
	case family.Client != r.Client.Principal.AppID:
		return aadsts.GrantClient("code")
	}
	return e.revoke(ctx, t, aadsts.CodeUsed())
}
