package authoritytest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
)

// listOrders stands for an API's own handler.
var listOrders = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `[{"id":1}]`)
})

// send calls a handler with a token and returns the status of its answer.
func send(api http.Handler, token string) int {
	request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, request)
	return answer.Code
}

// A test of an API and of a client that calls it. The API lets in applications that hold
// the app role Orders.Read.
func ExampleStart() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := httptest.NewServer(login.API("orders").Require("Orders.Read", listOrders))
		defer api.Close()

		report := login.Client("report", "orders", "Orders.Read")
		response, err := report.Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("an application with the role: %s", response.Status)
		}
	}
}

// The time at which the authority starts, how long its tokens live, and where its log goes.
func ExampleOption() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t,
			authoritytest.At(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)),
			authoritytest.Lifetime(10*time.Minute),
			authoritytest.Logs(slog.New(slog.NewTextHandler(os.Stderr, nil))),
		)
		fmt.Println(login.URL) // what AZURE_AUTHORITY_HOST is elsewhere
	}
}

// A guard that refuses a token within seconds of its client being disabled.
func ExampleAPI_Revocations() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		config := login.API("orders").Config()
		config.Revocations = login.API("orders").Revocations()
		g, err := guard.New(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		token := login.Token("report", "orders", "Orders.Read")
		login.Disable("report")
		if err := g.Ready(t.Context()); err != nil { // it has heard
			t.Fatal(err)
		}
		if status := send(g.Require("Orders.Read")(listOrders), token); status != http.StatusUnauthorized {
			t.Errorf("an application that is disabled: %d", status)
		}
	}
}

// A handler that is a plain function.
func ExampleAPI_RequireFunc() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").RequireFunc("Orders.Read", func(w http.ResponseWriter, r *http.Request) {
			caller, _ := guard.CallerFrom(r.Context())
			fmt.Fprintln(w, "orders for", caller.ClientID)
		})
		if status := send(api, login.Token("report", "orders", "Orders.Read")); status != http.StatusOK {
			t.Errorf("an application with the role: %d", status)
		}
	}
}

// A test of a program's own wiring, in place of [authoritytest.API.Require]: the program
// is given the authority of the test where it is given that of production otherwise.
func ExampleAPI_Config() {
	// newServer is the program under test.
	newServer := func(ctx context.Context, cfg guard.Config) (http.Handler, error) {
		g, err := guard.New(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return g.Handler([]guard.Rule{
			{Path: "/", Roles: []string{"Orders.Read"}},
			{Path: "/healthz", Anonymous: true},
		}, listOrders)
	}
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		server, err := newServer(t.Context(), login.API("orders").Config())
		if err != nil {
			t.Fatal(err)
		}
		if status := send(server, login.Token("report", "orders", "Orders.Read")); status != http.StatusOK {
			t.Errorf("an application with the role: %d", status)
		}
		if status := send(server, login.Token("stranger", "orders")); status != http.StatusForbidden {
			t.Errorf("an application without it: %d", status)
		}
	}
}

// An API with tokens of version 1.0, as most registrations of Entra have, that is closed to
// applications without a role: the authority itself refuses those.
func ExampleAuthority_API() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("payroll", authoritytest.V1Tokens(), authoritytest.AssignmentRequired())
		fmt.Println(api.Name, api.AppID, api.Identifier, api.Scope())
	}
}

// The guard of an API decides about a token without any request.
func ExampleAPI_Guard() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		token := login.Token("report", "orders", "Orders.Read")
		d := login.API("orders").Guard().Check(t.Context(), token, guard.Rule{Roles: []string{"Orders.Write"}})
		if d.Reason != guard.RoleMissing {
			t.Errorf("%s %s", d.Outcome, d.Reason)
		}
	}
}

// Code that makes its own credential is given what it is configured with elsewhere.
func ExampleAuthority_App() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		app := login.App("report")
		cred, err := credential.NewSecret(app.TenantID, app.ClientID, app.Secret, &credential.Options{
			AuthorityHost: app.Authority, CABundle: login.CABundle(),
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = cred
	}
}

// Code that takes any credential of the Azure SDK.
func ExampleAuthority_Credential() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Grant("report", "orders", "Orders.Read")
		tokens := credential.Cached(login.Credential("report"))
		if _, err := tokens.Token(t.Context(), login.API("orders").Scope()); err != nil {
			t.Error(err)
		}
	}
}

