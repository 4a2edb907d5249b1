package authoritytest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

const publicAuthority = "https://login.microsoftonline.com/" + authoritytest.TenantID

// publicGuard is the guard of an API that has Microsoft's name in its source.
func publicGuard(t *testing.T, login *authoritytest.Authority, api *authoritytest.API) http.Handler {
	t.Helper()
	g, err := guard.New(t.Context(), guard.Config{
		Authority: publicAuthority, Audience: []string{api.AppID, api.Identifier}, HTTPClient: login.PublicNames().HTTPClient(), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.Require(role)(listOrders)
}

// publicToken gets a token as code does that knows Microsoft's names alone.
func publicToken(t *testing.T, login *authoritytest.Authority, client string, api *authoritytest.API) string {
	t.Helper()
	app := login.App(client)
	cred, err := azidentity.NewClientSecretCredential(app.TenantID, app.ClientID, app.Secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: login.PublicNames().HTTPClient()},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{api.Scope()}})
	if err != nil {
		t.Fatal(err)
	}
	return token.Token
}

// issuerOf reads the issuer of a token.
func issuerOf(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token, but %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Issuer
}

// A client and an API that both have Microsoft's names in their source get on with each other, and
// with nobody who has the authority's own name.
func TestPublicNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   []authoritytest.APIOption
		issuer string
	}{
		{"version 2.0", nil, publicAuthority + "/v2.0"},
		{"version 1.0", []authoritytest.APIOption{authoritytest.V1Tokens()}, "https://sts.windows.net/" + authoritytest.TenantID + "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			login := authoritytest.Start(t)
			api := login.API("orders", tt.opts...)
			login.Grant("report", "orders", role)
			token := publicToken(t, login, "report", api)
			if got := issuerOf(t, token); got != tt.issuer {
				t.Errorf("the issuer is %s, want %s", got, tt.issuer)
			}
			public := publicGuard(t, login, api)
			if status, reason := call(t, public, token); status != http.StatusOK {
				t.Errorf("at the API: %d %s", status, reason)
			}
			if status, reason := call(t, public, publicToken(t, login, "stranger", api)); status != http.StatusForbidden {
				t.Errorf("without the role: %d %s", status, reason)
			}
			if status, _ := call(t, public, login.Token("report", "orders")); status != http.StatusUnauthorized {
				t.Errorf("a token of the authority's own name, at the API with the public one: %d", status)
			}
			if status, _ := call(t, login.API("orders").Require(role, listOrders), token); status != http.StatusUnauthorized {
				t.Errorf("a token of the public name, at an API with the authority's own: %d", status)
			}
			rows := login.SignIns()
			if len(rows) != 3 || rows[0].Client != "report" {
				t.Errorf("the sign-ins are %+v", rows)
			}
		})
	}
}

// Two authorities under the same names know nothing of each other.
func TestPublicNamesOfAnotherAuthority(t *testing.T) {
	t.Parallel()
	one, other := authoritytest.Start(t), authoritytest.Start(t)
	one.Grant("report", "orders", role)
	api := other.API("orders")
	g, err := guard.New(t.Context(), guard.Config{
		Authority: publicAuthority, Audience: []string{one.API("orders").AppID}, HTTPClient: other.PublicNames().HTTPClient(), Now: other.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = api
	if status, reason := call(t, g.Require(role)(listOrders), publicToken(t, one, "report", one.API("orders"))); status != http.StatusUnauthorized {
		t.Errorf("got %d %s", status, reason)
	}
}

// Other hosts are reached as always, with those of the test among them; what would take a token of
// the test to the real cloud is not.
func TestPublicNamesAndOtherHosts(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	names := login.PublicNames()
	client := names.HTTPClient()
	plain := httptest.NewServer(listOrders)
	defer plain.Close()
	for _, address := range []string{plain.URL, login.URL + "/" + authoritytest.TenantID + "/v2.0/.well-known/openid-configuration", names.URL + "/common/v2.0/.well-known/openid-configuration", "https://LOGIN.windows.net./common/v2.0/.well-known/openid-configuration"} {
		response, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", address, response.Status)
		}
	}
	for _, address := range []string{"https://graph.microsoft.com/v1.0/me", "https://management.azure.com/subscriptions", "http://login.microsoftonline.com/", "https://login.microsoftonline.com:8443/"} {
		response, err := client.Get(address)
		if err == nil {
			response.Body.Close()
			t.Errorf("%s: %s", address, response.Status)
		} else if !strings.Contains(err.Error(), "nothing answers at") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A managed identity's tokens have the public issuers when its variables come from the names.
func TestPublicNamesAndIdentities(t *testing.T) {
	login := authoritytest.Start(t)
	api := login.API(newAPI())
	identity := login.Identity("nightly", api.Name, role)
	setEnvironment(t, login.PublicNames().IdentityEnvironment(identity, "app-service"))
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: loopbackOnly(t, "")}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{api.Scope()}})
	if err != nil {
		t.Fatal(err)
	}
	if status, reason := call(t, publicGuard(t, login, api), token.Token); status != http.StatusOK {
		t.Errorf("got %d %s from %s", status, reason, issuerOf(t, token.Token))
	}
}

