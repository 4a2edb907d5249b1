package credential

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

func scoped(scopes ...string) policy.TokenRequestOptions {
	return policy.TokenRequestOptions{Scopes: scopes}
}

// make one credential of each kind that proves an application.
func everyKind(t *testing.T, opts *Options) map[string]azcore.TokenCredential {
	t.Helper()
	certificate := newCertificate(t, "orders-client", time.Now().Add(-time.Hour))
	must := func(cred azcore.TokenCredential, err error) azcore.TokenCredential {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return cred
	}
	return map[string]azcore.TokenCredential{
		"secret":      must(NewSecret(testTenant, testClient, testSecret, opts)),
		"certificate": must(NewCertificate(testTenant, testClient, certificate, opts)),
		"assertion": must(NewAssertion(testTenant, testClient, func(context.Context) (string, error) {
			return "canary-assertion", nil
		}, opts)),
		"assertion file": must(NewAssertionFile(testTenant, testClient, writeFile(t, "assertion", []byte("canary-assertion\n")), opts)),
		"adal secret":    must(NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: testSecret, Options: opts})),
		"adal certificate": must(NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Certificate: certificate,
			Options: opts})),
	}
}

func TestEveryKindGetsAToken(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	for name, cred := range everyKind(t, a.options(t)) {
		t.Run(name, func(t *testing.T) {
			before := len(a.seen())
			token, err := cred.GetToken(t.Context(), scoped(testScope))
			if err != nil {
				t.Fatal(err)
			}
			want, endpoint := "v2-token", "/oauth2/v2.0/token"
			if strings.HasPrefix(name, "adal") {
				want, endpoint = "v1-token", "/oauth2/token?api-version=1.0"
			}
			if token.Token != want {
				t.Errorf("got token %q, want %q", token.Token, want)
			}
			if left := time.Until(token.ExpiresOn); left < 59*time.Minute || left > 61*time.Minute {
				t.Errorf("token expires in %s, want an hour", left)
			}
			req := a.seen()[before]
			if req.path != "/"+testTenant+endpoint {
				t.Errorf("asked %s, want endpoint %s", req.path, endpoint)
			}
			checkProof(t, name, req)
		})
	}
}

func checkProof(t *testing.T, name string, req tokenRequest) {
	t.Helper()
	form := req.form
	if got := form.Get("grant_type"); got != "client_credentials" {
		t.Errorf("grant_type %q", got)
	}
	if strings.HasSuffix(name, "secret") && form.Get("client_secret") != testSecret {
		t.Error("the secret did not arrive unchanged")
	}
	if strings.HasSuffix(name, "certificate") && strings.Count(form.Get("client_assertion"), ".") != 2 {
		t.Error("no signed assertion arrived")
	}
	if strings.HasPrefix(name, "assertion") && form.Get("client_assertion") != "canary-assertion" {
		t.Error("the assertion did not arrive unchanged")
	}
	if strings.HasPrefix(name, "adal") {
		if got := form.Get("resource"); got != "api://orders" || form.Has("scope") {
			t.Errorf("resource %q, scope given: %t", got, form.Has("scope"))
		}
	}
}

func TestAuthorityHostComesFromTheEnvironment(t *testing.T) {
	a := startAuthority(t)
	opts := a.options(t)
	t.Setenv(envAuthorityHost, opts.AuthorityHost+"/")
	t.Setenv(envCABundle, opts.CABundle)
	for name, cred := range everyKind(t, nil) {
		if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsSayWhatAndWhatNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, tokenRequest)
		code   string
		next   string
	}{
		{"wrong secret", refuse(401, 7000215, "invalid_client", "Invalid client secret."), "AADSTS7000215", "the secret's value"},
		{"unknown application", refuse(400, 700016, "unauthorized_client", "Not found."), "AADSTS700016", "client id"},
		{"unknown resource", refuse(400, 500011, "invalid_resource", "Not found."), "AADSTS500011", "scope or resource"},
		{"assignment required", refuse(400, 501051, "invalid_grant", "Not assigned."), "AADSTS501051", "app role"},
		{"no JSON", func(w http.ResponseWriter, _ tokenRequest) { w.WriteHeader(404) }, "", "token authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := startAuthority(t)
			a.answer = tt.answer
			for name, cred := range everyKind(t, a.options(t)) {
				_, err := cred.GetToken(t.Context(), scoped(testScope))
				var known *Error
				if !errors.As(err, &known) {
					t.Errorf("%s: got %v, want an *Error", name, err)
					continue
				}
				if known.Code != tt.code || !strings.Contains(known.Next, tt.next) {
					t.Errorf("%s: got code %q next %q, want %q %q", name, known.Code, known.Next, tt.code, tt.next)
				}
				if text := err.Error(); strings.Contains(text, "canary") || strings.ContainsAny(text, "\n\r") {
					t.Errorf("%s: the error shows a secret or is longer than a line: %s", name, text)
				}
			}
		})
	}
}

