package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// ownToken gets the application of an API a token to follow revocations, with the credential
// of the environment, which is that of Azure's libraries. The authority is the settings' one.
func (c *cli) ownToken(api guardfile.API, bundle string) (func(context.Context) (string, error), error) {
	u, err := url.Parse(api.Authority)
	if err != nil {
		return nil, fmt.Errorf("the authority is not a URL: %w", err)
	}
	host, tenant := u.Scheme+"://"+u.Host, strings.Trim(u.Path, "/")
	client, _ := c.lookup("AZURE_CLIENT_ID")
	named := func(audience string) bool { return guid.Is(audience) && !strings.EqualFold(audience, client) }
	switch {
	case client == "":
		return nil, failed("run the guard with the variables of its API: rolecall run --as NAME -- rolecall guard …", "there is no credential of the API's own application: AZURE_CLIENT_ID is not set")
	case slices.ContainsFunc(api.Audience, named) && !slices.ContainsFunc(api.Audience, func(a string) bool { return strings.EqualFold(a, client) }):
		return nil, failed("run the guard as the API itself; of several APIs each needs a guard of its own for this", "AZURE_CLIENT_ID is %q, and the audience names another application as the API", text.Shown(client))
	}
	cred, err := c.ownCredential(tenant, client, &credential.Options{AuthorityHost: host, CABundle: bundle})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) {
		token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{guard.RevocationScope}})
		return token.Token, err
	}, nil
}

// ownCredential is that of the environment: a secret, a certificate or a file with an assertion.
func (c *cli) ownCredential(tenant, client string, opts *credential.Options) (azcore.TokenCredential, error) {
	if secret, _ := c.lookup("AZURE_CLIENT_SECRET"); secret != "" {
		return credential.NewSecret(tenant, client, secret, opts)
	}
	if path, _ := c.lookup("AZURE_CLIENT_CERTIFICATE_PATH"); path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read AZURE_CLIENT_CERTIFICATE_PATH: %w", err)
		}
		password, _ := c.lookup("AZURE_CLIENT_CERTIFICATE_PASSWORD")
		certificate, err := credential.ParseCertificate(content, password)
		if err != nil {
			return nil, err
		}
		return credential.NewCertificate(tenant, client, certificate, opts)
	}
	if path, _ := c.lookup("AZURE_FEDERATED_TOKEN_FILE"); path != "" {
		return credential.NewAssertionFile(tenant, client, path, opts)
	}
	return nil, failed("set AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE, as rolecall run --as NAME does", "there is no credential of the API's own application beside AZURE_CLIENT_ID")
}
