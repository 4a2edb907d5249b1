package authority

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// fit is as much of a text as a name may have in a directory.
func fit(s string, most int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if runes := []rune(s); len(runes) > most {
		s = strings.TrimSpace(string(runes[:most]))
	}
	return s
}

// names are what the pages of the test tell of: each stands in the directory.
type names struct{ web, tool, api, scope, about, tenant, user string }

// harmless are names that no page has otherwise.
var harmless = names{"Plainweb", "Plaintool", "Plainapi", "Plainscope", "Plainabout", "Plaintenant", "plainuser@contoso.test"}

// called gives names that hold a text, as far as the directory lets it in.
func called(text string) names {
	name := func(suffix string) string { return fit(fit(text, 100)+suffix, 120) }
	return names{name(" 1"), name(" 2"), name(" 3"), fit(text, 120), fit(text, 1000), name(" 4"), harmless.user}
}

// store gives the directory those names, and reports which it took. What it refuses stays
// harmless.
func (w *userWorld) store(n names) names {
	w.t.Helper()
	try := func(field *string, kept string, f func(e *directory.Editor, value string) error) {
		for _, value := range []string{*field, kept} {
			if value == "" { // which some fields take for the default
				continue
			}
			_, err := w.dir.Change(w.t.Context(), directory.Operator("test"), func(e *directory.Editor) error { return f(e, value) })
			if err == nil {
				*field = value
				return
			}
		}
		w.t.Fatalf("the directory refuses %q", kept)
	}
	application := func(app directory.AppID, f func(*directory.Application, string)) func(*directory.Editor, string) error {
		return func(e *directory.Editor, value string) error {
			a, err := e.Applications().Find(testTenant, string(app))
			if err != nil {
				return err
			}
			a.Scopes = slices.Clone(a.Scopes)
			f(a, value)
			_, err = e.Applications().Edit(a.Tenant, a.ID, func(v *directory.Application) error { *v = *a; return nil })
			return err
		}
	}
	try(&n.web, harmless.web, application(webApp, func(a *directory.Application, value string) { a.Name = value }))
	try(&n.tool, harmless.tool, application(publicApp, func(a *directory.Application, value string) { a.Name = value }))
	try(&n.api, harmless.api, application(testAPI, func(a *directory.Application, value string) { a.Name = value }))
	try(&n.scope, harmless.scope, application(testAPI, func(a *directory.Application, value string) { a.Scopes[0].DisplayName = value }))
	try(&n.about, harmless.about, application(testAPI, func(a *directory.Application, value string) { a.Scopes[0].Description = value }))
	try(&n.tenant, harmless.tenant, func(e *directory.Editor, value string) error {
		tenant, err := e.Tenants().Find(testTenant)
		if err != nil {
			return err
		}
		tenant.Name = value
		_, err = e.Tenants().Edit(tenant.ID, func(v *directory.Tenant) error { *v = *tenant; return nil })
		return err
	})
	try(&n.user, harmless.user, func(e *directory.Editor, value string) error {
		user, err := e.Users().Find(testTenant, string(w.user.ID))
		if err != nil {
			return err
		}
		user.PrincipalName = value
		user.DisplayName = n.web
		_, err = e.Users().Edit(user.Tenant, user.ID, func(v *directory.User) error { *v = *user; return nil })
		if err != nil {
			user.DisplayName = harmless.user
			_, err = e.Users().Edit(user.Tenant, user.ID, func(v *directory.User) error { *v = *user; return nil })
		}
		return err
	})
	return n
}

// storedPages are the pages that tell of what a directory holds, as a browser meets them
// that is signed in.
func storedPages(b *browser, device string) map[string]func() *reply {
	ask := func(v values) func() *reply { return func() *reply { return b.open(authorizeV2Path, v) } }
	code := func() *reply {
		b.open("/devicelogin", nil)
		return b.submit("/devicelogin", values{"form": b.last.form(), "user_code": device})
	}
	settle := func(action string) func() *reply {
		return func() *reply {
			started := b.deviceCode()
			b.open("/devicelogin", nil)
			b.submit("/devicelogin", values{"form": b.last.form(), "user_code": started.text("user_code")})
			return b.submit("/confirm", values{"form": b.last.form(), "action": action})
		}
	}
	return map[string]func() *reply{
		"sign-in":             ask(b.webAsks().set("prompt", "login")),
		"choice of account":   ask(b.webAsks().set("prompt", "select_account")),
		"consent":             ask(b.webAsks()),
		"consent, changed":    func() *reply { return changedConsent(b) },
		"consent, reserved":   ask(b.webAsks().set("scope", "api://orders/Orders.Manage api://orders/Orders.ReadMine")),
		"confirmation":        ask(b.toolAsks()),
		"device":              code,
		"device, settled":     settle("continue"),
		"device, declined":    settle("cancel"),
		"sign-out":            func() *reply { return b.open(logoutPath, nil) },
		"answer in a form":    ask(b.toolAsks().set("prompt", "none", "response_mode", "form_post")),
		"consent in a form":   ask(b.webAsks().set("prompt", "none", "response_mode", "form_post")),
		"user without a role": func() *reply { return unassigned(b) },
	}
}

