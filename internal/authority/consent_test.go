package authority

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// grants gives what the web application was granted at the orders API, for whom.
func (w *userWorld) grants() map[directory.ObjectID][]string {
	w.t.Helper()
	all, err := w.dir.View(w.t.Context()).DelegatedGrants().AllOf(testTenant, principalID(webApp))
	w.must(err)
	out := map[directory.ObjectID][]string{}
	for _, g := range all {
		out[g.Principal] = g.Scopes
	}
	return out
}

// The page tells whom, what and where; what is granted is what it said, and to nobody
// but the user (A16).
func TestConsent(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	page := b.signIn(testUser).Body.String()
	for _, want := range []string{
		"orders-web", webApp, "contoso", testUser, w.read.DisplayName, w.read.Description, w.read.Value, "web.contoso.test", "until it is revoked",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "everyone") {
		t.Error("the page offers to consent for everyone")
	}
	b.allow().coded(webRedirect + "?")
	if got := w.grants(); len(got) != 1 || !slices.Equal(got[w.user.ID], []string{"Orders.ReadMine"}) {
		t.Errorf("granted: %v", got)
	}
	b.open(authorizeV2Path, w.webAsks()).coded(webRedirect + "?") // not asked twice
	rows, err := w.dir.AuditRows(t.Context(), 0, 1000)
	w.must(err)
	if !slices.ContainsFunc(rows, func(r audit.Row) bool { return r.Actor == testUser && strings.Contains(r.Detail, "Orders.ReadMine") }) {
		t.Error("no audit row tells of it")
	}
}

func TestConsentRefused(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	b.signIn(testUser)
	if got := b.submit("/consent", values{"form": b.last.form(), "action": "cancel"}).landed(webRedirect + "?"); got.Get("error") != "access_denied" || got.Get("state") != "s1" {
		t.Errorf("got %v", got)
	}
	if got := b.open(authorizeV2Path, w.webAsks().set("prompt", "none")).landed(webRedirect + "?").Get("error"); got != "consent_required" {
		t.Errorf("got %q", got)
	}
	if got := w.grants(); len(got) != 0 {
		t.Errorf("granted: %v", got)
	}
}

// When what is asked for changes while somebody looks, nothing is granted until it was
// looked at again (A16).
func TestConsentChangesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*userWorld){
		"description": func(w *userWorld) {
			w.editApplication(testAPI, func(a *directory.Application) {
				a.Scopes = slices.Clone(a.Scopes)
				a.Scopes[0].Description = "Deletes everything."
			})
		},
		"more permissions": func(w *userWorld) {
			w.editApplication(webApp, func(a *directory.Application) {
				a.Permissions = []directory.Permission{{API: testAPI, Scopes: []directory.ScopeID{w.read.ID, w.granted.ID, w.manage.ID}}}
			})
		},
		"name of the application": func(w *userWorld) {
			w.editApplication(webApp, func(a *directory.Application) { a.Name = "other" })
		},
		"administrators only": func(w *userWorld) {
			w.editApplication(testAPI, func(a *directory.Application) {
				a.Scopes = slices.Clone(a.Scopes)
				a.Scopes[0].AdminOnly = true
			})
		},
		"display name": func(w *userWorld) {
			w.editApplication(testAPI, func(a *directory.Application) {
				a.Scopes = slices.Clone(a.Scopes)
				a.Scopes[0].DisplayName = "Nothing much"
			})
		},
		"fewer permissions": func(w *userWorld) {
			w.editApplication(webApp, func(a *directory.Application) {
				a.Permissions = []directory.Permission{{API: testAPI, Scopes: []directory.ScopeID{w.granted.ID}}}
			})
		},
		"another scope of the same words": func(w *userWorld) {
			for _, replace := range []func(*directory.Scope){
				func(s *directory.Scope) { s.Enabled = false },
				func(s *directory.Scope) { s.ID, s.Enabled = "50000009-5a5a-4c4c-8d8d-000000000009", true },
			} {
				w.editApplication(testAPI, func(a *directory.Application) {
					a.Scopes = slices.Clone(a.Scopes)
					replace(&a.Scopes[0])
				})
			}
			w.editApplication(webApp, func(a *directory.Application) {
				a.Permissions = []directory.Permission{{API: testAPI, Scopes: []directory.ScopeID{"50000009-5a5a-4c4c-8d8d-000000000009", w.granted.ID}}}
			})
		},
		"another API of the same name and scopes": func(w *userWorld) {
			w.editApplication(testAPI, func(a *directory.Application) {
				a.Name, a.IdentifierURIs = "orders-server (old)", []string{"api://orders-old"}
			})
			twin := directory.Application{Tenant: testTenant, AppID: "a9100099-5a5a-4c4c-8d8d-000000000099", Name: "orders-server", IdentifierURIs: []string{"api://orders"}, TokenVersion: 2, Scopes: []directory.Scope{w.read, w.granted}}
			w.edit(func(e *directory.Editor) error {
				if _, err := e.Applications().Create(twin); err != nil {
					return err
				}
				_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: twin.AppID, Enabled: true})
				return err
			})
			w.editApplication(webApp, func(a *directory.Application) {
				a.Permissions = []directory.Permission{{API: twin.AppID, Scopes: []directory.ScopeID{w.read.ID, w.granted.ID}}}
			})
		},
		"name of the tenant": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				tenant, err := e.Tenants().Find(testTenant)
				if err != nil {
					return err
				}
				tenant.Name = "contoso-two"
				_, err = e.Tenants().Edit(tenant.ID, func(v *directory.Tenant) error { *v = *tenant; return nil })
				return err
			})
		},
		"name of the user": func(w *userWorld) {
			w.editUser(testUser, func(u *directory.User) { u.PrincipalName = "somebody.else@contoso.test" })
		},
		"user became an administrator": func(w *userWorld) {
			w.editUser(testUser, func(u *directory.User) { u.DirectoryRoles = []string{"Global Administrator"} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newUserWorld(t)
			b := w.browser()
			b.open(authorizeV2Path, w.webAsks().set("scope", "api://orders/.default openid"))
			b.signIn(testUser)
			change(w)
			r := b.allow()
			if r.Code != http.StatusConflict || !strings.Contains(r.Body.String(), "changed") {
				t.Errorf("got %d: %s", r.Code, r.Body)
			}
			if got := w.grants(); len(got) != 0 {
				t.Errorf("granted: %v", got)
			}
		})
	}
}

