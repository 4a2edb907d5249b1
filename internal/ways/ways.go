// Package ways is the ways in which an application gets a token, each through the library
// that people use for it: the retired ADAL, MSAL, the connection strings of the App
// Authentication library, and Azure.Identity.
//
// Commands that act as an application (`rolecall token`, `call`, `demo`) share it, so they
// ask exactly as the user's own program would. It owns no protocol: every way hands over to
// a library and gives back an azcore.TokenCredential.
package ways

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

// A Way names a library.
type Way string

// The ways.
const (
	ADAL          Way = "adal"       // the v1 endpoint with resource=, as the retired library asked
	MSAL          Way = "msal"       // MSAL for Go
	AppAuth       Way = "appauth"    // a connection string: RunAs=App;AppId=…;AppKey=…
	AzureIdentity Way = "azidentity" // Azure.Identity for Go, on MSAL
)

// All lists the ways in the order they came into the world.
func All() []Way { return []Way{ADAL, MSAL, AppAuth, AzureIdentity} }

// Parse returns the way with that name.
func Parse(name string) (Way, error) {
	if way := Way(name); slices.Contains(All(), way) {
		return way, nil
	}
	names := make([]string, 0, len(All()))
	for _, way := range All() {
		names = append(names, string(way))
	}
	return "", fmt.Errorf("unknown way %q; there are %s", name, strings.Join(names, ", "))
}

// Library names the Go code that a way goes through. The first and the third are ours:
// there was no such library for Go, or is no longer.
func (w Way) Library() string {
	switch w {
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

// A Client is an application that asks for tokens, and where it asks.
type Client struct {
	Authority string // "https://localhost:8443"
	HTTP      *http.Client
	TenantID  string
	ClientID  string
	// One of these proves who it is.
	Secret      string
	Certificate credential.Certificate
	Assertion   func(context.Context) (string, error) // a token of another issuer
}

// Credential returns the client's credential by one of the ways.
func (c Client) Credential(way Way) (azcore.TokenCredential, error) {
	switch way {
	case ADAL:
		//nolint:staticcheck // deprecated for programs; showing the old way is the point here
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
		_, err := Parse(string(way))
		return nil, err
	}
}

func (c Client) options() *credential.Options {
	return &credential.Options{AuthorityHost: c.Authority, HTTPClient: c.HTTP}
}

// azureIdentity uses Microsoft's package as it is, without ours around it.
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

// msalCredential makes an azcore.TokenCredential of an MSAL client.
type msalCredential struct{ client confidential.Client }

// GetToken implements azcore.TokenCredential.
func (m msalCredential) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	answer, err := m.client.AcquireTokenByCredential(ctx, opts.Scopes)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: answer.AccessToken, ExpiresOn: answer.ExpiresOn}, nil
}
