package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
)

// Token gets a token for scopes. Its refusals are worded as the tools print them.
func (a Account) Token(ctx context.Context, scopes ...string) (azcore.AccessToken, error) {
	return a.tokenWith(ctx, "", scopes)
}

// tokenWith gets a token that satisfies a claims request, if there is one.
func (a Account) tokenWith(ctx context.Context, claims string, scopes []string) (azcore.AccessToken, error) {
	if a.Endpoint != "" {
		return a.tokenByBinding(ctx, claims, scopes)
	}
	return a.tokenBySecret(ctx, claims, scopes)
}

// tokenByBinding asks as azd asks another program to authenticate for it.
func (a Account) tokenByBinding(ctx context.Context, claims string, scopes []string) (azcore.AccessToken, error) {
	request := map[string]any{"scopes": scopes, "tenantId": a.Tenant}
	if claims != "" { // azd has no such member: our endpoint has
		request["claims"] = claims
	}
	asked, err := json.Marshal(request)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Endpoint+"/token?api-version=2023-07-12-preview", bytes.NewReader(asked))
	if err != nil {
		return azcore.AccessToken{}, err
	}
	post.Header.Set("Authorization", "Bearer "+a.Key)
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("User-Agent", "rolecall-shim")
	response, err := direct().Do(post)
	if err != nil {
		return azcore.AccessToken{}, fmt.Errorf("%w: its process has ended", errSignedOut)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Token, Code, Message string
		ExpiresOn                    time.Time
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerLimit)).Decode(&answer); err != nil {
		return azcore.AccessToken{}, fmt.Errorf("the server answered %s, and not in JSON", response.Status)
	}
	switch {
	case answer.Code == "NotSignedInError":
		return azcore.AccessToken{}, fmt.Errorf("%w: %s", errSignedOut, answer.Message)
	case answer.Status != "success":
		return azcore.AccessToken{}, errors.New(answer.Message)
	}
	return azcore.AccessToken{Token: answer.Token, ExpiresOn: answer.ExpiresOn}, nil
}

// tokenBySecret asks the authority.
func (a Account) tokenBySecret(ctx context.Context, claims string, scopes []string) (azcore.AccessToken, error) {
	cred, err := credential.NewSecret(a.Tenant, a.ClientID, a.Secret, &credential.Options{
		AuthorityHost: a.Authority, CABundle: a.CABundle,
	})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: scopes, Claims: claims})
	var refusal *credential.Error
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &refusal) && (refusal.Code == "AADSTS7000215" || refusal.Code == "AADSTS7000222"):
		return azcore.AccessToken{}, fmt.Errorf("%w: its secret was removed or has expired", errSignedOut)
	case errors.As(err, &refusal):
		return azcore.AccessToken{}, errors.New(refusal.Reason)
	}
	return azcore.AccessToken{}, err
}

// scopeOf makes a scope of a resource, as the tools do.
func scopeOf(resource string) string {
	if strings.HasSuffix(resource, "/.default") {
		return resource
	}
	return resource + "/.default"
}
