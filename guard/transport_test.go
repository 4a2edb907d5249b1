package guard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	server, policy, forms := protect(t, g), newPolicy(t, g), forms(t, g)
	good, bad := a.token(t), a.token(t, claims{"aud": "api://customers"})
	for _, tt := range []struct {
		name  string
		lines []string
		want  verdict
	}{
		{"D01 none", nil, noToken},
		{"an empty one", []string{""}, noToken},
		{"D02 the scheme alone", []string{"Bearer"}, badRequest(guard.CredentialsMalformed)},
		{"D02 the scheme and a space", []string{"Bearer "}, badRequest(guard.CredentialsMalformed)},
		{"D02 lower case", []string{"bearer " + good}, allowed},
		{"D02 upper case", []string{"BEARER " + good}, allowed},
		{"D02 a tab", []string{"Bearer\t" + good}, badRequest(guard.CredentialsMalformed)},
		{"D02 two spaces", []string{"Bearer  " + good}, allowed},
		{"a space and a tab", []string{"Bearer \t" + good}, badRequest(guard.CredentialsMalformed)},
		{"a colon", []string{"Bearer: " + good}, badRequest(guard.CredentialsMalformed)},
		{"an equals sign", []string{"Bearer=" + good}, badRequest(guard.CredentialsMalformed)},
		{"a word after the token", []string{"Bearer " + good + " more"}, badRequest(guard.CredentialsMalformed)},
		{"quotes", []string{`Bearer "` + good + `"`}, badRequest(guard.CredentialsMalformed)},
		{"D03 Basic", []string{"Basic dXNlcjpwYXNz"}, noToken},
		{"D03 Negotiate", []string{"Negotiate abc"}, noToken},
		{"D03 MSAuth", []string{"MSAuth1.0 usertoken=abc, type=x"}, noToken},
		{"Digest, which has commas", []string{`Digest username="u", realm="r"`}, noToken},
		{"DPoP", []string{"DPoP " + good}, noToken},
		{"BearerX", []string{"BearerX " + good}, noToken},
		{"the token alone", []string{good}, noToken},
		{"D04 good and bad", []string{"Bearer " + good, "Bearer " + bad}, badRequest(guard.MultipleCredentials)},
		{"D04 bad and good", []string{"Bearer " + bad, "Bearer " + good}, badRequest(guard.MultipleCredentials)},
		{"D04 twice the same", []string{"Bearer " + good, "Bearer " + good}, badRequest(guard.MultipleCredentials)},
		{"D04 an empty line and a good one", []string{"", "Bearer " + good}, badRequest(guard.MultipleCredentials)},
		{"D05 joined", []string{"Bearer " + good + ", Bearer " + bad}, badRequest(guard.MultipleCredentials)},
		{"D05 joined without a space", []string{"Bearer " + good + ",Bearer " + bad}, badRequest(guard.MultipleCredentials)},
		{"D05 Basic joined with Bearer", []string{"Basic abc, Bearer " + good}, badRequest(guard.MultipleCredentials)},
		{"D08 Bearer and DPoP", []string{"Bearer " + good, "DPoP " + good}, badRequest(guard.MultipleCredentials)},
		{"D08 DPoP joined with Bearer", []string{"DPoP abc, Bearer " + good}, badRequest(guard.MultipleCredentials)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := server.get(t, "/orders", tt.lines...)
			expect(t, resp, body, tt.want, fragments(good)...)
			for _, form := range forms {
				form.expect(t, "/orders", tt.lines, tt.want, fragments(good)...)
			}
			expectDecision(t, policy.Decide(t.Context(), bearing("/orders", tt.lines...)), tt.want)
		})
	}
}

func TestFoldedHeader(t *testing.T) { // D06
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	good := a.token(t)
	for _, value := range []string{
		"Bearer " + good[:40] + "\r\n " + good[40:],
		"Bearer\r\n " + good + "\r\n more",
	} {
		resp, body := server.raw(t, "GET /orders HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: "+value+"\r\n\r\n")
		expect(t, resp, body, badRequest(guard.CredentialsMalformed), fragments(good)...)
	}
}

