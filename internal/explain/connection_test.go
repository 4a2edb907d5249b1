package explain_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/explain"
)

func TestConnection(t *testing.T) {
	t.Parallel()
	const app = "RunAs=App;AppId=c11e0001-5a5a-4c4c-8d8d-000000000001;TenantId=contoso.test;"
	for _, tt := range []struct {
		name, text string
		accepted   bool
		means, in  string // in the migration to Go
		missing    []string
	}{
		{"secret", app + "AppKey=canary", true, "proves itself by a secret", "NewClientSecretCredential", nil},
		{"file that is not there", app + "CertificateFile=a.pem;CertificatePassword=canary", false, "certificate in a file", `os.ReadFile("a.pem")`, nil},
		{"file", app + "CertificateFile=../../credential/testdata/certificates/openssl3.p12;CertificatePassword=geheim", true, "certificate in a file", `os.ReadFile("../../credential/testdata/certificates/openssl3.p12")`, nil},
		{"whole string in quotes", `"` + app + `AppKey=canary"`, false, "Nobody", "", nil},
		{"store", app + "CertificateThumbprint=" + strings.Repeat("ab", 20) + ";CertificateStoreLocation=CurrentUser", true, "certificate store", "SendCertificateChain", nil},
		{"subject", app + "CertificateSubjectName=CN=x", false, "certificate store", "client.pem", []string{"CertificateStoreLocation"}},
		{"system-assigned", "RunAs=App", true, "system-assigned", "NewManagedIdentityCredential(nil)", nil},
		{"user-assigned", "runas=app;appid=c11e", true, "user-assigned managed identity c11e", `ClientID("c11e")`, nil},
		{"developer", "RunAs=Developer;DeveloperTool=AzureCli", true, "az", "NewAzureCLICredential", nil},
		{"Visual Studio", "RunAs=Developer;DeveloperTool=VisualStudio", false, "Visual Studio", "NewAzureCLICredential", nil},
		{"current user", "RunAs=CurrentUser", false, "Windows account", "NewAzureCLICredential", nil},
		{"key vault", "RunAs=App;AppId=a;KeyVaultCertificateSecretIdentifier=https://v.vault.azure.net/secrets/s", false, "key vault", "SendCertificateChain", nil},
		{"secret without its application", "RunAs=App;AppKey=canary", false, "(not given)", "CLIENT-ID", []string{"AppId", "TenantId"}},
		{"nothing that proves", app, false, "Nobody", "", []string{"AppKey"}},
		{"no tool", "RunAs=Developer", false, "Nobody", "", []string{"DeveloperTool"}},
		{"empty", "", false, "Nobody", "", []string{"RunAs"}},
		{"broken", "RunAs=App;canary", false, "Nobody", "", nil},
		{"secret with a bare semicolon", app + "AppKey=x;canary=y", false, "secret", "NewClientSecretCredential", nil},
		{"forgotten semicolon", "RunAs=App;AppId=a AppKey=canary;TenantId=t", false, "Nobody", "", []string{"AppKey"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := explain.Connection(tt.text)
			if r.Accepted != tt.accepted || (r.Problem == "") != tt.accepted {
				t.Errorf("accepted %t, problem %q; want %t", r.Accepted, r.Problem, tt.accepted)
			}
			if !strings.Contains(r.Means, tt.means) {
				t.Errorf("means %q, want %q", r.Means, tt.means)
			}
			if !slices.Equal(r.Missing, tt.missing) {
				t.Errorf("missing %q, want %q", r.Missing, tt.missing)
			}
			if tt.in == "" {
				if len(r.Migrate) != 0 {
					t.Errorf("migrates to %q", r.Migrate)
				}
			} else if len(r.Migrate) != len(explain.Languages()) || !strings.Contains(r.Migrate["Go"], tt.in) {
				t.Errorf("migrates to %q, want %s", r.Migrate, tt.in)
			}
			all, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(all), "canary") {
				t.Errorf("repeats a secret: %s", all)
			}
		})
	}
}

// Where a credential asks an authority, its code switches instance discovery off: with it, the
// libraries ask Microsoft's cloud about ours, and fail on a machine that reaches that cloud.
func TestMigrationSwitchesInstanceDiscoveryOff(t *testing.T) {
	t.Parallel()
	const app = "RunAs=App;AppId=c11e0001-5a5a-4c4c-8d8d-000000000001;TenantId=contoso.test;"
	switches := map[string]string{
		"Go": "DisableInstanceDiscovery: true", "C#": "DisableInstanceDiscovery = true",
		"Python": "disable_instance_discovery=True", "JavaScript": "disableInstanceDiscovery: true",
	}
	for _, tt := range []struct {
		text string
		asks bool
	}{
		{app + "AppKey=canary", true},
		{app + "CertificateFile=a.pem", true},
		{app + "CertificateThumbprint=" + strings.Repeat("ab", 20) + ";CertificateStoreLocation=CurrentUser", true},
		{"RunAs=App;AppId=a;KeyVaultCertificateSecretIdentifier=https://v.vault.azure.net/secrets/s", true},
		{"RunAs=App", false},
		{"RunAs=Developer;DeveloperTool=AzureCli", false},
	} {
		migrations := explain.Connection(tt.text).Migrate
		for _, language := range explain.Languages() {
			if got := strings.Count(migrations[language], switches[language]); got > 1 || (got == 1) != tt.asks {
				t.Errorf("%s, %s: %q has the switch %d times", tt.text, language, migrations[language], got)
			}
		}
	}
}
