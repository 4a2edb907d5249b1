package authority

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/token"
)

func TestMetadataGolden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct{ name, path string }{
		{"v1", "/contoso.test/.well-known/openid-configuration"},
		{"v2", "/contoso.test/v2.0/.well-known/openid-configuration"},
		{"v1.common", "/common/.well-known/openid-configuration"},
		{"v2.common", "/common/v2.0/.well-known/openid-configuration"},
		{"v1.consumers", "/consumers/.well-known/openid-configuration"},
		{"v2.consumers", "/Consumers/v2.0/.well-known/openid-configuration"},
		{"v2.organizations", "/organizations/v2.0/.well-known/openid-configuration"},
	} {
		r := w.get(tt.path)
		golden(t, filepath.Join("testdata", "metadata."+tt.name+".json"), steady(t, r.Body.Bytes()))
		if got := r.Header().Get("Cache-Control"); got != "max-age=86400, private" {
			t.Errorf("%s: Cache-Control is %q", tt.name, got)
		}
	}
}

// A tenant's document is the same by whatever name it was asked for, and always holds
// its id.
func TestMetadataNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := w.get("/" + testTenant + "/v2.0/.well-known/openid-configuration").Body.String()
	for _, path := range []string{
		"/contoso.test/v2.0/.well-known/openid-configuration",
		"/CONTOSO.TEST/V2.0/.Well-Known/OpenID-Configuration",
		"/" + strings.ToUpper(testTenant) + "/v2.0/.well-known/openid-configuration?",
		"//contoso.test//v2.0/.well-known/openid-configuration/",
		"/contoso.test/v2.0/.well-known/openid-configuration?appid=" + testClient,
	} {
		if got := w.get(path).Body.String(); got != want {
			t.Errorf("%s gives\n%s", path, got)
		}
	}
}

func TestMetadataRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		tenant string
		code   int
	}{{"nosuch.test", 90002}, {nobody, 90002}, {"consumers.test", 90002}, {"a%20b", 900023}, {"nosuch", 900023}} {
		for _, path := range []string{"/.well-known/openid-configuration", "/v2.0/.well-known/openid-configuration", "/discovery/keys", "/discovery/v2.0/keys"} {
			w.get("/"+tt.tenant+path).refused(400, "invalid_tenant", tt.code)
		}
	}
}

func TestV1Issuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.V1Issuer = "https://sts.windows.net/{tenantid}/" })
	want := "https://sts.windows.net/" + testTenant + "/"
	if got := w.get("/contoso.test/.well-known/openid-configuration").json["issuer"]; got != want {
		t.Errorf("issuer is %v, want %s", got, want)
	}
	_, claims := w.judge(w.post(pathV1, w.goodV1().set("resource", "api://legacy")).token(), "/"+testTenant+"/discovery/keys")
	if claims["iss"] != want || claims["idp"] != want {
		t.Errorf("iss is %v, idp %v", claims["iss"], claims["idp"])
	}
}

// keyIDs gives kid and issuer of each key of a document.
func (w *world) keyIssuers(path string) map[string]string {
	w.t.Helper()
	var document struct{ Keys []token.JWK }
	w.must(json.Unmarshal(w.get(path).Body.Bytes(), &document))
	issuers := map[string]string{}
	for _, key := range document.Keys {
		issuers[key.ID] = key.Issuer
	}
	return issuers
}

// A key is good for one issuer. The documents of one tenant hold its keys alone; those of
// all tenants say which key belongs to whom.
func TestKeysBelongToOneIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contoso, fabrikam := w.keyIssuers("/contoso.test/discovery/v2.0/keys"), w.keyIssuers("/fabrikam.test/discovery/v2.0/keys")
	if len(contoso) < 2 || len(fabrikam) < 2 {
		t.Fatalf("%d and %d keys, want a current and a next one each", len(contoso), len(fabrikam))
	}
	for id := range contoso {
		if _, shared := fabrikam[id]; shared {
			t.Errorf("key %s is in the documents of two tenants", id)
		}
	}
	v1, v2 := w.keyIssuers("/common/discovery/keys"), w.keyIssuers("/organizations/discovery/v2.0/keys")
	if len(v1) != len(contoso)+len(fabrikam) || len(v2) != len(v1) {
		t.Errorf("%d and %d keys of all tenants, want %d", len(v1), len(v2), len(contoso)+len(fabrikam))
	}
	for id, tenant := range contoso {
		if v1[id] != testBase+"/"+testTenant+"/" || v2[id] != testBase+"/"+testTenant+"/v2.0" || tenant != v2[id] {
			t.Errorf("key %s has the issuers %q, %q and %q", id, v1[id], v2[id], tenant)
		}
	}
	for _, issuer := range w.keyIssuers("/contoso.test/discovery/keys") {
		if issuer != "" {
			t.Errorf("a key of version 1 names the issuer %q", issuer)
		}
	}
	w.enableTenant(otherOne, false)
	if left := w.keyIssuers("/common/discovery/v2.0/keys"); len(left) != len(contoso) {
		t.Errorf("%d keys of all tenants while one is disabled, want the %d of the other", len(left), len(contoso))
	}
}

