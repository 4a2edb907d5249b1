package authority

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	if page := b.open(authorizeV2Path, w.toolAsks()); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "orders-tool") {
		t.Fatalf("got %d: %s", page.Code, page.Body)
	}
	landed := b.signIn(testUser).landed("http://localhost:51234/?")
	if landed.Get("state") != "s1" || landed.Get("session_state") == "" || landed.Get("client_info") == "" {
		t.Errorf("got %v", landed)
	}
	r := w.post(pathV2, w.toolRedeems().set("code", landed.Get("code")))
	_, claims := w.judge(r.token(), keysV2Path)
	for name, want := range map[string]any{
		"aud": testAPI, "scp": "user_impersonation", "oid": string(w.user.ID), "tid": testTenant, "ver": "2.0", "azp": publicApp,
		"azpacr": "0", "name": "Dev", "preferred_username": testUser, "idtyp": nil, "upn": nil, "appid": nil, "nonce": nil,
	} {
		if claims[name] != want {
			t.Errorf("access token: %s is %v, want %v", name, claims[name], want)
		}
	}
	if roles, _ := json.Marshal(claims["roles"]); string(roles) != `["Orders.Approve"]` {
		t.Errorf("roles are %s, want those of the user", roles)
	}
	_, id := w.judge(r.text("id_token"), keysV2Path)
	for name, want := range map[string]any{
		"aud": publicApp, "nonce": "n1", "oid": string(w.user.ID), "preferred_username": testUser, "scp": nil, "roles": nil, "ver": "2.0",
	} {
		if id[name] != want {
			t.Errorf("id token: %s is %v, want %v", name, id[name], want)
		}
	}
	if id["sub"] == claims["sub"] || id["sub"] == id["oid"] || claims["sub"] == claims["oid"] {
		t.Error("subjects are not pairwise")
	}
	if got := r.text("scope"); got != "api://orders/user_impersonation" {
		t.Errorf("scope is %q", got)
	}
	info, err := base64.RawURLEncoding.DecodeString(r.text("client_info"))
	if err != nil || string(info) != `{"uid":"`+string(w.user.ID)+`","utid":"`+testTenant+`"}` {
		t.Errorf("client_info is %s, %v", info, err)
	}
}

// What nobody agreed to at the sign-in is not had by asking for it later: of OpenID
// Connect no more than what comes with any sign-in.
func TestScopesAskedForLater(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	more := "openid profile offline_access email"
	r := w.post(pathV2, w.toolRedeems().set("code", w.browser().toolCode("scope", "openid profile offline_access"), "scope", more))
	_, id := w.judge(r.text("id_token"), keysV2Path)
	again := w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": r.text("refresh_token"), "scope": more})
	_, later := w.judge(again.text("id_token"), keysV2Path)
	if id["email"] != nil || later["email"] != nil {
		t.Errorf("the e-mail address is told: %v, %v", id["email"], later["email"])
	}
	// An API's scope that is turned off is none, by whatever name.
	w.editApplication(testAPI, func(a *directory.Application) {
		a.Scopes = slices.Clone(a.Scopes)
		a.Scopes[0].Enabled = false
	})
	form := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": again.text("refresh_token")}
	w.post(pathV2, form.set("scope", "api://orders/Orders.ReadMine")).refused(400, "invalid_scope", 650053)
	w.post(pathV2, form.set("scope", "api://orders/orders.readmine")).refused(400, "invalid_scope", 650053)
}

func TestUserAnswersGolden(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	for _, tt := range []struct {
		name, path string
		form       values
	}{
		{"v2", pathV2, w.toolRedeems().set("code", b.toolCode())},
		{"v1", pathV1, w.toolRedeems().without("scope").set("code", b.toolCode(), "resource", "api://legacy")},
	} {
		r := w.post(tt.path, tt.form)
		for name, raw := range map[string]string{"access": r.token(), "id": r.text("id_token")} {
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
			w.must(err)
			golden(t, filepath.Join("testdata", "user."+name+"."+tt.name+".json"), steadyUser(t, payload))
		}
		golden(t, filepath.Join("testdata", "user.answer."+tt.name+".json"), steadyUser(t, r.Body.Bytes()))
	}
}

// steadyUser replaces what differs from one run to the next.
func steadyUser(t *testing.T, body []byte) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range all {
		switch name {
		case "aio", "rh", "uti", "sid", "sub", "access_token", "id_token", "refresh_token", "exp", "expires_in", "ext_expires_in", "expires_on":
			switch value.(type) {
			case string:
				all[name] = "…"
			default:
				all[name] = 0
			}
		}
	}
	out, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// Downgrades, injected codes, mix-ups and second uses: nobody gets a token (A14).