// A client proves who it is by a certificate. [authoritytest.Authority.CertificateFile]
// gives it as a file, and AddCertificate takes one that the test has made.
func ExampleAuthority_Certificate() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		certificate := login.Certificate("report")
		cred, err := credential.NewCertificate(authoritytest.TenantID, login.App("report").ClientID, certificate,
			&credential.Options{AuthorityHost: login.URL, HTTPClient: login.HTTPClient()})
		if err != nil {
			t.Fatal(err)
		}
		_ = cred
		login.AddCertificate("nightly", certificate.Chain[0]) // another client with the same one
		fmt.Println(login.CertificateFile("report"))
	}
}

// A client proves who it is by tokens of a build service, which the test plays itself.
func ExampleAuthority_Trust() {
	_ = func(t *testing.T) {
		builds := httptest.NewTLSServer(http.NotFoundHandler()) // serves its metadata and keys
		defer builds.Close()
		login := authoritytest.Start(t, authoritytest.AllowIssuers(builds.Listener.Addr().String()))
		login.Trust("deploy", builds.URL, "repo:contoso/orders:ref:refs/heads/main")
	}
}

// A role that is revoked is missing from the next token.
func ExampleAuthority_Revoke() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		login.Grant("report", "orders", "Orders.Read")
		login.Revoke("report", "orders", "Orders.Read")
		if status := send(api, login.Token("report", "orders")); status != http.StatusForbidden {
			t.Errorf("without the role: %d", status)
		}
	}
}

// What a program does when its registration is disabled, and when it is gone.
func ExampleAuthority_Disable() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		report := login.Client("report", "orders", "Orders.Read")
		login.Disable("report")
		if _, err := report.Get("https://orders.contoso.test/"); err == nil {
			t.Error("a disabled client got a token")
		}
		login.Enable("report")
		login.Delete("report")
	}
}

// The project's own rolecall.yaml says what there is; here part of one.
func ExampleAuthority_Apply() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Apply(`
tenants:
  - name: contoso
    applications:
      - name: orders
        identifierUris: [api://orders]
        appRoles:
          - {value: Orders.Read, displayName: Read orders, description: Read every order, enabled: true, members: [Application]}
      - name: report
        permissions: [{api: orders, roles: [Orders.Read], consent: true}]
`)
		api := login.API("orders").Require("Orders.Read", listOrders)
		if status := send(api, login.Token("report", "orders")); status != http.StatusOK {
			t.Errorf("as the file has it: %d", status)
		}
		login.ApplyFile("testdata/rolecall.yaml") // one of the project, with its certificates beside it
	}
}

// What the authority was asked for, and how often.
func ExampleAuthority_SignIns() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		tokens := credential.Cached(login.Credential("report"))
		for range 3 {
			if _, err := tokens.Token(t.Context(), login.API("orders").Scope()); err != nil {
				t.Fatal(err)
			}
		}
		rows := login.SignIns()
		if len(rows) != 1 || rows[0].Client != "report" || rows[0].Code != 0 {
			t.Errorf("asked %d times: %+v", len(rows), rows)
		}
	}
}

// A token of a user, for an API that users may call too.
func ExampleAuthority_UserToken() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		token := login.UserToken("dev@contoso.test", "shell", "orders", "Orders.List")
		d := login.API("orders").Guard().Check(t.Context(), token, guard.Rule{Caller: guard.CallerUser, Scopes: []string{"Orders.List"}})
		if !d.Allowed() {
			t.Error(d.Reason)
		}
	}
}

// An hour passes in no time.
func ExampleClock() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		token := login.Token("report", "orders", "Orders.Read")
		login.Clock().Advance(2 * time.Hour)
		if status := send(api, token); status != http.StatusUnauthorized {
			t.Errorf("an expired token: %d", status)
		}
		login.Clock().Set(time.Now())
		fmt.Println(login.Clock().Now())
	}
}

// What a program does while the authority is busy.
func ExampleAuthority_Fault() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Fault("token:429,retry-after=1,times=1")
		login.Token("report", "orders", "Orders.Read") // waits a second, and asks again
		login.Fault()
	}
}

