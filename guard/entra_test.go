package guard_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// entra answers as login.microsoftonline.com does, with documents of the
// shape seen there and keys of our own.
func entra(t *testing.T, requests *[]string) *http.Client {
	t.Helper()
	public := trustedKey().Public()
	certificate := [][]byte{trustedCertificate()}
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

func document(t testing.TB, keys ...token.Key) string {
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
	kid := token.Thumbprint(trustedCertificate())
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
		"https://localhost:8443/" + "/" + tenant:             {"https://localhost:8443/" + tenant + "/", "https://localhost:8443/" + tenant + "/v2.0"}, // AZURE_AUTHORITY_HOST with its slash, and the tenant
		"https://127.0.0.1:8443/" + tenant:                   {"https://127.0.0.1:8443/" + tenant + "/", "https://127.0.0.1:8443/" + tenant + "/v2.0"},
		"https://[::1]:8443/" + tenant:                       {"https://[::1]:8443/" + tenant + "/", "https://[::1]:8443/" + tenant + "/v2.0"},
	} {
		g := newGuard(t, guard.Config{Authority: authority, Audience: []string{apiURI}, HTTPClient: client(), Now: func() time.Time { return now }})
		steps := g.Explain(t.Context(), entraToken(t, "2.0", claims{"iss": "https://nobody.test/"}), guard.Rule{})
		detail := stepNamed(t, steps, "issuer").Detail
		if !strings.HasSuffix(detail, "trusted: "+want[0]+", "+want[1]) {
			t.Errorf("%s: %s", authority, detail)
		}
	}
}

// named answers as an authority that issues version 1.0 tokens under a name of its own
// choice (serve --v1-issuer).
func named(a *authority, v1 func() string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/"+tenant+"/.well-known/openid-configuration" {
			return false
		}
		_, _ = io.WriteString(w, `{"issuer":"`+v1()+`","jwks_uri":"`+a.url+"/"+tenant+`/discovery/keys"}`)
		return true
	}
}

// The guard learns what the issuer of version 1.0 tokens is called from the metadata of its
// own authority.
func TestTheNameOfTheV1IssuerIsLearned(t *testing.T) {
	const sts = "https://sts.windows.net/" + tenant + "/"
	a := newAuthority("https://authority.test")
	a.fail(named(a, func() string { return sts }))
	own, theirs := a.token(t, a.v1Claims()), a.token(t, a.v1Claims(), claims{"iss": sts})
	run(t, newGuard(t, a.config()), []bearerCase{
		{"v1.0", theirs, allowed},
		{"v2.0", a.token(t), allowed},
		{"v1.0 under the name that was presumed", own, badToken(guard.IssuerUnknown)},
		{"v1.0 of another tenant", a.token(t, a.v1Claims(), claims{"iss": "https://sts.windows.net/" + otherTenant + "/", "tid": otherTenant}), badToken(guard.IssuerUnknown)},
		{"v1.0 that says 2.0", a.token(t, a.v1Claims(), claims{"iss": sts, "ver": "2.0"}), badToken(guard.IssuerVersionMismatch)},
		{"signed by another", signWith(t, strangerKey(), "trusted", nil, a.claims(a.v1Claims(), claims{"iss": sts})), badToken(guard.SignatureInvalid)},
		{"nobody's", a.token(t, claims{"iss": "https://nobody.test/" + tenant + "/"}), badToken(guard.IssuerUnknown)},
	})
	if r := reason(newGuard(t, a.config()), own); r != guard.IssuerUnknown {
		t.Errorf("a guard that meets the presumed name first: %q", r)
	}
	// One that trusts the v2 issuer alone learns nothing.
	if r := reason(newGuard(t, a.single()), theirs); r != guard.IssuerUnknown {
		t.Errorf("without an Authority: %q", r)
	}
}

// A name that is not one for the tenant is not learned: then there are no keys for version
// 1.0, and version 2.0 goes on.
func TestNamesThatAreNotLearned(t *testing.T) {
	for _, name := range []string{
		"", "x", "https://sts.windows.net/" + otherTenant + "/", "https://sts.windows.net/", "http://sts.windows.net/" + tenant + "/",
		"https://sts.windows.net/{tenantid}/", "https://authority.test/" + tenant + "/v2.0", "https://sts.windows.net/" + tenant + "/?x=1",
		"https://sts.windows.net/" + tenant + "/ x", "https://user@sts.windows.net/" + tenant + "/", "https://sts.windows.net/" + strings.ToUpper(tenant) + "/",
	} {
		a := newAuthority("https://authority.test")
		a.fail(named(a, func() string { return name }))
		g := newGuard(t, a.config())
		for _, iss := range []string{name, a.v1} {
			if d := g.Check(t.Context(), a.token(t, a.v1Claims(), claims{"iss": iss}), ordersRule); d.Allowed() {
				t.Errorf("%q: a token of %q was let in", name, iss)
			}
		}
		if r := reason(g, a.token(t)); r != "" {
			t.Errorf("%q: version 2.0: %s", name, r)
		}
	}
}