// Scopes for administrators are granted by administrators, and only they grant for everyone.
func TestConsentOfAdministrators(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	asks := w.webAsks().set("scope", "api://orders/Orders.Manage api://orders/Orders.ReadMine")
	b := w.browser()
	b.open(authorizeV2Path, asks)
	page := b.signIn(testUser)
	if body := page.Body.String(); strings.Contains(body, `value="accept"`) || !strings.Contains(body, "administrator") {
		t.Errorf("got %s", body)
	}
	if r := b.allow(); r.Code != http.StatusForbidden || !strings.Contains(r.Body.String(), "AADSTS90094") {
		t.Errorf("got %d", r.Code)
	}
	ordinary := w.browser()
	ordinary.open(authorizeV2Path, w.webAsks())
	ordinary.signIn(testUser)
	if r := ordinary.allow("everyone", "yes"); r.Code != http.StatusForbidden {
		t.Errorf("got %d", r.Code)
	}
	if got := w.grants(); len(got) != 0 {
		t.Errorf("granted: %v", got)
	}
	admin := w.browser()
	admin.open(authorizeV2Path, asks)
	admin.signIn(testAdmin)
	admin.allow("everyone", "yes").coded(webRedirect + "?")
	if got := w.grants(); len(got) != 1 || !slices.Equal(got[""], []string{"Orders.Manage", "Orders.ReadMine"}) {
		t.Errorf("granted: %v", got)
	}
	b.open(authorizeV2Path, asks).coded(webRedirect + "?")
}

// editUser changes one user.
func (w *userWorld) editUser(name string, f func(*directory.User)) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		user, err := e.Users().Find(testTenant, name)
		if err != nil {
			return err
		}
		f(user)
		_, err = e.Users().Edit(user.Tenant, user.ID, func(v *directory.User) error { *v = *user; return nil })
		return err
	})
}

// Who is no administrator any more when the page comes back consents to nothing for
// everyone, and to nothing that is for administrators (A16).
func TestConsentOfWhoWasAdministrator(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"Orders.Manage", "Orders.ReadMine"} {
		w := newUserWorld(t)
		b := w.browser()
		b.open(authorizeV2Path, w.webAsks().set("scope", "api://orders/"+scope))
		b.signIn(testAdmin)
		w.editUser(testAdmin, func(u *directory.User) { u.DirectoryRoles = nil })
		if r := b.allow("everyone", "yes"); r.Code != http.StatusConflict && r.Code != http.StatusForbidden {
			t.Errorf("%s: got %d", scope, r.Code)
		}
		if got := w.grants(); len(got) != 0 {
			t.Errorf("%s: granted: %v", scope, got)
		}
	}
}