func TestErrorKeepsTheLibrarysOwn(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	a.answer = refuse(401, 7000215, "invalid_client", "Invalid client secret.")
	cred, err := NewSecret(testTenant, testClient, testSecret, a.options(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = cred.GetToken(t.Context(), scoped(testScope))
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %v, want one that wraps azidentity's", err)
	}
}

func TestUntrustedAuthorityIsExplained(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	kinds := everyKind(t, &Options{AuthorityHost: a.URL})
	for _, name := range []string{"secret", "adal secret"} { // one of each library; azidentity waits before it tries again
		_, err := kinds[name].GetToken(t.Context(), scoped(testScope))
		if err == nil || !strings.Contains(err.Error(), envCABundle) {
			t.Errorf("%s: got %v, want advice about %s", name, err, envCABundle)
		}
	}
}

func TestSecretsFollowNoRedirect(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	a.answer = func(w http.ResponseWriter, _ tokenRequest) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	opts := a.options(t)
	client := a.Client() // trusts both servers
	for _, opts := range []*Options{opts, {AuthorityHost: a.URL, HTTPClient: client}} {
		for name, cred := range everyKind(t, opts) {
			if _, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil {
				t.Errorf("%s: got a token from a redirect", name)
			}
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	startAuthority(t)
	for _, tt := range []struct {
		name, host, tenant, client, secret, want string
	}{
		{"plain http elsewhere", "http://login.contoso.test", testTenant, testClient, "s", "use https"},
		{"plain http here", "http://127.0.0.1:1", testTenant, testClient, "s", "only https"},
		{"path", "https://login.contoso.test/sub", testTenant, testClient, "s", "leave the tenant and any path out"},
		{"user name", "https://u:canary@login.contoso.test", testTenant, testClient, "s", "no user name"},
		{"no scheme", "login.contoso.test:8443", testTenant, testClient, "s", "not an https URL"},
		{"no tenant", "", "", testClient, "s", "tenant id is empty"},
		{"odd tenant", "", "a/b", testClient, "s", "tenant id has characters"},
		{"no client", "", testTenant, "", "s", "client id is empty"},
		{"no secret", "", testTenant, testClient, "", "secret is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewSecret(tt.tenant, tt.client, tt.secret, &Options{AuthorityHost: tt.host})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRegionalAuthorityIsRefusedAtPrivateHosts(t *testing.T) {
	a := startAuthority(t)
	t.Setenv("AZURE_REGIONAL_AUTHORITY_NAME", "westeurope")
	if _, err := NewSecret(testTenant, testClient, "s", a.options(t)); err == nil || !strings.Contains(err.Error(), "unset it") {
		t.Errorf("got %v", err)
	}
	if _, err := NewSecret(testTenant, testClient, "s", nil); err != nil {
		t.Errorf("at the public cloud: %v", err)
	}
}

func TestInstanceDiscoveryOnlyAtMicrosoft(t *testing.T) {
	t.Parallel()
	startAuthority(t)
	for host, private := range map[string]bool{
		"":                                  false,
		"https://login.microsoftonline.com": false,
		"https://LOGIN.microsoftonline.us/": false,
		"https://localhost:8443":            true,
		"https://login.microsoftonline.com.contoso.test": true,
	} {
		at, err := (&Options{AuthorityHost: host}).resolve()
		if err != nil || at.private != private {
			t.Errorf("%q: private %t, %v", host, at.private, err)
		}
	}
}

func TestAssertionFileIsReadEachTime(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	path := writeFile(t, "assertion", []byte("  \n"))
	cred, err := NewAssertionFile(testTenant, testClient, path, a.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v", err)
	}
}