// raw sends bytes as they are and returns the answer.
func (a *api) raw(t testing.TB, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", a.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestTokenElsewhere(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	good := a.token(t)
	for _, query := range []string{ // D07
		"access_token=" + good, "x=1&access_token=" + good, "access%5ftoken=x", "access_token", "x=1;access_token=x", "ACCESS_TOKEN=x", "access%5Ftoken",
	} {
		for _, authorization := range [][]string{nil, {"Bearer " + good}} {
			resp, body := server.get(t, "/orders?"+query, authorization...)
			expect(t, resp, body, badRequest(guard.TokenInQuery), fragments(good)...)
		}
	}
	if resp, body := server.get(t, "/orders?access=1&token=%zz&x", "Bearer "+good); resp.StatusCode != http.StatusOK {
		t.Errorf("another query: %s", body)
	}
	form, err := http.NewRequest(http.MethodPost, server.URL+"/orders", strings.NewReader("access_token="+good))
	if err != nil {
		t.Fatal(err)
	}
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, body := server.do(t, form)
	expect(t, resp, body, noToken, fragments(good)...)
	for _, header := range []string{"Cookie: AppServiceAuthSession=", "X-Zumo-Auth: ", "X-Ms-Token-Aad-Access-Token: ", "Proxy-Authorization: Bearer ", "X-Authorization: Bearer "} { // D09
		name, value, _ := strings.Cut(header, ": ")
		req, err := http.NewRequest(http.MethodGet, server.URL+"/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, value+good)
		resp, body := server.do(t, req)
		expect(t, resp, body, noToken, fragments(good)...)
	}
}

// TestIdentityHeadersNeverArrive: what a client says about
// itself reaches no handler, neither behind a rule nor on an anonymous route.
func TestIdentityHeadersNeverArrive(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	removed := []string{
		"X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID", "x-ms-client-principal-name", "X-Ms-Client-Principal-Idp", "X-MS-TOKEN-AAD-ID-TOKEN",
		"X_MS_CLIENT_PRINCIPAL", "X.MS.CLIENT.PRINCIPAL", "X-MS_CLIENT-PRINCIPAL.ID", "X~MS~CLIENT~PRINCIPAL", "x!ms!client!principal", "X_MS_TOKEN_AAD_ACCESS_TOKEN",
		"X-Guard-Client-Id", "X_Guard_Roles", "X.Guard.Assertion", "X-Zumo-Auth",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_METHOD_OVERRIDE", "_method", "-Method",
		"X-Original-URL", "X-Rewrite-URL", "X-Original-Uri", "X-Original-Method",
	}
	kept := map[string]string{"X-Request-Id": "r", "X-Ms-Client-Request-Id": "c", "Accept": "a", "X-Ms-Version": "v", "X": "x", "X-Guardian": "g", "X-Http-Methods": "m"}
	for _, path := range []string{"/orders", "/healthz"} {
		req, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range removed {
			req.Header[name] = []string{"evil", "again"}
		}
		for name, value := range kept {
			req.Header.Set(name, value)
		}
		req.Header["Cookie"] = []string{"theme=dark; AppServiceAuthSession=evil; lang=en", "AppServiceAuthSession1=evil"}
		req.Header.Set("Authorization", "Bearer "+a.token(t))
		if resp, body := server.do(t, req); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		for name, values := range server.reached.Header {
			if strings.Contains(strings.Join(values, ""), "evil") {
				t.Errorf("%s: the handler saw %s: %q", path, name, values)
			}
		}
		for name, value := range kept {
			if server.reached.Header.Get(name) != value {
				t.Errorf("%s: the handler missed %s", path, name)
			}
		}
		if cookies := server.reached.Header["Cookie"]; len(cookies) != 1 || cookies[0] != "theme=dark; lang=en" {
			t.Errorf("%s: cookies %q", path, cookies)
		}
	}
}

func TestTrailersNeverArrive(t *testing.T) { // D13
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	for _, announce := range []string{"Trailer: X-MS-CLIENT-PRINCIPAL-ID\r\n", "Trailer: X-Checksum\r\n", ""} {
		resp, body := server.raw(t, "POST /orders HTTP/1.1\r\nHost: api\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"+announce+
			"Authorization: Bearer "+a.token(t)+"\r\n\r\n3\r\nabc\r\n0\r\nX-MS-CLIENT-PRINCIPAL-ID: evil\r\nX-Checksum: 1\r\n\r\n")
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		if len(server.reached.Trailer) > 0 {
			t.Errorf("the handler saw trailers %v", server.reached.Trailer)
		}
	}
}

func TestOriginalHeadersAreNotChanged(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	req, err := http.NewRequest(http.MethodGet, "/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token(t))
	req.Header.Set("X-Guard-Roles", "Admin")
	g.Require("Orders.Read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Guard-Roles") != "" {
			t.Error("the handler saw an identity header")
		}
	})).ServeHTTP(&discard{}, req)
	if req.Header.Get("X-Guard-Roles") == "" {
		t.Error("the request of an outer handler was changed")
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func TestMethods(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()),
		guard.Rule{Path: "/anything", Roles: []string{"Orders.Read"}}, guard.Rule{Path: "/open", Methods: []string{"GET"}, Anonymous: true})
	send := func(method, path string) (*http.Response, string) {
		return server.raw(t, method+" "+path+" HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer "+a.token(t)+
			"\r\nX-HTTP-Method-Override: GET\r\n_method: GET\r\nX-Original-Method: GET\r\nUser-Agent: HealthCheck/1.0\r\nX-Original-URL: /healthz\r\nX-Forwarded-Uri: /healthz\r\n\r\n")
	}
	for _, tt := range []struct {
		method, path string
		want         verdict
	}{
		{"GET", "/orders", allowed}, {"HEAD", "/orders", allowed}, {"POST", "/orders", allowed},
		{"DELETE", "/orders", plain(403, guard.NoPolicy)}, {"PUT", "/orders", plain(403, guard.NoPolicy)},
		{"OPTIONS", "/orders", plain(403, guard.NoPolicy)}, {"TRACE", "/orders", plain(403, guard.NoPolicy)},
		{"get", "/orders", plain(403, guard.NoPolicy)}, {"Get", "/orders", plain(403, guard.NoPolicy)}, {"GETX", "/orders", plain(403, guard.NoPolicy)},
		{"OPTIONS", "/anything", allowed}, {"PATCH", "/anything", allowed}, {"TRACE", "/anything", plain(403, guard.NoPolicy)},
		{"PROPFIND", "/anything", plain(403, guard.NoPolicy)}, {"TRACE", "/healthz", plain(403, guard.NoPolicy)}, {"HEAD", "/open", allowed},
		{"POST", "/open", plain(403, guard.NoPolicy)},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			resp, body := send(tt.method, tt.path)
			expect(t, resp, body, tt.want)
		})
	}
	resp, body := server.raw(t, "HEAD /orders HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
	if resp.StatusCode != http.StatusUnauthorized || body != "" || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("HEAD without token: %d %q", resp.StatusCode, body)
	}
	resp, _ = server.raw(t, "CONNECT orders:443 HTTP/1.1\r\nHost: orders:443\r\nConnection: close\r\n\r\n")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("CONNECT: %d", resp.StatusCode)
	}
}

