package authority

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// onBehalfWorld lets the orders API call the legacy API for users.
func onBehalfWorld(t *testing.T, change ...func(*Config)) (w *userWorld, form values) {
	w = newUserWorld(t, change...)
	var secret string
	w.edit(func(e *directory.Editor) error {
		api, err := e.Applications().Find(testTenant, testAPI)
		if err != nil {
			return err
		}
		if _, secret, err = e.Credentials().AddSecret(testTenant, api.ID, "ci", time.Time{}); err != nil {
			return err
		}
		_, err = e.DelegatedGrants().Add(testTenant, principalID(testAPI), principalID(legacyAPI), "", []string{"user_impersonation"})
		return err
	})
	return w, values{
		"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "client_id": testAPI, "client_secret": secret, "requested_token_use": "on_behalf_of",
		"scope": "api://legacy/user_impersonation", "client_info": "1",
	}
}

func TestOnBehalf(t *testing.T) {
	t.Parallel()
	w, form := onBehalfWorld(t)
	signed := w.toolSigned()
	r := w.post(pathV2, form.set("assertion", signed.token()))
	_, claims := w.judge(r.token(), "/"+testTenant+"/discovery/keys")
	for name, want := range map[string]any{
		"aud": "api://legacy", "scp": "user_impersonation", "oid": string(w.user.ID), "appid": testAPI, "appidacr": "1", "upn": testUser, "roles": nil,
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	if r.text("refresh_token") != "" || r.text("id_token") != "" || r.text("client_info") == "" {
		t.Errorf("got %v", r.json)
	}
	if r := w.post(pathV2, form.set("assertion", signed.token(), "scope", form["scope"]+" openid offline_access")); r.text("refresh_token") == "" || r.text("id_token") == "" {
		t.Errorf("got %v", r.json)
	}
}

// Only a user's access token for the caller is an assertion (A17).
func TestOnBehalfMisuse(t *testing.T) {
	t.Parallel()
	w, form := onBehalfWorld(t)
	signed := w.toolSigned()
	raw := signed.token()
	own := w.post(pathV2, w.good()).token()
	b := w.browser()
	legacy := w.post(pathV2, w.toolRedeems().set("code", b.toolCode(), "scope", "api://legacy/user_impersonation")).token()
	parts := strings.Split(raw, ".")
	for _, tt := range []struct {
		name   string
		form   values
		status int
		oauth  string
		code   int
	}{
		{"an application's token", form.set("assertion", own), 400, "unauthorized_client", 7000114},
		{"an id token", form.set("assertion", signed.text("id_token")), 400, "invalid_grant", 50013},
		{"a token for another API", form.set("assertion", legacy), 400, "invalid_grant", 500131},
		{"a refresh token", form.set("assertion", signed.text("refresh_token")), 400, "invalid_grant", 50013},
		{"garbage", form.set("assertion", "a.b.c"), 400, "invalid_grant", 50013},
		{"another signature", form.set("assertion", parts[0]+"."+parts[1]+"."+strings.Split(own, ".")[2]), 400, "invalid_grant", 50013},
		{"other claims", form.set("assertion", parts[0]+"."+strings.Split(legacy, ".")[1]+"."+parts[2]), 400, "invalid_grant", 50013},
		{"no assertion", form, 400, "invalid_request", 900144},
		{"no use", form.without("requested_token_use").set("assertion", raw), 400, "invalid_request", 900144},
		{"another use", form.set("assertion", raw, "requested_token_use", "x"), 400, "invalid_request", 9002313},
		{"no credential", form.without("client_secret").set("assertion", raw), 401, "invalid_client", 7000218},
		{"a public client", form.without("client_secret").set("assertion", raw, "client_id", publicApp), 401, "invalid_client", 7000218},
		{"another caller", form.set("assertion", raw, "client_id", testClient, "client_secret", w.secret), 400, "invalid_grant", 500131},
		{"no consent", form.set("assertion", raw, "scope", testAPI+"/Orders.ReadMine"), 400, "invalid_grant", 65001},
		{"itself by its URI", form.set("assertion", raw, "scope", "api://orders/Orders.ReadMine"), 400, "invalid_request", 90009},
		{"unknown scope", form.set("assertion", raw, "scope", "api://legacy/nosuch"), 400, "invalid_scope", 650053},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.post(pathV2, tt.form)
			r.t = t
			r.refused(tt.status, tt.oauth, tt.code)
		})
	}
	w.post("/fabrikam.test/oauth2/v2.0/token", form.set("assertion", raw)).refused(400, "unauthorized_client", 700016)
	w.clock.Advance(2 * time.Hour)
	w.post(pathV2, form.set("assertion", raw)).refused(400, "invalid_grant", 500133)
}

