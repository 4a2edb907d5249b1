package authority

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// judge verifies a token with a library that is not ours, with the keys that are
// published for its issuer, and gives its header and claims.
func (w *world) judge(raw, keysPath string) (jose.Header, map[string]any) {
	w.t.Helper()
	var keys jose.JSONWebKeySet
	w.must(json.Unmarshal(w.get(keysPath).Body.Bytes(), &keys))
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	w.must(err)
	var standard jwt.Claims
	var claims map[string]any
	w.must(parsed.Claims(keys, &standard, &claims))
	w.must(standard.ValidateWithLeeway(jwt.Expected{Time: w.clock.Now()}, 0))
	return parsed.Headers[0], claims
}

// The resource chooses the version of a token, whichever endpoint the client calls.
func TestTokenVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, path   string
		form         values
		ver, aud     string
		keys, issuer string
	}{
		{"v2 endpoint, version 2", pathV2, w.good(), "2.0", testAPI, "/discovery/v2.0/keys", testBase + "/" + testTenant + "/v2.0"},
		{"v2 endpoint, version 1", pathV2, w.good().set("scope", "api://legacy/.default"), "1.0", "api://legacy", "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"v1 endpoint, version 2", pathV1, w.goodV1(), "2.0", testAPI, "/discovery/v2.0/keys", testBase + "/" + testTenant + "/v2.0"},
		{"v1 endpoint, version 1", pathV1, w.goodV1().set("resource", "api://legacy"), "1.0", "api://legacy", "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 by app id", pathV2, w.good().set("scope", legacyAPI+"/.default"), "1.0", legacyAPI, "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 with a slash", pathV1, w.goodV1().set("resource", "api://legacy/"), "1.0", "api://legacy/", "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 by app id, with ADAL's query", pathV1 + "?api-version=1.0", w.goodV1().set("resource", legacyAPI), "1.0", "spn:" + legacyAPI, "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 by its URI, with ADAL's query", pathV1 + "?api-version=1.0", w.goodV1().set("resource", "api://legacy"), "1.0", "api://legacy", "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 behind spn:", pathV1, w.goodV1().set("resource", "spn:"+legacyAPI), "1.0", "spn:" + legacyAPI, "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 1 behind spn:, at v2", pathV2 + "?api-version=1.0", w.good().set("scope", "SPN:api://legacy/.default"), "1.0", "spn:api://legacy", "/discovery/keys", testBase + "/" + testTenant + "/"},
		{"version 2 behind spn:", pathV1 + "?api-version=1.0", w.goodV1().set("resource", "spn:"+testAPI), "2.0", testAPI, "/discovery/v2.0/keys", testBase + "/" + testTenant + "/v2.0"},
		{"version 2 with two slashes", pathV2, w.good().set("scope", "https://orders.contoso.test//.default"), "2.0", testAPI, "/discovery/v2.0/keys", testBase + "/" + testTenant + "/v2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := w.post(tt.path, tt.form).token()
			header, claims := w.judge(raw, "/"+testTenant+tt.keys)
			for name, want := range map[string]any{
				"ver": tt.ver, "aud": tt.aud, "iss": tt.issuer, "tid": testTenant, "idtyp": nil,
				"oid": string(principalID(testClient)), "sub": string(principalID(testClient)),
			} {
				if claims[name] != want {
					t.Errorf("%s is %v, want %v", name, claims[name], want)
				}
			}
			if header.Algorithm != "RS256" || header.ExtraHeaders["typ"] != "JWT" || header.KeyID == "" {
				t.Errorf("header is %+v", header)
			}
			if x5t := rawHeader(t, raw)["x5t"]; (x5t == header.KeyID) != (tt.ver == "1.0") {
				t.Errorf("x5t is %v for version %s", x5t, tt.ver)
			}
		})
	}
}

