package routers

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

func TestRouters(t *testing.T) {
	login := authoritytest.Start(t)
	g, err := guard.New(t.Context(), login.API("orders").Config())
	if err != nil {
		t.Fatal(err)
	}
	reader, writer := login.Token("reader", "orders", "Orders.Read"), login.Token("writer", "orders", "Orders.Write")
	for name, api := range map[string]http.Handler{"chi": Chi(g), "gin": Gin(g), "echo": Echo(g)} {
		for _, tt := range []struct {
			name, path, token string
			status            int
			body              string
		}{
			{"the role", "/api/orders/7", reader, 200, "order 7 for " + login.App("reader").ClientID},
			{"another role", "/api/orders/7", writer, 403, `"reason":"role_missing"`},
			{"no token", "/api/orders/7", "", 401, `"reason":"token_missing"`},
			{"a user", "/api/orders/7", login.Bad().UserTokenWithRole("reader", "orders", "Orders.Read"), 403, `"reason":"caller_kind"`},
			{"no guard", "/healthz", "", 200, ""},
			{"no route", "/api/other", reader, 404, ""},
		} {
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s, %s: %d %s, want %d %s", name, tt.name, w.Code, w.Body, tt.status, tt.body)
			}
			if tt.status >= 400 && tt.status != 404 && strings.Contains(w.Body.String(), "order 7") {
				t.Errorf("%s, %s: the handler ran: %s", name, tt.name, w.Body)
			}
			if tt.status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s, %s: challenge %q", name, tt.name, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
}
