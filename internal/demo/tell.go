package demo

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
)

// Tell plays the whole story and reports what was seen.
func (s *Stage) Tell(ctx context.Context) *Report {
	return &Report{Ways: s.tryAll(ctx), Refusals: s.misuseAll(ctx)}
}

// refusalOf asks the credential for a token, which it must not get.
func refusalOf(ctx context.Context, cred azcore.TokenCredential, api string) (status int, code string, err error) {
	_, err = cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{api + "/.default"}})
	if err == nil {
		return 0, "", errors.New("the authority issued a token")
	}
	var refusal *credential.Error
	if !errors.As(err, &refusal) {
		return 0, "", err
	}
	return refusal.Status, refusal.Code, nil
}
