// Command probe is a program as a user of Azure's libraries for Go writes it: it gets a
// token as the identity that its environment gives it, and prints it.
//
//	probe azidentity|msal|adal system
//	probe azidentity|msal|adal client|object|resource ID
//	probe azidentity assertion ID
//	probe azidentity workload|default|az|azd
//
// A refusal that the library reports in an error type of its own is exit code 3, with the
// text on stderr; everything else that goes wrong is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/go-autorest/autorest/adal"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: probe LIBRARY WAY [ID]")
		os.Exit(2)
	}
	library, way, id := os.Args[1], os.Args[2], ""
	if len(os.Args) > 3 {
		id = os.Args[3]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	token, err := ask(ctx, library, way, id, os.Getenv("COMPAT_V2_RESOURCE"))
	switch {
	case err == nil:
		fmt.Println(token)
	case isOwn(err):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	default:
		fmt.Fprintf(os.Stderr, "%T: %v\n", err, err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, library, way, id, resource string) (string, error) {
	switch library {
	case "azidentity":
		credential, err := azureCredential(way, id)
		if err != nil {
			return "", err
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
		return token.Token, err
	case "msal":
		client, err := msal.New(msalID(way, id))
		if err != nil {
			return "", err
		}
		result, err := client.AcquireToken(ctx, resource)
		return result.AccessToken, err
	case "adal":
		token, err := adal.NewServicePrincipalTokenFromManagedIdentity(resource, adalID(way, id))
		if err != nil {
			return "", err
		}
		token.SetSender(http.DefaultClient)
		err = token.EnsureFreshWithContext(ctx)
		return token.OAuthToken(), err
	}
	return "", fmt.Errorf("no library %q", library)
}

func azureCredential(way, id string) (azcore.TokenCredential, error) {
	switch way {
	case "workload":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{DisableInstanceDiscovery: true})
	case "default":
		return azidentity.NewDefaultAzureCredential(nil)
	case "az":
		return azidentity.NewAzureCLICredential(nil)
	case "azd":
		return azidentity.NewAzureDeveloperCLICredential(nil)
	}
	if way == "assertion" {
		return assertionCredential(id)
	}
	options := &azidentity.ManagedIdentityCredentialOptions{}
	switch way {
	case "client":
		options.ID = azidentity.ClientID(id)
	case "object":
		options.ID = azidentity.ObjectID(id)
	case "resource":
		options.ID = azidentity.ResourceID(id)
	}
	return azidentity.NewManagedIdentityCredential(options)
}

// assertionCredential proves the application by tokens of a managed identity.
func assertionCredential(id string) (azcore.TokenCredential, error) {
	identity, err := azureCredential("client", id)
	if err != nil {
		return nil, err
	}
	assertion := func(ctx context.Context) (string, error) {
		token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://AzureADTokenExchange/.default"}})
		return token.Token, err
	}
	return azidentity.NewClientAssertionCredential(os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), assertion,
		&azidentity.ClientAssertionCredentialOptions{DisableInstanceDiscovery: true})
}

func msalID(way, id string) msal.ID {
	switch way {
	case "client":
		return msal.UserAssignedClientID(id)
	case "object":
		return msal.UserAssignedObjectID(id)
	case "resource":
		return msal.UserAssignedResourceID(id)
	}
	return msal.SystemAssigned()
}

func adalID(way, id string) *adal.ManagedIdentityOptions {
	switch way {
	case "client":
		return &adal.ManagedIdentityOptions{ClientID: id}
	case "resource":
		return &adal.ManagedIdentityOptions{IdentityResourceID: id}
	}
	return &adal.ManagedIdentityOptions{}
}

func isOwn(err error) bool {
	var failed *azidentity.AuthenticationFailedError
	var unavailable interface{ NonRetriable() } // azidentity does not export the type
	var call msalerrors.CallErr
	var refresh adal.TokenRefreshError
	return errors.As(err, &failed) || errors.As(err, &unavailable) || errors.As(err, &call) || errors.As(err, &refresh)
}
