package credential

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/oauth2"
)

// TokenSource returns the tokens for a scope in the form that golang.org/x/oauth2 defines
// and that gRPC and many API clients take. The context is used for all requests to the
// authority, since the interface has none.
func (c *Cache) TokenSource(ctx context.Context, scope string) oauth2.TokenSource {
	return tokenSource{ctx: ctx, cache: c, scope: scope}
}

type tokenSource struct {
	ctx   context.Context
	cache *Cache
	scope string
}

// Token implements oauth2.TokenSource.
func (s tokenSource) Token() (*oauth2.Token, error) {
	token, err := s.cache.GetToken(s.ctx, policy.TokenRequestOptions{Scopes: []string{s.scope}})
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.Token, TokenType: "Bearer", Expiry: token.ExpiresOn}, nil
}