// Tokens that are good in every point but one show that an API looks at that point.
func ExampleAuthority_Bad() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		for name, token := range map[string]string{
			"expired":                   login.Bad().Expired("report", "orders", "Orders.Read"),
			"not valid yet":             login.Bad().NotYetValid("report", "orders", "Orders.Read"),
			"for ten years":             login.Bad().LongLived("report", "orders", "Orders.Read"),
			"for another API":           login.Bad().WrongAudience("report", "orders", "Orders.Read"),
			"of another tenant":         login.Bad().OtherTenant("report", "orders", "Orders.Read"),
			"of another issuer":         login.Bad().WrongIssuer("report", "orders", "Orders.Read"),
			"an ID token":               login.Bad().IDToken("report", "orders"),
			"signed by an unknown key":  login.Bad().UnknownKey("report", "orders", "Orders.Read"),
			"signed by a wrong key":     login.Bad().WrongKey("report", "orders", "Orders.Read"),
			"signed by the public key":  login.Bad().SymmetricKey("report", "orders", "Orders.Read"),
			"not signed":                login.Bad().Unsigned("report", "orders", "Orders.Read"),
			"changed after the signing": login.Bad().Tampered("report", "orders", "Orders.Read"),
		} {
			if status := send(api, token); status != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, status)
			}
		}
	}
}

// Tokens of callers who are known and may not: they are answered 403.
func ExampleBad() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		for name, token := range map[string]string{
			"without the role":     login.Bad().NoRole("report", "orders"),
			"a user's":             login.Bad().UserToken("report", "orders"),
			"a user's, and a role": login.Bad().UserTokenWithRole("report", "orders", "Orders.Read"),
		} {
			if status := send(api, token); status != http.StatusForbidden {
				t.Errorf("%s: %d", name, status)
			}
		}
	}
}

// A token with a fault that no method makes.
func ExampleBad_With() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		api := login.API("orders").Require("Orders.Read", listOrders)
		token := login.Bad().With("report", "orders", nil, func(claims map[string]any) { claims["roles"] = "Orders.Read" })
		if status := send(api, token); status != http.StatusUnauthorized {
			t.Errorf("roles that are no list: %d", status)
		}
	}
}

// A managed identity, and the program that runs under it.
func ExampleIdentity() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		nightly := login.Identity("nightly", "orders", "Orders.Read")
		shared := login.UserAssignedIdentity("shared", "orders")
		fmt.Println(nightly.ClientID, nightly.ObjectID, nightly.ResourceID, nightly.Token("orders"))

		program := exec.CommandContext(t.Context(), "./nightly")
		for name, value := range nightly.Environment("app-service", shared) {
			program.Env = append(program.Env, name+"="+value)
		}
	}
}

// Code of the test itself finds the identity as it would on App Service.
func ExampleIdentity_SetEnvironment() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Identity("nightly", "orders", "Orders.Read").SetEnvironment()
		cred, err := azidentity.NewManagedIdentityCredential(nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = cred
	}
}

// Code that has Microsoft's own host names in its source is tested as it is: a client and an API of
// the test's own process, and a program that is started.
func ExampleAuthority_PublicNames() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		names := login.PublicNames()
		fmt.Println(names.URL) // https://login.microsoftonline.com
		login.Grant("report", "orders", "Orders.Read")
		app := login.App("report")

		cred, err := azidentity.NewClientSecretCredential(app.TenantID, app.ClientID, app.Secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: azcore.ClientOptions{Transport: names.HTTPClient()},
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{login.API("orders").Scope()}})
		if err != nil {
			t.Fatal(err)
		}
		g, err := guard.New(t.Context(), guard.Config{
			Authority: "https://login.microsoftonline.com/" + authoritytest.TenantID, Audience: []string{login.API("orders").AppID},
			HTTPClient: &http.Client{Transport: names}, // the same as names.HTTPClient()
		})
		if err != nil {
			t.Fatal(err)
		}
		if status := send(g.Require("Orders.Read")(listOrders), token.Token); status != http.StatusOK {
			t.Errorf("an application with the role: %d", status)
		}

		program := exec.CommandContext(t.Context(), "./report")
		program.Env = append(names.Environ(), "AZURE_TENANT_ID="+app.TenantID, "AZURE_CLIENT_ID="+app.ClientID, "AZURE_CLIENT_SECRET="+app.Secret)

		nightly := exec.CommandContext(t.Context(), "./nightly") // with a managed identity
		nightly.Env = names.Environ()
		for name, value := range names.IdentityEnvironment(login.Identity("nightly", "orders", "Orders.Read"), "app-service") {
			nightly.Env = append(nightly.Env, name+"="+value)
		}
	}
}

// Code that finds its settings in the environment is tested by setting them.
func ExampleAuthority_SetEnvironment() {
	_ = func(t *testing.T) {
		login := authoritytest.Start(t)
		login.Grant("report", "orders", "Orders.Read")
		login.SetEnvironment("report")
		// From here on AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and the others are the client's.
	}
}