// childScope is set for this test's own process as a child.
const childScope = "AUTHORITYTEST_CHILD_SCOPE"

// A child process without any setting comes to the test's authority by the public names, whatever
// the test's own environment would have led it to. Nothing of that is left when the test ends.
func TestAChildUnderPublicNames(t *testing.T) {
	for name, value := range map[string]string{
		"AZURE_AUTHORITY_HOST": "https://elsewhere.test", "AZURE_CLOUD_NAME": "AzureChinaCloud", "NO_PROXY": "localhost,.microsoftonline.com", "HTTPS_PROXY": "http://127.0.0.1:1",
		"no_proxy": "", "https_proxy": "",
	} {
		t.Setenv(name, value)
	}
	var said bytes.Buffer
	var proxy *url.URL
	t.Run("test", func(t *testing.T) {
		login := authoritytest.Start(t, authoritytest.Logs(slog.New(slog.NewTextHandler(&said, nil))))
		api := login.API("orders")
		login.Grant("report", "orders", role)
		app := login.App("report")
		environ := login.PublicNames().Environ()
		for _, entry := range environ {
			if value, ok := strings.CutPrefix(entry, "HTTPS_PROXY="); ok {
				var err error
				if proxy, err = url.Parse(value); err != nil {
					t.Fatal(err)
				}
			}
		}
		if slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "AZURE_AUTHORITY_HOST=") }) {
			t.Error("the child is told of another authority")
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(environ, "AZURE_TENANT_ID="+app.TenantID, "AZURE_CLIENT_ID="+app.ClientID, "AZURE_CLIENT_SECRET="+app.Secret, childScope+"="+api.Scope())
		var failure strings.Builder
		cmd.Stderr = &failure
		token, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, failure.String())
		}
		if status, reason := call(t, publicGuard(t, login, api), strings.TrimSpace(string(token))); status != http.StatusOK {
			t.Errorf("at the API: %d %s", status, reason)
		}
	})
	if !strings.Contains(said.String(), "graph.microsoft.com") {
		t.Errorf("the log does not say that Graph was refused: %s", said.String())
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.Host); err == nil {
		conn.Close()
		t.Error("the proxy is there after the test")
	}
}

// The proxy is for the test's processes alone, where the system tells whose a connection is.
func TestAStrangerUnderPublicNames(t *testing.T) {
	t.Parallel()
	if !peer.Tells() {
		t.Log("this system does not tell whose a connection is: the proxy has a credential")
		return
	}
	login := authoritytest.Start(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const document = publicAuthority + "/v2.0/.well-known/openid-configuration"
	// One whose parent has ended is no process of the test any more.
	for script, want := range map[string]string{
		"'" + self + "'; true": "200 OK",
		"(while kill -0 $$; do :; done 2>/dev/null; exec '" + self + "' 2>&1) &": "Forbidden",
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = append(login.PublicNames().Environ(), childScope+"="+document)
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", script, err, out)
		}
	}
}

// untouched is a program with no setting at all, which prints the token that it got, or how it was
// answered if the scope is a URL.
func untouched(ctx context.Context, scope string) error {
	if strings.HasPrefix(scope, "https:") {
		response, err := http.Get(scope)
		if err != nil {
			return err
		}
		fmt.Println(response.Status)
		return response.Body.Close()
	}
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return err
	}
	if response, err := http.Get("https://graph.microsoft.com/"); err == nil {
		defer response.Body.Close()
		return errors.New("Graph answered " + response.Status)
	}
	fmt.Println(token.Token)
	return nil
}
