package guardfile_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

func TestAListenerIsRead(t *testing.T) {
	t.Parallel()
	f, err := guardfile.Parse(filepath.Join("etc", "guard.yaml"), read(t, "all.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Listen != "unix:"+filepath.Join("etc", "run", "guard.sock") || f.TLS.Cert != filepath.Join("etc", "tls.crt") || f.TLS.Key != "/etc/tls.key" ||
		f.CABundle != filepath.Join("etc", "ca-bundle.pem") || f.StateDir != filepath.Join("etc", "state") || f.Ops != "127.0.0.1:9090" {
		t.Errorf("files and addresses: %+v", f)
	}
	if f.Mode != guardfile.ModeForwardAuth || f.Dialect != guardfile.DialectTraefik || f.Identity != guardfile.IdentitySigned || !f.ForwardToken || f.MaxKeyAge != 6*time.Hour {
		t.Errorf("how it works: %+v", f)
	}
	if len(f.TrustedPeers) != 3 || f.TrustedPeers[0].String() != "127.0.0.1/32" || f.TrustedPeers[2].String() != "::1/128" {
		t.Errorf("peers: %v", f.TrustedPeers)
	}
	api := f.APIs[0]
	if api.Upstream != "h2c://127.0.0.1:7071" || len(api.Tenants) != 1 || !api.Rules[0].Shadow || api.Rules[1].Shadow || api.Places[1] != (guardfile.Place{Line: 24, Column: 9}) ||
		!api.Follow || *api.Credential != (guardfile.Credential{Client: "a9100002-5a5a-4c4c-8d8d-000000000002", CertificateFile: filepath.Join("etc", "orders.pem")}) {
		t.Errorf("the API: %+v", api)
	}
	cfg := f.Config(api)
	if cfg.Authority != api.Authority || cfg.MaxKeyAge != 6*time.Hour || cfg.CABundle != f.CABundle || !slices.Equal(cfg.Tenants, api.Tenants) {
		t.Errorf("the configuration: %+v", cfg)
	}
}

func TestAuthSettingsAreRead(t *testing.T) {
	t.Parallel()
	f, err := guardfile.Parse("easyauth.json", read(t, "authsettings.json"))
	if err != nil {
		t.Fatal(err)
	}
	api := f.APIs[0]
	if f.Foreign != guardfile.AuthSettings || f.Identity != guardfile.IdentityEasyAuth || !f.ForwardToken ||
		api.Authority != "https://authority.test/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11" || api.Caller != guard.CallerAny ||
		!slices.Equal(api.Audience, []string{"a9100002-5a5a-4c4c-8d8d-000000000002", "api://orders"}) {
		t.Errorf("got %+v", f)
	}
	if len(api.Rules) != 3 || api.Rules[0].Path != "/healthz" || !api.Rules[1].Anonymous || api.Rules[2].Path != "/*" ||
		!slices.Equal(api.Rules[2].Clients, []string{"c11e0001-5a5a-4c4c-8d8d-000000000001"}) || len(api.Rules[2].Principals) != 1 {
		t.Errorf("rules %+v", api.Rules)
	}
	if !warns(f, "no app role is enforced") || !warns(f, "listens without TLS") || len(f.Warnings) != 2 {
		t.Errorf("warnings %+v", f.Warnings)
	}
}

func warns(f *guardfile.File, what string) bool {
	return slices.ContainsFunc(f.Warnings, func(w guardfile.Warning) bool { return strings.Contains(w.What, what) })
}

// Each case changes the good document in one place.
func TestAuthSettingsThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	good := string(read(t, "authsettings.json"))
	const issuer = "https://authority.test/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/v2.0"
	for _, tt := range []struct{ name, old, new, warning, problem string }{
		{"several tenants", issuer, "https://login.microsoftonline.com/common/v2.0", "they let in a token of any tenant", ""},
		{"anonymous", "Return401", "AllowAnonymous", "the guard refuses them", ""},
		{"not required", `"requireAuthentication": true`, `"requireAuthentication": false`, "the guard refuses them", ""},
		{"a sign-in page", "Return401", "RedirectToLoginPage", "the guard signs nobody in", ""},
		{"403", "Return401", "Return403", "answered 401, not 403", ""},
		{"another prefix", `"apiPrefix": "/.auth"`, `"apiPrefix": "/auth"`, "apiPrefix is another one", ""},
		{"groups beside", `"identities": [`, `"groups": ["g"], "identities": [`, "groups of allowedPrincipals are not looked at", ""},
		{"another provider", `"identityProviders": {`, `"identityProviders": {"gitHub": {"registration": {}},`, "gitHub is not read", ""},
		{"nobody named", `"c11e0001-5a5a-4c4c-8d8d-000000000001", "c11e0001-5a5a-4c4c-8d8d-000000000009"`, "", "those that are named", ""},
		{"off", `"platform": {"enabled": true`, `"platform": {"enabled": false`, "", "platform.enabled is false"},
		{"provider off", `"azureActiveDirectory": {
				"enabled": true`, `"azureActiveDirectory": {
				"enabled": false`, "", "missing or not enabled"},
		{"nobody in both lists", "C11E0001", "D11E0001", "", "no application in common"},
		{"groups only", `"identities": ["5e11f0a1-0000-4000-8000-000000000001"]`, `"groups": ["g"]`, "", "names groups only"},
		{"older groups", `"jwtClaimChecks": {`, `"jwtClaimChecks": {"allowedGroups": ["g"],`, "", "allowedGroups cannot be kept"},
		{"no client", `"clientId"`, `"clientID"`, "", "clientId is missing"},
		{"no issuer", `"openIdIssuer"`, `"issuer"`, "", "openIdIssuer is missing"},
		{"an issuer without TLS", "https://authority.test", "http://authority.test", "", "openIdIssuer is the https URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := strings.Replace(good, tt.old, tt.new, 1)
			if content == good {
				t.Fatal("the case changes nothing")
			}
			f, err := guardfile.Parse("easyauth.json", []byte(content))
			switch {
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("got %v, want %s", err, tt.problem)
			case tt.problem == "" && (err != nil || !warns(f, tt.warning)):
				t.Errorf("got %v, warnings %+v, want %s", err, f.Warnings, tt.warning)
			}
		})
	}
	several, err := guardfile.Parse("easyauth.json", []byte(strings.Replace(good, issuer, "https://login.microsoftonline.com/common/v2.0", 1)))
	if err != nil {
		t.Fatal(err)
	}
	several.AllowTenants(" ")
	if len(several.APIs[0].Tenants) > 0 || !warns(several, "any tenant") {
		t.Errorf("without the app setting: %+v", several)
	}
	several.AllowTenants("7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11, 00000000-0000-4000-8000-000000000007")
	if len(several.APIs[0].Tenants) != 2 || warns(several, "any tenant") {
		t.Errorf("with the app setting: %+v", several)
	}
	v1 := strings.Replace(good, issuer, "https://sts.windows.net/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/", 1)
	f, err := guardfile.Parse("easyauth.json", []byte(v1))
	f.AllowTenants("")
	if err != nil || f.APIs[0].Authority != "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11" {
		t.Errorf("the issuer of version 1: %+v, %v", f, err)
	}
}