// changedConsent accepts what a page of another time said.
func changedConsent(b *browser) *reply {
	b.open(authorizeV2Path, b.webAsks())
	form := b.last.form()
	b.editApplication(testAPI, func(a *directory.Application) {
		a.Scopes = slices.Clone(a.Scopes)
		a.Scopes[0].AdminOnly = true
	})
	defer b.editApplication(testAPI, func(a *directory.Application) {
		a.Scopes = slices.Clone(a.Scopes)
		a.Scopes[0].AdminOnly = false
	})
	return b.submit("/consent", values{"form": form, "action": "accept"})
}

// unassigned comes to an application that takes only users with a role.
func unassigned(b *browser) *reply {
	require := func(on bool) {
		b.editPrincipal(webApp, func(p *directory.ServicePrincipal) { p.AssignmentRequired = on })
	}
	require(true)
	defer require(false)
	return b.open(authorizeV2Path, b.webAsks())
}

// Whatever a directory holds is text on every page: the page is the one that a harmless
// name makes, with the text in its place (P4).
func TestPagesHoldWhatTheDirectoryHolds(t *testing.T) {
	t.Parallel()
	pagetest.Texts(t, func(t *testing.T, all []string) {
		w := newUserWorld(t, func(c *Config) { c.Throttle = coordination.ThrottleConfig{DeviceCodes: 1 << 20}; c.Log = nil })
		b := w.browser()
		b.toolCode()
		pages := storedPages(b, w.deviceCode().text("user_code"))
		w.store(harmless)
		plain := map[string]pagetest.Sketch{}
		for what, page := range pages {
			r := page()
			plain[what] = pagetest.Draw(t, r.ResponseRecorder)
			plain[what].Check(t, what, "a harmless name", r.ResponseRecorder)
		}
		stored := 0
		for i, text := range all {
			n := called(text)
			if i%10 == 0 { // names of users are of few characters
				n.user = "o'brien!#^~+'-_." + strconv.Itoa(i) + "@contoso.test"
			}
			n = w.store(n)
			if n.web != harmless.web && n.scope != harmless.scope {
				stored++
			}
			for what, page := range pages {
				told := asItIs
				if what == "consent in a form" || what == "user without a role" { // problems quote names
					told = cleaned
				}
				plain[what].With(
					harmless.web, told(n.web), harmless.tool, told(n.tool), harmless.api, told(n.api), harmless.scope, told(n.scope),
					harmless.about, told(n.about), harmless.tenant, told(n.tenant), harmless.user, n.user,
				).Check(t, what, text, page().ResponseRecorder)
			}
		}
		if stored < len(all)*9/10 {
			t.Errorf("%d of %d texts were stored, want most", stored, len(all))
		}
	})
}

