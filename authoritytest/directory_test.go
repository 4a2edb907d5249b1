package authoritytest_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

// refusal is the number by which the authority refuses a token for the API, or empty.
func refusal(t *testing.T, cred azcore.TokenCredential, api string) string {
	t.Helper()
	_, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"api://" + api + "/.default"}})
	var refused *credential.Error
	if err != nil && !errors.As(err, &refused) {
		t.Fatalf("no refusal of the authority: %v", err)
	}
	if refused == nil {
		return ""
	}
	return refused.Code
}

func TestSignInsAreInOrder(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	if got := login.SignIns(); len(got) != 0 {
		t.Errorf("signed in before anybody has: %+v", got)
	}
	token := login.Token("report", "orders", role)
	wrong, err := credential.NewSecret(authoritytest.TenantID, login.App("report").ClientID, "wrong", &credential.Options{AuthorityHost: login.URL, HTTPClient: login.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	if code := refusal(t, wrong, "orders"); code != "AADSTS7000215" {
		t.Errorf("a wrong secret: %q", code)
	}
	login.Identity("nightly", "orders", role).Token("orders")
	login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List")
	want := []authoritytest.SignIn{
		{Client: "report", Credential: "secret", Roles: []string{role}, Version: "2.0"},
		{Client: "report", Code: 7000215},
		{Client: "nightly", Credential: "managed-identity", Roles: []string{role}, Version: "2.0"},
		{Client: "shell", Credential: "local", User: "dev@contoso.test", Scopes: []string{"Orders.List"}, Version: "2.0"},
	}
	got := login.SignIns()
	if len(got) != len(want) {
		t.Fatalf("%d sign-ins: %+v", len(got), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Client != w.Client || g.Credential != w.Credential || g.Code != w.Code || g.User != w.User || g.Version != w.Version ||
			!slices.Equal(g.Roles, w.Roles) || !slices.Equal(g.Scopes, w.Scopes) {
			t.Errorf("sign-in %d: %+v, want %+v", i, g, w)
		}
		if g.Time.IsZero() || g.CorrelationID == "" || g.TraceID == "" || g.ClientID == "" || (g.Reason == "") != (g.Code == 0) || (g.TokenID == "") != (g.Code != 0) {
			t.Errorf("sign-in %d lacks something: %+v", i, g)
		}
	}
	if got[0].Resource == "" || got[0].Library == "" || !strings.Contains(token, ".") {
		t.Errorf("the first: %+v", got[0])
	}
}

func TestWhatIsDisabledGetsNoToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want string }{
		{"report", "AADSTS7000112"}, {"orders", "AADSTS500014"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			login := authoritytest.Start(t)
			login.Token("report", "orders", role)
			login.Disable(tt.name)
			if code := refusal(t, login.Credential("report"), "orders"); code != tt.want {
				t.Errorf("disabled: %q, want %q", code, tt.want)
			}
			login.Enable(tt.name)
			if code := refusal(t, login.Credential("report"), "orders"); code != "" {
				t.Errorf("enabled again: %q", code)
			}
		})
	}
}

func TestAUserIsDisabled(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	const dev = "dev@contoso.test"
	login.UserToken(dev, "shell", "orders", "Orders.List")
	for _, enabled := range []bool{false, true} {
		if enabled {
			login.Enable(dev)
		} else {
			login.Disable(dev)
		}
		user, err := login.Directory().User(t.Context(), authoritytest.TenantID, dev)
		if err != nil || user.Enabled != enabled {
			t.Errorf("enabled: %v, %v, want %v", user, err, enabled)
		}
	}
}

func TestADeletedNameIsFree(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	old := login.Credential("report")
	before := login.App("report")
	login.Token("report", "orders", role)
	identity := login.Identity("nightly", "orders", role)
	login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List")
	login.Delete("report")
	login.Delete("nightly")
	login.Delete("dev@contoso.test")
	if code := refusal(t, old, "orders"); code != "AADSTS700016" {
		t.Errorf("deleted: %q", code)
	}
	if after := login.App("report"); after.ClientID == before.ClientID || after.Secret == before.Secret {
		t.Error("the new client is the old one")
	}
	if again := login.Identity("nightly", "orders"); again.ObjectID == identity.ObjectID {
		t.Error("the new identity is the old one")
	}
	if status, _ := call(t, login.API("orders").Require(role, listOrders), login.Token("report", "orders")); status != http.StatusForbidden {
		t.Errorf("the new client has the role of the old one: %d", status)
	}
	apiBefore := login.API("orders").AppID
	login.Delete("orders")
	if login.API("orders").AppID == apiBefore {
		t.Error("the new API is the old one")
	}
}

