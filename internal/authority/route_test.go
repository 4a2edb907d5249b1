package authority

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

func TestRouteNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{
		"/", "/nosuch", "/contoso.test", "/contoso.test/", "/contoso.test/oauth2", "/contoso.test/oauth2/v2.0",
		"/contoso.test/oauth2/v3.0/token", "/contoso.test/oauth2/v2.0/token/x", "/contoso.test/x/../oauth2/v2.0/token2",
		"/contoso.test/discovery/instance", "/common/userrealm", "/common/userrealm/", "/error/x",
		"/contoso.test/oauth2/v2.0/authorize/x", "/%00/x", "/contoso.test%3foauth2/token",
	} {
		r := w.get(path)
		if r.Code != http.StatusNotFound || r.json["error"] != "not_found" {
			t.Errorf("%s: got %d %v", path, r.Code, r.json)
		}
		if codes, ok := r.json["error_codes"].([]any); !ok || len(codes) != 0 {
			t.Errorf("%s: error_codes is %v, want an empty list", path, r.json["error_codes"])
		}
	}
}

func TestRouteMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := "/contoso.test/v2.0/.well-known/openid-configuration"
	for _, tt := range []struct{ method, path, allow string }{
		{"GET", pathV1, "POST"}, {"GET", pathV2, "POST"}, {"HEAD", pathV2, "POST"}, {"PUT", pathV2, "POST"},
		{"OPTIONS", pathV2, "POST"}, {"get", pathV2, "POST"}, {"post", pathV2, "POST"},
		{"GET", "/nosuch.test/oauth2/token", "POST"}, // the method comes before the tenant
		{"POST", document, "GET, HEAD"}, {"DELETE", document, "GET, HEAD"}, {"OPTIONS", document, "GET, HEAD"},
		{"POST", "/error", "GET, HEAD"}, {"POST", "/common/discovery/instance", "GET, HEAD"},
	} {
		r := w.send(httptest.NewRequest(tt.method, testBase+tt.path, strings.NewReader(w.good().encode())))
		r.refused(405, "invalid_request", 900561)
		if got := r.Header().Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got, tt.allow)
		}
	}
	if r := w.send(httptest.NewRequest("HEAD", testBase+document, nil)); r.Code != http.StatusOK {
		t.Errorf("HEAD got %d", r.Code)
	}
}

func TestErrorPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.get("/error?code=7000215")
	if body := r.Body.String(); r.Code != 200 || !strings.Contains(body, "AADSTS7000215") || !strings.Contains(body, "What to do") {
		t.Errorf("got %d: %s", r.Code, body)
	}
	if got := r.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
		t.Errorf("Content-Security-Policy is %q", got)
	}
	for _, query := range []string{"", "?code=", "?code=0", "?code=1", "?code=<script>", "?code=99999999999999999999"} {
		if r := w.get("/error" + query); r.Code != 404 || strings.Contains(r.Body.String(), "<script") {
			t.Errorf("%q: got %d: %s", query, r.Code, r.Body)
		}
	}
}

// Every refusal with a number points to a page that explains it.
func TestErrorPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.post(pathV2, w.good().set("client_secret", "wrong"))
	uri, _ := r.json["error_uri"].(string)
	if page := w.get(strings.TrimPrefix(uri, testBase)); page.Code != 200 {
		t.Errorf("%s: got %d", uri, page.Code)
	}
}

// A panic in an endpoint is an answer, and its cause is for the log alone.
func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Source = func(*http.Request) string { return "here" }
	})
	w.server.Mux.Tenant("/boom", exchange.Endpoint{Method: http.MethodGet})
	r := w.get("/contoso.test/boom")
	r.refused(500, "server_error", 50000)
	if text := r.Body.String(); strings.Contains(text, "nil pointer") {
		t.Errorf("the caller is told %s", text)
	}
	if text := w.logged.String(); !strings.Contains(text, "nil pointer") {
		t.Errorf("the log says %s", text)
	}
}
