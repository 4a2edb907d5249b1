package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A surface may serve several names, each with a handler of its own.
func TestASurfaceAnswersByHostName(t *testing.T) {
	t.Parallel()
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	h := answering{byHost: map[string]http.Handler{"login.contoso.test": says("login")}, byDefault: says("default")}.handler()
	for host, want := range map[string]string{
		"login.contoso.test": "login", "LOGIN.contoso.test:8443": "login", "login.contoso.test.": "login",
		"localhost:8443": "default", "127.0.0.1": "default", "[::1]:8443": "default", "evil-login.contoso.test": "default", "": "default",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request)
		if w.Body.String() != want {
			t.Errorf("Host %q: %s answered, want %s", host, w.Body, want)
		}
	}
}

// Two surfaces on one port, or one name twice, would be found out only at start.
func TestSurfacesDoNotOverlap(t *testing.T) {
	t.Parallel()
	names, offsets := map[string]bool{}, map[int]bool{}
	for _, plan := range surfacePlans() {
		if names[plan.name] || offsets[plan.offset] {
			t.Errorf("the surface %s at offset %d is there twice", plan.name, plan.offset)
		}
		names[plan.name], offsets[plan.offset] = true, true
	}
	if !names[authoritySurface] {
		t.Error("there is no authority")
	}
}