func TestKeysGolden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, version := range []string{"v1", "v2"} {
		path := map[string]string{"v1": "/contoso.test/discovery/keys", "v2": "/contoso.test/discovery/v2.0/keys"}[version]
		golden(t, filepath.Join("testdata", "keys."+version+".json"), steady(t, w.get(path).Body.Bytes()))
	}
}

// publicDocuments are all that anybody may read.
func publicDocuments() []string {
	documents := []string{
		"/error?code=7000215", "/error?code=1", "/nosuch", "/",
		"/common/discovery/instance?api-version=1.1&authorization_endpoint=" + url.QueryEscape(testBase+"/common/oauth2/v2.0/authorize"),
		"/common/userrealm/dev@contoso.test?api-version=1.0",
	}
	for _, tenant := range []string{"/contoso.test", "/" + testTenant, "/common", "/organizations", "/nosuch.test"} {
		for _, path := range []string{
			"/.well-known/openid-configuration", "/v2.0/.well-known/openid-configuration", "/discovery/keys", "/discovery/v2.0/keys",
			"/workload/.well-known/openid-configuration", "/workload/keys", "/oauth2/token", "/oauth2/v2.0/token",
			"/oauth2/devicecode", "/oauth2/v2.0/devicecode", "/oauth2/authorize", "/oauth2/v2.0/authorize",
			"/oauth2/logout", "/oauth2/v2.0/logout", "/openid/userinfo",
		} {
			documents = append(documents, tenant+path)
		}
	}
	return documents
}

// No public document holds a private member of a key (RFC 7518 section 6), a private key
// or a secret.
func TestNothingPrivateIsPublic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private := []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
	var search func(path string, value any)
	search = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, member := range value {
				if slices.Contains(private, name) {
					t.Errorf("%s has a member %q", path, name)
				}
				search(path, member)
			}
		case []any:
			for _, element := range value {
				search(path, element)
			}
		}
	}
	for _, path := range publicDocuments() {
		r := w.get(path)
		search(path, r.json)
		if text := r.Body.String(); strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, w.secret) {
			t.Errorf("%s holds something private", path)
		}
	}
}

func TestInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, version, endpoint string
		want                    string // the discovery document it points to
		code                    int
	}{
		{"version 2", "1.1", testBase + "/contoso.test/oauth2/v2.0/authorize", testBase + "/contoso.test/v2.0/.well-known/openid-configuration", 0},
		{"version 1", "1.0", testBase + "/contoso.test/oauth2/authorize", testBase + "/contoso.test/.well-known/openid-configuration", 0},
		{"without the port", "1.0", "https://login.contoso.test/common/oauth2/authorize", testBase + "/common/.well-known/openid-configuration", 0},
		{"in capitals", "1.1", "https://LOGIN.contoso.test:8443/common/OAuth2/V2.0/authorize", testBase + "/common/v2.0/.well-known/openid-configuration", 0},
		{"the scheme's port", "1.0", "https://login.contoso.test:443/common/oauth2/authorize", testBase + "/common/.well-known/openid-configuration", 0},
		{"consumers", "1.1", testBase + "/consumers/oauth2/v2.0/authorize", testBase + "/consumers/v2.0/.well-known/openid-configuration", 0},
		{"another host, with a tenant that is none", "1.1", "https://example.test/any_name/oauth2/v2.0/authorize", "", 50049},
		{"another host, with no tenant", "1.1", "https://example.test", "", 50049},
		{"another host", "1.1", "https://login.nosuch.test/common/oauth2/v2.0/authorize", "", 50049},
		{"another port", "1.1", "https://login.contoso.test:1/common/oauth2/v2.0/authorize", "", 50049},
		{"a host that looks alike", "1.1", "https://login.contoso.test.evil.test/common/oauth2/v2.0/authorize", "", 50049},
		{"a user before the host", "1.1", "https://login.contoso.test:8443@evil.test/common/oauth2/v2.0/authorize", "", 50049},
		{"no endpoint", "1.1", "", "", 50050},
		{"not https", "1.1", "http://login.contoso.test:8443/common/oauth2/v2.0/authorize", "", 50050},
		{"no tenant", "1.1", testBase, "", 50050},
		{"a tenant that is none", "1.1", testBase + "/a%22b/oauth2/authorize", "", 50050},
		{"not a URL", "1.1", "https://[", "", 50050},
		{"another version", "2.0", testBase + "/common/oauth2/authorize", "", 50050},
	} {
		t.Run(tt.name, func(t *testing.T) {
			query := url.Values{"api-version": {tt.version}, "authorization_endpoint": {tt.endpoint}}
			r := w.get("/common/discovery/instance?" + query.Encode())
			got, _ := r.json["tenant_discovery_endpoint"].(string)
			if got != tt.want || r.code() != tt.code {
				t.Fatalf("got %q, %d: %v; want %q, %d", got, r.code(), r.json["error_description"], tt.want, tt.code)
			}
			if tt.code != 0 {
				return
			}
			hosts, _ := r.json["metadata"].([]any)
			if r.json["api-version"] != tt.version || (len(hosts) == 1) != (tt.version == "1.1") {
				t.Errorf("got %v", r.json)
			}
		})
	}
	if r := w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https://x.test/y/oauth2/authorize"); r.json["error"] != "invalid_instance" {
		t.Errorf("error is %v: clients look for invalid_instance", r.json["error"])
	}
}

func TestUserRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct{ path, want string }{
		{"/common/userrealm/dev@contoso.test?api-version=1.0", "Managed"},
		{"/common/UserRealm/Dev@Contoso.TEST", "Managed"},
		{"/common/userrealm/dev@nosuch.test", "Unknown"},
		{"/common/userrealm/dev@contoso", "Unknown"}, // a name, not a domain
		{"/common/userrealm/dev@" + testTenant, "Unknown"},
		{"/common/userrealm/dev", "Unknown"},
		{"/common/userrealm/%22%0d%0a@x", "Unknown"},
	} {
		r := w.get(tt.path)
		if r.Code != http.StatusOK || r.json["account_type"] != tt.want || r.json["ver"] != "1.0" || r.json["cloud_instance_name"] != "login.contoso.test" {
			t.Errorf("%s: got %d %v, want %s", tt.path, r.Code, r.json, tt.want)
		}
	}
}

// Asking whether a key is gone costs next to nothing: an answer without a body.
func TestKeysAreAnsweredByTheirTag(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/contoso.test/discovery/keys", "/contoso.test/discovery/v2.0/keys", "/common/discovery/keys", "/" + testTenant + "/workload/keys"} {
		first := w.get(path)
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || len(tag) < 20 || first.Body.Len() == 0 {
			t.Fatalf("%s: %d, tag %q", path, first.Code, tag)
		}
		for asked, want := range map[string]int{
			tag: http.StatusNotModified, "W/" + tag: http.StatusNotModified, `"x", ` + tag: http.StatusNotModified, "*": http.StatusNotModified,
			`"x"`: http.StatusOK, strings.Trim(tag, `"`): http.StatusOK, "": http.StatusOK,
		} {
			again := w.get(path, func(r *http.Request) { r.Header.Set("If-None-Match", asked) })
			if again.Code != want || (again.Body.Len() == 0) != (want == http.StatusNotModified) || again.Header().Get("ETag") != tag ||
				again.Header().Get("Cache-Control") != "max-age=3600, private" {
				t.Errorf("%s, %q: %d, %d bytes, tag %q, %q", path, asked, again.Code, again.Body.Len(), again.Header().Get("ETag"), again.Header().Get("Cache-Control"))
			}
		}
	}
	if tag := w.get("/contoso.test/v2.0/.well-known/openid-configuration").Header().Get("ETag"); tag != "" {
		t.Errorf("metadata has the tag %q", tag)
	}
}

