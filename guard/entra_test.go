package guard_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// entra answers as login.microsoftonline.com does, with documents of the
// shape seen there and keys of our own.
func entra(t *testing.T, requests *[]string) *http.Client {
	t.Helper()
	public := trustedKey().Public()
	certificate := [][]byte{[]byte("a certificate")}
	kid := token.Thumbprint(certificate[0])
	v2Keys := document(t, token.Key{ID: kid, Use: "sig", Public: public, Certificates: certificate,
		Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", CloudInstance: "microsoftonline.com"})
	commonKeys := document(t, token.Key{ID: kid, Use: "sig", Public: public, Certificates: certificate,
		Issuer: "https://login.microsoftonline.com/{tenantid}/v2.0", CloudInstance: "microsoftonline.com"})
	v1Keys := document(t, token.Key{ID: kid, Use: "sig", Public: public, Certificates: certificate})
	metadata := func(issuer, keys string) string {
		return `{"token_endpoint":"https://login.microsoftonline.com/common/oauth2/token","token_endpoint_auth_methods_supported":["client_secret_post","private_key_jwt","client_secret_basic"],` +
			`"jwks_uri":"https://login.microsoftonline.com` + keys + `","response_modes_supported":["query","fragment","form_post"],"subject_types_supported":["pairwise"],` +
			`"id_token_signing_alg_values_supported":["RS256"],"issuer":"` + issuer + `","request_uri_parameter_supported":false,"http_logout_supported":true,` +
			`"tenant_region_scope":null,"cloud_instance_name":"microsoftonline.com","cloud_graph_host_name":"graph.windows.net","msgraph_host":"graph.microsoft.com"}`
	}
	const discovery = "/.well-known/openid-configuration"
	pages := map[string]string{
		"/" + tenant + discovery:              metadata("https://sts.windows.net/"+tenant+"/", "/"+tenant+"/discovery/keys"),
		"/" + tenant + "/v2.0" + discovery:    metadata("https://login.microsoftonline.com/"+tenant+"/v2.0", "/"+tenant+"/discovery/v2.0/keys"),
		"/organizations" + discovery:          metadata("https://sts.windows.net/{tenantid}/", "/common/discovery/keys"),
		"/organizations/v2.0" + discovery:     metadata("https://login.microsoftonline.com/{tenantid}/v2.0", "/organizations/discovery/v2.0/keys"),
		"/" + tenant + "/discovery/keys":      v1Keys,
		"/" + tenant + "/discovery/v2.0/keys": v2Keys,
		"/common/discovery/keys":              v2Keys, // v1 sets have been seen with the v2 form of the issuer
		"/organizations/discovery/v2.0/keys":  commonKeys,
	}
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		*requests = append(*requests, r.URL.String())
		page, ok := pages[r.URL.Path]
		if r.URL.Host != "login.microsoftonline.com" || !ok {
			return nil, errNetwork
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Cache-Control": {"max-age=86400, private"}}, Body: io.NopCloser(strings.NewReader(page)), Request: r}, nil
	})}
}

