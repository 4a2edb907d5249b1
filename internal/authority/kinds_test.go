package authority

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// handedOut is one of everything that the authority gives to anybody, by what it is.
func (w *userWorld) handedOut(api values) map[string]string {
	w.t.Helper()
	b := w.browser()
	legacy := func(v values) values {
		return v.set("scope", "api://legacy/user_impersonation openid profile offline_access")
	}
	signed := w.post(pathV2, w.toolRedeems().set("code", b.toolCode()))
	v1 := w.post(pathV1, w.toolRedeems().without("scope").set("code", b.toolCode(), "resource", "api://legacy"))
	info := w.post(pathV2, w.toolRedeems().without("scope").set("code", b.toolCode("scope", "openid profile")))
	old := w.post(pathV2, legacy(w.toolRedeems()).set("code", b.toolCode()))
	device := w.deviceCode()
	sealed := b.open(authorizeV2Path, w.toolAsks()).form()
	_, assertion := w.startWorkload(testClient)
	_, identity := w.startWorkload(testIdentity)
	minted, err := w.Mint(w.t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: testIdentity, Resource: "api://orders"})
	w.must(err)
	out := map[string]string{
		"application's access token":   w.post(pathV2, w.good()).token(),
		"application's, of version 1":  w.post(pathV1, w.good().without("scope").set("resource", "api://legacy")).token(),
		"managed identity's token":     minted.Token,
		"user's access token":          signed.token(),
		"user's, for an old API":       old.token(),
		"user's, of version 1":         v1.token(),
		"user's, for userinfo":         info.token(),
		"on-behalf-of token":           w.post(pathV2, api.set("assertion", signed.token())).token(),
		"id token":                     signed.text("id_token"),
		"id token of version 1":        v1.text("id_token"),
		"refresh token":                signed.text("refresh_token"),
		"code":                         b.toolCode(),
		"device code":                  device.text("device_code"),
		"user code":                    device.text("user_code"),
		"session":                      b.cookies["__Host-rolecall-session"],
		"form cookie":                  b.cookies["__Host-rolecall-form"],
		"sealed form":                  sealed,
		"workload's assertion":         assertion.Token,
		"managed identity's assertion": identity.Token,
		"secret":                       w.secret,
		"web secret":                   w.webSecret,
	}
	for what, value := range out {
		if value == "" {
			w.t.Fatalf("there is no %s", what)
		}
	}
	return out
}

// What was handed out for one purpose is good for that one, and for no other (A17).
func TestKindsAreNotConfused(t *testing.T) {
	t.Parallel()
	w, api := onBehalfWorld(t, func(c *Config) { c.Throttle.Failures = 1000 })
	w.addIdentity(directory.IdentityUser)
	things := w.handedOut(api)
	visitor := w.browser()
	visitor.toolCode()
	asserted := func(client directory.AppID) func(string) bool {
		return func(text string) bool {
			return w.post(pathV2, w.workloadForm(client, text)).Code == http.StatusOK
		}
	}
	redeemed := func(grant, parameter string) func(string) bool {
		return func(text string) bool {
			return w.post(pathV2, w.toolRedeems().set("grant_type", grant, parameter, text)).Code == http.StatusOK
		}
	}
	secret := func(client string) func(string) bool {
		return func(text string) bool {
			form := w.good().set("client_id", client, "client_secret", text)
			return w.post(pathV2, form, from("198.51.100.9:1")).Code == http.StatusOK || w.post(pathV2, form.without("client_id", "client_secret"), withHeader("Authorization", basic(client+":"+text))).Code == http.StatusOK
		}
	}
	places := map[string]func(text string) bool{
		"client assertion":                       asserted(testClient),
		"client assertion of a web application":  asserted(webApp),
		"client assertion of a managed identity": asserted(testIdentity),
		"client assertion of a public client":    asserted(publicApp),
		"client secret":                          secret(testClient),
		"client secret of a web application":     secret(webApp),
		"on-behalf-of assertion":                 func(text string) bool { return w.post(pathV2, api.set("assertion", text)).Code == http.StatusOK },
		"on-behalf-of assertion of the legacy API": func(text string) bool {
			return w.post(pathV2, api.set("assertion", text, "client_id", testClient, "client_secret", w.secret)).Code == http.StatusOK
		},
		"refresh token": redeemed("refresh_token", "refresh_token"),
		"code":          redeemed("authorization_code", "code"),
		"device code":   redeemed("device_code", "device_code"),
		"ADAL's device code": func(text string) bool {
			return w.post(pathV2, values{"grant_type": "device_code", "client_id": publicApp, "code": text}).Code == http.StatusOK
		},
		"userinfo": func(text string) bool {
			return w.get("/"+testTenant+"/openid/userinfo", withHeader("Authorization", "Bearer "+text)).Code == http.StatusOK
		},
		"session": func(text string) bool {
			b := w.browser()
			b.cookies["__Host-rolecall-session"] = text
			return !strings.Contains(b.open(authorizeV2Path, w.toolAsks().set("prompt", "none")).Header().Get("Location"), "login_required")
		},
		"hint of who signs out": func(text string) bool {
			r := httptest.NewRequest(http.MethodGet, testBase+logoutPath+"?"+values{"id_token_hint": text}.encode(), nil)
			r.AddCookie(&http.Cookie{Name: "__Host-rolecall-session", Value: visitor.cookies["__Host-rolecall-session"]})
			out := w.send(r)
			if strings.Contains(out.Body.String(), "signed out") {
				visitor = w.browser()
				visitor.toolCode()
				return true
			}
			return false
		},
		"form": func(text string) bool {
			return visitor.submit("/signin", values{"form": text, "username": testUser, "password": testPassword, "action": "signin"}).Code != http.StatusForbidden
		},
		"code that a person types": func(text string) bool {
			b := w.browser()
			b.open("/devicelogin", nil)
			r := b.submit("/devicelogin", values{"form": b.last.form(), "user_code": text})
			w.clock.Advance(6e9) // wrong ones are counted
			return strings.Contains(r.Body.String(), `name="password"`)
		},
	}
	meant := map[string][]string{
		"client assertion":                       {"workload's assertion"},
		"client assertion of a managed identity": {"managed identity's assertion"},
		"client secret":                          {"secret"},
		"client secret of a web application":     {"web secret"},
		"on-behalf-of assertion":                 {"user's access token"},
		"refresh token":                          {"refresh token"},
		"code":                                   {"code"},
		"userinfo":                               {"user's, for userinfo"},
		"session":                                {"session"},
		"hint of who signs out":                  {"id token", "id token of version 1"},
		"code that a person types":               {"user code"},
	}
	is := func(place, thing string) bool {
		for _, one := range meant[place] {
			if one == thing {
				return true
			}
		}
		return false
	}
	cases := 0
	for place, accepts := range places {
		for thing, text := range things {
			if is(place, thing) {
				continue
			}
			cases++
			if accepts(text) {
				t.Errorf("a %s passes for a %s", thing, place)
			}
		}
	}
	if cases < 300 {
		t.Errorf("%d cases, want at least 300", cases)
	}
	for place, all := range meant { // none of it was harmed, and the places work
		for _, thing := range all {
			if !places[place](things[thing]) {
				t.Errorf("a %s is no %s any more", thing, place)
			}
		}
	}
}