func TestPoliciesAreRead(t *testing.T) {
	t.Parallel()
	f, err := guardfile.Parse("policy.xml", read(t, "policy.xml"))
	if err != nil {
		t.Fatal(err)
	}
	api := f.APIs[0]
	rule := api.Rules[0]
	if f.Foreign != guardfile.Policy || f.Identity != guardfile.IdentityNone || !f.ForwardToken || api.Caller != guard.CallerAny ||
		api.Authority != "https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11" || !slices.Equal(api.Audience, []string{"api://orders"}) ||
		len(api.Rules) != 1 || rule.Path != "/*" || !slices.Equal(rule.Roles, []string{"Orders.Read", "Orders.Admin"}) || len(rule.Clients) != 1 {
		t.Errorf("got %+v", f)
	}
	if len(f.Warnings) != 1 || !warns(f, "not 403") {
		t.Errorf("warnings %+v", f.Warnings)
	}
}

func TestPoliciesThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	good := string(read(t, "policy.xml"))
	const start = "<validate-azure-ad-token "
	for _, tt := range []struct{ name, old, new, warning, problem string }{
		{"several tenants", `tenant-id="7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"`, `tenant-id="common"`, "any tenant", ""},
		{"a variable", start, start + `output-token-variable-name="jwt" `, "no variable", ""},
		{"a message", start, start + `failed-validation-error-message="no" `, "in its own words", ""},
		{"no role", `name="roles"`, `name="tid"`, "no app role is enforced", ""},
		{"a claim with an expression", "Orders.Read", "@(context.User.Id)", "", "evaluates none"},
		{"another claim", `name="roles"`, `name="ctry"`, "", `the required claim "ctry" cannot be kept`},
		{"a separator", `match="any"`, `match="any" separator=" "`, "", "roles are a list"},
		{"a match", `match="any"`, `match="most"`, "", "one of all and any"},
		{"a header", start, start + `header-name="X-Token" `, "", "header-name is another header"},
		{"a query", start, start + `query-parameter-name="token" `, "", "no token from a query"},
		{"a value", start, start + `token-value="@(x)" `, "", "token-value"},
		{"no audience", "<audience>api://orders</audience>", "", "", "audiences is missing"},
		{"no tenant", "tenant-id", "tenant", "", "tenant-id is missing"},
		{"no policy", "validate-azure-ad-token tenant", "validate-jwt tenant", "", "it is no XML"},
		{"cut off", "</policies>", "", "", "it is no XML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := strings.Replace(good, tt.old, tt.new, 1)
			if content == good {
				t.Fatal("the case changes nothing")
			}
			f, err := guardfile.Parse("policy.xml", []byte(content))
			switch {
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("got %v, want %s", err, tt.problem)
			case tt.problem == "" && (err != nil || !warns(f, tt.warning)):
				t.Errorf("got %v, warnings %+v, want %s", err, f.Warnings, tt.warning)
			}
		})
	}
	all, err := guardfile.Parse("policy.xml", []byte(strings.Replace(good, `match="any"`, "", 1)))
	if err != nil || len(all.APIs[0].Rules[0].AllRoles) != 2 || len(all.APIs[0].Rules[0].Roles) != 0 {
		t.Errorf("all of the roles: %+v, %v", all, err)
	}
	if _, err := guardfile.Parse("policy.xml", bytes.Repeat([]byte("<a>"), 10)); err == nil {
		t.Error("open elements are a policy")
	}
}
