package terraformtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A world is a server with a tenant in which one application, Terraform's own, may do everything
// that the providers do, and a provider that is set up for it.
type world struct {
	*provider
	server *server.Server
	dir    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: fixture.NewKeys()})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{server: s, dir: dir, provider: &provider{
		client: &http.Client{Transport: transport}, metadata: s.Endpoints().ResourceManager,
	}}
	w.addTerraform(t)
	return w
}

// tokenRequest asks for a token and returns the status and the token.
func (w *world) tokenRequest(t *testing.T, clientID, secret, scope string) (status int, token string) {
	t.Helper()
	response, err := w.client.PostForm(w.login+"/"+w.tenant+"/oauth2/v2.0/token", url.Values{
		"client_id": {clientID}, "client_secret": {secret}, "grant_type": {"client_credentials"}, "scope": {scope},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer.Token
}

// serveOrders runs the Orders API behind its guard, and returns the URL that requires
// Orders.Read.
func (w *world) serveOrders(t *testing.T, appID string) string {
	t.Helper()
	handler, err := orders.NewServer(t.Context(), orders.ServerConfig{
		AuthorityHost: w.login, TenantID: w.tenant, AppID: appID, Audience: []string{apiURI}, HTTPClient: w.client,
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(handler)
	t.Cleanup(api.Close)
	return api.URL + "/api/GetOrders"
}

// call calls an API and returns the status.
func (w *world) call(t *testing.T, at, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection ends in time
	_ = response.Body.Close()
	return response.StatusCode
}

// identityToken gets a token for the API as a program does that runs as a managed identity.
func (w *world) identityToken(t *testing.T, name string) string {
	t.Helper()
	binding, err := server.Bind(t.Context(), w.dir, server.BindRequest{Tenant: w.tenant, As: name, Via: "app-service"})
	if err != nil {
		t.Fatal(err)
	}
	defer binding.Close()
	at := binding.Environment["IDENTITY_ENDPOINT"] + "?" + url.Values{
		"api-version": {"2019-08-01"}, "resource": {apiURI}, "client_id": {string(binding.ClientID)},
	}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-IDENTITY-HEADER", binding.Environment["IDENTITY_HEADER"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the identity endpoint answers %d, %v", response.StatusCode, err)
	}
	return answer.Token
}

// A certificate is what Terraform's provider tls would have made.
type certificate struct {
	parsed     *x509.Certificate
	key        *rsa.PrivateKey
	pem        []byte
	start, end string
}

func newCertificate(t *testing.T, name string) certificate {
	t.Helper()
	key, err := fixture.NewKeys()()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(240 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate{
		parsed, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		template.NotBefore.Format(time.RFC3339), template.NotAfter.Format(time.RFC3339),
	}
}

// signsIn holds that a client gets a token by its certificate, through Microsoft's own library.
func (w *world) signsIn(t *testing.T, clientID string, c certificate) {
	t.Helper()
	credential, err := azidentity.NewClientCertificateCredential(w.tenant, clientID, []*x509.Certificate{c.parsed}, c.key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.login}, Transport: w.client,
			Retry: policy.RetryOptions{MaxRetries: -1},
		},
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{w.graph + "/.default"}}); err != nil {
		t.Errorf("%s by its certificate: %v", clientID, err)
	}
}

// addTerraform makes the tenant and Terraform's own application.
func (w *world) addTerraform(t *testing.T) {
	t.Helper()
	const tenant = fixture.TenantID
	w.tenant, w.clientID = string(tenant), "c11e0001-5a5a-4c4c-8d8d-00000000007f"
	_, err := w.server.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{ID: tenant, Name: "contoso", Domains: []string{"contoso.test"}, Enabled: true}); err != nil {
			return err
		}
		app, err := e.Applications().Create(directory.Application{Tenant: tenant, AppID: directory.AppID(w.clientID), Name: "terraform"})
		if err != nil {
			return err
		}
		principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant, AppID: app.AppID})
		if err != nil {
			return err
		}
		if _, w.secret, err = e.Credentials().AddSecret(tenant, app.ID, "test", time.Time{}); err != nil {
			return err
		}
		graph, err := e.Applications().FindAPI(tenant, graphAppID)
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().FindAPI(tenant, graphAppID)
		if err != nil {
			return err
		}
		for _, value := range []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All"} {
			role, ok := graph.Role(value)
			if !ok {
				return fmt.Errorf("Microsoft Graph has no role %s", value)
			}
			if _, _, err := e.Assignments().Add(tenant, principal.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
