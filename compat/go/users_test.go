package compat

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

const userScope = "/Orders.List"

// TestUsers signs users in on a device with MSAL. Their tokens are not for an API of
// applications, whatever role they have.
func TestUsers(t *testing.T) {
	env := load(t)
	const name = "MSAL Go"
	version := moduleVersion(t, "github.com/AzureAD/microsoft-authentication-library-for-go")
	way := func(way string, test func(*testing.T)) {
		result := "FAIL"
		if t.Run(way, test) {
			result = "ok"
		}
		env.record(t, name, version, way, result)
	}
	var app public.Client
	var user public.AuthResult
	way("device code", func(t *testing.T) {
		app, user = env.deviceCode(t, env.user)
		if claims := verify(t, env.v2, user.AccessToken); claims.Scopes != "Orders.List" || claims.Roles != nil {
			t.Errorf("scopes %q, roles %q, want Orders.List alone", claims.Scopes, claims.Roles)
		}
	})
	way("refresh", func(t *testing.T) {
		other, err := app.AcquireTokenSilent(t.Context(), []string{env.v1.resource + userScope}, public.WithSilentAccount(user.Account))
		if err != nil {
			t.Fatal(err)
		}
		if claims := verify(t, env.v1, other.AccessToken); claims.Scopes != "Orders.List" {
			t.Errorf("scopes are %q, want Orders.List", claims.Scopes)
		}
	})
	way("user refused", func(t *testing.T) { userRefused(t, env.v2, user.AccessToken) })
	way("user with the role refused", func(t *testing.T) {
		_, lead := env.deviceCode(t, env.userWithRole)
		if claims := verify(t, env.v2, lead.AccessToken); !slices.Equal(claims.Roles, []string{"Orders.Read"}) {
			t.Errorf("roles are %q, want Orders.Read", claims.Roles)
		}
		userRefused(t, env.v2, lead.AccessToken)
	})
}

// TestUsersOfTools gets tokens of the user who is signed in with the developer tools.
func TestUsersOfTools(t *testing.T) {
	env := load(t)
	c := clients()[0]
	for _, s := range []source{
		{way: "az as user", ask: "az"},
		{way: "azd as user", ask: "azd"},
		{way: "DefaultAzureCredential as user", ask: "default"},
	} {
		result := "FAIL"
		if t.Run(s.way, func(t *testing.T) {
			s.run = []string{"--as", env.user, "--via", "cli"}
			raw, err := env.probe(t, c.probe, s)
			if err != nil {
				t.Fatal(err)
			}
			if claims := verify(t, env.v2, raw); claims.Scopes != "Orders.List" {
				t.Errorf("scopes are %q, want Orders.List", claims.Scopes)
			}
			userRefused(t, env.v2, raw)
		}) {
			result = "ok"
		}
		env.record(t, c.name, moduleVersion(t, c.module), s.way, result)
	}
}

// deviceCode has MSAL sign a user in who types the code that it shows.
func (e environment) deviceCode(t *testing.T, user string) (public.Client, public.AuthResult) {
	t.Helper()
	app, err := public.New(e.appID, public.WithAuthority(e.authority+"/"+e.tenant), public.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	device, err := app.AcquireTokenByDeviceCode(ctx, []string{e.v2.resource + userScope})
	if err != nil {
		t.Fatal(err)
	}
	e.signIn(t, device.Result.VerificationURL, device.Result.UserCode, user)
	result, err := device.AuthenticationResult(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return app, result
}

// signIn does what a user does in a browser without script: type the code, sign in, and
// say that the device is theirs.
func (e environment) signIn(t *testing.T, page, code, user string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	shown := open(t, browser, page, nil)
	for _, typed := range []url.Values{
		{"user_code": {code}},
		{"username": {user}, "password": {e.password}, "action": {"signin"}},
		{"action": {"continue"}},
	} {
		typed.Set("form", found(t, shown, `name="form" value="([^"]+)"`))
		shown = open(t, browser, e.authority+found(t, shown, `<form method="post" action="([^"]+)"`), typed)
	}
	found(t, shown, `(You are signed in)`)
}

// open gets a page, or posts a form.
func open(t *testing.T, browser *http.Client, at string, form url.Values) string {
	t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = browser.Get(at)
	} else {
		resp, err = browser.PostForm(at, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func found(t *testing.T, page, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if match == nil {
		t.Fatalf("the page has no %s: %s", pattern, page)
	}
	return match[1]
}
