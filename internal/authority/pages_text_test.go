package authority

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"golang.org/x/net/html"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// breakers are texts that have made pages say something else: for text, attributes, URLs,
// style sheets, comments, templates and for those who look at a page.
func breakers() []string {
	all := []string{
		"<b>", "</p>", "</dd></dl></main><main>", "</title><base href=//evil.test>", "</style><style>*{}", "<!--", "-->", "<![CDATA[", "]]>", "<?xml", "<!doctype html>",
		"<script>alert(1)</script>", "<script src=//evil.test>", "<svg onload=alert(1)>", "<svg><script>alert(1)</script>", "<math><mtext></form><form>", "<iframe srcdoc=x>",
		"<img src=x onerror=alert(1)>", "<input name=form value=x>", "<form action=//evil.test>", "</form><form action=//evil.test>", "<button formaction=//evil.test>", "<meta http-equiv=refresh content=0>",
		"<link rel=stylesheet href=//evil.test>", "<a href=javascript:alert(1)>", "<textarea>", "<plaintext>", "<xmp>", "<noscript>", "<template>", "<select>", "<table>", "<frameset>", "<object data=x>", "<b", "<", ">", "< b>", "<\tb>",
		`"`, `'`, "`", `">`, `'>`, `"/>`, `" onfocus=alert(1) autofocus x="`, `' onfocus='alert(1)`, `" autofocus`, `x" type="submit`, `"formaction="//evil.test`, `\"`, `\'`, `" style="x`, `"=`, "=",
		"&lt;b&gt;", "&#60;b&#62;", "&#x3c;b&#x3e;", "&quot;", "&amp;", "&amp;lt;", "&", "&#0;", "&nbsp", "&NewLine;", "&Tab;", "%3Cb%3E", "%22", "%00", "%0d%0a", `\u003cb\u003e`, `\x3cb\x3e`, "+ADw-b+AD4-",
		"{{.}}", "{{.Form}}", "${7*7}", "<%= 7 %>", "#{7}", "{%x%}", "[[x]]", "javascript:alert(1)", "data:text/html,<b>", "vbscript:x", "//evil.test", "https://evil.test", `\\evil.test`, "expression(alert(1))", "url(//evil.test)", "@import", "*/", "/*", ";", "}", "{",
		"a\tb", "a\nb", "a\r\nb", "a\rb", "a\vb", "a\fb", "a\x00b", "\x1b[31m", "a\u2028b", "a\u2029b", "a\u0085b", "\ufeffa", "a\u200bb", "a\u202eb\u202c", "a\u2066b\u2069", "a\u00adb", "\ufffd", "\ufffe", "\U000e0041", "\U0001f469\u200d\U0001f4bb",
		"e\u0301", strings.Repeat("\u0336", 50) + "a", "＜script＞", "ʺ", "‹b›", "аpp", "\xff", "\xc0\xbcb\xc0\xbe", "\xed\xa0\x80", "a\xf0\x9f", " ", "  a  ", "\u3000", strings.Repeat("<b>", 100), strings.Repeat("x", 5000),
	}
	for _, before := range []string{`"`, `'`, "", "</strong>", "</code>", "</option>", "-->", "&quot;"} {
		for _, payload := range []string{"<i>", " onclick=x ", "<i x='", "<!--", "<script>"} {
			all = append(all, before+">"+payload, "x"+before+payload+before)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// texts gives our own breakers, and those that others collected where they are present.
// Time passes at once: refusals look for news in the directory, which is limited.
func texts(t *testing.T, test func(t *testing.T, all []string)) {
	run := func(t *testing.T, all []string) {
		synctest.Test(t, func(t *testing.T) { test(t, all) })
	}
	t.Run("ours", func(t *testing.T) { run(t, breakers()) })
	t.Run("collected", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "vectors", "naughty_strings.json"))
		if err != nil {
			t.Skipf("public test data naughty_strings.json is not here: %v", err)
		}
		var all []string
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		if len(all) < 500 {
			t.Errorf("%d strings, want more than 500", len(all))
		}
		run(t, all)
	})
}

// A sketch is a page as a browser reads it, a line for each element and each text.
type sketch []string

// fleeting are the fields whose values differ from one page to the next.
var fleeting = regexp.MustCompile(`^(form|code|id_token|client_info|session_state)$`)

