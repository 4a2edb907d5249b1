package authority

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// What the tests of users' sign-ins work with beside the usual.
const (
	testUser     = "dev@contoso.test"
	testAdmin    = "admin@contoso.test"
	otherUser    = "dev@fabrikam.test"
	testPassword = "correct horse battery"
	webApp       = testids.WebApp // confidential, with redirect URIs
	webRedirect  = "https://web.contoso.test/signin-oidc"
	toolRedirect = "http://localhost"
	testVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

	authorizeV2Path = "/" + testTenant + "/oauth2/v2.0/authorize"
	authorizeV1Path = "/" + testTenant + "/oauth2/authorize"
	deviceV2Path    = "/" + testTenant + "/oauth2/v2.0/devicecode"
	deviceV1Path    = "/" + testTenant + "/oauth2/devicecode"
	logoutPath      = "/" + testTenant + "/oauth2/v2.0/logout"
	keysV2Path      = "/" + testTenant + "/discovery/v2.0/keys"
)

// A userWorld has users, scopes and clients that speak for users.
type userWorld struct {
	*world
	user, admin *directory.User
	webSecret   string
	// read may be consented to by users, manage by administrators only; granted was
	// granted to the tool for everyone.
	read, manage, granted directory.Scope
}

func newUserWorld(t testing.TB, change ...func(*Config)) *userWorld {
	t.Helper()
	return newUserWorldOn(t, memory.New(), change...)
}

func newUserWorldOn(t testing.TB, store directory.Store, change ...func(*Config)) *userWorld {
	t.Helper()
	allow := func(c *Config) { c.AllowPassword = true }
	w := &userWorld{world: newWorldOn(t, store, append([]func(*Config){allow}, change...)...)}
	w.edit(w.populateUsers)
	return w
}

func (w *userWorld) populateUsers(e *directory.Editor) (err error) {
	scope := func(id, value string, admin bool) directory.Scope {
		return directory.Scope{
			ID: directory.ScopeID(id), Value: value, DisplayName: value + " of orders", Description: "Lets the application use " + value + ".",
			Enabled: true, AdminOnly: admin,
		}
	}
	w.read = scope("50000001-5a5a-4c4c-8d8d-000000000001", "Orders.ReadMine", false)
	w.manage = scope("50000002-5a5a-4c4c-8d8d-000000000002", "Orders.Manage", true)
	w.granted = scope("50000003-5a5a-4c4c-8d8d-000000000003", "user_impersonation", false)
	legacy := scope("50000004-5a5a-4c4c-8d8d-000000000004", "user_impersonation", false)
	api, err := e.Applications().Find(testTenant, testAPI)
	if err != nil {
		return err
	}
	api.Scopes = []directory.Scope{w.read, w.manage, w.granted}
	api.AppRoles = append(api.AppRoles, directory.AppRole{
		ID: "40000009-5a5a-4c4c-8d8d-000000000009", Value: "Orders.Approve", DisplayName: "Approve", Description: "Approve",
		Enabled: true, Members: []directory.MemberType{directory.MemberUser},
	})
	if _, err := e.Applications().Edit(api.Tenant, api.ID, func(v *directory.Application) error { *v = *api; return nil }); err != nil {
		return err
	}
	old, err := e.Applications().Find(testTenant, legacyAPI)
	if err != nil {
		return err
	}
	old.Scopes = []directory.Scope{legacy}
	if _, err := e.Applications().Edit(old.Tenant, old.ID, func(v *directory.Application) error { *v = *old; return nil }); err != nil {
		return err
	}
	tool, err := e.Applications().Find(testTenant, publicApp)
	if err != nil {
		return err
	}
	tool.RedirectURIs, tool.IDTokens = []string{toolRedirect}, true
	if _, err := e.Applications().Edit(tool.Tenant, tool.ID, func(v *directory.Application) error { *v = *tool; return nil }); err != nil {
		return err
	}
	web, err := e.Applications().Create(directory.Application{
		Tenant: testTenant, AppID: webApp, Name: "orders-web", RedirectURIs: []string{webRedirect}, IDTokens: true,
		Permissions: []directory.Permission{{API: testAPI, Scopes: []directory.ScopeID{w.read.ID, w.granted.ID}}},
	})
	if err != nil {
		return err
	}
	if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{ID: principalID(webApp), Tenant: testTenant, AppID: webApp, Enabled: true}); err != nil {
		return err
	}
	if _, w.webSecret, err = e.Credentials().AddSecret(testTenant, web.ID, "web", w.clock.Now().AddDate(1, 0, 0)); err != nil {
		return err
	}
	for api, value := range map[directory.AppID]string{testAPI: "user_impersonation", legacyAPI: "user_impersonation"} {
		if _, err := e.DelegatedGrants().Add(testTenant, principalID(publicApp), principalID(api), "", []string{value}); err != nil {
			return err
		}
	}
	if w.user, err = e.Users().Create(directory.User{ID: "22222222-5a5a-4c4c-8d8d-000000000001", Tenant: testTenant, PrincipalName: testUser, DisplayName: "Dev"}, directory.Choose(testPassword)); err != nil {
		return err
	}
	if w.admin, err = e.Users().Create(directory.User{
		Tenant: testTenant, PrincipalName: testAdmin, DisplayName: "Admin", DirectoryRoles: []string{"Application Administrator"},
	}, directory.Choose(testPassword)); err != nil {
		return err
	}
	if _, err = e.Users().Create(directory.User{Tenant: otherOne, PrincipalName: otherUser, DisplayName: "Other"}, directory.Choose(testPassword)); err != nil {
		return err
	}
	_, _, err = e.Assignments().Add(testTenant, w.user.ID, principalID(testAPI), "40000009-5a5a-4c4c-8d8d-000000000009")
	return err
}

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// toolAsks is an authorization request of the public client.
func (w *userWorld) toolAsks() values {
	return values{
		"client_id": publicApp, "response_type": "code", "redirect_uri": "http://localhost:51234",
		"scope": "api://orders/user_impersonation openid profile offline_access", "state": "s1", "nonce": "n1",
		"code_challenge": s256(testVerifier), "code_challenge_method": "S256", "client_info": "1",
	}
}