func TestTokenIsCheckedBeforeAnUpgrade(t *testing.T) { // D16 D17
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	for _, upgrade := range []string{"websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13", "h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"} {
		for _, authorization := range []string{"", "Authorization: Bearer " + a.token(t, claims{"exp": now.Unix() - 3600}) + "\r\n"} {
			resp, _ := server.raw(t, "GET /orders HTTP/1.1\r\nHost: api\r\n"+authorization+"Connection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n")
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", resp.StatusCode)
			}
		}
	}
}

func TestChallengeOffersWhatHelps(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.Realm, cfg.ResourceMetadata = "orders", "https://api.test/.well-known/oauth-protected-resource"
	server := protect(t, newGuard(t, cfg))
	const pointer = `, resource_metadata="https://api.test/.well-known/oauth-protected-resource"`
	for _, tt := range []struct{ name, raw, want string }{
		{"no token", "", `Bearer realm="orders", authorization_uri="https://authority.test/` + tenant + `/oauth2/v2.0/authorize", resource_id="` + apiID + `"` + pointer},
		{"a bad token", "Bearer a.b.c", `Bearer realm="orders", authorization_uri="https://authority.test/` + tenant + `/oauth2/v2.0/authorize", resource_id="` + apiID + `", error="invalid_token", error_description="The token is not a compact JWS."` + pointer},
		{"no role", "Bearer " + a.token(t, claims{"roles": []string{"Other"}}), `Bearer realm="orders", error="insufficient_scope", ` +
			`error_description="The token does not carry the app role that is needed.", scope="api://orders/.default"` + pointer},
	} {
		resp, _ := server.get(t, "/orders", tt.raw)
		if got := resp.Header.Get("WWW-Authenticate"); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	const trace = "0af7651916cd43dd8448eb211c80319c"
	for header, want := range map[string]string{
		"00-" + trace + "-b7ad6b7169203331-01":             trace,
		"00-" + strings.ToUpper(trace) + "-b7ad6b71692033": "",
		`00-"quoted"`: "", "": "",
	} {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", header)
		_, body := server.do(t, req)
		got := between(body, `"trace_id":"`, `"`)
		if len(got) != 32 || want != "" && got != want {
			t.Errorf("traceparent %q: trace_id %q", header, got)
		}
	}
}

// TestNothingIsReflected has every odd byte a client can send.
func TestNothingIsReflected(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	const mark = "Zq7"
	for c := range 256 {
		value := fmt.Sprintf("Bearer %s%c%s", mark, c, mark)
		resp, body := server.raw(t, "GET /orders?"+mark+" HTTP/1.1\r\nHost: "+mark+"\r\nConnection: close\r\nAuthorization: "+value+"\r\n\r\n")
		if resp.StatusCode == http.StatusOK || strings.Contains(body+fmt.Sprint(resp.Header), mark) {
			t.Errorf("byte %d: status %d, %q", c, resp.StatusCode, body)
		}
	}
}