// draw parses a page, and leaves out what differs each time.
func draw(t *testing.T, r *reply) sketch {
	t.Helper()
	body := strings.ToValidUTF8(r.Body.String(), "\ufffd")
	if trace := r.Header().Get("x-ms-request-id"); trace != "" {
		body = strings.ReplaceAll(body, trace, "TRACE")
	}
	if correlation := r.Header().Get("client-request-id"); correlation != "" {
		body = strings.ReplaceAll(body, correlation, "CORRELATION")
	}
	document, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var lines sketch
	var walk func(node *html.Node, depth int)
	walk = func(node *html.Node, depth int) {
		indent := strings.Repeat(" ", depth)
		switch node.Type {
		case html.ElementNode:
			lines = append(lines, indent+"<"+node.Data)
			for _, attribute := range node.Attr {
				value := attribute.Val
				if attribute.Key == "value" && slices.ContainsFunc(node.Attr, func(a html.Attribute) bool { return a.Key == "name" && fleeting.MatchString(a.Val) }) {
					value = "FLEETING"
				}
				lines = append(lines, indent+" @"+attribute.Namespace+attribute.Key+"="+value)
			}
		case html.TextNode:
			if strings.TrimSpace(node.Data) != "" {
				lines = append(lines, indent+" #"+node.Data)
			}
		case html.DocumentNode:
		default:
			lines = append(lines, fmt.Sprintf("%s?%d %s", indent, node.Type, node.Data))
		}
		for child := range node.ChildNodes() {
			walk(child, depth+1)
		}
	}
	walk(document, 0)
	return lines
}

// with puts a text in the place of another one throughout, as a browser will read it.
func (s sketch) with(pairs ...string) sketch {
	for i := 1; i < len(pairs); i += 2 {
		pairs[i] = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\ufffd").Replace(strings.ToValidUTF8(pairs[i], "\ufffd"))
	}
	replacer := strings.NewReplacer(pairs...)
	out := make(sketch, len(s))
	for i, line := range s {
		out[i] = replacer.Replace(line)
	}
	return out
}

// frame is a sketch without its texts and its values.
func (s sketch) frame() sketch {
	var out sketch
	for _, line := range s {
		switch bare := strings.TrimLeft(line, " "); bare[0] {
		case '#':
			out = append(out, "#")
		case '@':
			name, _, _ := strings.Cut(bare, "=")
			out = append(out, name)
		default:
			out = append(out, bare)
		}
	}
	return out
}

var strictPolicy = regexp.MustCompile(`^default-src 'none'; style-src 'self'; form-action 'self'( https?://[A-Za-z0-9.:-]+| [a-zA-Z][a-zA-Z0-9+.-]*:)?; base-uri 'none'; frame-ancestors 'none'$`)

// check wants a page to be the one that is expected, with the policy that every page has.
func (s sketch) check(t *testing.T, what, text string, r *reply) {
	t.Helper()
	if policy := r.Header().Get("Content-Security-Policy"); !strictPolicy.MatchString(policy) {
		t.Errorf("%s with %+q: the policy is %q", what, text, policy)
	}
	got := draw(t, r)
	for i := range max(len(got), len(s)) {
		if i >= len(got) || i >= len(s) || got[i] != s[i] {
			t.Errorf("%s with %+q: got %d, with %+q where %+q is expected", what, text, r.Code, got[min(i, len(got)):min(i+3, len(got))], s[min(i, len(s)):min(i+3, len(s))])
			return
		}
	}
}

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
		b.open(devicePath, nil)
		return b.submit(devicePath, values{"form": b.last.form(), "user_code": device})
	}
	settle := func(action string) func() *reply {
		return func() *reply {
			started := b.deviceCode()
			b.open(devicePath, nil)
			b.submit(devicePath, values{"form": b.last.form(), "user_code": started.text("user_code")})
			return b.submit(confirmPath, values{"form": b.last.form(), "action": action})
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
	return b.submit(consentPath, values{"form": form, "action": "accept"})
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
	texts(t, func(t *testing.T, all []string) {
		w := newUserWorld(t, func(c *Config) { c.Throttle = ThrottleConfig{DeviceCodes: 1 << 20}; c.Log = nil })
		b := w.browser()
		b.toolCode()
		pages := storedPages(b, w.deviceCode().text("user_code"))
		w.store(harmless)
		plain := map[string]sketch{}
		for what, page := range pages {
			r := page()
			plain[what] = draw(t, r)
			plain[what].check(t, what, "a harmless name", r)
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
				plain[what].with(
					harmless.web, told(n.web), harmless.tool, told(n.tool), harmless.api, told(n.api), harmless.scope, told(n.scope),
					harmless.about, told(n.about), harmless.tenant, told(n.tenant), harmless.user, n.user,
				).check(t, what, text, page())
			}
		}
		if stored < len(all)*9/10 {
			t.Errorf("%d of %d texts were stored, want most", stored, len(all))
		}
	})
}