func document(t *testing.T, keys ...token.Key) string {
	t.Helper()
	b, err := token.KeysDocument(keys)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// entraToken signs claims in the order and with the members that Entra's
// app-only tokens have.
func entraToken(t *testing.T, version string, changes claims) string {
	t.Helper()
	kid := token.Thumbprint([]byte("a certificate"))
	c := claims{
		"aud": apiID, "iss": "https://login.microsoftonline.com/" + tenant + "/v2.0", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 3900,
		"aio": "k2RgYFjCfWbNjuSZ", "azp": clientID, "azpacr": "1", "oid": principalID, "rh": "0.AAAA.", "roles": []string{"Orders.Read"},
		"sub": principalID, "tid": tenant, "uti": "u-1", "ver": "2.0", "xms_ftd": "abc",
	}
	header := map[string]any(nil)
	if version == "1.0" {
		for _, name := range []string{"azp", "azpacr"} {
			delete(c, name)
		}
		c["iss"], c["ver"], c["aud"] = "https://sts.windows.net/"+tenant+"/", "1.0", apiURI
		c["appid"], c["appidacr"], c["idp"] = clientID, "1", "https://sts.windows.net/"+tenant+"/"
		header = map[string]any{"x5t": kid}
	}
	for name, value := range changes {
		c[name] = value
	}
	return signWith(t, trustedKey(), kid, header, c)
}

func TestEntraByConfigurationAlone(t *testing.T) {
	t.Parallel()
	var requests []string
	cfg := guard.Config{
		Authority: "https://login.microsoftonline.com/" + tenant, Audience: []string{apiURI, apiID},
		HTTPClient: entra(t, &requests), Now: func() time.Time { return now },
	}
	run(t, newGuard(t, cfg), []bearerCase{
		{"a v2.0 token", entraToken(t, "2.0", nil), allowed},
		{"a v1.0 token", entraToken(t, "1.0", nil), allowed},
		{"a v1.0 token for the application id", entraToken(t, "1.0", claims{"aud": apiID}), allowed},
		{"a user's token", entraToken(t, "2.0", claims{"scp": "access_as_user", "sub": "pairwise"}), missingRight(guard.WrongCallerKind)},
		{"a token for Graph", entraToken(t, "1.0", claims{"aud": "https://graph.microsoft.com"}), badToken(guard.AudienceMismatch)},
		{"another tenant", entraToken(t, "2.0", claims{"iss": "https://login.microsoftonline.com/" + otherTenant + "/v2.0", "tid": otherTenant}), badToken(guard.IssuerUnknown)},
		{"the v1 issuer at the v2 host", entraToken(t, "1.0", claims{"iss": "https://login.microsoftonline.com/" + tenant + "/"}), badToken(guard.IssuerUnknown)},
	})
	for _, request := range requests {
		if !strings.HasPrefix(request, "https://login.microsoftonline.com/"+tenant+"/") {
			t.Errorf("asked for %s", request)
		}
	}
}

func TestEntraForSeveralTenants(t *testing.T) {
	t.Parallel()
	var requests []string
	cfg := guard.Config{
		Authority: "https://login.microsoftonline.com/organizations", Audience: []string{apiURI, apiID}, Tenants: []string{tenant, otherTenant},
		HTTPClient: entra(t, &requests), Now: func() time.Time { return now },
	}
	const third = "33333333-0a4e-4b8e-9c61-2d5e8f0a1b11"
	of := func(tid string) claims {
		return claims{"iss": "https://login.microsoftonline.com/" + tid + "/v2.0", "tid": tid}
	}
	run(t, newGuard(t, cfg), []bearerCase{
		{"the first tenant", entraToken(t, "2.0", nil), allowed},
		{"the first tenant, v1.0, with a key that names the v2 issuer", entraToken(t, "1.0", nil), allowed},
		{"the second tenant", entraToken(t, "2.0", of(otherTenant)), allowed},
		{"a third tenant", entraToken(t, "2.0", of(third)), badToken(guard.TenantNotAllowed)},
		{"A21 the second tenant by a key of the first", entraToken(t, "1.0", claims{"iss": "https://sts.windows.net/" + otherTenant + "/", "tid": otherTenant}), badToken(guard.KeyMismatch)},
		{"the personal tenant", entraToken(t, "2.0", of("9188040d-6c67-4c5b-b112-36a304b66dad")), badToken(guard.TenantNotAllowed)},
	})
}

// TestAuthoritiesAndTheirIssuers looks only at which issuers an authority stands for.
func TestAuthoritiesAndTheirIssuers(t *testing.T) {
	t.Parallel()
	for authority, want := range map[string][2]string{
		"https://login.microsoftonline.com/" + tenant:        {"https://sts.windows.net/" + tenant + "/", "https://login.microsoftonline.com/" + tenant + "/v2.0"},
		"https://login.windows.net/" + tenant + "/":          {"https://sts.windows.net/" + tenant + "/", "https://login.microsoftonline.com/" + tenant + "/v2.0"},
		"https://login.microsoftonline.us/" + tenant:         {"https://sts.windows.net/" + tenant + "/", "https://login.microsoftonline.us/" + tenant + "/v2.0"},
		"https://login.partner.microsoftonline.cn/" + tenant: {"https://sts.chinacloudapi.cn/" + tenant + "/", "https://login.partner.microsoftonline.cn/" + tenant + "/v2.0"},
		"https://LocalHost:8443/" + strings.ToUpper(tenant):  {"https://localhost:8443/" + tenant + "/", "https://localhost:8443/" + tenant + "/v2.0"},
		"http://127.0.0.1:8443/" + tenant:                    {"http://127.0.0.1:8443/" + tenant + "/", "http://127.0.0.1:8443/" + tenant + "/v2.0"},
		"http://[::1]:8443/" + tenant:                        {"http://[::1]:8443/" + tenant + "/", "http://[::1]:8443/" + tenant + "/v2.0"},
	} {
		g := newGuard(t, guard.Config{Authority: authority, Audience: []string{apiURI}, HTTPClient: client(), Now: func() time.Time { return now }})
		steps := g.Explain(t.Context(), entraToken(t, "2.0", claims{"iss": "https://nobody.test/"}), guard.Rule{})
		detail := stepNamed(t, steps, "issuer").Detail
		if !strings.HasSuffix(detail, "trusted: "+want[0]+", "+want[1]) {
			t.Errorf("%s: %s", authority, detail)
		}
	}
}
