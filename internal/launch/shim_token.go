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

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
)

// A shimToken is a token as both tools give it.
type shimToken struct {
	value   string
	expires time.Time
}

// token gets a token for a scope.
func (s *Shim) token(ctx context.Context, scope string) (shimToken, error) {
	if s.account.Endpoint != "" {
		return s.tokenByBinding(ctx, scope)
	}
	return s.tokenBySecret(ctx, scope)
}

// tokenByBinding asks as azd asks another program to authenticate for it.
func (s *Shim) tokenByBinding(ctx context.Context, scope string) (shimToken, error) {
	asked, err := json.Marshal(map[string]any{"scopes": []string{scope}, "tenantId": s.account.Tenant})
	if err != nil {
		return shimToken{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.account.Endpoint+"/token?api-version=2023-07-12-preview", bytes.NewReader(asked))
	if err != nil {
		return shimToken{}, err
	}
	request.Header.Set("Authorization", "Bearer "+s.account.Key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "rolecall-shim")
	response, err := direct().Do(request)
	if err != nil {
		return shimToken{}, fmt.Errorf("%w: its process has ended", errSignedOut)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Token, Code, Message string
		ExpiresOn                    time.Time
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerLimit)).Decode(&answer); err != nil {
		return shimToken{}, fmt.Errorf("the server answered %s, and not in JSON", response.Status)
	}
	switch {
	case answer.Code == "NotSignedInError":
		return shimToken{}, fmt.Errorf("%w: %s", errSignedOut, answer.Message)
	case answer.Status != "success":
		return shimToken{}, errors.New(answer.Message)
	}
	return shimToken{answer.Token, answer.ExpiresOn}, nil
}

// tokenBySecret asks the authority.
func (s *Shim) tokenBySecret(ctx context.Context, scope string) (shimToken, error) {
	cred, err := credential.NewSecret(s.account.Tenant, s.account.ClientID, s.account.Secret, &credential.Options{
		AuthorityHost: s.account.Authority, CABundle: s.account.CABundle,
	})
	if err != nil {
		return shimToken{}, err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	var refusal *credential.Error
	switch {
	case err == nil:
		return shimToken{token.Token, token.ExpiresOn}, nil
	case errors.As(err, &refusal) && (refusal.Code == "AADSTS7000215" || refusal.Code == "AADSTS7000222"):
		return shimToken{}, fmt.Errorf("%w: its secret was removed or has expired", errSignedOut)
	case errors.As(err, &refusal):
		return shimToken{}, errors.New(refusal.Reason)
	}
	return shimToken{}, err
}

// scopeOf makes a scope of a resource, as the tools do.
func scopeOf(resource string) string {
	if strings.HasSuffix(resource, "/.default") {
		return resource
	}
	return resource + "/.default"
}