// When the authority gives its issuer another name, tokens under the old one end.
func TestTheV1IssuerIsRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		var name atomic.Pointer[string]
		name.Store(&a.v1)
		a.fail(named(a, func() string { return *name.Load() }))
		cfg := a.aging()
		cfg.Issuers, cfg.Authority = nil, a.url+"/"+tenant
		g := newGuard(t, cfg)
		before := a.token(t, a.v1Claims(), lasting())
		if r := reason(g, before); r != "" {
			t.Fatal(r)
		}
		renamed := "https://sts.windows.net/" + tenant + "/"
		name.Store(&renamed)
		time.Sleep(13 * time.Hour)
		if r := reason(g, before); r != guard.IssuerUnknown {
			t.Errorf("the old name: %q", r)
		}
		if r := reason(g, a.token(t, a.v1Claims(), lasting(), claims{"iss": renamed})); r != "" {
			t.Errorf("the new name: %q", r)
		}
	})
}

// While the authority cannot be asked, a guard does not pretend to know what its issuers are
// called.
func TestAnUnknownIssuerWhileTheAuthorityIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		a.fail(outage)
		g := newGuard(t, a.config())
		raw := a.token(t, a.v1Claims(), claims{"iss": "https://sts.windows.net/" + tenant + "/"})
		before := a.fetches.Load()
		for range 1000 {
			if d := g.Check(t.Context(), raw, ordersRule); d.Reason != guard.KeysUnavailable || d.RetryAfter < time.Second {
				t.Fatalf("got %q, again in %v", d.Reason, d.RetryAfter)
			}
		}
		if got := a.fetches.Load() - before; got > 1 {
			t.Errorf("%d fetches for a stranger's tokens", got)
		}
		a.fail(nil)
		time.Sleep(time.Minute)
		if r := reason(g, raw); r != guard.IssuerUnknown {
			t.Errorf("once it is up: %q", r)
		}
	})
}

// Authorities, metadata and redirects are the same with the default port and without.
func TestTheDefaultPortIsLeftOut(t *testing.T) {
	for _, authority := range []string{"https://authority.test:443/" + tenant, "https://AUTHORITY.test:443/" + tenant + "/", "https://authority.test/" + tenant} {
		a := newAuthority("https://authority.test")
		cfg := a.config()
		cfg.Authority = authority
		g := newGuard(t, cfg)
		for _, raw := range []string{a.token(t), a.token(t, a.v1Claims())} {
			if r := reason(g, raw); r != "" {
				t.Errorf("%s: %s", authority, r)
			}
		}
		if r := reason(g, a.token(t, claims{"iss": "https://authority.test:443/" + tenant + "/v2.0"})); r != guard.IssuerUnknown {
			t.Errorf("%s: an issuer with the port: %q", authority, r)
		}
		d := g.Decide(t.Context(), guard.Request{Method: "GET", Path: "/"}, ordersRule)
		if challenge := d.Answer().Header["Www-Authenticate"][0]; strings.Contains(challenge, ":443") {
			t.Error(challenge)
		}
	}
	for keys, want := range map[string]guard.Reason{
		"https://authority.test:443/" + tenant + "/discovery/keys": "", "https://Authority.Test/" + tenant + "/discovery/keys": "",
		"https://authority.test:444/" + tenant + "/discovery/keys": guard.KeysUnavailable, "https://authority.test:80/" + tenant + "/discovery/keys": guard.KeysUnavailable,
	} {
		a := newAuthority("https://authority.test")
		a.fail(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/keys") {
				return false
			}
			_, _ = io.WriteString(w, `{"issuer":"`+a.v2+`","jwks_uri":"`+keys+`"}`)
			return true
		})
		cfg := a.single()
		cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.URL.Host = "authority.test"
			return client(a).Transport.RoundTrip(r)
		})}
		if r := reason(newGuard(t, cfg), a.token(t)); r != want {
			t.Errorf("%s: %q", keys, r)
		}
	}
}
