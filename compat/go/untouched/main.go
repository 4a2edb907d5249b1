// Command untouched asks for tokens as programs for Microsoft's cloud do: with the public
// authority in their source, or none at all, and no option set. It prints what came of each
// way, for each of its libraries that has it:
//
//	untouched WAY...
//
// A line is client, version, way, "token" or "refused" or "error", and the token or what the
// library said, with tabs between them.
package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/go-autorest/autorest/adal"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

const authority = "https://login.microsoftonline.com/"

var (
	tenant   = os.Getenv("AZURE_TENANT_ID")
	clientID = os.Getenv("AZURE_CLIENT_ID")
	secret   = os.Getenv("AZURE_CLIENT_SECRET")
	api      = os.Getenv("COMPAT_V2_RESOURCE")
	apiV1    = os.Getenv("COMPAT_V1_RESOURCE")
)

// A way gets a token.
type way func(context.Context) (string, error)

// A client is a library and the ways that it has.
type client struct {
	name, module string
	ways         map[string]way
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, c := range []client{azureIdentity(), msalGo(), adalGo()} {
		for _, name := range os.Args[1:] {
			if get, ok := c.ways[name]; ok {
				outcome, text := ask(ctx, get)
				fmt.Println(strings.Join([]string{c.name, version(c.module), name, outcome, strings.Join(strings.Fields(text), " ")}, "\t"))
			}
		}
	}
}

func ask(ctx context.Context, get way) (outcome, text string) {
	token, err := get(ctx)
	switch {
	case err == nil:
		return "token", token
	case isOwn(err):
		return "refused", err.Error()
	default:
		return "error", fmt.Sprintf("%T: %v", err, err)
	}
}

func azureIdentity() client {
	get := func(cred azcore.TokenCredential, err error) way {
		return func(ctx context.Context) (string, error) {
			if err != nil {
				return "", err
			}
			token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{api + "/.default"}})
			return token.Token, err
		}
	}
	withSecret := func(tenant, secret, api string) way {
		return func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewClientSecretCredential(tenant, clientID, secret, nil)
			if err != nil {
				return "", err
			}
			token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{api + "/.default"}})
			return token.Token, err
		}
	}
	withCertificate := func(variable string, chain bool) way {
		return func(ctx context.Context) (string, error) {
			key, certs, err := readCertificate(variable)
			if err != nil {
				return "", err
			}
			cred, err := azidentity.NewClientCertificateCredential(tenant, clientID, certs, key,
				&azidentity.ClientCertificateCredentialOptions{SendCertificateChain: chain})
			return get(cred, err)(ctx)
		}
	}
	managed := func(ctx context.Context) (string, error) {
		cred, err := azidentity.NewManagedIdentityCredential(nil)
		return get(cred, err)(ctx)
	}
	return client{"azidentity", "github.com/Azure/azure-sdk-for-go/sdk/azidentity", map[string]way{
		"secret":            withSecret(tenant, secret, api),
		"certificate":       withCertificate("COMPAT_CERT", false),
		"certificate chain": withCertificate("COMPAT_CHAIN", true),
		"environment": func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewEnvironmentCredential(nil)
			return get(cred, err)(ctx)
		},
		"DefaultAzureCredential": func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewDefaultAzureCredential(nil)
			return get(cred, err)(ctx)
		},
		"v1.0 token":       withSecret(tenant, secret, apiV1),
		"wrong secret":     withSecret(tenant, wrongSecret, api),
		"unknown tenant":   withSecret(unknownTenant, secret, api),
		"managed identity": managed,
		"IMDS":             managed,
		"workload identity": func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewWorkloadIdentityCredential(nil)
			return get(cred, err)(ctx)
		},
		"az": func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewAzureCLICredential(nil)
			return get(cred, err)(ctx)
		},
		"azd": func(ctx context.Context) (string, error) {
			cred, err := azidentity.NewAzureDeveloperCLICredential(nil)
			return get(cred, err)(ctx)
		},
	}}
}

const (
	wrongSecret   = "not-the-secret-of-this-client"
	unknownTenant = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77"
)

