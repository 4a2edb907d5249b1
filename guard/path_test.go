package guard_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// TestPathTricks sends hundreds of spellings of a protected path to a mux
// behind the guard. Whatever gets through without a token must be what the
// open rule is for.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	served := ""
	mux := http.NewServeMux()
	mux.HandleFunc("/admin/", func(http.ResponseWriter, *http.Request) { served = "admin" })
	mux.HandleFunc("/admin", func(http.ResponseWriter, *http.Request) { served = "admin" })
	mux.HandleFunc("/open/", func(http.ResponseWriter, *http.Request) { served = "open" })
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { served = "other " + r.URL.Path })
	handler, err := newGuard(t, a.config()).Handler([]guard.Rule{
		{Path: "/admin/*", Roles: []string{"Admin"}},
		{Path: "/open/*", Anonymous: true},
	}, mux)
	if err != nil {
		t.Fatal(err)
	}
	server := &api{Server: httptest.NewServer(handler)}
	t.Cleanup(server.Close)
	paths := pathTricks()
	if len(paths) < 800 {
		t.Fatalf("only %d paths", len(paths))
	}
	for _, path := range paths {
		served = ""
		resp, body := server.raw(t, "GET "+path+" HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
		switch resp.StatusCode {
		case http.StatusOK:
			if served != "open" {
				t.Errorf("%q reached %q without a token", path, served)
			}
		case http.StatusBadRequest, http.StatusForbidden, http.StatusUnauthorized:
			if served != "" {
				t.Errorf("%q was refused and served", path)
			}
		default: // a redirect of the mux would mean that both read the path differently
			t.Errorf("%q: status %d %s", path, resp.StatusCode, body)
		}
	}
}

// pathTricks returns what people write to reach /admin by way of /open, or
// past a rule for /admin.
func pathTricks() []string {
	dots := []string{"..", "%2e%2e", "%2E.", ".%2e", "..;", "..;v=1", "%2e%2e;", "..%00", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "．．", "..%20", "...", ".", "%2e", "..%0d%0a", "..%09", "%uff0e%uff0e"}
	slashes := []string{"/", "//", "%2f", "%2F", "\\", "%5c", "%5C", "/./", "/;/", "%252f", "%c0%af", "／", "/%2e/", "\\/", "/\\", "%00/", "/%00", "%255c", ";/", "/%20/"}
	admins := []string{"admin", "Admin", "%61dmin", "admin/", "admin/x", "admin;v=1", "admin%00", "admin%2f", "admin.", "admin%20", "admin?x", "admin%3fx", "admin%23", "admin%09", "admin\\", "admi%6e", "ａdmin"}
	var out []string
	for _, dot := range dots {
		for _, slash := range slashes {
			out = append(out, "/open"+slash+dot+slash+"admin", "/open/x"+slash+dot+slash+dot+slash+"admin", slash+dot+"/admin")
		}
		for _, admin := range admins {
			out = append(out, "/open/"+dot+"/"+admin)
		}
	}
	for _, slash := range slashes {
		for _, admin := range admins {
			out = append(out, slash+admin, "/"+slash+admin, "/open"+slash+admin)
		}
	}
	return append(out, "http://api/admin", "http://evil.test/open/x", "https://api/open/", "//api/admin", "/open/%", "/open/%2", "/open/%zz", "/%", "/%%", "/open/\x7f", "/open/%7f", "*")
}

