package grants

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// redeemRefresh redeems a refresh token, for the resource it was made for or another one.
//
// A public client gets a new one each time, because anybody who has a copy could use it:
// when one comes back that was replaced, somebody has a copy, and the family ends (RFC
// 9700 section 4.14). For a moment after it was replaced it gets the same successor again,
// because tools that share a cache (az, Terraform, editors) refresh at the same time, and an
// answer may get lost on its way; nobody learns from it what the first answer did not say. A
// confidential client proves itself and keeps the one it has.
func (e *tokenEndpoint) redeemRefresh(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) error {
	t, err := req.opaqueToken(records.KindRefresh, "refresh_token", r.Tenant)
	if err != nil {
		return err
	}
	var grant records.GrantRecord
	record, err := e.records.Find(ctx, t, &grant)
	switch {
	case err != nil:
		return err
	case record == nil:
		return e.refreshGone(ctx, r, t)
	case grant.Client != r.Client.Principal.AppID:
		return aadsts.GrantClient("refresh_token")
	case grant.Proven && r.Credential == "": // of a client that is public as well
		return aadsts.NoCredential(req.credential.ClientID)
	case grant.Key != "" && grant.Key != req.binding.Key():
		return aadsts.RefreshKey()
	}
	requested, err := grant.Scopes.Again(req.version, req.scope, req.resource)
	if err != nil {
		return err
	}
	r.Session = grant.Session
	if err := e.issuer.ResolveUserAccess(ctx, &x.SignIn, &r.UserAccess, requested); err != nil {
		return err
	}
	if r.Credential != "" {
		return e.extend(ctx, r, t, record)
	}
	if err := e.replace(ctx, t, record, grant); err != nil {
		return err
	}
	return e.handOut(ctx, r, e.records.Successor(t))
}

// replace marks a public client's refresh token as replaced, unless it is already: then it was
// found because that was a moment ago.
func (e *tokenEndpoint) replace(ctx context.Context, t records.OpaqueToken, record *directory.TokenRecord, grant records.GrantRecord) error {
	if grant.Replaced {
		return nil
	}
	mine, err := e.records.Replace(ctx, record, grant)
	if err != nil || mine {
		return err
	}
	again, err := e.records.Find(ctx, t, new(records.GrantRecord)) // somebody else did, or revoked it
	switch {
	case err != nil:
		return err
	case again == nil:
		return aadsts.RefreshGone()
	}
	return nil
}

// extend lets a confidential client's refresh token live on.
func (e *tokenEndpoint) extend(ctx context.Context, r *redemption, t records.OpaqueToken, record *directory.TokenRecord) error {
	err := e.records.Extend(ctx, record, records.RefreshLife)
	if err == nil {
		err = e.records.ExtendFamily(ctx, t, records.RefreshLife)
	}
	if err != nil {
		return goneOr(err, aadsts.RefreshGone())
	}
	r.refresh = t.String()
	return nil
}

// refreshGone says why there is no such refresh token, and ends the family of one that
// was replaced.
func (e *tokenEndpoint) refreshGone(ctx context.Context, r *redemption, t records.OpaqueToken) error {
	family, err := e.records.Family(ctx, t)
	switch {
	case err != nil:
		return err
	case family == nil:
		return aadsts.RefreshGone()
	case family.Client != r.Client.Principal.AppID:
		return aadsts.GrantClient("refresh_token")
	}
	return e.revoke(ctx, t, aadsts.RefreshUsed())
}

// revoke ends a token family and returns the reason, or what kept it from ending.
func (e *tokenEndpoint) revoke(ctx context.Context, t records.OpaqueToken, why error) error {
	if err := e.records.RevokeFamily(ctx, t); err != nil {
		return err
	}
	return why
}

// grantRecord is what the refresh tokens of a redemption stand for.
func (r *redemption) grantRecord() records.GrantRecord {
	record := records.GrantRecord{Session: r.Session, Client: r.Client.Principal.AppID, Proven: r.Credential != "", Scopes: r.Scopes}
	if !record.Proven {
		record.Key = r.Binding.Key()
	}
	return record
}

// renew hands out the next refresh token of a family, if the user agreed to one.
func (e *tokenEndpoint) renew(ctx context.Context, r *redemption, t records.OpaqueToken) error {
	return e.handOut(ctx, r, t.Sibling(records.KindRefresh))
}

// handOut hands out a refresh token of a family, which may have been handed out already.
func (e *tokenEndpoint) handOut(ctx context.Context, r *redemption, next records.OpaqueToken) error {
	if !r.Scopes.Has("offline_access") {
		return nil
	}
	err := e.records.ExtendFamily(ctx, next, records.RefreshLife)
	if err == nil {
		err = e.records.PutAgain(ctx, next, r.Client.Principal.ID, r.User.ID, records.RefreshLife, r.grantRecord())
	}
	if err != nil {
		return goneOr(err, aadsts.RefreshGone())
	}
	r.refresh = next.String()
	return nil
}

// startFamily hands out the first refresh token of a sign-in that has no family yet.
func (e *tokenEndpoint) startFamily(ctx context.Context, r *redemption) error {
	if !r.Scopes.Has("offline_access") {
		return nil
	}
	t := records.NewOpaqueToken(records.KindRefresh, r.Tenant.ID)
	if err := e.records.PutFamily(ctx, t, r.Client.Principal.ID, r.User.ID, records.RefreshLife, r.grantRecord()); err != nil {
		return goneOr(err, aadsts.Revoked())
	}
	return e.renew(ctx, r, t)
}

// goneOr tells a record that is gone from a store that does not answer.
func goneOr(err error, gone *aadsts.Problem) error {
	if errors.Is(err, directory.ErrNotFound) {
		return gone.Because(err)
	}
	return err
}
