package issuance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A UserAccess is what a client gets on behalf of a user: everything that its tokens will
// say.
type UserAccess struct {
	clientauth.Proof
	Delegation
	Tenant  *directory.Tenant
	User    *directory.User
	Session records.Session
	Scopes  scope.Requested
	Nonce   string
	Claims  ClaimsRequest
	Binding Binding // of the access token to a key of the client
}

// ResolveUserAccess fills in who the user is, unless that is known, and what the client gets
// for the requested scopes. It refuses scopes that nobody consented to, and notes in the row
// what it learns.
func (i *Issuer) ResolveUserAccess(ctx context.Context, row *directory.SignIn, a *UserAccess, requested scope.Requested) (err error) {
	row.Resource = exchange.Noted(requested.Identifier)
	if a.User == nil {
		row.User = string(a.Session.User) // unless they are found
		if a.User, err = i.resolver.SessionUser(ctx, a.Tenant, a.Session.User, a.Session.Began()); err != nil {
			return err
		}
	}
	row.User = a.User.PrincipalName
	a.Scopes = requested
	if a.Delegation, err = i.Delegate(ctx, a.Tenant, a.Client, a.User, requested); err != nil {
		return err
	}
	if len(a.Missing) > 0 {
		return ConsentRequired(a.Client, a.Missing)
	}
	return nil
}

// ClientInfo tells a client library how to name a user: by the ids of user and home tenant.
// MSAL for Go cannot read it with padding.
func (a *UserAccess) ClientInfo() (string, error) {
	encoded, err := json.Marshal(struct {
		User   string `json:"uid"`
		Tenant string `json:"utid"`
	}{string(a.User.ID), string(a.Tenant.ID)})
	if err != nil {
		return "", fmt.Errorf("encode client_info: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded), nil
}