func TestCodeMisuse(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	otherVerifier := strings.Repeat("x", 43)
	for _, tt := range []struct {
		name   string
		asks   []string
		redeem func(v values) values
		path   string
		status int
		oauth  string
		code   int
	}{
		{"no verifier", nil, func(v values) values { return v.without("code_verifier") }, pathV2, 400, "invalid_grant", 501481},
		{"another verifier", nil, func(v values) values { return v.set("code_verifier", otherVerifier) }, pathV2, 400, "invalid_grant", 501481},
		{"the challenge for a verifier", nil, func(v values) values { return v.set("code_verifier", s256(testVerifier)) }, pathV2, 400, "invalid_grant", 501481},
		{"a plain challenge, hashed verifier", []string{"code_challenge", testVerifier, "code_challenge_method", "plain"},
			func(v values) values { return v.set("code_verifier", s256(testVerifier)) }, pathV2, 400, "invalid_grant", 501481},
		{"an S256 challenge as plain", []string{"code_challenge_method", "plain"}, func(v values) values { return v }, pathV2, 400, "invalid_grant", 501481},
		{"a short verifier", nil, func(v values) values { return v.set("code_verifier", "short") }, pathV2, 400, "invalid_grant", 501481},
		{"another redirect URI", nil, func(v values) values { return v.set("redirect_uri", "http://localhost:51235") }, pathV2, 400, "invalid_client", 500112},
		{"no redirect URI", nil, func(v values) values { return v.without("redirect_uri") }, pathV2, 400, "invalid_client", 500112},
		{"another client", nil, func(v values) values { return v.set("client_id", webApp, "client_secret", w.webSecret) }, pathV2, 400, "invalid_grant", 70000},
		{"another tenant", nil, func(v values) values { return v.set("client_id", foreignAPI) }, "/" + otherOne + "/oauth2/v2.0/token", 401, "invalid_client", 7000218},
		{"cut", nil, func(v values) values { return v.set("code", v["code"][1:]) }, pathV2, 400, "invalid_grant", 9002313},
		// Only somebody who saw the code can make one of its family.
		{"changed", nil, func(v values) values { return v.set("code", flip(v["code"])) }, pathV2, 400, "invalid_grant", 54005},
		{"as a refresh token", nil, func(v values) values { return v.set("grant_type", "refresh_token", "refresh_token", v["code"]) }, pathV2, 400, "invalid_grant", 9002313},
		{"a scope nobody consented to", nil, func(v values) values { return v.set("scope", "api://orders/Orders.ReadMine") }, pathV2, 400, "invalid_grant", 65001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.post(tt.path, tt.redeem(w.toolRedeems().set("code", w.browser().toolCode(tt.asks...))))
			r.t = t
			r.refused(tt.status, tt.oauth, tt.code)
		})
	}
	t.Run("plain", func(t *testing.T) {
		code := w.browser().toolCode("code_challenge", testVerifier, "code_challenge_method", "plain")
		w.post(pathV2, w.toolRedeems().set("code", code)).token()
	})
	t.Run("after ten minutes", func(t *testing.T) {
		code := w.browser().toolCode()
		w.clock.Advance(10 * time.Minute)
		w.post(pathV2, w.toolRedeems().set("code", code)).refused(400, "invalid_grant", 70008)
	})
	t.Run("a verifier without a challenge", func(t *testing.T) {
		b := w.browser()
		b.open(authorizeV2Path, w.webAsks().without("code_challenge", "code_challenge_method"))
		b.signIn(testUser)
		code := b.allow().landed(webRedirect + "?").Get("code")
		w.post(pathV2, w.webRedeems().set("code", code)).refused(400, "invalid_grant", 501481)
	})
}

// flip changes the last secret bits of an artifact.
func flip(text string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	raw[len(raw)-1] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}

// The second use of a code is refused, and takes back what the first one got (A14).
func TestCodeTwice(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	form := w.toolRedeems().set("code", w.browser().toolCode())
	first := w.post(pathV2, form)
	first.token()
	w.post(pathV2, form).refused(400, "invalid_grant", 54005)
	refresh := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": first.text("refresh_token")}
	w.post(pathV2, refresh).refused(400, "invalid_grant", 700082)
	w.post(pathV2, form).refused(400, "invalid_grant", 70008)
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	refresh := func(raw string, more ...string) *reply {
		return w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw, "client_info": "1"}.set(more...))
	}
	first := w.toolSigned().text("refresh_token")
	second := refresh(first)
	_, claims := w.judge(second.token(), keysV2Path)
	if claims["scp"] != "user_impersonation" || claims["aud"] != testAPI {
		t.Errorf("got %v", claims)
	}
	w.judge(second.text("id_token"), keysV2Path)
	other := refresh(second.text("refresh_token"), "scope", "api://legacy/.default openid offline_access profile")
	if got := other.text("scope"); got != "api://legacy/user_impersonation api://legacy/.default" {
		t.Errorf("scope is %q", got)
	}
	_, claims = w.judge(other.token(), "/"+testTenant+"/discovery/keys")
	if claims["aud"] != "api://legacy" || claims["ver"] != "1.0" || claims["upn"] != testUser || claims["unique_name"] != testUser {
		t.Errorf("got %v", claims)
	}
	// What nobody consented to is refused, and the token is still good for the rest.
	third := other.text("refresh_token")
	refresh(third, "scope", "api://orders/Orders.ReadMine").refused(400, "invalid_grant", 65001)
	refresh(third, "scope", "api://nosuch/.default").refused(400, "invalid_resource", 500011)
	refresh(third).token()
}

