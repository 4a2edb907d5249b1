package guard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// FuzzAuthorizationHeader sends any two Authorization lines. Only the good
// token, alone and in the one right form, may get in.
func FuzzAuthorizationHeader(f *testing.F) {
	a := newAuthority("https://authority.test")
	g, err := guard.New(f.Context(), a.config())
	if err != nil {
		f.Fatal(err)
	}
	const good = "<good>" // stands for a token that counts
	for _, seed := range [][2]string{
		{"Bearer " + good, ""}, {"bearer  " + good, ""}, {"Bearer " + good, "Bearer " + good}, {"Bearer " + good + ",", ""}, {"Bearer\t" + good, ""},
		{"Bearer " + good + "=", ""}, {"Basic abc, Bearer " + good, ""}, {"", "Bearer " + good}, {"Bearer a.b.c", ""}, {"Bearer ....", ""}, {"DPoP " + good, ""},
		{"Bearer: " + good, ""}, {"Bearer undefined", ""}, {`"Bearer ` + good + `"`, ""}, {"Bearer Bearer " + good, ""}, {"Bearer {", ""}, {"%", ""}, {"Bearer …", ""}, {good, ""},
	} {
		f.Add(seed[0], seed[1])
	}
	raw := a.token(f)
	handler := g.Require("Orders.Read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	f.Fuzz(func(t *testing.T, first, second string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, line := range []string{first, second} {
			if line != "" {
				r.Header.Add("Authorization", strings.ReplaceAll(line, good, raw))
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			line := first + second // one of them is empty
			scheme, token, _ := strings.Cut(line, " ")
			if first != "" && second != "" || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(token, " ") != good {
				t.Errorf("%q and %q got in", first, second)
			}
			return
		}
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest {
			t.Errorf("status %d", w.Code)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="api"`) || strings.Count(challenge, `"`)%2 != 0 {
			t.Errorf("challenge %q", challenge)
		}
	})
}
