package signin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/pagetest"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

const webRedirect = "https://web.contoso.test/signin-oidc"

// newTestHandler returns a handler that can show pages, and has no directory.
func newTestHandler(t *testing.T) *Handler {
	t.Helper()
	templates, err := parsePages()
	if err != nil {
		t.Fatal(err)
	}
	store, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := records.NewSealer(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{pages: templates, sealer: sealer, forms: forms{sealer}}
}

// rendered writes a page.
func rendered(t *testing.T, page func(x *exchange.Exchange) (exchange.Answer, error)) *httptest.ResponseRecorder {
	t.Helper()
	x := &exchange.Exchange{Request: httptest.NewRequest(http.MethodGet, testids.BaseURL, nil), Now: fixture.NewClock(testids.Start()).Now}
	answer, err := page(x)
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	exchange.WriteAnswer(recorder, x, answer)
	return recorder
}

// What the directory lets nobody store is text, too: the pages do not rest on its rules.
func TestPagesHoldAnyText(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t)
	render := func(text string) map[string]*httptest.ResponseRecorder {
		tenant, user := &directory.Tenant{ID: testids.Tenant, Name: text}, &directory.User{PrincipalName: text, DisplayName: text, DirectoryRoles: []string{"Global Administrator"}}
		client := &directory.Instance{
			Application: &directory.Application{AppID: directory.AppID(text), Name: text, Public: true},
			Principal:   &directory.ServicePrincipal{ID: "1", AppID: directory.AppID(text), Name: text},
		}
		api := &directory.Instance{Application: &directory.Application{Name: text}, Principal: &directory.ServicePrincipal{ID: "2", Name: text}}
		r := &resolvedRequest{tenant: tenant, client: client, request: &authorizationRequest{redirectURI: webRedirect, hint: text}, scopes: scope.Requested{Identifier: text}}
		handheld := &resolvedRequest{tenant: tenant, client: client, device: &records.DeviceRecord{}}
		choice := &resolvedRequest{tenant: tenant, client: client, request: &authorizationRequest{redirectURI: webRedirect, prompt: []string{"select_account"}, maxAge: -1}}
		session := &browserSession{tenant: tenant, user: user}
		d := issuance.Delegation{Resource: api, Missing: []directory.Scope{{DisplayName: text, Description: text, Value: text, AdminOnly: true}}}
		p := &aadsts.Problem{Code: 1, OAuth: text, Status: http.StatusBadRequest, What: text, Advice: text}
		pages := map[string]*httptest.ResponseRecorder{}
		show := func(name string, page func(x *exchange.Exchange) (exchange.Answer, error)) {
			pages[name] = rendered(t, page)
		}
		show("sign-in", func(x *exchange.Exchange) (exchange.Answer, error) { return h.signInPage(x, r, nil, p, text) })
		show("sign-in with a hint", func(x *exchange.Exchange) (exchange.Answer, error) { return h.signInPage(x, r, nil, nil, "") })
		show("choice of account", func(x *exchange.Exchange) (exchange.Answer, error) { return h.signInPage(x, choice, session, nil, "") })
		show("consent", func(x *exchange.Exchange) (exchange.Answer, error) { return h.consentPage(x, r, session, d, text) })
		show("confirmation", func(x *exchange.Exchange) (exchange.Answer, error) { return h.confirmPage(x, r, session) })
		show("device", func(x *exchange.Exchange) (exchange.Answer, error) { return h.confirmPage(x, handheld, session) })
		show("message", func(x *exchange.Exchange) (exchange.Answer, error) {
			return h.pages.message(message{Title: text, Text: text, Next: "/", Label: text})
		})
		show("problem", func(x *exchange.Exchange) (exchange.Answer, error) { return h.ProblemPage(x, p), nil })
		show("answer in a form", func(x *exchange.Exchange) (exchange.Answer, error) {
			return h.pages.formPost(webRedirect, url.Values{"error_description": {text}, "state": {text}})
		})
		show("sign-out", func(*exchange.Exchange) (exchange.Answer, error) {
			return h.pages.render("signout", http.StatusOK, struct{ Title, Form, User string }{text, text, text})
		})
		return pages
	}
	const placeholder = "Plaintext"
	plain := map[string]pagetest.Sketch{}
	for what, r := range render(placeholder) {
		plain[what] = pagetest.Draw(t, r)
	}
	pagetest.Texts(t, func(t *testing.T, all []string) {
		for _, text := range all {
			for what, r := range render(text) {
				if strings.TrimSpace(text) == "" { // some of its elements are left out
					pagetest.Subset(t, what, text, pagetest.Draw(t, r).Frame(), plain[what].Frame())
					continue
				}
				plain[what].With(placeholder, text).Check(t, what, text, r)
			}
		}
	})
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
	t.Parallel()
	h := newTestHandler(t)
	render := func(uri string) *httptest.ResponseRecorder {
		return rendered(t, func(*exchange.Exchange) (exchange.Answer, error) {
			return h.pages.formPost(uri, url.Values{"code": {"x"}})
		})
	}
	const placeholder = "https://plain.test/address"
	plain := pagetest.Draw(t, render(placeholder))
	tried := 0
	pagetest.Texts(t, func(t *testing.T, all []string) {
		for _, text := range all {
			for _, uri := range []string{
				text, "https://" + text, "https://web.contoso.test/" + text, "https://web.contoso.test/?x=" + text, "https://web.contoso.test:" + text, "http://localhost/" + text,
				"com.contoso.app://" + text, "com.contoso.app:" + text, "msal" + text + "://auth",
			} {
				if !isRedirect(uri) {
					continue
				}
				tried++
				plain.With(placeholder, written(uri), "plain.test", hostOf(uri)).Check(t, "address", uri, render(uri))
			}
		}
	})
	if tried < 100 {
		t.Errorf("only %d addresses were tried", tried)
	}
}