// Whom the directory lets in no more while they look, consents to nothing (A16).
func TestConsentOfTheGone(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*userWorld){
		"user disabled": func(w *userWorld) { w.editUser(testUser, func(u *directory.User) { u.Enabled = false }) },
		"user deleted": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error { return e.Users().Delete(testTenant, w.user.ID) })
		},
		"password changed": func(w *userWorld) {
			w.edit(func(e *directory.Editor) error {
				return e.Users().SetPassword(testTenant, w.user.ID, directory.Choose("another password"))
			})
		},
		"client disabled": func(w *userWorld) {
			w.editPrincipal(webApp, func(p *directory.ServicePrincipal) { p.Enabled = false })
		},
		"API disabled": func(w *userWorld) {
			w.editPrincipal(testAPI, func(p *directory.ServicePrincipal) { p.Enabled = false })
		},
		"address removed": func(w *userWorld) {
			w.editApplication(webApp, func(a *directory.Application) { a.RedirectURIs = nil })
		},
		"role required": func(w *userWorld) {
			w.editPrincipal(webApp, func(p *directory.ServicePrincipal) { p.AssignmentRequired = true })
		},
		"tenant disabled": func(w *userWorld) { w.enableTenant(testTenant, false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newUserWorld(t)
			b := w.browser()
			b.open(authorizeV2Path, w.webAsks())
			form := b.signIn(testUser).form()
			act(w)
			if r := b.submit("/consent", values{"form": form, "action": "accept"}); r.answers() || r.Code == http.StatusFound && r.landed(webRedirect).Get("error") == "" {
				t.Errorf("got %d", r.Code)
			}
			w.enableTenant(testTenant, true)
			if got := w.grants(); len(got) != 0 {
				t.Errorf("granted: %v", got)
			}
		})
	}
}

// Decisions rest on a view of the directory that is not too old, although the store still
// gives out sessions and takes what is written.
func TestDecisionsNeedAFreshView(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(b *browser) func() *reply{
		"consent": func(b *browser) func() *reply {
			form := b.open(authorizeV2Path, b.webAsks()).form()
			return func() *reply { return b.submit("/consent", values{"form": form, "action": "accept"}) }
		},
		"confirmation": func(b *browser) func() *reply {
			form := b.open(authorizeV2Path, b.toolAsks()).form()
			return func() *reply { return b.submit("/confirm", values{"form": form, "action": "continue"}) }
		},
		"sign-in": func(b *browser) func() *reply {
			form := b.open(authorizeV2Path, b.toolAsks().set("prompt", "login")).form()
			return func() *reply {
				return b.submit("/signin", values{"form": form, "username": testUser, "password": testPassword, "action": "signin"})
			}
		},
		"single sign-on": func(b *browser) func() *reply {
			return func() *reply { return b.open(authorizeV2Path, b.toolAsks()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultyStore{Store: memory.New()}
				w := newUserWorldOn(t, store)
				b := w.browser()
				b.toolCode()
				act := decide(b)
				store.deaf.Store(true)
				time.Sleep(resolve.DefaultMaxStale + time.Minute)
				if r := act(); r.Code != http.StatusServiceUnavailable || r.answers() {
					t.Errorf("got %d", r.Code)
				}
				if got := w.grants(); len(got) != 0 {
					t.Errorf("granted: %v", got)
				}
				store.deaf.Store(false)
				if r := act(); r.Code >= 400 {
					t.Errorf("afterwards: got %d", r.Code)
				}
			})
		})
	}
}

// A user of one tenant is nobody at another one: there is no page, and the page of a user
// who is at home there is not for them (A16).
func TestConsentForAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.edit(func(e *directory.Editor) error { // the client is known there, too
		app := directory.Application{Tenant: otherOne, AppID: webApp, Name: "orders-web", RedirectURIs: []string{webRedirect}}
		if _, err := e.Applications().Create(app); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: webApp, Enabled: true})
		return err
	})
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	shown := b.signIn(testUser).form()
	elsewhere := "/" + otherOne + "/oauth2/v2.0/authorize"
	b.open(elsewhere, w.webAsks().set("scope", "openid"))
	if r := b.signIn(testUser); r.answers() || !strings.Contains(r.Body.String(), "not right") {
		t.Errorf("a user of another tenant signs in: got %d", r.Code)
	}
	b.signIn(otherUser).coded(webRedirect)
	if r := b.submit("/consent", values{"form": shown, "action": "accept"}); r.Code != http.StatusForbidden {
		t.Errorf("the page of the tenant before: got %d", r.Code)
	}
	if r := b.open(authorizeV2Path, w.webAsks()); !strings.Contains(r.Body.String(), `name="password"`) {
		t.Errorf("at the tenant before: got %d", r.Code)
	}
	if got := w.grants(); len(got) != 0 {
		t.Errorf("granted: %v", got)
	}
}