// What the directory lets nobody store is text, too: the pages do not rest on its rules.
func TestPagesHoldAnyText(t *testing.T) {
	w := newUserWorld(t)
	render := func(text string) map[string]*reply {
		tenant, user := &directory.Tenant{ID: testTenant, Name: text}, &directory.User{PrincipalName: text, DisplayName: text, DirectoryRoles: consentRoles()}
		client := &directory.Instance{
			Application: &directory.Application{AppID: directory.AppID(text), Name: text, Public: true},
			Principal:   &directory.ServicePrincipal{ID: "1", AppID: directory.AppID(text), Name: text},
		}
		api := &directory.Instance{Application: &directory.Application{Name: text}, Principal: &directory.ServicePrincipal{ID: "2", Name: text}}
		m := &matter{tenant: tenant, client: client, request: &authorizeRequest{redirectURI: webRedirect, hint: text}, ask: ask{Identifier: text}}
		handheld := &matter{tenant: tenant, client: client, device: &deviceTicket{}}
		choice := &matter{tenant: tenant, client: client, request: &authorizeRequest{redirectURI: webRedirect, prompt: []string{"select_account"}, maxAge: -1}}
		who := &visitor{tenant: tenant, user: user}
		d := delegation{resource: api, missing: []directory.Scope{{DisplayName: text, Description: text, Value: text, AdminOnly: true}}}
		p := &aadsts.Problem{Code: 1, OAuth: text, Status: http.StatusBadRequest, What: text, Advice: text}
		pages := map[string]*reply{}
		show := func(name string, page func(x *exchange) (answer, error)) {
			x := &exchange{http: httptest.NewRequest(http.MethodGet, testBase, nil)}
			response, err := page(x)
			w.must(err)
			recorder := httptest.NewRecorder()
			writeAnswer(recorder, x, response)
			pages[name] = &reply{ResponseRecorder: recorder, t: t}
		}
		show("sign-in", func(x *exchange) (answer, error) { return w.signInPage(x, m, nil, p, text) })
		show("sign-in with a hint", func(x *exchange) (answer, error) { return w.signInPage(x, m, nil, nil, "") })
		show("choice of account", func(x *exchange) (answer, error) { return w.signInPage(x, choice, who, nil, "") })
		show("consent", func(x *exchange) (answer, error) { return w.consentPage(x, m, who, d, text) })
		show("confirmation", func(x *exchange) (answer, error) { return w.confirmPage(x, m, who) })
		show("device", func(x *exchange) (answer, error) { return w.confirmPage(x, handheld, who) })
		show("message", func(x *exchange) (answer, error) {
			return w.messagePage(x, message{Title: text, Text: text, Next: "/", Label: text})
		})
		show("problem", func(x *exchange) (answer, error) { return w.problemPage(x, p), nil })
		show("answer in a form", func(x *exchange) (answer, error) {
			return w.formPost(x, webRedirect, url.Values{"error_description": {text}, "state": {text}})
		})
		show("sign-out", func(*exchange) (answer, error) {
			return w.page("signout", http.StatusOK, struct{ Title, Form, User string }{text, text, text})
		})
		return pages
	}
	const placeholder = "Plaintext"
	plain := map[string]sketch{}
	for what, r := range render(placeholder) {
		plain[what] = draw(t, r)
	}
	texts(t, func(t *testing.T, all []string) {
		for _, text := range all {
			for what, r := range render(text) {
				if strings.TrimSpace(text) == "" { // some of its elements are left out
					subset(t, what, text, draw(t, r).frame(), plain[what].frame())
					continue
				}
				plain[what].with(placeholder, text).check(t, what, text, r)
			}
		}
	})
}

// subset wants a frame to have nothing that another one has not.
func subset(t *testing.T, what, text string, got, of sketch) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(of, line) && line != "@autofocus" {
			t.Errorf("%s with %+q: there is a new %s", what, text, line)
		}
	}
}