func TestAUserTokenHasScopes(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders")
	token := login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List", "Orders.Change")
	users := guard.Rule{Caller: guard.CallerUser, Scopes: []string{"Orders.Change"}}
	d := api.Guard().Check(t.Context(), token, users)
	caller, _ := d.Caller()
	if !d.Allowed() || caller.ClientID != login.App("shell").ClientID || !slices.Contains(caller.Scopes, "Orders.List") {
		t.Errorf("%s %s: %+v", d.Outcome, d.Reason, caller)
	}
	if d := api.Guard().Check(t.Context(), login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List"), guard.Rule{Caller: guard.CallerUser, Scopes: []string{"Orders.Other"}}); d.Reason != guard.ScopeMissing {
		t.Errorf("without the scope: %s", d.Reason)
	}
	if status, reason := call(t, api.Require(role, listOrders), token); status != 403 || reason != "caller_kind" {
		t.Errorf("where applications may: %d %s", status, reason)
	}
}

const declared = `
tenants:
  - name: contoso
    applications:
      - name: orders-server
        appId: a9100002-5a5a-4c4c-8d8d-000000000002
        identifierUris: [https://orders.contoso.test]
        requestedAccessTokenVersion: 1
        appRoles:
          - {value: Orders.Read, displayName: Read orders, description: Read every order, enabled: true, members: [Application]}
      - name: orders-client
        secrets: [{name: ci, generate: true}]
        permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]
      - name: report
    managedIdentities:
      - {name: nightly, type: system}
`

func TestAppliedFilesAreWhatTheMethodsSee(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	login.Apply(declared)
	api := login.API("orders-server")
	if api.AppID != "a9100002-5a5a-4c4c-8d8d-000000000002" || api.Identifier != "https://orders.contoso.test" {
		t.Errorf("another API: %+v", api)
	}
	guarded := api.Require(role, listOrders)
	login.Grant("nightly", "orders-server", role) // before it is named as an identity
	for name, tt := range map[string]struct {
		token string
		want  int
	}{
		"granted by the file":       {login.Token("orders-client", "orders-server"), 200},
		"in the file, and no more":  {login.Token("report", "orders-server"), 403},
		"granted later":             {login.Token("other", "orders-server", role), 200},
		"the identity, later still": {login.Identity("nightly", "orders-server").Token("orders-server"), 200},
	} {
		if status, reason := call(t, guarded, tt.token); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, reason, tt.want)
		}
	}
	login.Apply(strings.Replace(declared, "enabled: true", "enabled: false", 1))
	if status, _ := call(t, guarded, login.Token("orders-client", "orders-server")); status != 403 {
		t.Errorf("with the role disabled: %d", status)
	}
}

func TestAFileIsAppliedFromItsFolder(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	dir := t.TempDir()
	pem, err := os.ReadFile(login.CertificateFile("other"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rolecall.yaml")
	for name, content := range map[string]string{
		"prod.pem":      string(pem),
		"rolecall.yaml": "tenants: [{name: contoso, applications: [{name: report, certificates: [{name: prod, file: prod.pem}]}]}]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login.ApplyFile(path)
	certificate, err := credential.LoadCertificate(filepath.Join(dir, "prod.pem"), "")
	if err != nil {
		t.Fatal(err)
	}
	cred, err := credential.NewCertificate(authoritytest.TenantID, login.App("report").ClientID, certificate, &credential.Options{AuthorityHost: login.URL, HTTPClient: login.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	login.API("orders")
	if code := refusal(t, cred, "orders"); code != "" {
		t.Errorf("refused: %s", code)
	}
}

func TestACertificateProvesAClient(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Time{"now": time.Now(), "years ago": time.Now().AddDate(-3, 0, 0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := authoritytest.Start(t, authoritytest.At(at))
			login.API("orders")
			cert := login.Certificate("report")
			if leaf := cert.Chain[0]; at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) || time.Now().After(leaf.NotAfter) {
				t.Errorf("valid from %s until %s", leaf.NotBefore, leaf.NotAfter)
			}
			if name != "now" {
				return // assertions are dated by the machine's clock
			}
			cred, err := credential.NewCertificate(authoritytest.TenantID, login.App("report").ClientID, cert, &credential.Options{AuthorityHost: login.URL, HTTPClient: login.HTTPClient()})
			if err != nil {
				t.Fatal(err)
			}
			if code := refusal(t, cred, "orders"); code != "" {
				t.Errorf("refused: %s", code)
			}
		})
	}
}

func TestAFunctionIsGuarded(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	api := login.API("orders").RequireFunc(role, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if status, reason := call(t, api, login.Token("report", "orders", role)); status != 200 {
		t.Errorf("%d %s", status, reason)
	}
	if status, _ := call(t, api, login.Bad().NoRole("report", "orders")); status != 403 {
		t.Errorf("without the role: %d", status)
	}
}

// TestAGuardOfOnesOwn is how a program's own wiring is tested.
func TestAGuardOfOnesOwn(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	cfg := login.API("orders").Config()
	cfg.Clients = []string{login.App("report").ClientID}
	g, err := guard.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	api := g.Require(role)(listOrders)
	for client, want := range map[string]int{"report": 200, "other": 403} {
		if status, reason := call(t, api, login.Token(client, "orders", role)); status != want {
			t.Errorf("%s: %d %s, want %d", client, status, reason, want)
		}
	}
}
