package guardserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestAProxyLetsInWhoHoldsTheRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	good, none := w.token("Orders.Read"), w.login.Bad().NoRole("client", "orders")
	for _, tt := range []struct {
		name, path, authorization string
		status                    int
		reason                    guard.Reason
	}{
		{"no token", "/api/GetOrders", "", 401, guard.TokenMissing},
		{"a good token", "/api/GetOrders?region=east;x=%zz", "Bearer " + good, 200, ""},
		{"no role", "/api/GetOrders", "Bearer " + none, 403, guard.RoleMissing},
		{"another path", "/api/Other", "Bearer " + good, 403, guard.NoPolicy},
		{"two ways to read it", "/api/x/..%2fGetOrders", "Bearer " + good, 400, guard.PathNotCanonical},
		{"for everybody", "/healthz", "", 200, ""},
		{"for everybody, with a bad token", "/healthz", "Bearer nonsense", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.authorization != "" {
				headers = []string{"Authorization: " + tt.authorization}
			}
			resp, body := w.get(tt.path, headers...)
			var answer struct{ Reason guard.Reason }
			_ = json.Unmarshal([]byte(body), &answer)
			if resp.StatusCode != tt.status || answer.Reason != tt.reason {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, answer.Reason, tt.status, tt.reason)
			}
			asked := w.requests()
			if len(asked) == 1 != (tt.status == 200) {
				t.Errorf("the upstream was asked %d times", len(asked))
			}
			for _, r := range asked {
				if _, query, _ := strings.Cut(tt.path, "?"); r.URL.RawQuery != query || r.Header.Get("Authorization") != "" {
					t.Errorf("the upstream was asked %s with %v", r.URL, r.Header)
				}
			}
			if tt.status == 401 && !strings.Contains(resp.Header.Get("Www-Authenticate"), "authorization_uri=") {
				t.Errorf("challenge %q", resp.Header.Get("Www-Authenticate"))
			}
		})
	}
	lines := w.log.String()
	if n := strings.Count(lines, "msg=decision"); n != 7 {
		t.Errorf("%d lines of decisions, want 7:\n%s", n, lines)
	}
	if !strings.Contains(lines, "reason=role_missing route=/api/GetOrders") || strings.Contains(lines, good[:20]) || strings.Contains(lines, "region=east") {
		t.Errorf("the log:\n%s", lines)
	}
}

// Whatever spelling a client finds for a header that says who calls, the upstream gets the
// guard's own or none.
func TestNoIdentityIsSmuggled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	var spellings []string
	for _, name := range []string{"X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID", "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL-IDP", "X-MS-TOKEN-AAD-ACCESS-TOKEN", "X-MS-TOKEN-AAD-ID-TOKEN", "X-Guard-Assertion", "X-Guard-Roles", "X-ZUMO-AUTH", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL"} {
		for _, between := range []string{"-", "_", ".", "~", "!", "'", "*", "|"} {
			spelling := strings.ReplaceAll(name, "-", between)
			spellings = append(spellings, spelling, strings.ToLower(spelling), strings.Replace(strings.ToUpper(spelling), between, "-", 1))
		}
	}
	slices.Sort(spellings)
	spellings = slices.Compact(spellings)
	if len(spellings) < 250 {
		t.Fatalf("only %d spellings", len(spellings))
	}
	bearer := "Authorization: Bearer " + w.token("Orders.Read")
	for _, path := range []string{"/api/GetOrders", "/healthz"} {
		var headers []string
		for _, name := range spellings {
			headers = append(headers, name+": evil")
		}
		if path == "/api/GetOrders" {
			headers = append(headers, bearer)
		}
		headers = append(headers, "Connection: X-Ms-Client-Principal, X-Ms-Client-Principal-Id, close", "Connection: x-ms-client-principal-idp", "Cookie: a=1; AppServiceAuthSession=evil")
		if resp, body := w.get(path, headers...); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		asked := w.requests()
		if len(asked) != 1 {
			t.Fatalf("%s: asked %d times", path, len(asked))
		}
		for name, lines := range asked[0].Header {
			if strings.Contains(strings.Join(lines, ""), "evil") {
				t.Errorf("%s: the upstream got %s: %q", path, name, lines)
			}
		}
		want := 0
		if path == "/api/GetOrders" {
			want = 1
		}
		for _, name := range []string{"X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Ms-Client-Principal-Idp"} {
			if got := asked[0].Header[name]; len(got) != want {
				t.Errorf("%s: %d lines of %s, want %d", path, len(got), name, want)
			}
		}
		if got := asked[0].Header.Get("X-Forwarded-For"); got != "127.0.0.1" {
			t.Errorf("X-Forwarded-For: %q", got)
		}
	}
}
