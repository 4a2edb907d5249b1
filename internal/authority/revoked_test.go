package authority

import (
	"net/http"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// setPassword gives a user another password.
func (w *userWorld) setPassword(id directory.ObjectID, password string) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		return e.Users().SetPassword(testTenant, id, directory.Choose(password))
	})
}

// recreateUser deletes the user and creates another with the same id and name.
func (w *userWorld) recreateUser() {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
	w.edit(func(e *directory.Editor) error {
		_, err := e.Users().Create(directory.User{ID: w.user.ID, Tenant: testTenant, PrincipalName: testUser, DisplayName: "Another"}, directory.Choose(testPassword))
		return err
	})
}

// What began with a sign-in from before a reset, an end of sessions or another user of the
// same id is refused, though its record names no user: a device code that was asked for at an
// alias, approved and not yet redeemed.
func TestDeviceOfAnAliasIsRevoked(t *testing.T) {
	t.Parallel()
	toOther := func(w *userWorld) { // the user is of another tenant than the one that keeps the record
		w.edit(func(e *directory.Editor) error {
			if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: publicApp, Name: "tool", Public: true}); err != nil {
				return err
			}
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: publicApp, Enabled: true})
			return err
		})
	}
	other := func(w *userWorld) *directory.User {
		user, err := w.dir.User(w.t.Context(), otherOne, otherUser)
		w.must(err)
		return user
	}
	for name, act := range map[string]func(*userWorld){
		"a reset": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				return e.Users().SetPassword(otherOne, other(w).ID, directory.Choose("another password"))
			})
		},
		"an end of sessions": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error { return e.Users().EndSessions(otherOne, other(w).ID) })
		},
		"disabled and enabled again": func(w *userWorld) {
			for _, on := range []bool{false, true} {
				w.edit(func(e *directory.Editor) error {
					_, err := e.Users().Edit(otherOne, other(w).ID, func(u *directory.User) error { u.Enabled = on; return nil })
					return err
				})
			}
		},
		"another user of the same id": func(w *userWorld) {
			id := other(w).ID
			w.edit(func(e *directory.Editor) error { return e.Users().Delete(otherOne, id) })
			w.edit(func(e *directory.Editor) error {
				_, err := e.Users().Create(directory.User{ID: id, Tenant: otherOne, PrincipalName: otherUser, DisplayName: "Another"}, directory.Choose(testPassword))
				return err
			})
		},
	} {
		for _, alias := range []string{"organizations", "common"} {
			t.Run(name+" at "+alias, func(t *testing.T) {
				w := newUserWorld(t)
				toOther(w)
				r := w.post("/"+alias+"/oauth2/v2.0/devicecode", values{"client_id": publicApp, "scope": "openid offline_access"})
				w.browser().approve(r.text("user_code"), otherUser, "continue")
				w.clock.Advance(time.Second)
				act(w)
				form := values{"grant_type": "device_code", "client_id": publicApp, "device_code": r.text("device_code")}
				if r := w.post("/"+alias+"/oauth2/v2.0/token", form); r.Code != http.StatusBadRequest || r.code() != 50173 {
					t.Errorf("got %d: %v", r.Code, r.json)
				}
				again := w.post("/"+alias+"/oauth2/v2.0/devicecode", values{"client_id": publicApp, "scope": "openid offline_access"})
				password := testPassword
				if name == "a reset" {
					password = "another password"
				}
				b := w.browser()
				b.open("/devicelogin", nil)
				b.submit("/devicelogin", values{"form": b.last.form(), "user_code": again.text("user_code")})
				b.submit("/signin", values{"form": b.last.form(), "username": otherUser, "password": password, "action": "signin"})
				b.submit("/confirm", values{"form": b.last.form(), "action": "continue"})
				w.post("/"+alias+"/oauth2/v2.0/token", form.set("device_code", again.text("device_code"))).token()
			})
		}
	}
}

// Every kind of record ends with the sessions of its user, and what begins afterwards counts.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	code := b.toolCode()
	refresh := w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).text("refresh_token")
	device := w.deviceCode()
	w.browser().approve(device.text("user_code"), testUser, "continue")
	w.edit(func(e *directory.Editor) error { return e.Users().EndSessions(testTenant, w.user.ID) })
	w.post(pathV2, w.toolRedeems().set("code", code)).refused(400, "invalid_grant", 70008)
	w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": refresh}).refused(400, "invalid_grant", 700082)
	if r := w.poll(device.text("device_code")); r.Code != http.StatusBadRequest {
		t.Errorf("the device code: got %d", r.Code)
	}
	if r := b.open(authorizeV2Path, w.toolAsks()); r.Code == http.StatusFound {
		t.Error("the browser session goes on")
	}
	w.toolSigned().token() // in the same instant as the end
}

// A token on behalf of which an API asks counts as long as its user and its API are the ones
// that it was made for.
func TestOnBehalfOfAnotherOfTheSameName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		act  func(*userWorld)
		code int
	}{
		{"another user of the same id", (*userWorld).recreateUser, 50173},
		{"a reset", func(w *userWorld) { w.setPassword(w.user.ID, "another password") }, 50173},
		{"an end of sessions", func(w *userWorld) {
			w.edit(func(e *directory.Editor) error { return e.Users().EndSessions(testTenant, w.user.ID) })
		}, 50173},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, form := onBehalfWorld(t)
			b := w.browser()
			info := w.post(pathV2, w.toolRedeems().without("scope").set("code", b.toolCode("scope", "openid profile"))).token()
			form = form.set("assertion", w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).token())
			w.post(pathV2, form).token()
			who := func() *reply {
				return w.get("/"+testTenant+"/openid/userinfo", withHeader("Authorization", "Bearer "+info))
			}
			if r := who(); r.Code != http.StatusOK {
				t.Fatalf("userinfo before: got %d", r.Code)
			}
			w.clock.Advance(time.Second)
			tt.act(w)
			w.post(pathV2, form).refused(400, "invalid_grant", tt.code)
			if r := who(); r.Code != http.StatusUnauthorized {
				t.Errorf("userinfo: got %d, want 401", r.Code)
			}
		})
	}
}

// An identifier URI that moves to another application does not bring along the tokens of the
// one that had it.
func TestOnBehalfOfAMovedIdentifier(t *testing.T) {
	t.Parallel()
	w, form := onBehalfWorld(t)
	var secret string
	w.edit(func(e *directory.Editor) error {
		web, err := e.Applications().Find(testTenant, webApp)
		if err != nil {
			return err
		}
		if _, secret, err = e.Credentials().AddSecret(testTenant, web.ID, "obo", time.Time{}); err != nil {
			return err
		}
		_, err = e.DelegatedGrants().Add(testTenant, principalID(webApp), principalID(testAPI), "", []string{"user_impersonation"})
		return err
	})
	raw := w.post(pathV2, w.toolRedeems().set("code", w.browser().toolCode(), "scope", "api://legacy/user_impersonation")).token()
	form = form.set("client_id", webApp, "client_secret", secret, "scope", "api://orders/user_impersonation", "assertion", raw)
	w.editApplication(legacyAPI, func(a *directory.Application) { a.IdentifierURIs = nil })
	w.editApplication(webApp, func(a *directory.Application) { a.IdentifierURIs = []string{"api://legacy"} })
	w.post(pathV2, form).refused(400, "invalid_grant", 500131)
}
