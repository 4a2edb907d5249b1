package outside

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
)

const role = "Orders.Read"

// newServer returns the API at an authority of the test's own.
func newServer(t *testing.T, login *authoritytest.Authority) (*Server, *httptest.Server) {
	t.Helper()
	server, err := NewServer(t.Context(), login.API("orders").Config())
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return server, listening
}

func TestADaemonReadsTheOrders(t *testing.T) {
	login := authoritytest.Start(t)
	_, server := newServer(t, login)
	app := login.App("daemon")
	options := &credential.Options{AuthorityHost: app.Authority, HTTPClient: login.HTTPClient()}
	bySecret, err := credential.NewSecret(app.TenantID, app.ClientID, app.Secret, options)
	if err != nil {
		t.Fatal(err)
	}
	byCertificate, err := credential.NewCertificate(app.TenantID, app.ClientID, login.Certificate("daemon"), options)
	if err != nil {
		t.Fatal(err)
	}
	byString, err := credential.Parse("RunAs=App;AppId="+app.ClientID+";TenantId="+app.TenantID+";AppKey='"+app.Secret+"'", options)
	if err != nil {
		t.Fatal(err)
	}
	for name, cred := range map[string]azcore.TokenCredential{"secret": bySecret, "certificate": byCertificate, "connection string": byString} {
		t.Run(name, func(t *testing.T) {
			daemon := NewDaemon(cred, login.API("orders").Scope(), server.URL)
			defer daemon.Close()
			if status, _, err := daemon.Orders(t.Context()); err != nil || status != http.StatusForbidden {
				t.Errorf("without the role: %d, %v", status, err)
			}
		})
	}
	login.Grant("daemon", "orders", role)
	daemon := NewDaemon(login.Credential("daemon"), login.API("orders").Scope(), server.URL)
	defer daemon.Close()
	status, body, err := daemon.Orders(t.Context())
	if err != nil || status != http.StatusOK || !strings.Contains(body, app.ClientID) {
		t.Errorf("with the role: %d %s, %v", status, body, err)
	}
	rows := login.SignIns()
	if len(rows) != 4 || rows[3].Client != "daemon" || len(rows[3].Roles) != 1 {
		t.Errorf("signed in %d times: %+v", len(rows), rows)
	}
}

func TestADisabledDaemonIsToldWhatToDo(t *testing.T) {
	login := authoritytest.Start(t)
	_, server := newServer(t, login)
	cred := login.Credential("daemon")
	login.Disable("daemon")
	daemon := NewDaemon(cred, login.API("orders").Scope(), server.URL)
	defer daemon.Close()
	if _, _, err := daemon.Orders(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "AADSTS") {
		t.Errorf("a disabled daemon: %v", err)
	}
}

func TestTheServerExplainsARefusal(t *testing.T) {
	login := authoritytest.Start(t)
	server, _ := newServer(t, login)
	login.Apply("tenants: [{name: contoso, applications: [{name: elsewhere, identifierUris: [api://elsewhere]}]}]")
	failed := server.Explain(t.Context(), login.Token("daemon", "elsewhere"))
	if len(failed) != 2 || failed[0].Reason != guard.AudienceMismatch || failed[0].Fix == "" {
		t.Errorf("failed %+v", failed)
	}
}

// A daemon and a server that know Microsoft's host names alone are tested as they are.
func TestCodeWithThePublicNames(t *testing.T) {
	login := authoritytest.Start(t)
	names := login.PublicNames()
	login.Grant("daemon", "orders", role)
	server, err := NewServer(t.Context(), guard.Config{
		Authority: "https://login.microsoftonline.com/" + authoritytest.TenantID, Audience: []string{login.API("orders").AppID}, HTTPClient: names.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	for name, want := range map[string]int{"daemon": http.StatusOK, "stranger": http.StatusForbidden} {
		app := login.App(name)
		cred, err := azidentity.NewClientSecretCredential(app.TenantID, app.ClientID, app.Secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: names}},
		})
		if err != nil {
			t.Fatal(err)
		}
		daemon := NewDaemon(cred, login.API("orders").Scope(), listening.URL)
		defer daemon.Close()
		if status, body, err := daemon.Orders(t.Context()); err != nil || status != want {
			t.Errorf("%s: %d %s, %v", name, status, body, err)
		}
	}
	if environ := strings.Join(names.Environ(), "\n"); !strings.Contains(environ, "\nHTTPS_PROXY=http://") || strings.Contains(environ, "AZURE_AUTHORITY_HOST=") {
		t.Error("a child process would not come to the names")
	}
}

func TestAnAuthorizationEndpoint(t *testing.T) {
	login := authoritytest.Start(t)
	policy, err := login.API("orders").Guard().Policy([]guard.Rule{{Path: "/api/orders", Roles: []string{role}}})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := Authorize(policy)
	for name, tt := range map[string]struct {
		path, token string
		want        int
	}{
		"with the role":   {"/api/orders", login.Token("daemon", "orders", role), 200},
		"without it":      {"/api/orders", login.Token("stranger", "orders"), 403},
		"expired":         {"/api/orders", login.Bad().Expired("daemon", "orders", role), 401},
		"a user's":        {"/api/orders", login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List"), 403},
		"no such path":    {"/api/other", login.Token("daemon", "orders", role), 403},
		"an unclear path": {"/api/../api/orders", login.Token("daemon", "orders", role), 400},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize", nil)
		request.Header.Set("X-Forwarded-Method", http.MethodGet)
		request.Header.Set("X-Forwarded-Uri", tt.path)
		request.Header.Set("Authorization", "Bearer "+tt.token)
		answer := httptest.NewRecorder()
		endpoint.ServeHTTP(answer, request)
		if answer.Code != tt.want || (answer.Header().Get("X-Caller") != "") != (tt.want == 200) {
			t.Errorf("%s: %d %s, want %d", name, answer.Code, answer.Body, tt.want)
		}
	}
}
