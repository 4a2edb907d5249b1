package credential_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/oauth2"

	"github.com/rolecall-auth/rolecall/credential"
)

const (
	tenantID = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	clientID = "c11e0001-5a5a-4c4c-8d8d-000000000001"
)

// A daemon that calls an API as itself, with a client secret.
func ExampleNewTransport() {
	cred, err := credential.NewSecret(tenantID, clientID, os.Getenv("AZURE_CLIENT_SECRET"), nil)
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: credential.NewTransport(cred, "api://orders/.default")}
	resp, err := client.Get("https://orders.contoso.test/api/GetOrders")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
}

// A client that also calls other hosts says which one the token is for.
func ExampleTransport() {
	cred, err := credential.NewSecret(tenantID, clientID, os.Getenv("AZURE_CLIENT_SECRET"), nil)
	if err != nil {
		log.Fatal(err)
	}
	transport := credential.NewTransport(cred, "api://orders/.default")
	transport.Origin = "https://orders.contoso.test"
	client := &http.Client{Transport: transport}
	client.CloseIdleConnections()
}

func ExampleNewSecret() {
	// The same program runs against Microsoft Entra ID when AuthorityHost is left out.
	cred, err := credential.NewSecret(tenantID, clientID, os.Getenv("AZURE_CLIENT_SECRET"), &credential.Options{
		AuthorityHost: "https://localhost:8443",
		CABundle:      "ca-bundle.pem",
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("good until", token.ExpiresOn)
}

func ExampleNewCertificate() {
	certificate, err := credential.LoadCertificate("client.pem", "")
	if err != nil {
		log.Fatal(err)
	}
	cred, err := credential.NewCertificate(tenantID, clientID, certificate, &credential.Options{SendCertificateChain: true})
	if err != nil {
		log.Fatal(err)
	}
	_ = credential.Cached(cred)
}

func ExampleParseCertificate() {
	_, err := credential.ParseCertificate([]byte("-----BEGIN NOTHING-----"), "")
	fmt.Println(err != nil)
	// Output: true
}

func ExampleNewAssertion() {
	cred, err := credential.NewAssertion(tenantID, clientID, func(context.Context) (string, error) {
		return "a token of the issuer that the federated credential trusts", nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = credential.Cached(cred)
}

func ExampleNewAssertionFile() {
	cred, err := credential.NewAssertionFile(tenantID, clientID, os.Getenv("AZURE_FEDERATED_TOKEN_FILE"), nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = credential.Cached(cred)
}

func ExampleNewADAL() {
	cred, err := credential.NewADAL(credential.ADALConfig{
		TenantID: tenantID,
		ClientID: clientID,
		Secret:   os.Getenv("AZURE_CLIENT_SECRET"),
		Options:  &credential.Options{AuthorityHost: "https://localhost:8443"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = credential.Cached(cred)
}

// A connection string says which kind of credential it means. Errors name the part at
// fault and keep its value to themselves.
func ExampleParse() {
	_, err := credential.Parse("RunAs=App;AppId="+clientID+";AppKey=hush", nil)
	fmt.Println(err)
	// Output: connection string: TenantId is missing; give the id or a domain of the directory
}

func ExampleCached() {
	cred, err := credential.Parse(os.Getenv("AzureServicesAuthConnectionString"), nil)
	if err != nil {
		log.Fatal(err)
	}
	cache := credential.Cached(cred)
	defer cache.Close()
	token, err := cache.Token(context.Background(), "api://orders/.default")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(token))
}

func ExampleCache_TokenSource() {
	cred, err := credential.NewSecret(tenantID, clientID, os.Getenv("AZURE_CLIENT_SECRET"), nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	client := oauth2.NewClient(ctx, credential.Cached(cred).TokenSource(ctx, "api://orders/.default"))
	client.CloseIdleConnections()
}

func ExampleError() {
	cred, err := credential.NewSecret(tenantID, clientID, os.Getenv("AZURE_CLIENT_SECRET"), nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})
	var refused *credential.Error
	if errors.As(err, &refused) && refused.Code == "AADSTS7000215" {
		fmt.Println(refused.Next)
	}
}

// What a connection string says, without its secret, and why Parse would refuse it.
func ExampleDescribe() {
	connection := credential.Describe("RunAs=App;AppId=" + clientID + ";AppKey=not-shown")
	fmt.Println(connection.Kind, connection.Value("AppId"), connection.Missing)
	for _, part := range connection.Parts {
		fmt.Printf("%s %q %v\n", part.Key, part.Value, part.Secret)
	}
	fmt.Println(connection.Err != nil)
	// Output:
	// secret c11e0001-5a5a-4c4c-8d8d-000000000001 [TenantId]
	// RunAs "App" false
	// AppId "c11e0001-5a5a-4c4c-8d8d-000000000001" false
	// AppKey "" true
	// true
}

// What AzureServiceTokenProvider finds without any setting in the code.
func ExampleParseEnvironment() {
	// AzureServicesAuthConnectionString=RunAs=App;AppId=…;TenantId=…;AppKey=…
	cred, err := credential.ParseEnvironment(nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = &http.Client{Transport: credential.NewTransport(cred, "api://orders/.default")}
}
