package authority

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const grantDeviceURN = "urn:ietf:params:oauth:grant-type:device_code"

// deviceCode starts the device flow of the public client at v2.
func (w *userWorld) deviceCode(more ...string) *reply {
	w.t.Helper()
	r := w.post(deviceV2Path, values{"client_id": publicApp, "scope": "api://orders/.default openid profile offline_access"}.set(more...))
	if r.Code != http.StatusOK {
		w.t.Fatalf("got %d: %s", r.Code, r.Body)
	}
	return r
}

func (w *userWorld) poll(device string, more ...string) *reply {
	w.t.Helper()
	return w.post(pathV2, values{"grant_type": "device_code", "client_id": publicApp, "device_code": device, "client_info": "1"}.set(more...))
}

// approve does what the user does with a code.
func (b *browser) approve(userCode, user, action string) *reply {
	b.t.Helper()
	b.open("/devicelogin", nil)
	b.submit("/devicelogin", values{"form": b.last.form(), "user_code": userCode})
	if strings.Contains(b.last.Body.String(), `name="password"`) {
		b.signIn(user)
	}
	return b.submit("/confirm", values{"form": b.last.form(), "action": action})
}

// Each version has types of its own, and clients read both names of the page.
func TestDeviceAnswer(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	v2 := w.deviceCode().json
	v1 := w.post(deviceV1Path+"?api-version=1.0", values{"client_id": publicApp, "resource": "api://legacy"}).json
	for name, want := range map[string][2]any{
		"expires_in":       {900.0, "900"},
		"interval":         {5.0, "5"},
		"verification_uri": {testBase + "/devicelogin", testBase + "/devicelogin"},
		"verification_url": {testBase + "/devicelogin", testBase + "/devicelogin"},
	} {
		if v2[name] != want[0] || v1[name] != want[1] {
			t.Errorf("%s is %#v and %#v, want %#v", name, v2[name], v1[name], want)
		}
	}
	message, _ := v2["message"].(string)
	if !strings.Contains(message, v2["user_code"].(string)) || !strings.Contains(message, testBase+"/devicelogin") {
		t.Errorf("message is %q", message)
	}
	w.post(deviceV2Path, values{"client_id": testClient, "scope": "openid"}).refused(401, "invalid_client", 7000218)
	w.post(deviceV2Path, values{"client_id": nobody, "scope": "openid"}).refused(400, "unauthorized_client", 700016)
	w.post(deviceV2Path, values{"client_id": publicApp}).refused(400, "invalid_request", 90014)
	w.post(deviceV2Path, values{}).refused(400, "invalid_request", 900144)
}

// Libraries spell the grant, and the code, each in their own way.
func TestDeviceSpellings(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]func(code string) values{
		"MSAL for Go and Node": func(code string) values { return values{"grant_type": "device_code", "device_code": code} },
		"MSAL for Python": func(code string) values {
			return values{"grant_type": grantDeviceURN, "device_code": code, "code": code}
		},
		"ADAL":     func(code string) values { return values{"grant_type": "device_code", "code": code} },
		"RFC 8628": func(code string) values { return values{"grant_type": grantDeviceURN, "device_code": code} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newUserWorld(t)
			started := w.deviceCode()
			device := form(started.text("device_code")).set("client_id", publicApp)
			w.post(pathV2, device).refused(400, "authorization_pending", 70016)
			w.post(pathV2, device).refused(400, "slow_down", 70016)
			w.clock.Advance(5 * time.Second)
			w.post(pathV2, device).refused(400, "authorization_pending", 70016)
			if page := w.browser().approve(strings.ToLower(started.text("user_code")), testUser, "continue"); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "You are signed in") {
				t.Fatalf("got %d: %s", page.Code, page.Body)
			}
			r := w.post(pathV2, device)
			_, claims := w.judge(r.token(), keysV2Path)
			if claims["oid"] != string(w.user.ID) || claims["scp"] != "user_impersonation" {
				t.Errorf("got %v", claims)
			}
			if r.text("refresh_token") == "" || r.text("scope") != "api://orders/user_impersonation api://orders/.default" {
				t.Errorf("got %v", r.json)
			}
			w.post(pathV2, device).refused(400, "bad_verification_code", 70018)
		})
	}
}

