package compat

import (
	"context"
	"crypto"
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/go-autorest/autorest/adal"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
)

// A client is one library, pointed at the authority in the way its own
// documentation gives for a private cloud.
type client struct {
	name, module string

	secret      func(ctx context.Context, at authority, id, secret, resource string) (string, error)
	certificate func(ctx context.Context, at authority, id string, cert certificate, resource string) (string, error)
	// chain sends the certificates along (x5c); nil where the library cannot.
	chain func(ctx context.Context, at authority, id string, cert certificate, resource string) (string, error)

	// environment takes everything from the variables of `rolecall env`; nil
	// where the library reads none.
	environment func(ctx context.Context, resource string) (string, error)

	probe string   // what the probe knows the library by
	lacks []string // sources that the library does not have, or does not let anybody redirect

	// refusal is the answer of the authority as the library's own error type
	// carries it, and false for every other error.
	refusal func(error) (text string, ok bool)
}

// An authority is where a client asks: a host and a tenant in it.
type authority struct{ host, tenant string }

func clients() []client {
	return []client{
		{
			name:        "azidentity",
			module:      "github.com/Azure/azure-sdk-for-go/sdk/azidentity",
			secret:      azidentitySecret,
			certificate: azidentityCertificate(false),
			chain:       azidentityCertificate(true),
			environment: azidentityEnvironment,
			probe:       "azidentity",
			lacks:       []string{"IMDS"},
			refusal:     azidentityRefusal,
		},
		{
			name:        "MSAL Go",
			module:      "github.com/AzureAD/microsoft-authentication-library-for-go",
			secret:      msalSecret,
			certificate: msalCertificate(false),
			chain:       msalCertificate(true),
			probe:       "msal",
			lacks:       []string{"IMDS", "workload identity", "DefaultAzureCredential", "instead of a secret", "az", "azd"},
			refusal:     msalRefusal,
		},
		{
			name:        "ADAL Go",
			module:      "github.com/Azure/go-autorest/autorest/adal",
			secret:      adalSecret,
			certificate: adalCertificate,
			probe:       "adal",
			lacks: []string{
				"object id", "IMDS", "Azure ML", "Service Fabric", "Azure Arc", "workload identity", "DefaultAzureCredential", "instead of a secret", "az", "azd",
			},
			refusal: adalRefusal,
		},
	}
}

func azidentitySecret(ctx context.Context, at authority, id, secret, resource string) (string, error) {
	cred, err := azidentity.NewClientSecretCredential(at.tenant, id, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            azidentityCloud(at),
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		return "", err
	}
	return azidentityGet(ctx, cred, resource)
}

func azidentityCertificate(chain bool) func(context.Context, authority, string, certificate, string) (string, error) {
	return func(ctx context.Context, at authority, id string, cert certificate, resource string) (string, error) {
		cred, err := azidentity.NewClientCertificateCredential(at.tenant, id, cert.certs, cert.key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions:            azidentityCloud(at),
			DisableInstanceDiscovery: true,
			SendCertificateChain:     chain,
		})
		if err != nil {
			return "", err
		}
		return azidentityGet(ctx, cred, resource)
	}
}

func azidentityEnvironment(ctx context.Context, resource string) (string, error) {
	cred, err := azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		return "", err
	}
	return azidentityGet(ctx, cred, resource)
}

func azidentityCloud(at authority) azcore.ClientOptions {
	return azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: at.host}}
}

func azidentityGet(ctx context.Context, cred azcore.TokenCredential, resource string) (string, error) {
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	return token.Token, err
}

func azidentityRefusal(err error) (string, bool) {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) {
		return "", false
	}
	return failed.Error(), true
}

func msalSecret(ctx context.Context, at authority, id, secret, resource string) (string, error) {
	cred, err := msal.NewCredFromSecret(secret)
	if err != nil {
		return "", err
	}
	return msalGet(ctx, at, id, cred, resource)
}

func msalCertificate(chain bool) func(context.Context, authority, string, certificate, string) (string, error) {
	return func(ctx context.Context, at authority, id string, cert certificate, resource string) (string, error) {
		cred, err := msal.NewCredFromCert(cert.certs, crypto.PrivateKey(cert.key))
		if err != nil {
			return "", err
		}
		var options []msal.Option
		if chain {
			options = append(options, msal.WithX5C())
		}
		return msalGet(ctx, at, id, cred, resource, options...)
	}
}

func msalGet(ctx context.Context, at authority, id string, cred msal.Credential, resource string, options ...msal.Option) (string, error) {
	app, err := msal.New(at.host+"/"+at.tenant, id, cred, append(options, msal.WithInstanceDiscovery(false))...)
	if err != nil {
		return "", err
	}
	result, err := app.AcquireTokenByCredential(ctx, []string{resource + "/.default"})
	return result.AccessToken, err
}

func msalRefusal(err error) (string, bool) {
	var call msalerrors.CallErr
	if !errors.As(err, &call) {
		return "", false
	}
	return call.Error(), true
}

func adalSecret(ctx context.Context, at authority, id, secret, resource string) (string, error) {
	config, err := adal.NewOAuthConfig(at.host, at.tenant)
	if err != nil {
		return "", err
	}
	token, err := adal.NewServicePrincipalToken(*config, id, secret, resource)
	return adalGet(ctx, token, err)
}

func adalCertificate(ctx context.Context, at authority, id string, cert certificate, resource string) (string, error) {
	config, err := adal.NewOAuthConfig(at.host, at.tenant)
	if err != nil {
		return "", err
	}
	token, err := adal.NewServicePrincipalTokenFromCertificate(*config, id, cert.certs[0], cert.key, resource)
	return adalGet(ctx, token, err)
}

// adalGet also asks ADAL whether the token has expired: it knows that from the
// answer's expires_on alone.
func adalGet(ctx context.Context, token *adal.ServicePrincipalToken, err error) (string, error) {
	if err != nil {
		return "", err
	}
	token.SetSender(http.DefaultClient)
	if err := token.EnsureFreshWithContext(ctx); err != nil {
		return "", err
	}
	if token.Token().IsExpired() {
		return "", errors.New("ADAL takes the new token for an expired one")
	}
	return token.OAuthToken(), nil
}

func adalRefusal(err error) (string, bool) {
	var refresh adal.TokenRefreshError
	if !errors.As(err, &refresh) || refresh.Response() == nil {
		return "", false
	}
	return refresh.Error(), true
}
