// Package library gets tokens for an application through the client libraries that people
// use: the retired ADAL, MSAL, the connection strings of the App Authentication library, and
// Azure.Identity.
//
// It owns the choice of a library (`--way` of `rolecall token`), so that commands which act as
// an application request tokens exactly as the user's own program would. It refuses to own any
// protocol: each library does its own work and gives back an azcore.TokenCredential.
//
// Start at [Client.Credential].
package library

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/rolecall-auth/rolecall/credential"
)

// A Name names a library on the command line.
type Name string

// The libraries.
const (
	ADAL          Name = "adal"       // the v1 endpoint with resource=, as the retired library asked
	MSAL          Name = "msal"       // MSAL for Go
	AppAuth       Name = "appauth"    // a connection string: RunAs=App;AppId=…;AppKey=…
	AzureIdentity Name = "azidentity" // Azure.Identity for Go, on MSAL
)

// All lists the libraries, oldest first.
func All() []Name { return []Name{ADAL, MSAL, AppAuth, AzureIdentity} }

// Parse reads the name of a library.
func Parse(text string) (Name, error) {
	if name := Name(text); slices.Contains(All(), name) {
		return name, nil
	}
	names := make([]string, 0, len(All()))
	for _, name := range All() {
		names = append(names, string(name))
	}
	return "", fmt.Errorf("unknown library %q: choose one of %s", text, strings.Join(names, ", "))
}

// Implementation names the Go code behind the library. For ADAL and connection strings it is
// ours: there never was such a library for Go, or there is none any longer.
func (n Name) Implementation() string {
	switch n {
	case ADAL:
		return "credential.NewADAL"
	case MSAL:
		return "MSAL Go"
	case AppAuth:
		return "credential.Parse"
	default:
		return "azidentity"
	}
}

// A Client is an application that requests tokens, and where it requests them.
type Client struct {
	Authority string // "https://localhost:8443"
	HTTP      *http.Client
	TenantID  string
	ClientID  string
	// One of these proves its identity.
	Secret      string
	Certificate credential.Certificate
	Assertion   func(context.Context) (string, error) // returns a token of another issuer
}

// Credential returns the client's credential through one of the libraries.
func (c Client) Credential(name Name) (azcore.TokenCredential, error) {
	switch name {
	case ADAL:
		//nolint:staticcheck // deprecated for programs; showing the old library is the point here
		return credential.NewADAL(credential.ADALConfig{
			TenantID: c.TenantID, ClientID: c.ClientID, Secret: c.Secret, Certificate: c.Certificate, Options: c.options(),
		})
	case MSAL:
		return c.msal()
	case AppAuth:
		return credential.Parse(fmt.Sprintf("RunAs=App;AppId=%s;TenantId=%s;AppKey=%s", c.ClientID, c.TenantID, c.Secret), c.options())
	case AzureIdentity:
		return c.azureIdentity()
	default:
		_, err := Parse(string(name))
		return nil, err
	}
}

func (c Client) options() *credential.Options {
	return &credential.Options{AuthorityHost: c.Authority, HTTPClient: c.HTTP}
}

// azureIdentity uses Microsoft's package unmodified and directly.
func (c Client) azureIdentity() (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: c.Authority},
		Transport: c.HTTP,
		Retry:     policy.RetryOptions{MaxRetries: 1},
	}
	switch {
	case c.Assertion != nil:
		return azidentity.NewClientAssertionCredential(c.TenantID, c.ClientID, c.Assertion,
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	case c.Certificate.Key != nil:
		return azidentity.NewClientCertificateCredential(c.TenantID, c.ClientID, c.Certificate.Chain, c.Certificate.Key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	default:
		return azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, c.Secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	}
}

// msal uses Microsoft's library directly.
func (c Client) msal() (azcore.TokenCredential, error) {
	proof, err := c.msalProof()
	if err != nil {
		return nil, err
	}
	client, err := confidential.New(c.Authority+"/"+c.TenantID, c.ClientID, proof,
		confidential.WithHTTPClient(c.HTTP), confidential.WithInstanceDiscovery(false))
	if err != nil {
		return nil, err
	}
	return msalCredential{client}, nil
}

func (c Client) msalProof() (confidential.Credential, error) {
	if c.Certificate.Key == nil {
		return confidential.NewCredFromSecret(c.Secret)
	}
	return confidential.NewCredFromCert(c.Certificate.Chain, c.Certificate.Key)
}

// msalCredential adapts an MSAL client to azcore.TokenCredential.
type msalCredential struct{ client confidential.Client }

// GetToken implements azcore.TokenCredential.
func (m msalCredential) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	answer, err := m.client.AcquireTokenByCredential(ctx, opts.Scopes)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: answer.AccessToken, ExpiresOn: answer.ExpiresOn}, nil
}
