package issuance

import (
	"context"
	"encoding/json"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Fingerprint tells what a token for the request would say now, apart from what is new in
// each token, as a text to be compared with that of a token kept from before: the same text,
// the same token. It signs nothing and leaves no sign-in row.
func (m *Minter) Fingerprint(ctx context.Context, req MintRequest) (string, error) {
	text, err := m.fingerprint(ctx, req)
	if err != nil {
		return "", aadsts.Of(err)
	}
	return text, nil
}

func (m *Minter) fingerprint(ctx context.Context, req MintRequest) (string, error) {
	var unkept directory.SignIn
	if req.User != (UserSignIn{}) {
		a, err := m.userAccess(ctx, &unkept, req)
		if err != nil {
			return "", err
		}
		return m.describe(ctx, req.Origin, a.Tenant, a.Resource, m.issuer.userClaims(req.Origin, "", &a))
	}
	a, err := m.access(ctx, &unkept, req)
	if err != nil {
		return "", err
	}
	return m.describe(ctx, req.Origin, a.Tenant, a.Resource, applicationClaims(req.Origin, &a))
}

// describe names the key that would sign the claims, the principal of the API, which may
// have been created again, and the claims.
func (m *Minter) describe(ctx context.Context, o origin.Origin, tenant *directory.Tenant, resource *directory.Instance, c Claims) (string, error) {
	signer, err := m.issuer.keys.Signer(ctx, o.KeyRing(string(tenant.ID)))
	if err != nil {
		return "", err
	}
	from := m.issuer.tokensFrom(ctx, &c, tenant, resource) // a token kept from before that counts no more
	text, err := json.Marshal([]any{signer.KeyID(), resource.Principal.ID, m.issuer.age(ctx).String(), from.Unix(), c})
	return string(text), err
}
