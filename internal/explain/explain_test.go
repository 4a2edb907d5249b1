package explain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

const role = "Orders.Read"

// explained explains a token at the API it is for, unless another is named.
func explained(t *testing.T, login *insidetest.Authority, token, api string, roles ...string) *explain.Report {
	t.Helper()
	report, err := explain.Token(t.Context(), explain.Input{
		Token: token, API: api, Roles: roles, Directory: login.Directory(),
		Authority: login.URL, HTTP: login.HTTPClient(), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(report); err != nil || strings.Contains(string(text), token) {
		t.Errorf("the report repeats the token (%v)", err)
	}
	return report
}

func TestATokenIsExplained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		token  func(*insidetest.Authority) string
		reason string
		fix    string // part of it
	}{
		{"good", func(a *insidetest.Authority) string { return a.Token("report", "orders", role) }, "", ""},
		{"good, with the scheme before it", func(a *insidetest.Authority) string { return "Bearer " + a.Token("report", "orders", role) + "\n" }, "", ""},
		{"no role", func(a *insidetest.Authority) string { return a.Token("report", "orders") }, "role_missing",
			"Grant Orders.Read of orders to report; its next token has it.\nrolecall grant report orders/Orders.Read"},
		{"older than the grant", func(a *insidetest.Authority) string {
			token := a.Token("report", "orders")
			a.Grant("report", "orders", role)
			return token
		}, "role_missing", "rolecall token --as report --scope api://orders/.default"},
		{"expired", func(a *insidetest.Authority) string { return a.Bad().Expired("report", "orders", role) }, "token_expired", "rolecall token --as report"},
		{"tampered", func(a *insidetest.Authority) string { return a.Bad().Tampered("report", "orders", role) }, "signature_invalid", "rolecall token --as report"},
		{"unknown key", func(a *insidetest.Authority) string { return a.Bad().UnknownKey("report", "orders", role) }, "key_unknown", "rolecall keys list"},
		{"a person", func(a *insidetest.Authority) string { return a.Bad().UserTokenWithRole("report", "orders", role) }, "caller_kind", "application"},
		{"an identity without the role", func(a *insidetest.Authority) string { return a.Identity("batch", "orders").Token("orders") }, "role_missing",
			"Grant Orders.Read of orders to batch; its next token has it.\nrolecall grant batch orders/Orders.Read"},
		{"an identity that is older than the grant", func(a *insidetest.Authority) string {
			token := a.Identity("batch", "orders").Token("orders")
			a.Grant("batch", "orders", role)
			return token
		}, "role_missing", "Get a new one.\nrolecall token --as batch --scope api://orders/.default"},
		{"an identity with the role", func(a *insidetest.Authority) string { return a.Identity("batch", "orders", role).Token("orders") }, "", ""},
		{"another tenant", func(a *insidetest.Authority) string { return a.Bad().WrongIssuer("report", "orders", role) }, "issuer_unknown", ""},
		{"not a token", func(*insidetest.Authority) string { return "nonsense" }, "token_malformed", ""},
		{"the client is gone", func(a *insidetest.Authority) string {
			token := a.Token("report", "orders", role)
			change(t, a, func(e *directory.Editor) error {
				app, err := e.Applications().Find(authoritytest.TenantID, "report")
				if err != nil {
					return err
				}
				return e.Applications().Delete(authoritytest.TenantID, app.ID)
			})
			return token
		}, "", "Register the client"},
		{"the client is disabled", func(a *insidetest.Authority) string {
			token := a.Token("report", "orders", role)
			change(t, a, func(e *directory.Editor) error {
				principal, err := e.ServicePrincipals().Find(authoritytest.TenantID, "report")
				if err != nil {
					return err
				}
				next := *principal
				next.Enabled = false
				_, err = e.ServicePrincipals().Edit(next.Tenant, next.ID, func(v *directory.ServicePrincipal) error { *v = next; return nil })
				return err
			})
			return token
		}, "", "        enabled: true"},
		{"the role is disabled", func(a *insidetest.Authority) string {
			a.Grant("report", "orders", role)
			change(t, a, func(e *directory.Editor) error {
				app, err := e.Applications().Find(authoritytest.TenantID, "orders")
				if err != nil {
					return err
				}
				next := *app
				next.AppRoles = append([]directory.AppRole{}, app.AppRoles...)
				next.AppRoles[0].Enabled = false
				_, err = e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
				return err
			})
			return a.Token("report", "orders")
		}, "role_missing", "appRoles: [{value: Orders.Read, enabled: true, members: [Application, User]}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			login := insidetest.Start(t)
			login.API("orders").Require(role, nil)
			report := explained(t, login, tt.token(login), "", role)
			if report.Reason != tt.reason {
				t.Errorf("reason %q, want %q", report.Reason, tt.reason)
			}
			if report.Accepted != (tt.reason == "") {
				t.Errorf("accepted: %v, reason %q: %+v", report.Accepted, report.Reason, report.Steps)
			}
			if tt.fix == "" {
				return
			}
			if report.Fix == nil || !strings.Contains(report.Fix.What+"\n"+report.Fix.Command, tt.fix) {
				t.Errorf("fix %+v, want one with %q", report.Fix, tt.fix)
			}
		})
	}
}

