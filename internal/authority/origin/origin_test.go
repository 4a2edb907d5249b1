package origin

import (
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestHostname(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"login.contoso.test": "login.contoso.test", "localhost:8443": "localhost", "[::1]:8443": "[::1]", "[::1]": "[::1]",
	} {
		if got := hostname(host); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

// What a refusal recommends as the audience is the plain endpoint, by the tenant's id: not
// one with the query of this one request, or with a name that may change.
func TestRecommendedAudience(t *testing.T) {
	t.Parallel()
	o, err := New(testids.BaseURL, "")
	if err != nil {
		t.Fatal(err)
	}
	tenant := &directory.Tenant{ID: testids.Tenant, Name: "contoso", Domains: []string{"contoso.test"}}
	const plain, query = testids.BaseURL + "/" + testids.Tenant + "/oauth2/v2.0/token", "client-request-id=" + testids.Nobody
	urls := o.Audiences(tenant, "contoso.test", query)
	if last := urls[len(urls)-1]; last != plain {
		t.Errorf("recommended: %s, want %s", last, plain)
	}
	for _, accepted := range []string{plain + "?" + query, testids.BaseURL + "/contoso.test/oauth2/token?" + query, testids.BaseURL + "/contoso.test/v2.0"} {
		if !slices.Contains(urls, accepted) {
			t.Errorf("%s is not accepted", accepted)
		}
	}
}

// An issuer leads back to its tenant, and no other text leads to one.
func TestTenantOfIssuer(t *testing.T) {
	t.Parallel()
	o, err := New(testids.BaseURL, "https://sts.windows.net/{tenantid}/")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, issuer     string
		tokens, workload directory.TenantID
	}{
		{"version 1", o.IssuerV1(testids.Tenant), testids.Tenant, ""},
		{"version 2", o.IssuerV2(testids.Tenant), testids.Tenant, ""},
		{"workloads", o.WorkloadIssuer(testids.Tenant), "", testids.Tenant},
		{"in capitals", strings.ToUpper(o.IssuerV2(testids.Tenant)), "", ""},
		{"an id in capitals", o.IssuerV2(directory.TenantID(strings.ToUpper(testids.Tenant))), "", ""},
		{"of another host", "https://login.fabrikam.test/" + testids.Tenant + "/v2.0", "", ""},
		{"a slash too many", o.IssuerV2(testids.Tenant) + "/", "", ""},
		{"a slash too few", strings.TrimSuffix(o.IssuerV1(testids.Tenant), "/"), "", ""},
		{"a name", o.IssuerV2("contoso"), "", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tokens, workload := o.TenantOf(tt.issuer), o.WorkloadTenantOf(tt.issuer); tokens != tt.tokens || workload != tt.workload {
				t.Errorf("%s is of %q and, for workloads, of %q; want %q and %q", tt.issuer, tokens, workload, tt.tokens, tt.workload)
			}
		})
	}
}

func TestOwnIssuersAreRecognised(t *testing.T) {
	t.Parallel()
	own, err := New(testids.BaseURL, "https://sts.windows.net/"+TenantPlaceholder+"/")
	if err != nil {
		t.Fatal(err)
	}
	for issuer, want := range map[string]directory.TenantID{
		testids.BaseURL + "/" + testids.Tenant + "/v2.0":               testids.Tenant,
		"https://sts.windows.net/" + testids.Tenant + "/":              testids.Tenant,
		testids.BaseURL + "/" + testids.Tenant + "/":                   "",
		testids.BaseURL + "/" + testids.Tenant + "/v2.0/":              "",
		testids.BaseURL + "/contoso.test/v2.0":                         "",
		testids.BaseURL + "/" + testids.Tenant + "/x/v2.0":             "",
		"https://evil.test/" + testids.Tenant + "/v2.0":                "",
		testids.BaseURL + "/7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11/v2.0": "",
		"": "",
	} {
		if got := own.TenantOf(issuer); got != want {
			t.Errorf("%q is of tenant %q, want %q", issuer, got, want)
		}
	}
}

// A client may call the authority by any of its names in the audience of its assertion, and
// is advised to use the one that issues.
func TestAliasesAreAudiences(t *testing.T) {
	t.Parallel()
	own, err := New(testids.BaseURL, "")
	if err != nil {
		t.Fatal(err)
	}
	o := own.WithAliases("Auth.corp.test:8443", "auth.old.test")
	tenant := &directory.Tenant{ID: testids.Tenant, Name: "contoso"}
	urls := o.Audiences(tenant, "contoso", "")
	for _, accepted := range []string{
		"https://auth.corp.test:8443/" + testids.Tenant + "/oauth2/v2.0/token", "https://auth.old.test/contoso/v2.0",
	} {
		if !slices.Contains(urls, accepted) || slices.Contains(own.Audiences(tenant, "contoso", ""), accepted) {
			t.Errorf("%s is not accepted for the alias alone", accepted)
		}
	}
	if last := urls[len(urls)-1]; last != testids.BaseURL+"/"+testids.Tenant+"/oauth2/v2.0/token" {
		t.Errorf("recommended: %s", last)
	}
	for host, want := range map[string]bool{
		"auth.corp.test:8443": true, "AUTH.corp.test": true, "auth.old.test": true, own.Host: true,
		"auth.old.test:8443": false, "auth.corp.test:1": false, "evil-auth.corp.test": false, "": false,
	} {
		if o.Answers(host) != want {
			t.Errorf("answers to %q: %v, want %v", host, !want, want)
		}
	}
}

func TestDefaultPort(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://login.contoso.test:443": "https://login.contoso.test", "https://LOGIN.contoso.test:443/": "https://login.contoso.test",
		"https://login.contoso.test:": "https://login.contoso.test", "https://login.contoso.test:8443": "https://login.contoso.test:8443",
		"https://login.contoso.test:80": "https://login.contoso.test:80", "http://localhost:80": "http://localhost", "http://localhost:443": "http://localhost:443",
		"https://[::1]:443": "https://[::1]", "https://[fd00::443]": "https://[fd00::443]", "https://[fd00::443]:443": "https://[fd00::443]", "https://localhost:1443": "https://localhost:1443",
	} {
		o, err := New(base, "")
		if err != nil {
			t.Errorf("%s: %v", base, err)
			continue
		}
		if o.BaseURL != want || o.IssuerV2(testids.Tenant) != want+"/"+testids.Tenant+"/v2.0" || "https://"+o.Host != strings.Replace(want, "http:", "https:", 1) {
			t.Errorf("%s: got %s, host %s, issuer %s", base, o.BaseURL, o.Host, o.IssuerV2(testids.Tenant))
		}
	}
}