func msalGo() client {
	get := func(tenant string, cred msal.Credential, err error, api string, options ...msal.Option) way {
		return func(ctx context.Context) (string, error) {
			if err != nil {
				return "", err
			}
			app, err := msal.New(authority+tenant, clientID, cred, options...)
			if err != nil {
				return "", err
			}
			result, err := app.AcquireTokenByCredential(ctx, []string{api + "/.default"})
			return result.AccessToken, err
		}
	}
	withSecret := func(tenant, secret, api string) way {
		cred, err := msal.NewCredFromSecret(secret)
		return get(tenant, cred, err, api)
	}
	withCertificate := func(variable string, options ...msal.Option) way {
		return func(ctx context.Context) (string, error) {
			key, certs, err := readCertificate(variable)
			if err != nil {
				return "", err
			}
			cred, err := msal.NewCredFromCert(certs, key)
			return get(tenant, cred, err, api, options...)(ctx)
		}
	}
	managed := func(ctx context.Context) (string, error) {
		app, err := managedidentity.New(managedidentity.SystemAssigned())
		if err != nil {
			return "", err
		}
		result, err := app.AcquireToken(ctx, api)
		return result.AccessToken, err
	}
	return client{"MSAL Go", "github.com/AzureAD/microsoft-authentication-library-for-go", map[string]way{
		"secret":            withSecret(tenant, secret, api),
		"certificate":       withCertificate("COMPAT_CERT"),
		"certificate chain": withCertificate("COMPAT_CHAIN", msal.WithX5C()),
		"v1.0 token":        withSecret(tenant, secret, apiV1),
		"wrong secret":      withSecret(tenant, wrongSecret, api),
		"unknown tenant":    withSecret(unknownTenant, secret, api),
		"managed identity":  managed,
		"IMDS":              managed,
	}}
}

func adalGo() client {
	// ADAL knows by the answer's expires_on alone whether the token has expired.
	get := func(ctx context.Context, token *adal.ServicePrincipalToken, err error) (string, error) {
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
	withSecret := func(tenant, secret, api string) way {
		return func(ctx context.Context) (string, error) {
			config, err := adal.NewOAuthConfig(authority, tenant)
			if err != nil {
				return "", err
			}
			token, err := adal.NewServicePrincipalToken(*config, clientID, secret, api)
			return get(ctx, token, err)
		}
	}
	managed := func(ctx context.Context) (string, error) {
		token, err := adal.NewServicePrincipalTokenFromManagedIdentity(api, &adal.ManagedIdentityOptions{})
		return get(ctx, token, err)
	}
	return client{"ADAL Go", "github.com/Azure/go-autorest/autorest/adal", map[string]way{
		"secret": withSecret(tenant, secret, api),
		"certificate": func(ctx context.Context) (string, error) {
			key, certs, err := readCertificate("COMPAT_CERT")
			if err != nil {
				return "", err
			}
			config, err := adal.NewOAuthConfig(authority, tenant)
			if err != nil {
				return "", err
			}
			token, err := adal.NewServicePrincipalTokenFromCertificate(*config, clientID, certs[0], key, api)
			return get(ctx, token, err)
		},
		"v1.0 token":       withSecret(tenant, secret, apiV1),
		"wrong secret":     withSecret(tenant, wrongSecret, api),
		"unknown tenant":   withSecret(unknownTenant, secret, api),
		"managed identity": managed,
		"IMDS":             managed,
	}}
}

// readCertificate reads a PEM file of one PKCS #8 key and its certificates.
func readCertificate(variable string) (*rsa.PrivateKey, []*x509.Certificate, error) {
	contents, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		return nil, nil, err
	}
	certs, key, err := azidentity.ParseCertificates(contents, nil)
	if err != nil {
		return nil, nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New(variable + " holds no RSA key")
	}
	return private, certs, nil
}

// version tells which version of a module this program was built with.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	return "unknown"
}

// isOwn reports whether an error is of a library's own types.
func isOwn(err error) bool {
	var failed *azidentity.AuthenticationFailedError
	var unavailable interface{ NonRetriable() } // azidentity does not export the type
	var call msalerrors.CallErr
	var refresh adal.TokenRefreshError
	return errors.As(err, &failed) || errors.As(err, &unavailable) || errors.As(err, &call) || errors.As(err, &refresh)
}
