package authoritytest_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
)

// An application without any secret: its managed identity gets a token for the token
// exchange, which Microsoft's library presents as the application's assertion.
func TestIdentityProvesAnApplication(t *testing.T) {
	login := authoritytest.Start(t)
	api := newAPI()
	identity := login.Identity("report-mi", newAPI())
	login.Grant("report", api, "Orders.Read")
	login.Trust("report", login.URL+"/"+authoritytest.TenantID+"/v2.0", identity.ObjectID)
	setEnvironment(t, identity.Environment("app-service"))
	managed := managedIdentity(t, "", nil)
	options := &azidentity.ClientAssertionCredentialOptions{DisableInstanceDiscovery: true}
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: login.URL}
	options.Transport = login.HTTPClient()
	assertion := func(ctx context.Context) (string, error) {
		token, err := managed.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"api://AzureADTokenExchange/.default"}})
		return token.Token, err
	}
	application, err := azidentity.NewClientAssertionCredential(authoritytest.TenantID, login.App("report").ClientID, assertion, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := application.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{login.API(api).Identifier + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if status := callAPI(t, login.API(api), token.Token); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
	own, err := assertion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status := callAPI(t, login.API(api), own); status == http.StatusOK {
		t.Error("the API takes the assertion itself")
	}
}