// An access token that is still good speaks for nobody any more when its user is disabled
// or gone.
func TestOnBehalfOfTheGone(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*userWorld){
		"disabled": func(w *userWorld) { w.editUser(testUser, func(u *directory.User) { u.Enabled = false }) },
		"deleted": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, form := onBehalfWorld(t)
			b := w.browser()
			info := w.post(pathV2, w.toolRedeems().without("scope").set("code", b.toolCode("scope", "openid profile"))).token()
			form = form.set("assertion", w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).token())
			w.post(pathV2, form).token()
			act(w)
			if r := w.post(pathV2, form); r.Code != 400 || r.code() != 50057 && r.code() != 50034 {
				t.Errorf("on behalf of: got %d, %d", r.Code, r.code())
			}
			if r := w.get("/"+testTenant+"/openid/userinfo", withHeader("Authorization", "Bearer "+info)); r.Code != http.StatusUnauthorized {
				t.Errorf("userinfo: got %d", r.Code)
			}
		})
	}
}

func TestPasswordGrant(t *testing.T) {
	t.Parallel()
	form := values{
		"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword,
		"scope": "api://orders/.default openid profile offline_access", "client_info": "1",
	}
	off := newUserWorld(t, func(c *Config) { c.AllowPassword = false })
	off.post(pathV2, form).refused(400, "unsupported_grant_type", 70003)
	w := newUserWorld(t)
	for _, path := range []string{pathV2, "/organizations/oauth2/v2.0/token", "/common/oauth2/v2.0/token"} {
		r := w.post(path, form.set("username", strings.ToUpper(testUser)))
		_, claims := w.judge(r.token(), keysV2Path)
		if claims["preferred_username"] != testUser || r.text("refresh_token") == "" {
			t.Errorf("got %v", claims)
		}
	}
	v1 := w.post(pathV1, form.set("resource", "api://legacy", "scope", "openid"))
	if _, isText := v1.json["expires_in"].(string); !isText || v1.text("resource") != "api://legacy" || v1.text("id_token") == "" {
		t.Errorf("got %v", v1.json)
	}
	confidential := w.post(pathV2, form.set("client_id", webApp, "client_secret", w.webSecret))
	confidential.refused(400, "unsupported_grant_type", 70003)
	if says := confidential.text("error_description"); !strings.Contains(says, webApp) || strings.Contains(says, "turned off") {
		t.Errorf("to a confidential client it says %q", says)
	}
	w.post(pathV2, form.set("client_id", webApp)).refused(401, "invalid_client", 7000218)
	w.post(pathV2, form.set("password", "wrong")).refused(400, "invalid_grant", 50126)
	w.post(pathV2, form.set("username", "nobody@contoso.test")).refused(400, "invalid_grant", 50034)
	w.post(pathV2, form.set("username", otherUser)).refused(400, "invalid_grant", 50034)
	w.post("/organizations/oauth2/v2.0/token", form.set("username", "x@nosuch.test")).refused(400, "invalid_request", 50059)
	w.post("/organizations/oauth2/v2.0/token", form.set("username", otherUser)).refused(400, "unauthorized_client", 700016)
	w.post("/organizations/oauth2/v2.0/token", form.set("username", "dev@contoso")).refused(400, "invalid_request", 50059) // a name, and no domain
	w.post("/organizations/oauth2/v2.0/token", form.set("username", "dev@"+testTenant)).refused(400, "invalid_request", 50059)
	w.post(pathV2, form.without("password")).refused(400, "invalid_request", 900144)
	w.post(pathV2, form.set("scope", "api://orders/Orders.ReadMine")).refused(400, "invalid_grant", 65001)
}

// A guesser waits; the user at another address, and other users here, do not (P6).
func TestPasswordGuessing(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": "wrong", "scope": "openid"}
	spellings := []string{testUser, "DEV@contoso.test", "Dev@Contoso.Test"}
	tried := 0
	for i := range 40 {
		if r := w.post(pathV2, form.set("username", spellings[i%len(spellings)])); r.code() == 50126 {
			tried++
		} else if r.Code != http.StatusTooManyRequests || r.Header().Get("Retry-After") == "" {
			t.Fatalf("got %d %v", r.Code, r.json)
		}
	}
	if tried != 10 {
		t.Errorf("%d attempts were looked at, want 10", tried)
	}
	right := form.set("password", testPassword)
	w.post(pathV2, right).refused(429, "temporarily_unavailable", 90055)
	w.post(pathV2, right, from("198.51.100.7:1000")).token()
	w.post(pathV2, right.set("username", testAdmin)).token()
	w.clock.Advance(time.Minute)
	w.post(pathV2, right).token()
}
