package authoritytest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
)

// apis counts the APIs of all tests: MSAL for Go keeps the tokens of managed identities for
// the whole process, by resource, so no two tests may ask for the same one.
var apis atomic.Int64

func newAPI() string { return fmt.Sprintf("orders-%d", apis.Add(1)) }

// setEnvironment sets these variables of hosts and none besides.
func setEnvironment(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, name := range []string{
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
		"DEFAULT_IDENTITY_CLIENT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_TOKEN_CREDENTIALS", "AZURE_CLIENT_ID",
	} {
		t.Setenv(name, environment[name])
		if environment[name] == "" {
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// loopbackOnly fails for every other address, whatever a client library thinks of.
func loopbackOnly(t *testing.T, proxy string) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
			return nil, fmt.Errorf("a test must not dial %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	if proxy != "" {
		at, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(at)
	}
	return &http.Client{Transport: transport}
}

// managedIdentity makes azidentity's credential, as it is but for where it may dial and how
// long it waits.
func managedIdentity(t *testing.T, proxy string, id azidentity.ManagedIDKind) azcore.TokenCredential {
	t.Helper()
	options := &azidentity.ManagedIdentityCredentialOptions{ID: id}
	options.Transport = loopbackOnly(t, proxy)
	options.Retry = policy.RetryOptions{MaxRetries: 3, RetryDelay: time.Millisecond, MaxRetryDelay: 5 * time.Millisecond}
	credential, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

func tokenFor(t *testing.T, credential azcore.TokenCredential, api *authoritytest.API) (azcore.AccessToken, error) {
	t.Helper()
	return credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{api.Scope()}})
}

// callAPI sends a token to the API and returns the status.
func callAPI(t *testing.T, api *authoritytest.API, token string) int {
	t.Helper()
	server := httptest.NewServer(api.Require("Orders.Read", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestManagedIdentityCredential(t *testing.T) {
	login := authoritytest.Start(t)
	for _, host := range []string{"app-service", "azure-ml", "cloud-shell", "service-fabric", "imds"} {
		t.Run(host, func(t *testing.T) {
			api := newAPI()
			environment := login.Identity("orders-client-mi", api, "Orders.Read").Environment(host)
			proxy := environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"] // which azidentity ignores
			setEnvironment(t, environment)
			token, err := tokenFor(t, managedIdentity(t, proxy, nil), login.API(api))
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.ExpiresOn); left < 23*time.Hour {
				t.Errorf("the token lives %v", left)
			}
			if status := callAPI(t, login.API(api), token.Token); status != http.StatusOK {
				t.Errorf("the API answers %d", status)
			}
		})
	}
}

func TestManagedIdentityCredentialWithIDs(t *testing.T) {
	login := authoritytest.Start(t)
	for _, host := range []string{"app-service", "imds"} {
		api := newAPI()
		system, user := login.Identity("orders-client-mi", api), login.UserAssignedIdentity("orders-user-mi", api, "Orders.Read")
		environment := system.Environment(host, user)
		for name, id := range map[string]azidentity.ManagedIDKind{
			"client": azidentity.ClientID(user.ClientID), "object": azidentity.ObjectID(user.ObjectID), "resource": azidentity.ResourceID(user.ResourceID),
		} {
			t.Run(host+"/"+name, func(t *testing.T) {
				setEnvironment(t, environment)
				token, err := tokenFor(t, managedIdentity(t, environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"], id), login.API(api))
				if err != nil {
					t.Fatal(err)
				}
				if status := callAPI(t, login.API(api), token.Token); status != http.StatusOK {
					t.Errorf("the API answers %d", status)
				}
			})
		}
		t.Run(host+"/not assigned", func(t *testing.T) {
			stranger := login.UserAssignedIdentity("stranger-"+host, api, "Orders.Read")
			setEnvironment(t, environment)
			_, err := tokenFor(t, managedIdentity(t, environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"], azidentity.ClientID(stranger.ClientID)), login.API(api))
			if err == nil || !strings.Contains(err.Error(), "Identity not found") {
				t.Errorf("got %v, want Identity not found", err)
			}
		})
	}
}

func TestIdentityWithoutItsGrant(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := newAPI()
	identity := login.Identity("orders-client-mi", api, "Orders.Read")
	if status := callAPI(t, login.API(api), identity.Token(api)); status != http.StatusOK {
		t.Errorf("with the role: the API answers %d", status)
	}
	login.Revoke("orders-client-mi", api, "Orders.Read")
	if status := callAPI(t, login.API(api), identity.Token(api)); status != http.StatusForbidden {
		t.Errorf("without the role: the API answers %d", status)
	}
}

func TestDefaultAzureCredential(t *testing.T) {
	login := authoritytest.Start(t)
	api := newAPI()
	login.Identity("orders-client-mi", api, "Orders.Read").SetEnvironment()
	if got := os.Getenv("AZURE_TOKEN_CREDENTIALS"); got != "ManagedIdentityCredential" {
		t.Fatalf("AZURE_TOKEN_CREDENTIALS is %q: the credential would look around", got)
	}
	credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: loopbackOnly(t, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokenFor(t, credential, login.API(api))
	if err != nil {
		t.Fatal(err)
	}
	if status := callAPI(t, login.API(api), token.Token); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
}

func TestEnvironmentOfEveryHost(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	identity := login.Identity("orders-client-mi", newAPI())
	for host, want := range map[string]string{
		"app-service":    "AZURE_TOKEN_CREDENTIALS IDENTITY_ENDPOINT IDENTITY_HEADER MSI_ENDPOINT MSI_SECRET",
		"azure-ml":       "AZURE_TOKEN_CREDENTIALS DEFAULT_IDENTITY_CLIENT_ID MSI_ENDPOINT MSI_SECRET",
		"cloud-shell":    "AZURE_TOKEN_CREDENTIALS MSI_ENDPOINT",
		"imds":           "AZURE_POD_IDENTITY_AUTHORITY_HOST AZURE_TOKEN_CREDENTIALS MSAL_MANAGED_IDENTITY_ENDPOINT",
		"service-fabric": "AZURE_TOKEN_CREDENTIALS IDENTITY_API_VERSION IDENTITY_ENDPOINT IDENTITY_HEADER IDENTITY_SERVER_THUMBPRINT",
		"cli":            "AZD_AUTH_ENDPOINT AZD_AUTH_KEY",
	} {
		if got := strings.Join(slicesSorted(identity.Environment(host)), " "); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func slicesSorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func TestIdentityFaults(t *testing.T) {
	login := authoritytest.Start(t)
	for name, tt := range map[string]struct {
		faults []string
		ok     bool
	}{
		"told to wait twice": {[]string{"identity:429,times=1", "identity:503,times=1"}, true},
		"always down":        {[]string{"identity:500"}, false},
		"gone away":          {[]string{"identity:404"}, false},
		"dropped once":       {[]string{"identity:drop,times=1"}, true},
		"slow":               {[]string{"identity:delay=1ms"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI()
			login.Identity("orders-client-mi", api, "Orders.Read").SetEnvironment()
			login.Fault(tt.faults...)
			defer login.Fault()
			if _, err := tokenFor(t, managedIdentity(t, "", nil), login.API(api)); (err == nil) != tt.ok {
				t.Errorf("got %v, want a token: %t", err, tt.ok)
			}
		})
	}
}

func TestFaultsAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	login := authoritytest.Start(t, authoritytest.Logs(slog.New(slog.NewTextHandler(&log, nil))))
	api := newAPI()
	environment := login.Identity("orders-client-mi", api, "Orders.Read").Environment("app-service")
	login.Fault("identity:503")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, environment["IDENTITY_ENDPOINT"], nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if want := "fault=identity:503 listener=" + request.URL.Host + "\n"; !strings.Contains(log.String(), want) {
		t.Errorf("%s is not in the log: %s", want, log.String())
	}
}

func TestExpiredTokens(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := newAPI()
	environment := login.Identity("orders-client-mi", api, "Orders.Read").Environment("app-service")
	ask := func() map[string]string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, environment["IDENTITY_ENDPOINT"]+"?api-version=2019-08-01&resource="+url.QueryEscape(login.API(api).Identifier), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-IDENTITY-HEADER", environment["IDENTITY_HEADER"])
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body := map[string]string{}
		if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return body
	}
	good := ask()["access_token"]
	login.Fault("identity:expired,times=1", "token:expired,times=1")
	if body := ask(); body["expires_in"] != "0" || callAPI(t, login.API(api), body["access_token"]) != http.StatusUnauthorized {
		t.Errorf("expires_in is %s, or the API takes the token", body["expires_in"])
	}
	if status := callAPI(t, login.API(api), ask()["access_token"]); status != http.StatusOK || callAPI(t, login.API(api), good) != http.StatusOK {
		t.Errorf("after the fault: the API answers %d", status)
	}
	if status := callAPI(t, login.API(api), login.Token("report", api, "Orders.Read")); status != http.StatusUnauthorized {
		t.Errorf("an expired token of a client: the API answers %d", status)
	}
	if status := callAPI(t, login.API(api), login.Token("report2", api, "Orders.Read")); status != http.StatusOK {
		t.Errorf("after the fault: the API answers %d", status)
	}
}

func TestDroppedKey(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := newAPI()
	login.Fault("token:drop-key,times=1")
	token := login.Token("report", api, "Orders.Read")
	if status := callAPI(t, login.API(api), token); status == http.StatusOK {
		t.Error("the API takes a token whose key is not published")
	}
}

func ExampleAuthority_Identity() {
	test := func(t *testing.T) {
		login := authoritytest.Start(t)
		// From here on the test runs where this identity is to be had, as on App Service.
		login.Identity("report-mi", "orders", "Orders.Read").SetEnvironment()

		credential, err := azidentity.NewManagedIdentityCredential(nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = token // goes to the code under test
	}
	_ = test // a func Test…(t *testing.T)
	// Output:
}