// A refresh token that was replaced ends everything that came of the sign-in (A15).
func TestRefreshTheft(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	refresh := func(raw string, more ...string) *reply {
		return w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw}.set(more...))
	}
	stolen := w.toolSigned().text("refresh_token")
	newest := refresh(stolen).text("refresh_token")
	refresh(newest, "client_id", webApp, "client_secret", w.webSecret).refused(400, "invalid_grant", 70000)
	refresh(stolen, "client_id", webApp, "client_secret", w.webSecret).refused(400, "invalid_grant", 70000)
	newest = refresh(newest).text("refresh_token") // others could do no harm
	w.clock.Advance(records.RefreshAgain)
	refresh(stolen).refused(400, "invalid_grant", 70000)
	refresh(newest).refused(400, "invalid_grant", 700082)
	refresh("garbage").refused(400, "invalid_grant", 9002313)
	refresh(flip(newest)).refused(400, "invalid_grant", 700082)
}

// Tools that share a cache refresh at the same time, and an answer gets lost: for half a minute
// a refresh token gets the same successor again, and no other.
func TestRefreshAgain(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	refresh := func(raw string, more ...string) *reply {
		return w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw}.set(more...))
	}
	first := w.toolSigned().text("refresh_token")
	next := make([]string, 8)
	var all sync.WaitGroup
	for i := range next {
		all.Go(func() { next[i] = refresh(first).text("refresh_token") })
	}
	all.Wait()
	for _, raw := range next {
		if raw == "" || raw != next[0] || raw == first {
			t.Fatalf("parallel refreshes got different successors: %v", next[0] == raw)
		}
	}
	w.clock.Advance(records.RefreshAgain - time.Second)
	again := refresh(first, "scope", "api://legacy/.default openid offline_access") // for another API
	again.token()
	if again.text("refresh_token") != next[0] {
		t.Error("a lost answer got another successor")
	}
	third := refresh(next[0]).text("refresh_token")
	if third == next[0] || third == "" {
		t.Error("the successor has none")
	}
	if refresh(first).text("refresh_token") != next[0] || refresh(next[0]).text("refresh_token") != third {
		t.Error("the chain differs when asked again")
	}
	w.clock.Advance(records.RefreshAgain)
	refresh(first).refused(400, "invalid_grant", 70000)
	for _, raw := range []string{first, next[0], third} {
		refresh(raw).refused(400, "invalid_grant", 700082)
	}
}

// What was revoked does not come back within the half minute.
func TestRefreshAgainOfTheRevoked(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	form := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": w.toolSigned().text("refresh_token")}
	w.post(pathV2, form).token()
	w.edit(func(e *directory.Editor) error { return e.Users().EndSessions(testTenant, w.user.ID) })
	w.post(pathV2, form).refused(400, "invalid_grant", 700082)
}

// A confidential client's refresh token stays good, and is worth nothing without its secret.
func TestRefreshConfidential(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	b.signIn(testUser)
	code := b.allow().landed(webRedirect + "?").Get("code")
	raw := w.post(pathV2, w.webRedeems().set("code", code)).text("refresh_token")
	form := values{"grant_type": "refresh_token", "client_id": webApp, "client_secret": w.webSecret, "refresh_token": raw}
	for range 3 {
		w.clock.Advance(60 * 24 * time.Hour)
		w.post(pathV2, form).token()
	}
	w.post(pathV2, form.without("client_secret")).refused(401, "invalid_client", 7000218)
	w.clock.Advance(records.RefreshLife)
	w.post(pathV2, form).refused(400, "invalid_grant", 700082)
}

