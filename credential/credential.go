package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// NewSecret returns a credential that proves an application by its client secret, at
// the v2 endpoint, through Azure.Identity and MSAL.
func NewSecret(tenantID, clientID, secret string, opts *Options) (azcore.TokenCredential, error) {
	const name = "client secret"
	at, err := prepare(name, tenantID, clientID, opts)
	if err != nil {
		return nil, err
	}
	if secret == "" {
		return nil, fmt.Errorf("%s credential: the secret is empty; give the value that was shown when it was made", name)
	}
	cred, err := azidentity.NewClientSecretCredential(tenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            at.clientOptions(),
		DisableInstanceDiscovery: at.private,
	})
	return diagnosed(name, at.host, cred, err)
}

// NewCertificate returns a credential that proves an application by the private key of
// a certificate registered for it, at the v2 endpoint, through Azure.Identity and MSAL.
func NewCertificate(tenantID, clientID string, certificate Certificate, opts *Options) (azcore.TokenCredential, error) {
	const name = "client certificate"
	at, err := prepare(name, tenantID, clientID, opts)
	if err != nil {
		return nil, err
	}
	if err := certificate.check(); err != nil {
		return nil, fmt.Errorf("%s credential: %w", name, err)
	}
	cred, err := azidentity.NewClientCertificateCredential(tenantID, clientID, certificate.Chain, certificate.Key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions:            at.clientOptions(),
		DisableInstanceDiscovery: at.private,
		SendCertificateChain:     opts != nil && opts.SendCertificateChain,
	})
	return diagnosed(name, at.host, cred, err)
}

// NewAssertion returns a credential that proves an application by a token of another
// issuer, which the application's federated credential trusts. The function is called
// once for each token request, by several goroutines at a time.
func NewAssertion(tenantID, clientID string, assertion func(context.Context) (string, error), opts *Options) (azcore.TokenCredential, error) {
	const name = "federated"
	at, err := prepare(name, tenantID, clientID, opts)
	if err != nil {
		return nil, err
	}
	if assertion == nil {
		return nil, errors.New("federated credential: there is no function that returns an assertion")
	}
	cred, err := azidentity.NewClientAssertionCredential(tenantID, clientID, assertion, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions:            at.clientOptions(),
		DisableInstanceDiscovery: at.private,
	})
	return diagnosed(name, at.host, cred, err)
}

// NewAssertionFile is NewAssertion with an assertion that others keep fresh in a file,
// as Kubernetes does for AZURE_FEDERATED_TOKEN_FILE. The file is read for each token request.
func NewAssertionFile(tenantID, clientID, path string, opts *Options) (azcore.TokenCredential, error) {
	if path == "" {
		return nil, errors.New("federated credential: no assertion file is named; AZURE_FEDERATED_TOKEN_FILE often holds its path")
	}
	return NewAssertion(tenantID, clientID, func(context.Context) (string, error) {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read assertion: %w", err)
		}
		if assertion := strings.TrimSpace(string(content)); assertion != "" {
			return assertion, nil
		}
		return "", fmt.Errorf("assertion file %s is empty", path)
	}, opts)
}

// prepare checks what all of the credentials above need.
func prepare(name, tenantID, clientID string, opts *Options) (endpoint, error) {
	at, err := opts.resolve()
	if err == nil {
		err = at.forMSAL()
	}
	if err == nil {
		err = checkIdentity(tenantID, clientID)
	}
	if err != nil {
		return endpoint{}, fmt.Errorf("%s credential: %w", name, err)
	}
	return at, nil
}

func checkIdentity(tenantID, clientID string) error {
	if tenantID == "" {
		return errors.New("the tenant id is empty; give the GUID or a domain of the directory")
	}
	if strings.ContainsFunc(tenantID, notTenant) {
		return errors.New("the tenant id has characters that none has; give the GUID or a domain of the directory")
	}
	if clientID == "" {
		return errors.New("the client id is empty; give the application (client) id of the registration")
	}
	return nil
}

func notTenant(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '.' && r != '-'
}

// diagnostic turns the errors of a credential of another library into ours.
type diagnostic struct {
	name string
	host string // the authority, or "" when the credential asks somebody else
	cred azcore.TokenCredential
}

func diagnosed(name, host string, cred azcore.TokenCredential, err error) (azcore.TokenCredential, error) {
	if err != nil {
		return nil, fmt.Errorf("%s credential: %w", name, err)
	}
	return &diagnostic{name: name, host: host, cred: cred}, nil
}

// GetToken implements azcore.TokenCredential.
func (d *diagnostic) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := d.cred.GetToken(ctx, opts)
	if err != nil {
		return azcore.AccessToken{}, diagnose(d.name, d.host, err)
	}
	return token, nil
}