// toolRedeems is the token request that follows, without its code.
func (w *userWorld) toolRedeems() values {
	return values{
		"grant_type": "authorization_code", "client_id": publicApp, "redirect_uri": "http://localhost:51234",
		"code_verifier": testVerifier, "client_info": "1", "scope": "api://orders/user_impersonation openid profile offline_access",
	}
}

// webAsks is an authorization request of the confidential client.
func (w *userWorld) webAsks() values {
	return w.toolAsks().set("client_id", webApp, "redirect_uri", webRedirect, "scope", "api://orders/Orders.ReadMine openid profile offline_access")
}

func (w *userWorld) webRedeems() values {
	return w.toolRedeems().set("client_id", webApp, "client_secret", w.webSecret, "redirect_uri", webRedirect, "scope", "api://orders/Orders.ReadMine openid profile offline_access")
}

// A browser keeps cookies, and sends forms as browsers do.
type browser struct {
	*userWorld
	cookies map[string]string
	origin  string // of the pages that forms are sent from
	last    *reply
}

func (w *userWorld) browser() *browser {
	return &browser{userWorld: w, cookies: map[string]string{}, origin: testBase}
}

func (b *browser) do(r *http.Request) *reply {
	b.t.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	b.last = b.send(r)
	for _, cookie := range b.last.Result().Cookies() {
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
			continue
		}
		b.cookies[cookie.Name] = cookie.Value
	}
	return b.last
}

func (b *browser) open(path string, query values) *reply {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, testBase+path+"?"+query.encode(), nil))
}

func (b *browser) submit(path string, v values) *reply {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, testBase+path, strings.NewReader(v.encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.origin != "" {
		r.Header.Set("Origin", b.origin)
	}
	return b.do(r)
}

var hidden = regexp.MustCompile(`name="form" value="([^"]*)"`)

// form is what the last page wants back.
func (r *reply) form() string {
	r.t.Helper()
	found := hidden.FindStringSubmatch(r.Body.String())
	if found == nil {
		r.t.Fatalf("no form on the page: %d\n%s", r.Code, r.Body)
	}
	return html.UnescapeString(found[1])
}

// signIn fills in the sign-in page that is open.
func (b *browser) signIn(user string) *reply {
	b.t.Helper()
	return b.submit("/signin", values{"form": b.last.form(), "username": user, "password": testPassword, "action": "signin"})
}

// allow answers the consent page that is open.
func (b *browser) allow(more ...string) *reply {
	b.t.Helper()
	return b.submit("/consent", values{"form": b.last.form(), "action": "accept"}.set(more...))
}

// asked reports whether the answer asks the person whether they started this.
func (r *reply) asked() bool { return strings.Contains(r.Body.String(), `action="`+"/confirm"+`"`) }

// confirm answers the confirmation page that is open.
func (b *browser) confirm() *reply {
	b.t.Helper()
	return b.submit("/confirm", values{"form": b.last.form(), "action": "continue"})
}

// landed gives the parameters that the last answer takes to a client.
func (r *reply) landed(at string) url.Values {
	r.t.Helper()
	location := r.Header().Get("Location")
	if r.Code != http.StatusFound || !strings.HasPrefix(location, at) {
		r.t.Fatalf("got %d to %q, want %s\n%s", r.Code, location, at, r.Body)
	}
	u, err := url.Parse(location)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Query()
}

// coded wants the last answer to take a code to a client.
func (r *reply) coded(at string) {
	r.t.Helper()
	if r.landed(at).Get("code") == "" {
		r.t.Errorf("no code in %s", r.Header().Get("Location"))
	}
}

// toolCode gets an authorization code for the public client.
func (b *browser) toolCode(changes ...string) string {
	b.t.Helper()
	r := b.open(authorizeV2Path, b.toolAsks().set(changes...))
	switch {
	case r.asked():
		r = b.confirm()
	case r.Code == http.StatusOK:
		r = b.signIn(testUser)
	}
	return r.landed("http://localhost:51234/?").Get("code")
}

// toolSigned signs in with the public client and gives the answer of the token endpoint.
func (w *userWorld) toolSigned() *reply {
	w.t.Helper()
	return w.post(pathV2, w.toolRedeems().set("code", w.browser().toolCode()))
}

func (r *reply) text(name string) string {
	text, _ := r.json[name].(string)
	return text
}