func TestDeviceEnds(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	t.Run("declined", func(t *testing.T) {
		started := w.deviceCode()
		w.browser().approve(started.text("user_code"), testUser, "cancel")
		w.poll(started.text("device_code")).refused(400, "authorization_declined", 70017)
	})
	t.Run("expired", func(t *testing.T) {
		started := w.deviceCode()
		w.clock.Advance(records.DeviceLife)
		w.poll(started.text("device_code")).refused(400, "expired_token", 70020)
		b := w.browser()
		b.open("/devicelogin", nil)
		if page := b.submit("/devicelogin", values{"form": b.last.form(), "user_code": started.text("user_code")}); page.Code != 400 {
			t.Errorf("got %d: %s", page.Code, page.Body)
		}
	})
	t.Run("tenant disabled", func(t *testing.T) {
		started := w.deviceCode()
		w.enableTenant(testTenant, false)
		defer w.enableTenant(testTenant, true)
		b := w.browser()
		b.open("/devicelogin", nil)
		if page := b.submit("/devicelogin", values{"form": b.last.form(), "user_code": started.text("user_code")}); page.Code != 400 || !strings.Contains(page.Body.String(), "no such code") {
			t.Errorf("got %d", page.Code)
		}
	})
	t.Run("another client", func(t *testing.T) {
		started := w.deviceCode()
		w.browser().approve(started.text("user_code"), testUser, "continue")
		w.poll(started.text("device_code"), "client_id", webApp, "client_secret", w.webSecret).refused(400, "invalid_grant", 70000)
	})
	t.Run("garbage", func(t *testing.T) {
		w.poll("garbage").refused(400, "bad_verification_code", 70018)
		w.poll("").refused(400, "invalid_request", 900144)
	})
	t.Run("user gone", func(t *testing.T) {
		started := w.deviceCode()
		w.browser().approve(started.text("user_code"), testUser, "continue")
		w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
		if r := w.poll(started.text("device_code")); r.Code == http.StatusOK {
			t.Errorf("got %v", r.json)
		}
	})
}

// At an alias the user's name says which tenant it is about.
func TestDeviceAtAlias(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const path = "/organizations/oauth2/v2.0/token"
	r := w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": publicApp, "scope": "api://orders/.default"})
	form := values{"grant_type": "device_code", "client_id": publicApp, "device_code": r.text("device_code")}
	w.post(path, form).refused(400, "authorization_pending", 70016)
	w.browser().approve(r.text("user_code"), testUser, "continue")
	w.edit(func(e *directory.Editor) error { // at another tenant that has the client, too
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: publicApp, Name: "tool", Public: true}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: publicApp, Enabled: true})
		return err
	})
	w.post("/"+otherOne+"/oauth2/v2.0/token", form).refused(400, "invalid_grant", 700005)
	_, claims := w.judge(w.post(path, form).token(), keysV2Path)
	if claims["tid"] != testTenant {
		t.Errorf("got %v", claims)
	}
	w.post("/organizations/oauth2/v2.0/devicecode", values{"client_id": nobody, "scope": "openid"}).refused(400, "unauthorized_client", 700016)
}

// A managed identity acts for itself alone: no user signs in to one.
func TestDeviceOfManagedIdentity(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.addIdentity(directory.IdentityUser)
	_, assertion := w.startWorkload(testIdentity)
	form := w.workloadForm(testIdentity, assertion.Token).without("grant_type").set("scope", "api://orders/.default")
	w.post(deviceV2Path, form).refused(400, "unsupported_grant_type", 70003)
}

// A person who guesses codes has to wait (RFC 8628 section 5.1).
func TestUserCodesGuessed(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open("/devicelogin", nil)
	for range 30 {
		b.submit("/devicelogin", values{"form": b.last.form(), "user_code": "BCDFGHJKL"})
	}
	if b.last.Code != http.StatusTooManyRequests || b.last.Header().Get("Retry-After") == "" {
		t.Errorf("got %d", b.last.Code)
	}
	w.clock.Advance(time.Hour)
	if b.approve(w.deviceCode().text("user_code"), testUser, "continue").Code != http.StatusOK {
		t.Errorf("got %d: %s", b.last.Code, b.last.Body)
	}
}

// Who confirms a device is who saw the page: it says as whom the device will be signed in.
func TestDeviceConfirmedBySomebodyElse(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open("/devicelogin", nil)
	b.submit("/devicelogin", values{"form": b.last.form(), "user_code": w.deviceCode().text("user_code")})
	b.signIn(testUser)
	shown := b.last.form()
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testAdmin)
	if r := b.submit("/confirm", values{"form": shown, "action": "continue"}); r.Code != http.StatusForbidden {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
}

// A device's request is settled once, whoever still has the page open.
func TestDeviceSettledOnce(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for _, first := range []string{"continue", "cancel"} {
		code := w.deviceCode()
		late := w.browser()
		late.open("/devicelogin", nil)
		late.submit("/devicelogin", values{"form": late.last.form(), "user_code": code.text("user_code")})
		late.signIn(testAdmin)
		w.browser().approve(code.text("user_code"), testUser, first)
		if r := late.submit("/confirm", values{"form": late.last.form(), "action": "continue"}); r.Code != http.StatusBadRequest {
			t.Errorf("after %s: got %d", first, r.Code)
		}
		r := w.poll(code.text("device_code"))
		if first == "cancel" {
			r.refused(400, "authorization_declined", 70017)
			continue
		}
		if _, claims := w.judge(r.token(), keysV2Path); claims["oid"] != string(w.user.ID) {
			t.Errorf("signed in as %v", claims["oid"])
		}
	}
	code := w.deviceCode()
	b := w.browser()
	b.open("/devicelogin", nil)
	b.submit("/devicelogin", values{"form": b.last.form(), "user_code": code.text("user_code")})
	b.signIn(testUser)
	w.clock.Advance(records.DeviceLife)
	if r := b.submit("/confirm", values{"form": b.last.form(), "action": "continue"}); r.Code != http.StatusBadRequest {
		t.Errorf("too late: got %d", r.Code)
	}
}