func TestPathsThatAreRefused(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()), guard.Rule{Path: "/*", Anonymous: true})
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/", 200}, {"/a", 200}, {"/a/", 200}, {"/a/b.c", 200}, {"/a..b", 200}, {"/...", 200}, {"/%20", 200}, {"/%C3%A9", 200}, {"/100%25", 200}, {"/100%25/x", 200}, {"/a:b@c,d", 200}, {"/a?b=//../%2f", 200},
		{"//", 400}, {"//a", 400}, {"/a//b", 400}, {"/a//", 400}, {"/.", 400}, {"/..", 400}, {"/a/.", 400}, {"/a/../b", 400}, {"/%2e", 400}, {"/orders%2Ejson", 400}, {"/a/%2E%2e/b", 400}, {"/a/..%20/b", 400}, {"/a/%20../b", 400}, {"/a/.%20", 400}, {"/a/%20%20..%20/b", 400}, {"/a/%20.x", 200}, {"/a/..%20x", 200},
		{"/a%2fb", 400}, {"/a%5Cb", 400}, {"/a\\b", 400}, {"/a;b", 400}, {"/a%3bb", 400}, {"/a%00", 400}, {"/a%0a", 400}, {"/a%1f", 400}, {"/a%7F", 400},
		{"/%252e", 400}, {"/%252f", 400}, {"/%2541", 400}, {"/a%25%34%31", 400}, {"/a%3fb", 400}, {"/a%23b", 400}, {"/%ff", 400}, {"/%c0%ae", 400}, {"/\xff", 400},
		{"http://api/a", 400}, {"http://evil.test/a", 400},
		{"/\u00e9", 200}, {"/\u00e9%2fb", 400}, {"/a%2f\u00e9", 400}, {"/\u00e9/%2e/b", 400}, {"/\u00e9%3bb", 400}, // bytes that are sent unescaped
	} {
		resp, body := server.raw(t, "GET "+tt.path+" HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != tt.want {
			t.Errorf("%q: %d, want %d", tt.path, resp.StatusCode, tt.want)
		}
		if tt.want == 400 {
			expect(t, resp, body, plain(400, guard.PathNotCanonical))
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{"/", []string{"/"}, []string{"/a"}},
		{"/a", []string{"/a", "/a/"}, []string{"/", "/a/b", "/A", "/ab", "/a."}},
		{"/a/b", []string{"/a/b"}, []string{"/a", "/a/b/c", "/a/c"}},
		{"/a/*", []string{"/a", "/a/", "/a/b", "/a/b/c"}, []string{"/", "/ab", "/b"}},
		{"/a/{id}", []string{"/a/1", "/a/2/"}, []string{"/a", "/a/1/2"}},
		{"/a/{id}/b", []string{"/a/1/b"}, []string{"/a/b", "/a/1/c", "/a/1"}},
		{"/{x}/*", []string{"/a", "/a/b"}, []string{"/"}},
		{"/*", []string{"/", "/a", "/a/b"}, nil},
		{"/caf\u00e9", []string{"/caf%C3%A9"}, []string{"/cafe%CC%81"}},
	} {
		handler, err := newGuard(t, a.config()).Handler([]guard.Rule{{Path: tt.pattern, Anonymous: true}}, http.NotFoundHandler())
		if err != nil {
			t.Fatal(err)
		}
		status := func(path string) int {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w.Code
		}
		for _, path := range tt.yes {
			if got := status(path); got != http.StatusNotFound {
				t.Errorf("%s does not match %s: %d", tt.pattern, path, got)
			}
		}
		for _, path := range tt.no {
			if got := status(path); got != http.StatusForbidden {
				t.Errorf("%s matches %s: %d", tt.pattern, path, got)
			}
		}
	}
}

func TestIgnoreCase(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.IgnoreCase = true
	handler, err := newGuard(t, cfg).Handler([]guard.Rule{{Path: "/admin", Roles: []string{"Admin"}}, {Path: "/*", Anonymous: true}}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/ADMIN": 401, "/Admin/": 401, "/%41dmin": 401, "/other": 404} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// FuzzPath checks that a path which the guard lets pass is one that a mux does
// not redirect and that no server can shorten, and that a path as it was sent
// gets the same decision as one that was parsed.
func FuzzPath(f *testing.F) {
	for i, path := range pathTricks() {
		if i%40 == 0 { // TestPathTricks has all of them
			f.Add(path)
		}
	}
	a := newAuthority("https://authority.test")
	g, err := guard.New(f.Context(), a.config())
	if err != nil {
		f.Fatal(err)
	}
	var passed string
	rules := []guard.Rule{{Path: "/*", Anonymous: true}}
	handler, err := g.Handler(rules, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { passed = r.URL.Path }))
	if err != nil {
		f.Fatal(err)
	}
	policy, err := g.Policy(rules)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		passed = ""
		handler.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}})
		sent, query, _ := strings.Cut(target, "?")
		if d := policy.Decide(t.Context(), guard.Request{Method: "GET", Path: sent, Query: query}); d.Allowed() != (passed != "") {
			t.Errorf("%q passed as %q, and is decided as %s %s where the path was sent", target, passed, d.Outcome, d.Reason)
		}
		if passed == "" {
			return
		}
		for segment := range strings.SplitSeq(strings.TrimSuffix(passed[1:], "/"), "/") {
			if segment == "." || segment == ".." || segment == "" && passed != "/" {
				t.Errorf("%q has segment %q", passed, segment)
			}
		}
		if strings.ContainsAny(passed, "\\;?#\x00\r\n\x7f") {
			t.Errorf("%q passed", passed)
		}
		if again, err := url.PathUnescape(passed); err == nil && strings.Contains(passed, "%") && again != passed {
			t.Errorf("%q can be decoded once more to %q", passed, again)
		}
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}})
		if w.Code != http.StatusOK {
			t.Errorf("%q: the mux answers %d", passed, w.Code)
		}
	})
}