// Nothing is issued for those who were disabled, deleted or locked out since (A12).
func TestRefreshOfTheGone(t *testing.T) {
	t.Parallel()
	user := func(f func(*directory.User)) func(*userWorld) {
		return func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				u, err := e.Users().Find(testTenant, testUser)
				if err != nil {
					return err
				}
				f(u)
				_, err = e.Users().Edit(u.Tenant, u.ID, func(v *directory.User) error { *v = *u; return nil })
				return err
			})
		}
	}
	for _, tt := range []struct {
		name  string
		act   func(*userWorld)
		codes []int
	}{
		{"user disabled", user(func(u *directory.User) { u.Enabled = false }), []int{50057, 700082}},
		{"user deleted", func(w *userWorld) {
			w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
		}, []int{700082}},
		{"password changed", func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				return e.Users().SetPassword(testTenant, w.user.ID, directory.Choose("another password"))
			})
		}, []int{700082}},
		{"client disabled", func(w *userWorld) {
			w.editPrincipal(publicApp, func(p *directory.ServicePrincipal) { p.Enabled = false })
		}, []int{7000112}},
		{"resource disabled", func(w *userWorld) {
			w.editPrincipal(testAPI, func(p *directory.ServicePrincipal) { p.Enabled = false })
		}, []int{500014}},
		{"consent revoked", func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				return e.DelegatedGrants().Remove(testTenant, principalID(publicApp), principalID(testAPI), "", nil)
			})
		}, []int{65001}},
		{"tenant disabled", func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				tenant, err := e.Tenants().Find(testTenant)
				if err != nil {
					return err
				}
				tenant.Enabled = false
				_, err = e.Tenants().Edit(tenant.ID, func(v *directory.Tenant) error { *v = *tenant; return nil })
				return err
			})
		}, []int{5000225}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newUserWorld(t)
			raw := w.toolSigned().text("refresh_token")
			code := w.browser().toolCode()
			tt.act(w)
			for _, form := range []values{
				{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw},
				w.toolRedeems().set("code", code),
			} {
				r := w.post(pathV2, form)
				wanted := append([]int{70008}, tt.codes...)
				found := false
				for _, code := range wanted {
					found = found || r.code() == code
				}
				if r.Code == http.StatusOK || !found {
					t.Errorf("%s: got %d %v, want one of %v", form["grant_type"], r.Code, r.json, wanted)
				}
			}
		})
	}
}

// An application that is public as well as confidential needs its credential for what it
// got with one, and none for the rest.
func TestRefreshOfMixedClient(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.editApplication(webApp, func(a *directory.Application) { a.Public = true })
	for _, tt := range []struct {
		name   string
		redeem values
		code   int
	}{
		{"with its secret", w.webRedeems(), 7000218},
		{"without", w.webRedeems().without("client_secret"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := w.browser()
			b.open(authorizeV2Path, w.webAsks())
			if r := b.signIn(testUser); r.Code == http.StatusOK {
				b.allow()
			}
			code := b.last.landed(webRedirect + "?").Get("code")
			raw := w.post(pathV2, tt.redeem.set("code", code)).text("refresh_token")
			r := w.post(pathV2, values{"grant_type": "refresh_token", "client_id": webApp, "refresh_token": raw})
			if r.code() != tt.code {
				t.Errorf("got %d %v", r.Code, r.json)
			}
		})
	}
}

// An application that keeps a secret may do without PKCE. When it is public as well, a code
// of such a request is worth nothing without the secret.
func TestCodeWithoutChallengeNeedsTheSecret(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, webApp)
		if err != nil {
			return err
		}
		app.Public = true
		_, err = e.Applications().Edit(app.Tenant, app.ID, func(v *directory.Application) error { *v = *app; return nil })
		return err
	})
	asks := w.webAsks().without("code_challenge").without("code_challenge_method")
	b := w.browser()
	b.open(authorizeV2Path, asks)
	b.signIn(testUser)
	code := b.allow().landed(webRedirect).Get("code")
	form := w.webRedeems().without("code_verifier")
	w.post(pathV2, form.without("client_secret").set("code", code)).refused(400, "invalid_grant", 501481)
	code = b.open(authorizeV2Path, asks).landed(webRedirect).Get("code")
	w.post(pathV2, form.set("code", code)).token()
}

// What one tenant gave out is worth nothing at another that has the client, too.
func TestGrantsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: publicApp, Name: "tool", Public: true}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: publicApp, Enabled: true})
		return err
	})
	const other = "/" + otherOne + "/oauth2/v2.0/token"
	code := w.browser().toolCode()
	w.post(other, w.toolRedeems().set("code", code)).refused(400, "invalid_grant", 700005)
	refresh := w.post(pathV2, w.toolRedeems().set("code", code)).text("refresh_token")
	form := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": refresh}
	w.post(other, form).refused(400, "invalid_grant", 700005)
	w.post(pathV2, form).token()
}