// The names of identities and users come from the directory, and the own roles of a user's client
// do not matter.
func TestWhoCallsIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.API("orders").Require(role, nil)
	steps := func(report *explain.Report) string {
		var names []string
		for _, step := range report.Steps {
			names = append(names, step.Name+": "+step.Detail)
		}
		return strings.Join(names, "\n")
	}
	identity := login.Identity("batch", "orders")
	report := explained(t, login, identity.Token("orders"), "", role)
	if report.Client != "batch" || report.User != "" {
		t.Errorf("the client is %q, the user %q", report.Client, report.User)
	}
	for _, want := range []string{"client registered: batch, a managed identity (" + identity.ClientID + ")", "role granted: not granted"} {
		if !strings.Contains(steps(report), want) {
			t.Errorf("the steps lack %q:\n%s", want, steps(report))
		}
	}
	report = explained(t, login, login.Bad().UserTokenWithRole("report", "orders", role), "", role)
	if report.Client != "report" || report.User == "" {
		t.Errorf("the client is %q, the user %q", report.Client, report.User)
	}
	if got := steps(report); strings.Contains(got, "role granted") || !strings.Contains(got, "user enabled") {
		t.Errorf("of a user's token:\n%s", got)
	}
}

func change(t *testing.T, login *insidetest.Authority, f func(*directory.Editor) error) {
	t.Helper()
	if _, err := login.Directory().Change(t.Context(), directory.Operator("test"), f); err != nil {
		t.Fatal(err)
	}
}

func TestTheReasonIsTheGuards(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	api := login.API("orders")
	api.Require(role, nil)
	bad := login.Bad()
	for name, token := range map[string]string{
		"expired": bad.Expired("report", "orders", role), "early": bad.NotYetValid("report", "orders", role),
		"audience": bad.WrongAudience("report", "orders", role), "tenant": bad.OtherTenant("report", "orders", role),
		"key": bad.WrongKey("report", "orders", role), "unsigned": bad.Unsigned("report", "orders", role),
		"id token": bad.IDToken("report", "orders"), "no role": bad.NoRole("report", "orders"),
	} {
		report := explained(t, login, token, "orders", role)
		decision := api.Guard().Check(t.Context(), token, guard.Rule{Roles: []string{role}})
		if report.Accepted || report.Reason != string(decision.Reason) {
			t.Errorf("%s: explained as %q, the guard says %q", name, report.Reason, decision.Reason)
		}
	}
}

func TestAnAPIThatIsNotThere(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	_, err := explain.Token(t.Context(), explain.Input{
		Token: login.Token("report", "orders", role), API: "nothing", Directory: login.Directory(), Authority: login.URL, HTTP: login.HTTPClient(),
	})
	if err == nil || !strings.Contains(err.Error(), `no application "nothing" in the tenant contoso`) {
		t.Errorf("got %v", err)
	}
}

func TestAManagedIdentityIsNoApplication(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	client := login.App("report").ClientID
	token := login.Token("report", "orders", role)
	change(t, login, func(e *directory.Editor) error {
		app, err := e.Applications().Find(authoritytest.TenantID, client)
		if err != nil {
			return err
		}
		if err := e.Applications().Delete(authoritytest.TenantID, app.ID); err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: authoritytest.TenantID, AppID: directory.AppID(client), Name: "report", Type: directory.PrincipalManagedIdentity,
		})
		return err
	})
	if report := explained(t, login, token, "orders", role); !report.Accepted || report.Fix == nil {
		t.Errorf("a token of a client that is no application: %+v", report)
	}
	_, err := explain.Token(t.Context(), explain.Input{
		Token: token, API: "report", Directory: login.Directory(), Authority: login.URL, HTTP: login.HTTPClient(),
	})
	if err == nil || !strings.Contains(err.Error(), `no application "report" in the tenant contoso`) {
		t.Errorf("got %v", err)
	}
}

func TestASignInIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.API("payroll", authoritytest.AssignmentRequired()).Require("Salaries.Read", nil)
	app := login.App("report")
	row := directory.SignIn{Tenant: authoritytest.TenantID, AppID: directory.AppID(app.ClientID), Name: "report", Resource: "api://payroll"}
	for _, tt := range []struct {
		code              int
		reason, what, cmd string
	}{
		{0, "", "", ""},
		{7000215, "AADSTS7000215", "secret", ""},
		{501051, "AADSTS501051", "", "rolecall grant report payroll/Salaries.Read"},
	} {
		row.Code = tt.code
		report, err := explain.SignIn(t.Context(), login.Directory(), row)
		if err != nil {
			t.Fatal(err)
		}
		if report.Accepted != (tt.code == 0) || report.Reason != tt.reason {
			t.Errorf("%d: %+v", tt.code, report)
		}
		if tt.code != 0 && (!strings.Contains(report.Fix.What, tt.what) || !strings.Contains(report.Fix.Command, tt.cmd)) {
			t.Errorf("%d: fix %+v", tt.code, report.Fix)
		}
	}
}

func TestASignInOfAnIdentityIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.API("payroll", authoritytest.AssignmentRequired()).Require("Salaries.Read", nil)
	identity := login.Identity("batch", "payroll")
	report, err := explain.SignIn(t.Context(), login.Directory(), directory.SignIn{
		Tenant: authoritytest.TenantID, AppID: directory.AppID(identity.ClientID), Name: "batch", Resource: "api://payroll", Code: 501051,
	})
	if err != nil || report.Fix == nil || report.Fix.Command != "rolecall grant batch payroll/Salaries.Read" {
		t.Errorf("fix %+v, %v", report.Fix, err)
	}
}

func TestASignInOfAUserIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.API("payroll").Require("Salaries.Read", nil)
	app := login.App("report")
	_, err := login.Directory().Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		api, err := e.Applications().Find(authoritytest.TenantID, "api://payroll")
		if err != nil {
			return err
		}
		for _, value := range []string{"Own.Read", "Own.Write"} {
			api.Scopes = append(api.Scopes, directory.Scope{Value: value, DisplayName: value, Description: value, Enabled: true})
		}
		_, err = e.Applications().Edit(api.Tenant, api.ID, func(v *directory.Application) error { *v = *api; return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		row       directory.SignIn
		text, cmd string
	}{
		{directory.SignIn{Version: "2.0", Scopes: []string{"Own.Read"}}, "for dev@contoso.test, scopes: Own.Read", ""},
		{directory.SignIn{Code: 65001, Reason: "Nobody has consented to the permissions 'Own.Write Own.Other' for it."}, "Own.Write", "permissions: [{api: payroll, scopes: [Own.Write], consent: true}]"},
		{directory.SignIn{Code: 650057, Reason: "It has no permission."}, "", "permissions: [{api: payroll, scopes: [Own.Read], consent: true}]"},
	} {
		tt.row.Tenant, tt.row.AppID, tt.row.Name = authoritytest.TenantID, directory.AppID(app.ClientID), "report"
		tt.row.Resource, tt.row.User = "api://payroll", "dev@contoso.test"
		report, err := explain.SignIn(t.Context(), login.Directory(), tt.row)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(report.Steps[0].Detail, tt.text) || tt.cmd != "" && !strings.Contains(report.Fix.Command, tt.cmd) {
			t.Errorf("%d: %+v, fix %+v", tt.row.Code, report.Steps[0], report.Fix)
		}
	}
}

// What nobody registered is explained as well: the token is good, and whose the service is.
func TestATokenForMicrosoftsOwnResourceIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.Token("report", "orders") // makes the client
	for _, scope := range []string{"https://storage.azure.com/.default", "https://orders.blob.core.windows.net/.default", "https://vault.azure.net//.default", "api://AzureADTokenExchange/.default"} {
		token, err := login.Credential("report").GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			t.Fatal(err)
		}
		report := explained(t, login, token.Token, "")
		if !report.Accepted || report.Fix != nil || !strings.Contains(report.Note, "the service that reads it is another's") {
			t.Errorf("%s: %+v", scope, report)
		}
	}
	if note := explained(t, login, login.Token("report", "orders", role), "").Note; note != "" {
		t.Errorf("an API of the tenant's own: %s", note)
	}
}
