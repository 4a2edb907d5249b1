package authority

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// What every page carries, and what no page may (P5).
func checkPage(t *testing.T, r *reply) {
	t.Helper()
	header := r.Header()
	policy := header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	body := strings.ToLower(r.Body.String())
	if submits := "document.forms[0].submit()"; strings.Contains(body, "<script>"+submits+"</script>") { // the one that there is
		sum := sha256.Sum256([]byte(submits))
		allowed := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "
		if strings.Count(policy, allowed) != 1 {
			t.Errorf("the policy %q does not allow %s", policy, allowed)
		}
		policy = strings.Replace(policy, allowed, "", 1)
		body = strings.Replace(body, "<script>"+submits+"</script>", "", 1)
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "script") {
		t.Errorf("the policy is %q", policy)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store, no-cache", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Content-Type": exchange.TypeHTML,
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, bad := range []string{"<script", " style=", "<style", "onload", "onclick", "javascript:"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, cookie := range r.Result().Cookies() {
		if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("cookie %v", cookie)
		}
	}
}

// People who look at the bare address are told what it is; programs, that it is none.
func TestTheBareAddressIsAPageForPeople(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	page := w.get("/", func(r *http.Request) { r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8") })
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "The authority is running") {
		t.Errorf("got %d: %s", page.Code, page.Body)
	}
	checkPage(t, page)
	w.get("/", func(r *http.Request) { r.Header.Set("Accept", "*/*") }).refused(404, "not_found", 0)
}

func TestPagesAreSafe(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	checkPage(t, b.open(authorizeV2Path, w.webAsks()))
	checkPage(t, b.submit("/signin", values{"form": b.last.form(), "username": testUser, "password": "wrong"}))
	checkPage(t, b.signIn(testUser)) // consent
	checkPage(t, b.open(authorizeV2Path, w.toolAsks().set("prompt", "select_account")))
	checkPage(t, b.open(authorizeV2Path, w.toolAsks().set("response_mode", "form_post")))
	checkPage(t, b.confirm())
	checkPage(t, b.open(authorizeV2Path, w.toolAsks().set("redirect_uri", "https://evil.test")))
	checkPage(t, b.open("/devicelogin", nil))
	checkPage(t, b.submit("/devicelogin", values{"form": b.last.form(), "user_code": "WRONG"}))
	checkPage(t, b.submit("/devicelogin", values{"form": b.last.form(), "user_code": w.deviceCode().text("user_code")}))
	checkPage(t, b.submit("/confirm", values{"form": b.last.form(), "action": "continue"}))
	checkPage(t, b.open(logoutPath, nil))
	checkPage(t, b.submit("/signout", values{"form": b.last.form()}))
	checkPage(t, b.open("/error", values{"code": "50011"}))
	if r := b.open("/rolecall.css", nil); r.Code != http.StatusOK || r.Header().Get("Content-Type") != exchange.TypeCSS {
		t.Errorf("the style sheet: %d %v", r.Code, r.Header())
	}
}

// What a directory says is text on a page, whatever it looks like.
func TestPagesEscape(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const name = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`
	w.editApplication(webApp, func(a *directory.Application) { a.Name = name })
	w.editApplication(testAPI, func(a *directory.Application) {
		a.Scopes = slices.Clone(a.Scopes)
		a.Scopes[0].DisplayName, a.Scopes[0].Description = name, name
	})
	b := w.browser()
	for _, r := range []*reply{b.open(authorizeV2Path, w.webAsks().set("login_hint", name)), b.signIn(testUser)} {
		if body := r.Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("got %s", body)
		}
	}
}

// No form that another site sends, or that was made for another browser or page, does
// anything (P3).
func TestForgedForms(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	sign := func(b *browser) values {
		b.open(authorizeV2Path, w.toolAsks())
		return values{"form": b.last.form(), "username": testUser, "password": testPassword, "action": "signin"}
	}
	consent := func(b *browser) values {
		b.open(authorizeV2Path, w.webAsks())
		b.signIn(testUser)
		return values{"form": b.last.form(), "action": "accept"}
	}
	device := func(b *browser) values {
		b.open("/devicelogin", nil)
		b.submit("/devicelogin", values{"form": b.last.form(), "user_code": w.deviceCode().text("user_code")})
		b.signIn(testUser)
		return values{"form": b.last.form(), "action": "continue"}
	}
	local := func(b *browser) values {
		b.toolCode()
		b.open(authorizeV2Path, w.toolAsks())
		return values{"form": b.last.form(), "action": "continue"}
	}
	signOut := func(b *browser) values {
		b.toolCode()
		b.open(logoutPath, nil)
		return values{"form": b.last.form()}
	}
	header := func(name, value string) func(*browser, *http.Request) {
		return func(_ *browser, r *http.Request) { r.Header.Set(name, value) }
	}
	attacks := map[string]func(*browser, *http.Request){
		"another origin":          header("Origin", "https://evil.test"),
		"a sibling origin":        header("Origin", "https://evil.contoso.test:8443"),
		"another port":            header("Origin", "https://login.contoso.test"),
		"null":                    header("Origin", "null"),
		"our origin and another":  func(_ *browser, r *http.Request) { r.Header["Origin"] = []string{testBase, "https://evil.test"} },
		"another origin and ours": func(_ *browser, r *http.Request) { r.Header["Origin"] = []string{"https://evil.test", testBase} },
		"cross-site":              header("Sec-Fetch-Site", "cross-site"),
		"same-site":               header("Sec-Fetch-Site", "same-site"),
		"another browser's form":  func(_ *browser, r *http.Request) { r.Header.Del("Cookie") },
		"text/plain":              header("Content-Type", "text/plain"),
		"JSON":                    header("Content-Type", "application/json"),
		"another method":          func(_ *browser, r *http.Request) { r.Method = http.MethodGet },
		"a method in a header":    func(_ *browser, r *http.Request) { r.Method = "GET"; r.Header.Set("X-HTTP-Method-Override", "POST") },
		"too late":                func(b *browser, _ *http.Request) { b.clock.Advance(30 * time.Minute) },
	}
	for name, form := range map[string]struct {
		path string
		fill func(*browser) values
	}{
		"sign-in": {"/signin", sign}, "consent": {"/consent", consent}, "device": {"/confirm", device},
		"single sign-on": {"/confirm", local}, "sign-out": {"/signout", signOut},
	} {
		for attack, change := range attacks {
			t.Run(name+", "+attack, func(t *testing.T) {
				b := w.browser()
				v := form.fill(b)
				r := httptest.NewRequest(http.MethodPost, testBase+form.path, strings.NewReader(v.encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for name, value := range b.cookies {
					r.AddCookie(&http.Cookie{Name: name, Value: value})
				}
				change(b, r)
				answer := b.send(r)
				if answer.Code < 400 || answer.Header().Get("Location") != "" || len(answer.Result().Cookies()) > 0 {
					t.Errorf("got %d, %v", answer.Code, answer.Header())
				}
			})
		}
		t.Run(name+", another page's form", func(t *testing.T) {
			b := w.browser()
			v := form.fill(b)
			for _, other := range []string{"/signin", "/consent", "/confirm", "/signout", "/devicelogin"} {
				if other == form.path {
					continue
				}
				if r := b.submit(other, v); r.Code != http.StatusForbidden {
					t.Errorf("%s: got %d", other, r.Code)
				}
			}
		})
	}
	if scopes, err := w.dir.View(t.Context()).DelegatedGrants().AllOf(testTenant, principalID(webApp)); err != nil || len(scopes) > 0 {
		t.Errorf("granted: %v, %v", scopes, err)
	}
}

// Each sign-in has a session of its own, and ends the one before (P6).
func TestSessions(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	planted := records.NewOpaqueToken(records.KindSession, testTenant).String()
	b.cookies["__Host-rolecall-session"] = planted
	b.toolCode()
	first := b.cookies["__Host-rolecall-session"]
	if first == planted || first == "" {
		t.Fatal("the planted session lives")
	}
	if !b.open(authorizeV2Path, w.toolAsks()).asked() {
		t.Error("the session is not used")
	}
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testUser)
	second := b.cookies["__Host-rolecall-session"]
	dead := func(name, value string) {
		t.Helper()
		other := w.browser()
		other.cookies["__Host-rolecall-session"] = value
		if r := other.open(authorizeV2Path, w.toolAsks()); !strings.Contains(r.Body.String(), `name="password"`) {
			t.Errorf("%s: got %d", name, r.Code)
		}
	}
	dead("the session before", first)
	b.open(logoutPath, nil)
	b.submit("/signout", values{"form": b.last.form()})
	dead("after signing out", second)
	if _, there := b.cookies["__Host-rolecall-session"]; there {
		t.Error("the cookie is still there")
	}
	b.toolCode()
	third := b.cookies["__Host-rolecall-session"]
	w.edit(func(e *directory.Editor) error {
		return e.Users().SetPassword(testTenant, w.user.ID, directory.Choose("another password"))
	})
	dead("after another password", third)
	w.edit(func(e *directory.Editor) error {
		return e.Users().SetPassword(testTenant, w.user.ID, directory.Choose(testPassword))
	})
	b.toolCode()
	fourth := b.cookies["__Host-rolecall-session"]
	w.clock.Advance(records.SessionLife)
	dead("after eight hours", fourth)
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	id := w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).text("id_token")
	r := b.open(logoutPath, values{"id_token_hint": id, "post_logout_redirect_uri": "http://localhost:51234", "state": "bye"})
	if r.landed("http://localhost:51234/?").Get("state") != "bye" {
		t.Errorf("got %v", r.Header())
	}
	if _, there := b.cookies["__Host-rolecall-session"]; there {
		t.Error("the cookie is still there")
	}
	if r := b.open(logoutPath, nil); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "signed out") {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
}

// What is refused before the address is known to be good is a page; after that the client
// is told.
func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, tt := range []struct {
		name string
		asks values
		page int    // status of a page
		told string // error of an answer to the client
	}{
		{"no client", w.toolAsks().without("client_id"), 400, ""},
		{"unknown client", w.toolAsks().set("client_id", nobody), 400, ""},
		{"no redirect URI", w.toolAsks().without("redirect_uri"), 400, ""},
		{"another redirect URI", w.toolAsks().set("redirect_uri", "https://evil.test/"), 400, ""},
		{"no response type", w.toolAsks().without("response_type"), 0, "invalid_request"},
		{"token in front", w.toolAsks().set("response_type", "token"), 0, "unsupported_response_type"},
		{"another response type", w.toolAsks().set("response_type", "code magic"), 0, "unsupported_response_type"},
		{"no scope", w.toolAsks().without("scope"), 0, "invalid_request"},
		{"two resources", w.toolAsks().set("scope", "api://orders/a api://legacy/b"), 0, "invalid_scope"},
		{"no challenge", w.toolAsks().without("code_challenge", "code_challenge_method"), 0, "invalid_request"},
		{"a method without challenge", w.toolAsks().without("code_challenge"), 0, "invalid_request"},
		{"another method", w.toolAsks().set("code_challenge_method", "S512"), 0, "invalid_request"},
		{"a short challenge", w.toolAsks().set("code_challenge", "abc"), 0, "invalid_request"},
		{"another prompt", w.toolAsks().set("prompt", "sing"), 0, "invalid_request"},
		{"none with others", w.toolAsks().set("prompt", "none login"), 0, "invalid_request"},
		{"nobody signed in", w.toolAsks().set("prompt", "none"), 0, "login_required"},
		{"a mode that is none", w.toolAsks().set("response_mode", "pigeon"), 0, "invalid_request"},
		{"an id token in the query", w.toolAsks().set("response_type", "id_token", "response_mode", "query"), 0, "invalid_request"},
		{"an id token without nonce", w.toolAsks().set("response_type", "id_token").without("nonce"), 0, "invalid_request"},
		{"a request object", w.toolAsks().set("request", "x"), 0, "request_not_supported"},
		{"resource at v2", w.toolAsks().set("resource", "api://orders"), 0, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.browser().open(authorizeV2Path, tt.asks)
			if tt.page != 0 {
				if r.Code != tt.page || r.Header().Get("Location") != "" || !strings.Contains(r.Body.String(), "AADSTS") {
					t.Errorf("got %d: %s", r.Code, r.Body)
				}
				return
			}
			u, err := url.Parse(r.Header().Get("Location"))
			if err != nil || r.Code != http.StatusFound {
				t.Fatalf("got %d: %s", r.Code, r.Body)
			}
			parameters := u.Query()
			if u.Fragment != "" {
				parameters, _ = url.ParseQuery(u.EscapedFragment())
			}
			if parameters.Get("error") != tt.told || parameters.Get("state") != "s1" || !strings.HasPrefix(parameters.Get("error_description"), "AADSTS") {
				t.Errorf("got %v", parameters)
			}
		})
	}
	for _, path := range []string{"/nosuch.test/oauth2/v2.0/authorize", "/consumers/oauth2/v2.0/authorize"} {
		if r := w.browser().open(path, w.toolAsks()); r.Code != 400 || r.Header().Get("Content-Type") != exchange.TypeHTML {
			t.Errorf("%s: got %d", path, r.Code)
		}
	}
}

func TestResponseModes(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.toolCode()
	b.open(authorizeV2Path, w.toolAsks().set("response_mode", "fragment"))
	r := b.confirm()
	if location := r.Header().Get("Location"); !strings.HasPrefix(location, "http://localhost:51234#") || !strings.Contains(location, "code=") {
		t.Errorf("got %q", location)
	}
	b.open(authorizeV2Path, w.toolAsks().set("response_mode", "form_post", "response_type", "code id_token"))
	r = b.confirm()
	body := r.Body.String()
	if !strings.Contains(body, `action="http://localhost:51234"`) || !strings.Contains(body, `name="code"`) || !strings.Contains(body, `name="id_token"`) {
		t.Errorf("got %d: %s", r.Code, body)
	}
	if policy := r.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' http://localhost:51234;") {
		t.Errorf("the policy is %q", policy)
	}
	b.open(authorizeV2Path, w.toolAsks().set("response_type", "code id_token"))
	r = b.confirm()
	u, err := url.Parse(r.Header().Get("Location"))
	w.must(err)
	parameters, err := url.ParseQuery(u.EscapedFragment())
	w.must(err)
	_, claims := w.judge(parameters.Get("id_token"), keysV2Path)
	sum := sha256.Sum256([]byte(parameters.Get("code")))
	if claims["nonce"] != "n1" || claims["c_hash"] != base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) {
		t.Errorf("got %v", claims)
	}
	w.post(pathV2, w.toolRedeems().set("code", parameters.Get("code"))).token()
	// A request in a form becomes one in the address line, with its cookies.
	posted := b.submit(authorizeV2Path, w.toolAsks())
	if location := posted.Header().Get("Location"); posted.Code != http.StatusSeeOther || !strings.HasPrefix(location, authorizeV2Path+"?") {
		t.Errorf("got %d, %q", posted.Code, location)
	}
}

func TestPrompts(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.toolCode()
	signInAgain := func(name string, changes ...string) {
		t.Helper()
		if r := b.open(authorizeV2Path, w.toolAsks().set(changes...)); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), `name="password"`) {
			t.Errorf("%s: got %d", name, r.Code)
		}
	}
	b.open(authorizeV2Path, w.webAsks())
	b.allow()
	b.open(authorizeV2Path, w.webAsks().set("prompt", "none")).coded(webRedirect + "?")
	b.open(authorizeV2Path, w.webAsks().set("login_hint", testUser)).coded(webRedirect + "?")
	signInAgain("login", "prompt", "login")
	signInAgain("somebody else", "login_hint", testAdmin)
	w.clock.Advance(10 * time.Second)
	signInAgain("max_age", "max_age", "5")
	signInAgain("select_account", "prompt", "select_account")
	r := b.submit("/signin", values{"form": b.last.form(), "action": "continue"})
	r.coded("http://localhost:51234/?")
	signInAgain("login", "prompt", "login")
	if r := b.submit("/signin", values{"form": b.last.form(), "action": "continue"}); r.Code == http.StatusFound {
		t.Error("went on without a password")
	}
	signInAgain("login", "prompt", "login")
	if got := b.submit("/signin", values{"form": b.last.form(), "action": "cancel"}).landed("http://localhost:51234/?").Get("error"); got != "access_denied" {
		t.Errorf("got %q", got)
	}
	if r := b.open(authorizeV2Path, w.toolAsks().set("prompt", "consent")); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "user_impersonation") {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
	b.allow().coded("http://localhost:51234/?")
}

// At an alias the user's name says which tenant it is about.
func TestAuthorizeAtAlias(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, path := range []string{"/organizations/oauth2/v2.0/authorize", "/common/oauth2/v2.0/authorize"} {
		b := w.browser()
		b.open(path, w.toolAsks())
		code := b.signIn(testUser).landed("http://localhost:51234/?").Get("code")
		w.post("/organizations/oauth2/v2.0/token", w.toolRedeems().set("code", code)).token()
		b.open(path, w.toolAsks())
		b.confirm().coded("http://localhost:51234/?")
		// The application is unknown where this user is at home.
		other := w.browser()
		other.open(path, w.toolAsks())
		if r := other.signIn(otherUser); r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), "AADSTS700016") {
			t.Errorf("got %d: %s", r.Code, r.Body)
		}
	}
}

// Users' attempts leave rows that say who tried.
func TestUserSignInRows(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks())
	b.submit("/signin", values{"form": b.last.form(), "username": testUser, "password": "wrong"})
	code := b.signIn(testUser).landed("http://localhost:51234/?").Get("code")
	w.post(pathV2, w.toolRedeems().set("code", code)).token()
	rows := w.signedIn()
	slices.Reverse(rows) // oldest first
	if len(rows) != 3 {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, want := range []int{50126, 0, 0} {
		if row := rows[i]; row.Code != want || row.User != testUser || row.AppID != publicApp || row.Tenant != testTenant {
			t.Errorf("row %d is %+v", i, row)
		}
	}
	if text := w.logged.String(); strings.Contains(text, testPassword) || strings.Contains(text, code) {
		t.Error("the log has a secret")
	}
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks().set("scope", "openid profile email"))
	code := b.signIn(testUser).landed("http://localhost:51234/?").Get("code")
	r := w.post(pathV2, w.toolRedeems().without("scope").set("code", code))
	_, id := w.judge(r.text("id_token"), keysV2Path)
	path := "/" + testTenant + "/openid/userinfo"
	bearer := func(raw string) func(*http.Request) { return withHeader("Authorization", "Bearer "+raw) }
	info := w.get(path, bearer(r.token()))
	if info.json["sub"] != id["sub"] || info.json["name"] != "Dev" || info.json["email"] != testUser {
		t.Errorf("got %d %v", info.Code, info.json)
	}
	for name, raw := range map[string]string{
		"an id token": r.text("id_token"), "another API's token": w.toolSigned().token(), "an application's": w.post(pathV2, w.good()).token(), "garbage": "x",
	} {
		if info := w.get(path, bearer(raw)); info.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, info.Code)
		}
	}
	w.get(path).refused(401, "invalid_token", 50013)
}

// Somebody who is signed in at one tenant is nobody at another.
func TestSessionOfAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: publicApp, Name: "tool", Public: true, RedirectURIs: []string{toolRedirect}}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: publicApp, Enabled: true})
		return err
	})
	b.open("/"+otherOne+"/oauth2/v2.0/authorize", w.toolAsks().set("scope", "openid"))
	b.signIn(otherUser).coded("http://localhost:51234/")
	if r := b.open(authorizeV2Path, w.toolAsks().set("scope", "openid")); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), `name="password"`) {
		t.Errorf("got %d %v: %s", r.Code, r.Header(), r.Body)
	}
}

// Who has to sign in anew cannot go on as who they are, whatever the form says.
func TestContinueIsNoSignIn(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, more := range [][]string{{"prompt", "login select_account"}, {"prompt", "select_account", "max_age", "0"}} {
		b := w.browser()
		b.toolCode()
		b.open(authorizeV2Path, w.toolAsks().set(more...))
		r := b.submit("/signin", values{"form": b.last.form(), "action": "continue"})
		if r.Header().Get("Location") != "" || !strings.Contains(r.Body.String(), `name="password"`) {
			t.Errorf("%v: got %d %v", more, r.Code, r.Header())
		}
	}
}

// A page that shows somebody else's id token signs nobody out.
func TestSignOutByAnothersToken(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	other := w.browser()
	other.open(authorizeV2Path, w.toolAsks())
	code := other.signIn(testAdmin).landed("http://localhost:51234/").Get("code")
	hint := w.post(pathV2, w.toolRedeems().set("code", code)).text("id_token")
	b := w.browser()
	b.toolCode()
	if r := b.open(logoutPath, values{"id_token_hint": hint}); r.Code != http.StatusOK || r.form() == "" {
		t.Errorf("got %d", r.Code)
	}
	if !b.open(authorizeV2Path, w.toolAsks()).asked() {
		t.Error("the session is gone")
	}
}

// Nor does an id token of one tenant at another one.
func TestSignOutByAnotherTenantsToken(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: publicApp, Name: "tool", Public: true, RedirectURIs: []string{toolRedirect}}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: publicApp, Enabled: true})
		return err
	})
	b := w.browser()
	b.open("/"+otherOne+"/oauth2/v2.0/authorize", w.toolAsks().set("scope", "openid"))
	code := b.signIn(otherUser).landed("http://localhost:51234/").Get("code")
	hint := w.post("/"+otherOne+"/oauth2/v2.0/token", w.toolRedeems().set("code", code, "scope", "openid")).text("id_token")
	if r := b.open(logoutPath, values{"id_token_hint": hint}); r.form() == "" {
		t.Errorf("got %d", r.Code)
	}
	if r := b.open("/"+otherOne+"/oauth2/v2.0/logout", values{"id_token_hint": hint}); !strings.Contains(r.Body.String(), "signed out") {
		t.Errorf("where it is from: got %d", r.Code)
	}
}

// Id tokens by way of the browser are for registrations that turn them on, and the client is
// told before anybody types anything.
func TestIDTokensAreOff(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, app := range []directory.AppID{publicApp, webApp} {
		w.editApplication(app, func(a *directory.Application) { a.IDTokens = false })
	}
	for _, asks := range []values{w.toolAsks(), w.webAsks()} {
		for _, kind := range []string{"id_token", "code id_token", "id_token code"} {
			for _, prompt := range []string{"", "none"} {
				r := w.browser().open(authorizeV2Path, asks.set("response_type", kind, "response_mode", "fragment", "prompt", prompt))
				location := r.Header().Get("Location")
				if !strings.HasPrefix(location, asks["redirect_uri"]) || !strings.Contains(location, "AADSTS700054") || strings.Contains(location, "id_token=") {
					t.Errorf("%s, %s: got %d to %q", kind, asks["client_id"], r.Code, location)
				}
			}
		}
	}
	w.toolSigned().token() // with a code there is one
}