// What a query or a form says is text, too, as far as a page repeats it at all.
func TestPagesHoldWhatIsSent(t *testing.T) {
	const placeholder = "Plaintext"
	texts(t, func(t *testing.T, all []string) {
		w := newUserWorld(t, func(c *Config) { c.Throttle = ThrottleConfig{Failures: 1 << 20, Total: 1 << 20}; c.Log = nil })
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
			"code of error": func(text string) *reply { return fresh.open(errorPath, values{"code": text}) },
			"sign-out": func(text string) *reply {
				return signed.open(logoutPath, values{"id_token_hint": text, "state": text, "post_logout_redirect_uri": text, "client_id": publicApp})
			},
			"user_code": func(text string) *reply {
				fresh.open(devicePath, nil)
				return fresh.submit(devicePath, values{"form": fresh.last.form(), "user_code": text})
			},
			"user name": func(text string) *reply {
				fresh.open(authorizeV2Path, w.webAsks())
				return fresh.submit(signInPath, values{"form": fresh.last.form(), "username": text, "action": "signin"})
			},
			"a sealed form": func(text string) *reply { return fresh.submit(consentPath, values{"form": text, "action": "accept"}) },
		}
		// What a page repeats is exactly what was sent, as far as a log line would have it.
		repeats := map[string]func(string) string{
			"login_hint": cleaned, "redirect_uri": cleaned, "user name": cleaned, "state, answer": asItIs, "state, code": asItIs,
			"code of error": asItIs, "sign-out": asItIs, "user_code": asItIs, "nonce": asItIs, "error": asItIs, "a sealed form": asItIs,
		}
		known := map[string]sketch{}
		for what, page := range pages {
			known[what] = draw(t, page(placeholder))
		}
		problems := []sketch{draw(t, fresh.open(authorizeV2Path, nil)).frame(), draw(t, fresh.submit(consentPath, nil)).frame()}
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
				got := draw(t, r)
				if repeat, exact := repeats[what]; exact && isSendable(text) {
					known[what].with(placeholder, repeat(text)).check(t, what, text, r)
				} else if frame := got.frame(); !slices.Equal(frame, known[what].frame()) && !slices.Equal(frame, problems[0]) && !slices.Equal(frame, problems[1]) && !signInFrame(got) {
					t.Errorf("%s with %+q: got %d, a page of its own: %q", what, text, r.Code, frame)
				}
				got.checkAddresses(t, what, text)
			}
		}
	})
}

func asItIs(text string) string { return text }
func cleaned(s string) string   { return text.Line(s, text.MaxQuoted) }

// isSendable reports whether a text arrives as it is sent.
func isSendable(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.Contains(text, "\x00") && len(text) <= maxRedirect
}

// signInFrame reports whether a page is the sign-in page: what is sent may be as good as
// what a client sends.
func signInFrame(s sketch) bool {
	return slices.ContainsFunc(s, func(line string) bool { return strings.HasSuffix(line, "@name=password") })
}

// checkAddresses wants every address on a page to be one of ours or of a client.
func (s sketch) checkAddresses(t *testing.T, what, text string) {
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

// written is an address as html/template writes it.
func written(uri string) string {
	uri = regexp.MustCompile("%([0-9A-Fa-f]{2})?").ReplaceAllStringFunc(uri, func(escape string) string {
		if escape == "%" { // of nothing
			return "%25"
		}
		return escape
	})
	return strings.NewReplacer("'", "%27", "(", "%28", ")", "%29").Replace(uri)
}

// An address that may be registered is an address on the page that leads there, and
// nothing else.
func TestPagesHoldRegisteredAddresses(t *testing.T) {
	w := newUserWorld(t)
	render := func(uri string) *reply {
		x := &exchange{http: httptest.NewRequest(http.MethodGet, testBase, nil)}
		response, err := w.formPost(x, uri, url.Values{"code": {"x"}})
		w.must(err)
		recorder := httptest.NewRecorder()
		writeAnswer(recorder, x, response)
		return &reply{ResponseRecorder: recorder, t: t}
	}
	const placeholder = "https://plain.test/address"
	plain := draw(t, render(placeholder))
	tried := 0
	texts(t, func(t *testing.T, all []string) {
		for _, text := range all {
			for _, uri := range []string{
				text, "https://" + text, "https://web.contoso.test/" + text, "https://web.contoso.test/?x=" + text, "https://web.contoso.test:" + text, "http://localhost/" + text,
				"com.contoso.app://" + text, "com.contoso.app:" + text, "msal" + text + "://auth",
			} {
				if !isRedirect(uri) {
					continue
				}
				tried++
				plain.with(placeholder, written(uri), "plain.test", hostOf(uri)).check(t, "address", uri, render(uri))
			}
		}
	})
	if tried < 100 {
		t.Errorf("only %d addresses were tried", tried)
	}
}