func rawHeader(t *testing.T, raw string) map[string]any {
	t.Helper()
	encoded, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

// Clients of v1 read numbers from strings, those of v2 from numbers.
func TestTokenAnswerTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name  string
		reply *reply
		want  map[string]string
	}{
		{"v2", w.post(pathV2, w.good()), map[string]string{
			"token_type": "string", "expires_in": "float64", "ext_expires_in": "float64", "access_token": "string",
		}},
		{"v1", w.post(pathV1, w.goodV1()), map[string]string{
			"token_type": "string", "expires_in": "string", "ext_expires_in": "string", "expires_on": "string",
			"not_before": "string", "resource": "string", "access_token": "string",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			for name, value := range tt.reply.json {
				got[name] = fmt.Sprintf("%T", value)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTokenTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Lifetime = 3 * time.Hour })
	r := w.post(pathV1, w.goodV1())
	_, claims := w.judge(r.token(), "/"+testTenant+"/discovery/v2.0/keys")
	now := w.clock.Now().Unix()
	for name, want := range map[string]any{
		"expires_in": "10800", "ext_expires_in": "10800", "refresh_in": 5400.0,
		"expires_on": fmt.Sprint(now + 10800), "not_before": fmt.Sprint(now - 300), "resource": "api://orders",
	} {
		if r.json[name] != want {
			t.Errorf("%s is %v, want %v", name, r.json[name], want)
		}
	}
	for name, want := range map[string]int64{"iat": now - 300, "nbf": now - 300, "exp": now + 10800} {
		if claims[name] != float64(want) {
			t.Errorf("%s is %v, want %d", name, claims[name], want)
		}
	}
}

// volatile are the parts of an answer that differ from one to the next.
var volatile = regexp.MustCompile(`"(aio|rh|uti|kid|x5t|n|access_token|trace_id|correlation_id)":"[^"]*"|(Trace|Correlation) ID: [0-9a-f-]{36}|"x5c":\["[^"]*"\]`)

// steady replaces the volatile parts and lays JSON out for people.
func steady(t *testing.T, body []byte) []byte {
	t.Helper()
	text := volatile.ReplaceAllStringFunc(string(body), func(s string) string {
		switch {
		case strings.HasPrefix(s, `"x5c"`):
			return `"x5c":["…"]`
		case strings.HasPrefix(s, `"`):
			name, _, _ := strings.Cut(s, ":")
			return name + `:"…"`
		}
		return s[:len(s)-36] + "…"
	})
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(json.RawMessage(text)); err != nil {
		t.Fatal(err)
	}
	return []byte(out.String())
}

func TestTokenGolden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Lifetime = time.Hour })
	for _, tt := range []struct {
		name, path string
		form       values
	}{
		{"v1", pathV1, w.goodV1().set("resource", "api://legacy")},
		{"v2", pathV2, w.good()},
	} {
		r := w.post(tt.path, tt.form)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.token(), ".")[1])
		w.must(err)
		golden(t, filepath.Join("testdata", "answer."+tt.name+".json"), steady(t, r.Body.Bytes()))
		golden(t, filepath.Join("testdata", "claims."+tt.name+".json"), steady(t, payload))
	}
}

func TestTokenRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rolesAt := func(path string, form values) []string {
		t.Helper()
		_, claims := w.judge(w.post(path, form).token(), "/"+testTenant+"/discovery/v2.0/keys")
		if _, present := claims["roles"]; !present {
			return nil
		}
		var roles []string
		for _, role := range claims["roles"].([]any) {
			roles = append(roles, role.(string))
		}
		return roles
	}
	if got := rolesAt(pathV2, w.good()); !slices.Equal(got, []string{"Orders.Read"}) {
		t.Errorf("roles are %q: want those of this resource and of no other", got)
	}
	if got := rolesAt(pathV2, w.good().set("scope", "api://legacy/.default")); !slices.Equal(got, []string{"Legacy.Read"}) {
		t.Errorf("roles are %q: want those of this resource and of no other", got)
	}
	if got := rolesAt(pathV2, w.good().set("scope", testClient+"/.default")); got != nil {
		t.Errorf("roles at itself are %q, want none", got)
	}
	w.post(pathV2, w.good().set("scope", "api://closed/.default")).refused(400, "invalid_grant", 501051)

	w.edit(func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(testTenant, principalID(testClient), principalID(closedAPI), "40000004-5a5a-4c4c-8d8d-000000000004")
		return err
	})
	if got := rolesAt(pathV2, w.good().set("scope", "api://closed/.default")); !slices.Equal(got, []string{"Closed.Read"}) {
		t.Errorf("roles are %q after the grant", got)
	}

	w.edit(func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(testTenant, principalID(testClient), principalID(testAPI), "40000002-5a5a-4c4c-8d8d-000000000002")
		return err
	})
	w.editApplication(testAPI, func(a *directory.Application) { a.AppRoles[0].Enabled = false })
	if got := rolesAt(pathV2, w.good()); !slices.Equal(got, []string{"Orders.Off"}) {
		t.Errorf("roles are %q after one was disabled", got)
	}
	w.editApplication(testAPI, func(a *directory.Application) { a.AppRoles[1].Enabled = false })
	if got := rolesAt(pathV2, w.good()); got != nil {
		t.Errorf("roles are %q after all were disabled, want none and a token", got)
	}

	w.edit(func(e *directory.Editor) error {
		return e.Assignments().Remove(testTenant, principalID(testClient), principalID(legacyAPI), "40000003-5a5a-4c4c-8d8d-000000000003")
	})
	if got := rolesAt(pathV2, w.good().set("scope", "api://legacy/.default")); got != nil {
		t.Errorf("roles are %q after the grant was taken back", got)
	}
}

func TestTokenOptionalClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.editApplication(legacyAPI, func(a *directory.Application) {
		a.OptionalClaims = []directory.OptionalClaim{{Name: "aud", Properties: []string{"use_guid"}}, {Name: "xms_cc"}}
	})
	form := w.good().set("scope", "api://legacy/.default", "claims",
		fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"},"xms_cc":{"values":["CP1"]}}}`, w.clock.Now().Unix()-10))
	_, claims := w.judge(w.post(pathV2, form).token(), "/"+testTenant+"/discovery/keys")
	if claims["aud"] != legacyAPI {
		t.Errorf("aud is %v, want the app id", claims["aud"])
	}
	if cc, _ := claims["xms_cc"].([]any); len(cc) != 1 || cc[0] != "CP1" {
		t.Errorf("xms_cc is %v", claims["xms_cc"])
	}
	if claims["nbf"] != float64(w.clock.Now().Unix()-10) {
		t.Errorf("nbf is %v, want what the challenge demands", claims["nbf"])
	}
}

// What libraries send beside the parameters of the grant changes nothing.
func TestTokenSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, path string
		form       values
		options    []func(*http.Request)
	}{
		{"the tenant by domain", "/contoso.test/oauth2/v2.0/token", w.good(), nil},
		{"the domain in capitals", "/CONTOSO.TEST/oauth2/v2.0/token", w.good(), nil},
		{"the tenant's id in capitals", strings.ToUpper("/"+testTenant) + "/oauth2/v2.0/token", w.good(), nil},
		{"the path in capitals", "/" + testTenant + "/OAuth2/V2.0/Token", w.good(), nil},
		{"doubled slashes and one at the end", "//" + testTenant + "//oauth2/v2.0/token/", w.good(), nil},
		{"an empty query", pathV2 + "?", w.good(), nil},
		{"ADAL's query", pathV1 + "?api-version=1.0", w.goodV1(), nil},
		{"parameters in the query are not read", pathV2 + "?grant_type=password&client_id=x&client_secret=y&scope=z", w.good(), nil},
		{"the client id in capitals", pathV2, w.good().set("client_id", strings.ToUpper(testClient)), nil},
		{"the resource in capitals", pathV2, w.good().set("scope", "API://ORDERS/.default"), nil},
		{"MSAL for Go", pathV2, w.good().set("scope", "api://orders/.default openid offline_access profile", "client_info", "1"), nil},
		{"MSAL for Node", pathV2 + "?client-request-id=5e2b9c10-7d1f-4c52-8e77-0d3a6f4b9e21", w.good().set(
			"client-request-id", "5e2b9c10-7d1f-4c52-8e77-0d3a6f4b9e21", "x-client-SKU", "msal.js.node", "x-client-VER", "7.2.3",
			"x-client-OS", "linux", "x-client-CPU", "x64", "x-client-current-telemetry", "5|771,2,,,|,",
			"x-client-last-telemetry", "5|0|||0,0", "x-ms-lib-capability", "retry-after, h429"), nil},
		{"unknown parameters", pathV2, w.good().set("attributes", "x y", "x-app-name", "orders", "x-anchormailbox", "Oid:a@b"), nil},
		{"the type of token that comes anyway", pathV2, w.good().set("token_type", "bearer"), nil},
		{"a character set", pathV2, w.good(), []func(*http.Request){withHeader("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")}},
		{"Basic", pathV2, w.good().without("client_id", "client_secret"), []func(*http.Request){withHeader("Authorization", basic(testClient+":"+w.secret))}},
		{"v1 with a scope", pathV1, w.goodV1().set("scope", "openid"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.post(tt.path, tt.form, tt.options...)
			r.t = t
			_, claims := w.judge(r.token(), "/"+testTenant+"/discovery/v2.0/keys")
			if claims["aud"] != testAPI || claims["azp"] != testClient {
				t.Errorf("aud is %v, azp %v", claims["aud"], claims["azp"])
			}
			for _, name := range []string{"refresh_token", "id_token", "client_info", "scope"} {
				if value, present := r.json[name]; present {
					t.Errorf("the answer has %s: %v", name, value)
				}
			}
		})
	}
}

func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := make([]any, 20)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			raw, _ := w.post(pathV2, w.good()).json["access_token"].(string)
			parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
			if err != nil {
				t.Error(err)
				return
			}
			var claims map[string]any
			if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
				t.Error(err)
			}
			ids[i] = claims["uti"]
		})
	}
	wg.Wait()
	seen := map[any]bool{}
	for _, id := range ids {
		if seen[id] || id == nil {
			t.Errorf("the token id %v is not unique", id)
		}
		seen[id] = true
	}
}