// The version, the issuer and the tenant that a token names belong together, whoever
// signed it (A17).
func TestVersionsAreNotConfused(t *testing.T) {
	t.Parallel()
	w, api := onBehalfWorld(t)
	now := w.clock.Now().Unix()
	v1, v2 := testBase+"/"+testTenant+"/", testBase+"/"+testTenant+"/v2.0"
	_, made := w.judge(w.toolSigned().token(), keysV2Path) // what binds a token to its user and API
	good := object{
		"rh": made["rh"], "aio": made["aio"], "uti": made["uti"],
		"iss": v2, "ver": "2.0", "tid": testTenant, "aud": testAPI, "oid": string(w.user.ID), "sub": "pairwise", "scp": "user_impersonation",
		"iat": now, "nbf": now, "exp": now + 3600, "azp": publicApp,
	}
	for _, tt := range []struct {
		name   string
		signer string
		change object
		code   int // 0: accepted
	}{
		{"version 2", testTenant, nil, 0},
		{"version 1", testTenant, object{"iss": v1, "ver": "1.0"}, 0},
		{"version 1 of the other issuer", testTenant, object{"ver": "1.0"}, 50013},
		{"version 2 of the other issuer", testTenant, object{"iss": v1}, 50013},
		{"no version", testTenant, object{"ver": nil}, 50013},
		{"a version as a number", testTenant, object{"ver": 2.0}, 50013},
		{"an unknown version", testTenant, object{"ver": "3.0"}, 50013},
		{"no issuer and no version", testTenant, object{"iss": "", "ver": ""}, 50013},
		{"issuer of workloads", testTenant, object{"iss": testBase + "/" + testTenant + "/workload"}, 50013},
		{"issuer of another tenant", testTenant, object{"iss": testBase + "/" + otherOne + "/v2.0"}, 50013},
		{"another tenant", testTenant, object{"tid": otherOne}, 50013},
		{"no tenant", testTenant, object{"tid": nil}, 50013},
		{"key of another tenant", otherOne, nil, 50013},
		{"all of another tenant", otherOne, object{"iss": testBase + "/" + otherOne + "/v2.0", "tid": otherOne}, 50013},
		{"an application's", testTenant, object{"scp": nil, "sub": string(w.user.ID)}, 7000114},
		{"an application's, with a type", testTenant, object{"scp": nil, "idtyp": "app"}, 7000114},
		{"no scopes", testTenant, object{"scp": nil}, 50013},
		{"empty scopes", testTenant, object{"scp": ""}, 50013},
		{"scopes as a list", testTenant, object{"scp": []string{"user_impersonation"}}, 50013},
		{"another audience", testTenant, object{"aud": legacyAPI}, 500131},
		{"a list of audiences", testTenant, object{"aud": []string{testAPI}}, 500131},
		{"expired", testTenant, object{"exp": now}, 500133},
		{"not begun", testTenant, object{"nbf": now + 1}, 500133},
		{"no end", testTenant, object{"exp": nil}, 500133},
		{"nobody's", testTenant, object{"oid": nobody}, 50034},
		{"another user's", testTenant, object{"oid": string(w.admin.ID)}, 50173},
		{"bound to no user", testTenant, object{"aio": nil}, 50173},
		{"bound to no API", testTenant, object{"rh": nil}, 500131},
		{"bound by another token's id", testTenant, object{"uti": "another"}, 500131},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := w.post(pathV2, api.set("assertion", w.ownToken(tt.signer, good.with(tt.change)))); r.code() != tt.code || (r.Code == http.StatusOK) != (tt.code == 0) {
				t.Errorf("got %d, %d: %v, want %d", r.Code, r.code(), r.json["error_description"], tt.code)
			}
		})
	}
}