// Applications of the same name are told apart by their ids, and what is granted is
// granted to the one that the page named (A16).
func TestConsentToALookAlike(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const twin = "c11e0096-5a5a-4c4c-8d8d-000000000096"
	w.edit(func(e *directory.Editor) error {
		app := directory.Application{Tenant: testTenant, AppID: twin, Name: "orders-wеb", RedirectURIs: []string{webRedirect}} // with a Cyrillic letter
		if _, err := e.Applications().Create(app); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{ID: principalID(twin), Tenant: testTenant, AppID: twin, Enabled: true})
		return err
	})
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	mine := b.signIn(testUser)
	if text := mine.Body.String(); !strings.Contains(text, webApp) || strings.Contains(text, twin) {
		t.Error("the page does not tell which of the two asks")
	}
	form := mine.form()
	r := b.open(authorizeV2Path, w.webAsks().set("client_id", twin))
	if text := r.Body.String(); !strings.Contains(text, twin) || strings.Contains(text, webApp) {
		t.Error("the other page does not tell which of the two asks")
	}
	b.submit("/consent", values{"form": form, "action": "accept", "client_id": twin})
	if got := w.grants(); !slices.Equal(got[w.user.ID], []string{"Orders.ReadMine"}) {
		t.Errorf("granted: %v", got)
	}
	all, err := w.dir.View(t.Context()).DelegatedGrants().AllOf(testTenant, principalID(twin))
	if err != nil || len(all) != 0 {
		t.Errorf("the look-alike was granted %v, %v", all, err)
	}
}

// Each decision leaves a trace: what was allowed in the audit chain, in the name of the
// user, and what was not among the sign-ins (A16).
func TestConsentIsNoted(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	audited := func() (n int) {
		rows, err := w.dir.AuditRows(t.Context(), 0, 10_000)
		w.must(err)
		for _, row := range rows {
			if row.Actor == testUser {
				n++
			}
		}
		return n
	}
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	b.signIn(testUser)
	b.submit("/consent", values{"form": b.last.form(), "action": "cancel"})
	rows := w.signedIn()
	if last := rows[len(rows)-1]; !slices.ContainsFunc(rows, func(r directory.SignIn) bool {
		return r.Code == 65004 && r.User == testUser && r.AppID == webApp && r.Tenant == testTenant
	}) {
		t.Errorf("no sign-in tells that it was declined; one is %+v", last)
	}
	if n := audited(); n != 0 {
		t.Errorf("%d audit rows of a refusal", n)
	}
	b.open(authorizeV2Path, w.webAsks())
	b.allow().coded(webRedirect)
	if n := audited(); n != 1 {
		t.Errorf("%d audit rows of a consent, want 1", n)
	}
}

// A consent page is for whom it was shown to (A16).
func TestConsentOfAnother(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	form := b.signIn(testUser).form()
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testAdmin)
	if r := b.submit("/consent", values{"form": form, "action": "accept"}); r.Code != http.StatusForbidden {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
	if got := w.grants(); len(got) != 0 {
		t.Errorf("granted: %v", got)
	}
}

// Users without a role stay out where one is required: of the application as well as of
// the API, which they do not get a token for in any way.
func TestUserNotAssignedAtTheAPI(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	refresh := func(raw string) *reply {
		return w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw, "scope": "api://legacy/.default"})
	}
	raw := refresh(w.toolSigned().text("refresh_token")).text("refresh_token")
	w.editPrincipal(legacyAPI, func(p *directory.ServicePrincipal) { p.AssignmentRequired = true })
	refresh(raw).refused(400, "invalid_grant", 50105)
	w.post(pathV2, values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://legacy/.default"}).refused(400, "invalid_grant", 50105)
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks().set("scope", "api://legacy/user_impersonation"))
	if r := b.signIn(testUser); r.Code != 400 || !strings.Contains(r.Body.String(), "AADSTS50105") || r.answers() {
		t.Errorf("got %d", r.Code)
	}
}

// A user who is disabled is told so by the right password alone, and gets in nowhere.
func TestDisabledUserSignsIn(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.editUser(testUser, func(u *directory.User) { u.Enabled = false })
	form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "openid offline_access"}
	w.post(pathV2, form).refused(400, "invalid_grant", 50057)
	w.post(pathV2, form.set("password", "wrong")).refused(400, "invalid_grant", 50126)
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks())
	if r := b.signIn(testUser); r.answers() || !strings.Contains(r.Body.String(), "is disabled") {
		t.Errorf("got %d", r.Code)
	}
	if _, there := b.cookies["__Host-rolecall-session"]; there {
		t.Error("there is a session")
	}
}

// Users without a role stay out where one is required.
func TestUserNotAssigned(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	w.editPrincipal(publicApp, func(p *directory.ServicePrincipal) { p.AssignmentRequired = true })
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks())
	if r := b.signIn(testUser); r.Code != 400 || !strings.Contains(r.Body.String(), "AADSTS50105") {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
}