// A revoked key must not be believed for a day by those who cache the document.
func TestKeysAreFetchedAnewWithinTheHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/contoso.test/discovery/keys", "/contoso.test/discovery/v2.0/keys", "/common/discovery/keys", "/" + testTenant + "/workload/keys"} {
		if got := w.get(path).Header().Get("Cache-Control"); got != "max-age=3600, private" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
	}
}

// Where one key was revoked another may follow: for a day, keys are fetched anew within minutes.
func TestKeysAreFetchedOftenAfterARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get("/contoso.test/discovery/keys") // makes them
	infos, err := w.keys.List(t.Context(), testTenant)
	if err != nil || len(infos) == 0 {
		t.Fatal(infos, err)
	}
	if err := w.keys.Revoke(t.Context(), testTenant, audit.Actor{Kind: "operator", Name: "test"}, infos[0].ID, "lost"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/contoso.test/discovery/keys", "/contoso.test/discovery/v2.0/keys", "/common/discovery/v2.0/keys"} {
		if got := w.get(path).Header().Get("Cache-Control"); got != "max-age=300, private" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
	}
	w.clock.Advance(25 * time.Hour)
	for _, path := range []string{"/contoso.test/discovery/keys", "/common/discovery/v2.0/keys"} {
		if got := w.get(path).Header().Get("Cache-Control"); got != "max-age=3600, private" {
			t.Errorf("%s a day later: Cache-Control is %q", path, got)
		}
	}
}

// The tenant of personal accounts has documents by both of its names, and no key.
func TestConsumersHaveDocumentsAndNoKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"} {
		document := w.get("/" + name + "/v2.0/.well-known/openid-configuration")
		for member, want := range map[string]string{
			"issuer": testBase + "/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", "jwks_uri": testBase + "/" + name + "/discovery/v2.0/keys",
			"token_endpoint": testBase + "/" + name + "/oauth2/v2.0/token",
		} {
			if got := document.text(member); got != want {
				t.Errorf("%s is %q, want %q", member, got, want)
			}
		}
		for _, path := range []string{"/discovery/keys", "/discovery/v2.0/keys"} {
			r := w.get("/" + name + path)
			if keys, ok := r.json["keys"].([]any); r.Code != http.StatusOK || !ok || len(keys) != 0 {
				t.Errorf("%s%s: got %d, %s", name, path, r.Code, r.Body)
			}
		}
		w.post("/"+name+"/oauth2/v2.0/token", w.good()).refused(400, "invalid_request", 9001023)
	}
}

// What a browser remembers of localhost counts for every server of the machine.
func TestNoHSTSWhereTheHostIsLocal(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		testBase: true, "https://login.fabrikam.test": true, "https://localhost.contoso.test": true,
		"https://localhost:8443": false, "https://LocalHost": false, "https://login.localhost:8443": false, "https://127.0.0.1:8443": false, "https://[::1]:8443": false, "https://10.1.2.3": false,
	} {
		w := newWorld(t, func(c *Config) { c.BaseURL = base })
		for _, path := range []string{"/contoso.test/v2.0/.well-known/openid-configuration", "/nosuch", "/error?code=7000215"} {
			if got := w.get(path).Header().Get("Strict-Transport-Security") != ""; got != want {
				t.Errorf("%s%s: HSTS is there: %t", base, path, got)
			}
		}
	}
}

// A port that is the scheme's own stands in no document and no token.
func TestDefaultPortIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BaseURL = "https://login.contoso.test:443/" })
	document := w.get("/contoso.test/v2.0/.well-known/openid-configuration").Body.String()
	instance := w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.contoso.test:443/common/oauth2/v2.0/authorize")
	refusal := w.post(pathV2, w.good().set("client_secret", "wrong")).Body.String()
	_, claims := w.judge(w.post(pathV2, w.good()).token(), keysV2Path)
	if all := document + instance.Body.String() + refusal; strings.Contains(all, ":443") || instance.Code != http.StatusOK {
		t.Errorf("it names its port: %s", all)
	}
	if claims["iss"] != "https://login.contoso.test/"+testTenant+"/v2.0" {
		t.Errorf("the issuer is %v", claims["iss"])
	}
}
