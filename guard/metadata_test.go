package guard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func published(t *testing.T, handler http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// The document is where RFC 9728 section 3.1 looks for it, says what it is of, and is named in
// the challenge of an API that refuses.
func TestMetadataIsPublished(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	for _, tt := range []struct{ resource, path, url string }{
		{"https://orders.test", "/.well-known/oauth-protected-resource", "https://orders.test/.well-known/oauth-protected-resource"},
		{"https://Orders.test:443/", "/.well-known/oauth-protected-resource", "https://orders.test/.well-known/oauth-protected-resource"},
		{"https://resource.example.com/resource1", "/.well-known/oauth-protected-resource/resource1", "https://resource.example.com/.well-known/oauth-protected-resource/resource1"}, // of RFC 9728, section 3.1
		{"https://contoso.test:8443/api/orders", "/.well-known/oauth-protected-resource/api/orders", "https://contoso.test:8443/.well-known/oauth-protected-resource/api/orders"},
	} {
		cfg := a.proving()
		cfg.Resource = &guard.Resource{URL: tt.resource, Name: "Orders", MutualTLS: true}
		g := newGuard(t, cfg)
		handler, err := g.Handler(protectedRules(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
		if err != nil {
			t.Fatal(err)
		}
		w := published(t, handler, "GET", tt.path)
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %v", tt.path, w.Code, w.Header())
		}
		var document struct {
			Resource    string   `json:"resource"`
			Servers     []string `json:"authorization_servers"`
			Scopes      []string `json:"scopes_supported"`
			Methods     []string `json:"bearer_methods_supported"`
			Name        string   `json:"resource_name"`
			Certificate bool     `json:"tls_client_certificate_bound_access_tokens"`
			Algorithms  []string `json:"dpop_signing_alg_values_supported"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		if document.Resource != tt.resource || !slices.Equal(document.Servers, []string{a.v2}) || !slices.Equal(document.Scopes, []string{"api://orders/.default"}) ||
			!slices.Equal(document.Methods, []string{"header"}) || document.Name != "Orders" || !document.Certificate || !slices.Contains(document.Algorithms, "ES256") {
			t.Errorf("got %+v", document)
		}
		if w := published(t, handler, "HEAD", tt.path); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
		}
		if w := published(t, handler, "POST", tt.path); w.Code != 403 {
			t.Errorf("POST: %d", w.Code)
		}
		if w := published(t, handler, "GET", tt.path+"/more"); w.Code != 403 {
			t.Errorf("another path: %d", w.Code)
		}
		if challenge := published(t, handler, "GET", "/orders").Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `resource_metadata="`+tt.url+`"`) {
			t.Error(challenge)
		}
		if path, _ := g.Metadata(); path != tt.path {
			t.Errorf("path %q", path)
		}
	}
}

// Of several tenants, each has an issuer that clients can ask.
func TestMetadataNamesIssuers(t *testing.T) {
	t.Parallel()
	cfg := newAuthority("https://authority.test").config()
	cfg.Authority, cfg.Tenants = "https://login.microsoftonline.com/organizations", []string{tenant, otherTenant}
	cfg.Resource = &guard.Resource{URL: "https://orders.test"}
	_, document := newGuard(t, cfg).Metadata()
	var got struct {
		Servers []string `json:"authorization_servers"`
	}
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"https://login.microsoftonline.com/" + tenant + "/v2.0", "https://login.microsoftonline.com/" + otherTenant + "/v2.0"}
	if !slices.Equal(got.Servers, want) || strings.Contains(string(document), "dpop") || strings.Contains(string(document), "tls_client") {
		t.Errorf("got %s", document)
	}
}

func TestMetadataHandler(t *testing.T) {
	t.Parallel()
	cfg := newAuthority("https://authority.test").config()
	if w := published(t, newGuard(t, cfg).MetadataHandler(), "GET", "/"); w.Code != 404 {
		t.Errorf("without a resource: %d", w.Code)
	}
	cfg.Resource = &guard.Resource{URL: "https://orders.test"}
	cfg.ResourceMetadata = "https://elsewhere.test/document"
	g := newGuard(t, cfg)
	if w := published(t, g.MetadataHandler(), "GET", "/anything"); w.Code != 200 || !strings.Contains(w.Body.String(), `"resource":"https://orders.test"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := published(t, g.MetadataHandler(), "DELETE", "/"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("DELETE: %d", w.Code)
	}
	if challenge := published(t, g.Require("Orders.Read")(g.MetadataHandler()), "GET", "/").Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `resource_metadata="https://elsewhere.test/document"`) {
		t.Error(challenge)
	}
}

func TestMetadataMisconfigured(t *testing.T) {
	t.Parallel()
	for _, r := range []guard.Resource{
		{}, {URL: "orders.test"}, {URL: "http://orders.test"}, {URL: "https://orders.test?a=b"}, {URL: "https://orders.test#a"}, {URL: "https://u@orders.test"},
		{URL: "https://orders.test/a//b"}, {URL: "https://orders.test/../b"}, {URL: `https://orders.test/"`}, {URL: "https://orders.test", Documentation: "docs"},
	} {
		cfg := newAuthority("https://authority.test").config()
		cfg.Resource = &r
		if _, err := guard.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "Resource") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
