package authority

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Any program on the user's machine can pass for a public client that answers there, and
// would be signed in as whoever is at the browser. So single sign-on asks first (RFC 8252
// section 8.6), and says who is answered and where.
func TestSingleSignOnAsksForLocalPrograms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		redirect, shown string
		public, asks    bool
	}{
		{"http://localhost:51234", "localhost:51234", true, true},
		{"http://localhost:51234/cb?x=1", "localhost:51234", true, true},
		{"http://127.0.0.1:8400/cb", "127.0.0.1:8400", true, true},
		{"http://127.9.9.9:8400", "127.9.9.9:8400", true, true},
		{"http://[::1]:8400/", "[::1]:8400", true, true},
		{"http://LOCALHOST:8400/", "LOCALHOST:8400", true, true},
		{"https://localhost:8400/", "localhost:8400", true, true},
		{"https://localhost./", "localhost.", true, true},
		{"https://tool.localhost/", "tool.localhost", true, true},
		{"https://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]", true, true},
		{"https://0.0.0.0:8400/", "0.0.0.0:8400", true, true},
		{"com.contoso.tool://auth", "com.contoso.tool://auth", true, true},
		{"msal" + publicApp + "://auth", "msal" + publicApp + "://auth", true, true},
		{"ms-appx-web://microsoft.aad.brokerplugin/" + publicApp, "ms-appx-web://microsoft.aad.brokerplugin", true, true},
		{"https://tool.contoso.test/cb", "", true, false},
		{"https://localhost.contoso.test/cb", "", true, false},
		{"http://localhost:51234", "", false, false}, // who redeems the code proves itself
		{"com.contoso.tool://auth", "", false, false},
	} {
		t.Run(tt.redirect+map[bool]string{true: ", public", false: ", confidential"}[tt.public], func(t *testing.T) {
			w := newUserWorld(t)
			client, asks := directory.AppID(webApp), w.webAsks()
			if tt.public {
				client, asks = publicApp, w.toolAsks()
			}
			w.editApplication(client, func(a *directory.Application) { a.RedirectURIs = append(a.RedirectURIs, tt.redirect) })
			b := w.browser()
			b.open(authorizeV2Path, asks) // with the usual address, to be signed in
			if r := b.signIn(testUser); r.Code == http.StatusOK {
				b.allow()
			}
			asks = asks.set("redirect_uri", tt.redirect)
			page := b.open(authorizeV2Path, asks)
			if page.asked() != tt.asks {
				t.Fatalf("asked: %v; got %d", page.asked(), page.Code)
			}
			if !tt.asks {
				page.coded(tt.redirect)
				return
			}
			checkPage(t, page)
			for _, want := range []string{"orders-tool", publicApp, "contoso", testUser, ">" + tt.shown + "<"} {
				if !strings.Contains(page.Body.String(), want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if page.Header().Get("Location") != "" || page.answers() {
				t.Error("the page gives an answer already")
			}
			b.confirm().coded(tt.redirect)
			if !b.open(authorizeV2Path, asks).asked() {
				t.Error("one click counted for two requests")
			}
		})
	}
}

// answers reports whether an answer takes a code or a token to a client, in whatever way.
func (r *reply) answers() bool {
	_, after, _ := strings.Cut(r.Header().Get("Location"), "://")
	if i := strings.IndexAny(after, "?#"); i >= 0 {
		parameters, err := url.ParseQuery(after[i+1:])
		if err != nil || parameters.Has("code") || parameters.Has("id_token") {
			return true
		}
	}
	body := r.Body.String()
	return strings.Contains(body, `name="code"`) || strings.Contains(body, `name="id_token"`)
}

// What does not ask for a sign-in cannot ask for a click either.
func TestSingleSignOnSilently(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.toolCode()
	for _, more := range [][]string{
		nil, {"login_hint", testUser}, {"response_mode", "fragment"}, {"response_mode", "form_post"}, {"scope", "openid"}, {"max_age", "100"},
		{"response_type", "id_token", "response_mode", "form_post"}, {"redirect_uri", "http://localhost"},
	} {
		r := b.open(authorizeV2Path, w.toolAsks().set("prompt", "none").set(more...))
		told := r.Header().Get("Location") + r.Body.String()
		if !strings.Contains(told, "interaction_required") || !strings.Contains(told, "AADSTS9002341") || r.asked() || r.answers() {
			t.Errorf("%v: got %d, answers: %v", more, r.Code, r.answers())
		}
	}
	b.open(authorizeV2Path, w.webAsks())
	b.allow().coded(webRedirect)
	b.open(authorizeV2Path, w.webAsks().set("prompt", "none")).coded(webRedirect)
}

// One click is enough: who signs in for the request, goes on as somebody on the sign-in
// page or consents has seen who asks, and where the answer goes.
func TestSingleSignOnAsksOnce(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.open(authorizeV2Path, w.toolAsks())
	b.signIn(testUser).coded("http://localhost:51234/")
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testUser).coded("http://localhost:51234/")
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "select_account"))
	b.submit("/signin", values{"form": b.last.form(), "action": "continue"}).coded("http://localhost:51234/")
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "consent"))
	b.allow().coded("http://localhost:51234/")
	b.open(authorizeV2Path, w.toolAsks().set("response_mode", "form_post"))
	if r := b.confirm(); !r.answers() {
		t.Errorf("got %d and no code", r.Code)
	}
	// The first click does not count for what is asked for next.
	if !b.open(authorizeV2Path, w.toolAsks()).asked() {
		t.Errorf("got %d", b.last.Code)
	}
}

func TestSingleSignOnDeclined(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.toolCode()
	for _, action := range []string{"cancel", "", "accept"} {
		b.open(authorizeV2Path, w.toolAsks())
		got := b.submit("/confirm", values{"form": b.last.form(), "action": action}).landed("http://localhost:51234/?")
		if got.Get("error") != "access_denied" || got.Get("code") != "" || got.Get("state") != "s1" {
			t.Errorf("%q: got %q", action, got.Get("error"))
		}
	}
}

// Who confirms is who saw the page, and it holds for what the directory says now.
func TestSingleSignOnConfirmedTooLate(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	b.toolCode()
	b.open(authorizeV2Path, w.toolAsks())
	shown := b.last.form()
	b.open(authorizeV2Path, w.toolAsks().set("prompt", "login"))
	b.signIn(testAdmin)
	if r := b.submit("/confirm", values{"form": shown, "action": "continue"}); r.Code != http.StatusForbidden || r.answers() {
		t.Errorf("somebody else: got %d", r.Code)
	}
	b.open(authorizeV2Path, w.toolAsks())
	w.editApplication(publicApp, func(a *directory.Application) { a.RedirectURIs = []string{"https://tool.contoso.test"} })
	if r := b.confirm(); r.Code != http.StatusBadRequest || r.Header().Get("Location") != "" {
		t.Errorf("an address that is gone: got %d", r.Code)
	}
}
