package authority

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/directory"
	"github.com/rolecall-auth/rolecall/internal/audit"
)

// grants gives what the web application was granted at the orders API, for whom.
func (w *userWorld) grants() map[directory.ObjectID][]string {
	w.t.Helper()
	all, err := w.dir.DelegatedGrants(w.t.Context(), testTenant, principalID(webApp))
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
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	b.signIn(testUser)
	if got := b.submit(consentPath, values{"form": b.last.form(), "action": "cancel"}).landed(webRedirect + "?"); got.Get("error") != "access_denied" || got.Get("state") != "s1" {
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

// A consent page is for whom it was shown to (A16).
func TestConsentOfAnother(t *testing.T) {
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.webAsks())
	form := b.signIn(testUser).form()
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testAdmin)
	if r := b.submit(consentPath, values{"form": form, "action": "accept"}); r.Code != http.StatusForbidden {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
	if got := w.grants(); len(got) != 0 {
		t.Errorf("granted: %v", got)
	}
}

// Users without a role stay out where one is required.
func TestUserNotAssigned(t *testing.T) {
	w := newUserWorld(t)
	w.editPrincipal(publicApp, func(p *directory.ServicePrincipal) { p.AssignmentRequired = true })
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks())
	if r := b.signIn(testUser); r.Code != 400 || !strings.Contains(r.Body.String(), "AADSTS50105") {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
}
