package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

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
	return diagnosed(&diagnostic{name: name, host: at.host, hide: hidden(tenantID, clientID, secret)}, func() (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(tenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions:            at.clientOptions(),
			DisableInstanceDiscovery: at.private,
		})
	})
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
	return diagnosed(&diagnostic{name: name, host: at.host, hide: hidden(tenantID, clientID)}, func() (azcore.TokenCredential, error) {
		return azidentity.NewClientCertificateCredential(tenantID, clientID, certificate.Chain, certificate.Key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions:            at.clientOptions(),
			DisableInstanceDiscovery: at.private,
			SendCertificateChain:     opts != nil && opts.SendCertificateChain,
		})
	})
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
	return diagnosed(&diagnostic{name: name, host: at.host, hide: hidden(tenantID, clientID)}, func() (azcore.TokenCredential, error) {
		return azidentity.NewClientAssertionCredential(tenantID, clientID, assertion, &azidentity.ClientAssertionCredentialOptions{
			ClientOptions:            at.clientOptions(),
			DisableInstanceDiscovery: at.private,
		})
	})
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

// A diagnostic turns the errors of a credential of another library into ours.
type diagnostic struct {
	name string
	host string   // the authority, or "" when the credential asks somebody else
	hide []string // what errors must not repeat
	made func() (azcore.TokenCredential, error)

	cred atomic.Value // an azcore.TokenCredential in a box; replaced by forget
}

type box struct{ azcore.TokenCredential }

func diagnosed(d *diagnostic, made func() (azcore.TokenCredential, error)) (azcore.TokenCredential, error) {
	cred, err := made()
	if err != nil {
		return nil, fmt.Errorf("%s credential: %w", d.name, err)
	}
	d.made = made
	d.cred.Store(box{cred})
	return d, nil
}

// GetToken implements azcore.TokenCredential.
func (d *diagnostic) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := d.cred.Load().(box).GetToken(ctx, opts)
	if err != nil {
		return azcore.AccessToken{}, diagnose(d.name, d.host, d.hide, err)
	}
	return token, nil
}

// forget drops the tokens that the library keeps, with the credential that keeps them.
func (d *diagnostic) forget() {
	if cred, err := d.made(); err == nil { // it was made of the same before
		d.cred.Store(box{cred})
	}
}