// What a query or a form says is text, too, as far as a page repeats it at all.
func TestPagesHoldWhatIsSent(t *testing.T) {
	t.Parallel()
	const placeholder = "Plaintext"
	pagetest.Texts(t, func(t *testing.T, all []string) {
		w := newUserWorld(t, func(c *Config) {
			c.Throttle = coordination.ThrottleConfig{Failures: 1 << 20, Total: 1 << 20}
			c.Log = nil
		})
		fresh, signed := w.browser(), w.browser()
		signed.toolCode()
		ask := func(b *browser, v values, name string) func(string) *reply {
			return func(text string) *reply { return b.open(authorizeV2Path, v.set(name, text)) }
		}
		pages := map[string]func(text string) *reply{
			"login_hint":    ask(fresh, w.toolAsks(), "login_hint"),
			"redirect_uri":  ask(fresh, w.toolAsks(), "redirect_uri"),
			"client_id":     ask(fresh, w.toolAsks(), "client_id"),
			"state, answer": ask(signed, w.webAsks().set("prompt", "none", "response_mode", "form_post"), "state"),
			"state, code": func(text string) *reply {
				r := ask(signed, w.toolAsks().set("response_mode", "form_post"), "state")(text)
				if r.asked() {
					return signed.confirm()
				}
				return r
			},
			"scope":         ask(fresh, w.toolAsks().set("prompt", "none", "response_mode", "form_post"), "scope"),
			"prompt":        ask(fresh, w.toolAsks().set("response_mode", "form_post"), "prompt"),
			"response_type": ask(fresh, w.toolAsks().set("response_mode", "form_post"), "response_type"),
			"response_mode": ask(signed, w.toolAsks(), "response_mode"),
			"resource":      ask(fresh, w.toolAsks().set("prompt", "none", "response_mode", "form_post"), "resource"),
			"nonce":         ask(signed, w.toolAsks(), "nonce"),
			"error":         ask(signed, w.toolAsks(), "error_description"),
			"a name": func(text string) *reply {
				return signed.open(authorizeV2Path, w.toolAsks().set(text, "x", "client_id", nobody))
			},
			"tenant": func(text string) *reply {
				return fresh.open("/"+url.PathEscape(text)+"/oauth2/v2.0/authorize", w.toolAsks())
			},
			"path": func(text string) *reply {
				return fresh.open("/"+testTenant+"/oauth2/v2.0/authorize/"+url.PathEscape(text), nil)
			},
			"code of error": func(text string) *reply { return fresh.open("/error", values{"code": text}) },
			"sign-out": func(text string) *reply {
				return signed.open(logoutPath, values{"id_token_hint": text, "state": text, "post_logout_redirect_uri": text, "client_id": publicApp})
			},
			"user_code": func(text string) *reply {
				fresh.open("/devicelogin", nil)
				return fresh.submit("/devicelogin", values{"form": fresh.last.form(), "user_code": text})
			},
			"user name": func(text string) *reply {
				fresh.open(authorizeV2Path, w.webAsks())
				return fresh.submit("/signin", values{"form": fresh.last.form(), "username": text, "action": "signin"})
			},
			"a sealed form": func(text string) *reply { return fresh.submit("/consent", values{"form": text, "action": "accept"}) },
		}
		// What a page repeats is exactly what was sent, as far as a log line would have it.
		repeats := map[string]func(string) string{
			"login_hint": cleaned, "redirect_uri": cleaned, "user name": cleaned, "state, answer": asItIs, "state, code": asItIs,
			"code of error": asItIs, "sign-out": asItIs, "user_code": asItIs, "nonce": asItIs, "error": asItIs, "a sealed form": asItIs,
		}
		known := map[string]pagetest.Sketch{}
		for what, page := range pages {
			known[what] = pagetest.Draw(t, page(placeholder).ResponseRecorder)
		}
		problems := []pagetest.Sketch{pagetest.Draw(t, fresh.open(authorizeV2Path, nil).ResponseRecorder).Frame(), pagetest.Draw(t, fresh.submit("/consent", nil).ResponseRecorder).Frame()}
		for _, text := range all {
			if text == "" { // which means that nothing was sent
				continue
			}
			for what, page := range pages {
				r := page(text)
				if r.Header().Get("Location") != "" && !goesHome(r.Header().Get("Location")) {
					t.Errorf("%s with %+q: Location %q", what, text, r.Header().Get("Location"))
				}
				if r.Body.Len() == 0 || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
					continue
				}
				got := pagetest.Draw(t, r.ResponseRecorder)
				if repeat, exact := repeats[what]; exact && isSendable(text) {
					known[what].With(placeholder, repeat(text)).Check(t, what, text, r.ResponseRecorder)
				} else if frame := got.Frame(); !slices.Equal(frame, known[what].Frame()) && !slices.Equal(frame, problems[0]) && !slices.Equal(frame, problems[1]) && !signInFrame(got) {
					t.Errorf("%s with %+q: got %d, a page of its own: %q", what, text, r.Code, frame)
				}
				checkAddresses(got, t, what, text)
			}
		}
	})
}

func asItIs(text string) string { return text }
func cleaned(s string) string   { return text.Line(s, text.MaxQuoted) }

// isSendable reports whether a text arrives as it is sent.
func isSendable(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.Contains(text, "\x00") && len(text) <= 2<<10
}

// signInFrame reports whether a page is the sign-in page: what is sent may be as good as
// what a client sends.
func signInFrame(s pagetest.Sketch) bool {
	return slices.ContainsFunc(s, func(line string) bool { return strings.HasSuffix(line, "@name=password") })
}

// checkAddresses wants every address on a page to be one of ours or of a client.
func checkAddresses(s pagetest.Sketch, t *testing.T, what, text string) {
	t.Helper()
	ours := regexp.MustCompile(`^(/rolecall\.css|/error\?code=\d+|/signin|/consent|/confirm|/devicelogin|/signout|` + regexp.QuoteMeta(webRedirect) + `|http://localhost:51234)$`)
	for _, line := range s {
		name, value, _ := strings.Cut(strings.TrimLeft(line, " "), "=")
		switch name {
		case "@href", "@action", "@src", "@formaction", "@srcset", "@data", "@poster", "@background":
			if !ours.MatchString(value) {
				t.Errorf("%s with %+q: the page has %s=%q", what, text, name, value)
			}
		}
	}
}
