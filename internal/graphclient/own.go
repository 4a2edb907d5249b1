package graphclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rolecall-auth/rolecall/internal/explain"
)

// What follows are actions of this server's Graph that Microsoft's has not.

// An IdentityToken is a managed identity's token for one API.
type IdentityToken struct {
	Token         string    `json:"accessToken"`
	NotBefore     time.Time `json:"notBeforeDateTime"`
	Expires       time.Time `json:"expiresDateTime"`
	Resource      string    `json:"resource"` // as it was asked for
	Roles         []string  `json:"roles"`
	ClientID      string    `json:"appId"`
	ObjectID      string    `json:"principalId"`
	ResourceID    string    `json:"resourceId"` // in the resource manager
	Tenant        string    `json:"tenantId"`
	CorrelationID string    `json:"correlationId"` // of the sign-in
	TraceID       string    `json:"traceId"`
}

// An IdentityTokenRequest says which token is wanted.
type IdentityTokenRequest struct {
	Resource      string `json:"resource"`                // the API, by identifier URI or app id
	Claims        string `json:"claims,omitempty"`        // a claims request, as at the token endpoint
	CorrelationID string `json:"correlationId,omitempty"` // a GUID; empty: a new one
}

// IdentityToken gets a token as a managed identity, which its object id names. It takes the right
// to add credentials to applications.
func (c *Client) IdentityToken(ctx context.Context, principal string, req IdentityTokenRequest) (*IdentityToken, error) {
	var got IdentityToken
	if err := c.Do(ctx, http.MethodPost, "servicePrincipals/"+url.PathEscape(principal)+"/rolecall.getToken", req, &got); err != nil {
		return nil, err
	}
	return &got, nil
}

// MayHaveTokens refuses callers who may not have tokens of a managed identity, which its object id
// names. It gets none: it names no API, which the server minds once it knows that the caller may.
func (c *Client) MayHaveTokens(ctx context.Context, principal string) error {
	_, err := c.IdentityToken(ctx, principal, IdentityTokenRequest{})
	if Invalid(err) {
		return nil
	}
	return err
}

// ExtendPassword lets a secret of an application, which its object id names, end at another time.
func (c *Client) ExtendPassword(ctx context.Context, application, keyID string, end time.Time) error {
	body := map[string]any{"keyId": keyID, "endDateTime": end.UTC()}
	return c.Do(ctx, http.MethodPost, "applications/"+url.PathEscape(application)+"/rolecall.extendPassword", body, nil)
}

// Explain has a token, or a token request, explained by the server. It takes the right to read
// sign-ins and applications, and tells of the caller's tenant alone.
func (c *Client) Explain(ctx context.Context, q explain.Question) (*explain.Report, error) {
	var got explain.Report
	if err := c.Do(ctx, http.MethodPost, "rolecall.explain", q, &got); err != nil {
		return nil, err
	}
	return &got, nil
}
