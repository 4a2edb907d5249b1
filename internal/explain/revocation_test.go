package explain_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
)

// A token whose client has lost something is refused where the API follows revocations, and
// elsewhere a hint says so.
func TestARevokedTokenIsExplained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		do           func(*insidetest.Authority)
		says, advice string // nothing, if nothing was revoked
	}{
		{"nothing", func(*insidetest.Authority) {}, "", ""},
		{"somebody else", func(a *insidetest.Authority) { a.App("other"); a.Disable("other") }, "", ""},
		{"disabled", func(a *insidetest.Authority) { a.Disable("report") }, "report was disabled or deleted", "enabled: true"},
		{"deleted", func(a *insidetest.Authority) { a.Delete("report") }, "was disabled or deleted", "Register the client"},
		{"the role", func(a *insidetest.Authority) { a.Revoke("report", "orders", role) }, "report lost the role Orders.Read", "rolecall grant report orders/Orders.Read"},
		{"a role of another API", func(a *insidetest.Authority) {
			a.Grant("report", "bills", role)
			a.Revoke("report", "bills", role)
		}, "", ""},
		{"its tokens ended", func(a *insidetest.Authority) {
			change(t, a, func(e *directory.Editor) error {
				app, err := e.Applications().Find(authoritytest.TenantID, "report")
				if err != nil {
					return err
				}
				found, err := e.ServicePrincipals().Find(authoritytest.TenantID, string(app.AppID))
				if err != nil {
					return err
				}
				return e.ServicePrincipals().EndTokens(authoritytest.TenantID, found.ID)
			})
		}, "or its tokens or sessions were ended", "rolecall token --as report"},
		{"enabled again", func(a *insidetest.Authority) { a.Disable("report"); a.Enable("report") }, "report was disabled", "rolecall token --as report"},
		{"the tenant", func(a *insidetest.Authority) {
			change(t, a, func(e *directory.Editor) error {
				_, err := e.Tenants().Edit(authoritytest.TenantID, func(t *directory.Tenant) error { t.Enabled = false; return nil })
				return err
			})
			change(t, a, func(e *directory.Editor) error {
				_, err := e.Tenants().Edit(authoritytest.TenantID, func(t *directory.Tenant) error { t.Enabled = true; return nil })
				return err
			})
		}, "the tenant was disabled", "rolecall token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			login := insidetest.Start(t)
			api := login.API("orders")
			api.Require(role, nil)
			raw := login.Token("report", "orders", role)
			tt.do(login)
			in := explain.Input{Token: raw, Directory: login.Directory(), Authority: login.URL, HTTP: login.HTTPClient(), Now: login.Clock().Now}
			without, err := explain.Token(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			hints := strings.Join(without.Hints, "\n")
			if !without.Accepted || strings.Contains(hints, "follows revocations") != (tt.says != "") || !strings.Contains(hints, tt.says) {
				t.Errorf("accepted %t, hints %q", without.Accepted, hints)
			}
			in.Guard = &guardfile.API{
				Authority: login.URL + "/" + authoritytest.TenantID, Audience: []string{api.AppID, api.Identifier}, Follow: true,
				Rules: []guard.Rule{{Path: "/orders", Roles: []string{role}}},
			}
			with, err := explain.Token(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if tt.says == "" {
				if !with.Accepted {
					t.Errorf("refused: %s", with.Verdict)
				}
				return
			}
			if with.Reason != "token_revoked" || !strings.Contains(with.Verdict, tt.says) || with.Fix == nil || !strings.Contains(with.Fix.What+with.Fix.Command, tt.advice) {
				t.Errorf("%q, %q, fix %+v", with.Reason, with.Verdict, with.Fix)
			}
			if strings.Contains(strings.Join(with.Hints, "\n"), "follows revocations") {
				t.Errorf("said twice: %q", with.Hints)
			}
		})
	}
}

// Of a token that is bound, the verdict says so: nobody takes it alone.
func TestABoundTokenIsExplained(t *testing.T) {
	t.Parallel()
	login := insidetest.Start(t)
	login.API("orders").Require(role, nil)
	login.Grant("report", "orders", role)
	app := login.App("report")
	const confirmation = "eyJraWQiOiJBNER0TDJKbVVNaEFzdkpqNXRLeW42NFNxem11WGJNckphMG43NjF5NXYwIn0" // {"kid":"…"}
	answer, err := login.HTTPClient().PostForm(app.Authority+"/"+app.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {login.API("orders").Scope()},
		"token_type": {"pop"}, "req_cnf": {confirmation},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&tokens); err != nil || tokens.Access == "" {
		t.Fatal(answer.Status, err)
	}
	report := explained(t, login, tokens.Access, "", role)
	if report.Accepted || report.Reason != "binding_missing" || !strings.Contains(report.Verdict, "the token of report is bound to a key that signs requests") || report.Fix == nil || !strings.Contains(report.Fix.What, "signed request") {
		t.Errorf("%q, %q, fix %+v", report.Reason, report.Verdict, report.Fix)
	}
}
