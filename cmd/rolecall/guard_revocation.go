package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// ownToken gets the application of an API a token to follow revocations, with its credential in
// the settings, or else with that of the environment, which is that of Azure's libraries. The
// authority is the settings' one.
func (c *cli) ownToken(api guardfile.API, bundle string) (func(context.Context) (string, error), error) {
	u, err := url.Parse(api.Authority)
	if err != nil {
		return nil, fmt.Errorf("the authority is not a URL: %w", err)
	}
	tenant, opts := strings.Trim(u.Path, "/"), &credential.Options{AuthorityHost: u.Scheme + "://" + u.Host, CABundle: bundle}
	if api.Credential != nil {
		own := &fileCredential{Credential: *api.Credential, tenant: tenant, opts: opts}
		if _, err := own.current(); err != nil {
			return nil, err
		}
		return own.token, nil
	}
	client, _ := c.Lookup("AZURE_CLIENT_ID")
	named := func(audience string) bool { return guid.Is(audience) && !strings.EqualFold(audience, client) }
	switch {
	case client == "":
		return nil, command.Failed("run the guard with the variables of its API: rolecall run --as NAME -- rolecall guard …", "there is no credential of the API's own application: AZURE_CLIENT_ID is not set")
	case slices.ContainsFunc(api.Audience, named) && !slices.ContainsFunc(api.Audience, func(a string) bool { return strings.EqualFold(a, client) }):
		return nil, command.Failed("run the guard as the API itself; of several APIs, write the credential of each into the settings (credential)", "AZURE_CLIENT_ID is %q, and the audience names another application as the API", text.Shown(client))
	}
	cred, err := c.ownCredential(tenant, client, opts)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) { return revocationToken(ctx, cred) }, nil
}

func revocationToken(ctx context.Context, cred azcore.TokenCredential) (string, error) {
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{guard.RevocationScope}})
	return token.Token, err
}

// A fileCredential is one in files, which are read again when they change: secrets are rotated
// there.
type fileCredential struct {
	guardfile.Credential
	tenant string
	opts   *credential.Options

	mu      sync.Mutex // guards what follows
	content []byte
	made    azcore.TokenCredential
}

func (f *fileCredential) token(ctx context.Context) (string, error) {
	cred, err := f.current()
	if err != nil {
		return "", err
	}
	return revocationToken(ctx, cred)
}

// current returns the credential as the file has it.
func (f *fileCredential) current() (azcore.TokenCredential, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.TokenFile != "" {
		if f.made != nil {
			return f.made, nil // which reads the file itself
		}
		made, err := credential.NewAssertionFile(f.tenant, f.Client, f.TokenFile, f.opts)
		if err == nil {
			f.made = made
		}
		return made, err
	}
	content, err := os.ReadFile(f.SecretFile + f.CertificateFile) // one of which is empty
	if err != nil {
		return nil, fmt.Errorf("read the credential of the API %s: %w", text.Shown(f.Client), err)
	}
	if f.made != nil && bytes.Equal(content, f.content) {
		return f.made, nil
	}
	made, err := f.make(content)
	if err != nil {
		return nil, fmt.Errorf("the credential of the API %s: %w", text.Shown(f.Client), err)
	}
	f.content, f.made = content, made
	return made, nil
}

func (f *fileCredential) make(content []byte) (azcore.TokenCredential, error) {
	if f.SecretFile != "" {
		return credential.NewSecret(f.tenant, f.Client, strings.TrimRight(string(content), "\r\n"), f.opts)
	}
	certificate, err := credential.ParseCertificate(content, "")
	if err != nil {
		return nil, err
	}
	return credential.NewCertificate(f.tenant, f.Client, certificate, f.opts)
}

// ownCredential is that of the environment: a secret, a certificate or a file with an assertion.
func (c *cli) ownCredential(tenant, client string, opts *credential.Options) (azcore.TokenCredential, error) {
	if secret, _ := c.Lookup("AZURE_CLIENT_SECRET"); secret != "" {
		return credential.NewSecret(tenant, client, secret, opts)
	}
	if path, _ := c.Lookup("AZURE_CLIENT_CERTIFICATE_PATH"); path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read AZURE_CLIENT_CERTIFICATE_PATH: %w", err)
		}
		password, _ := c.Lookup("AZURE_CLIENT_CERTIFICATE_PASSWORD")
		certificate, err := credential.ParseCertificate(content, password)
		if err != nil {
			return nil, err
		}
		return credential.NewCertificate(tenant, client, certificate, opts)
	}
	if path, _ := c.Lookup("AZURE_FEDERATED_TOKEN_FILE"); path != "" {
		return credential.NewAssertionFile(tenant, client, path, opts)
	}
	return nil, command.Failed("set AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE, as rolecall run --as NAME does", "there is no credential of the API's own application beside AZURE_CLIENT_ID")
}
