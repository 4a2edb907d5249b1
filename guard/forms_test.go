package guard_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// A form is one of those in which a guard stands in front of an API.
type form struct {
	name    string
	handler http.Handler
	ask     func(path string, authorization []string) *http.Request
	badness int // the status that a bad request has there
}

// forms returns the guard in every form, with the rules of protect unless others are given.
func forms(t testing.TB, g *guard.Guard, rules ...guard.Rule) []form {
	t.Helper()
	if len(rules) == 0 {
		rules = protectedRules()
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the upstream got the token")
		}
	}))
	t.Cleanup(upstream.Close)
	return formsBefore(t, g, upstream.URL, rules...)
}

// formsBefore returns the guard in every form, before this upstream.
func formsBefore(t testing.TB, g *guard.Guard, upstream string, rules ...guard.Rule) []form {
	t.Helper()
	asking := func(path string, set func(http.Header), authorization []string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header["Authorization"] = authorization
		set(r.Header)
		return r
	}
	forwarded := func(path string, authorization []string) *http.Request {
		return asking("/guard/check", func(h http.Header) { h.Set("X-Forwarded-Method", "GET"); h.Set("X-Forwarded-Uri", path) }, authorization)
	}
	direct := func(path string, authorization []string) *http.Request {
		return asking(path, func(http.Header) {}, authorization)
	}
	all := []form{
		{"proxy", nil, direct, 400},
		{"nginx", nil, func(path string, authorization []string) *http.Request {
			return asking("/guard/check", func(h http.Header) { h.Set("X-Original-Method", "GET"); h.Set("X-Original-Uri", path) }, authorization)
		}, 401},
		{"traefik", nil, forwarded, 400},
		{"caddy", nil, forwarded, 400},
		{"http", nil, direct, 400},
		{"grpc", nil, overGRPC, 400},
	}
	for i := range all {
		f := &guardfile.File{Mode: guardfile.ModeForwardAuth, Dialect: guardfile.Dialect(all[i].name), Identity: guardfile.IdentityEasyAuth,
			APIs: []guardfile.API{{Audience: []string{apiID}, Upstream: upstream, Rules: rules}}}
		switch all[i].name {
		case "proxy":
			f.Mode = guardfile.ModeProxy
		case "http", "grpc":
			f.Mode = guardfile.ModeExtAuthz
		}
		var err error
		if all[i].handler, err = guardserver.Handler(g, f); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// overGRPC is how Envoy asks about a request: a CheckRequest, in which lines of one header are
// joined.
func overGRPC(path string, authorization []string) *http.Request {
	field := func(b []byte, number int, value []byte) []byte {
		b = binary.AppendUvarint(b, uint64(number)<<3|2)
		return append(binary.AppendUvarint(b, uint64(len(value))), value...)
	}
	request := field(field(nil, 2, []byte("GET")), 4, []byte(path))
	if len(authorization) > 0 {
		request = field(request, 3, field(field(nil, 1, []byte("authorization")), 2, []byte(strings.Join(authorization, ","))))
	}
	message := field(nil, 1, field(nil, 4, field(nil, 2, request)))
	r := httptest.NewRequest(http.MethodPost, "/envoy.service.auth.v3.Authorization/Check", bytes.NewReader(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)))
	r.ProtoMajor, r.RemoteAddr = 2, "127.0.0.1:1"
	r.Header.Set("Content-Type", "application/grpc")
	return r
}

// expect holds a form to the verdict that the middleware gave.
func (f form) expect(t testing.TB, path string, authorization []string, want verdict, secrets ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, f.ask(path, authorization))
	status, body := w.Code, w.Body.String()
	if f.name == "grpc" {
		if status != http.StatusOK || len(body) < 7 || body[5] != 0x0a {
			t.Errorf("%s: %d %q", f.name, status, body)
			return
		}
		status = want.status // which the reason stands for
		if body[6] == 0 != (want.status == http.StatusOK) {
			t.Errorf("%s: the status of the answer is %x, want one for %d", f.name, body[5:9], want.status)
		}
		if body = body[5:]; strings.Contains(body, "{") {
			body = body[strings.Index(body, "{"):]
		}
	}
	wanted := want.status
	if wanted == http.StatusBadRequest {
		wanted = f.badness
		if f.name == "grpc" {
			wanted = status
		}
	}
	var answer struct{ Reason guard.Reason }
	if want.status != http.StatusOK {
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Errorf("%s: %v in %q", f.name, err, body)
		}
	}
	if status != wanted || answer.Reason != want.reason {
		t.Errorf("%s: %d %q, want %d %q", f.name, status, answer.Reason, wanted, want.reason)
	}
	for _, secret := range secrets {
		if secret != "" && want.status != http.StatusOK && strings.Contains(w.Header().Get("Www-Authenticate")+body, secret) {
			t.Errorf("%s: the refusal holds %.20q", f.name, secret)
		}
	}
}

// TestPathTricksThroughEveryForm: a form that is told a path in a header or a message decides on
// it as the middleware does on one in a request line.
func TestPathTricksThroughEveryForm(t *testing.T) {
	t.Parallel()
	g := newGuard(t, newAuthority("https://authority.test").config())
	rules := []guard.Rule{{Path: "/admin/*", Roles: []string{"Admin"}}, {Path: "/open/*", Anonymous: true}, {Path: "/healthz", Anonymous: true}}
	policy, err := g.Policy(rules)
	if err != nil {
		t.Fatal(err)
	}
	told := forms(t, g, rules...)
	let := 0
	for _, target := range pathTricks() {
		if strings.Contains(target, "://") {
			continue // to a proxy that asks, a URL is another way to say the same
		}
		path, query, _ := strings.Cut(target, "?")
		d := policy.Decide(t.Context(), guard.Request{Method: "GET", Path: path, Query: query, Header: map[string][]string{}})
		want := verdict{status: d.Outcome.Status(), reason: d.Reason}
		if target[0] != '/' { // no target that a proxy has
			want = verdict{status: http.StatusForbidden, reason: guard.NoPolicy}
		}
		if d.Allowed() {
			let++
		}
		for _, form := range told {
			switch form.name {
			case "proxy", "http": // have it in the request line: package guardserver sends it there
			case "grpc":
				form.expect(t, target, nil, verdict{status: d.Outcome.Status(), reason: d.Reason})
			default:
				form.expect(t, target, nil, want)
			}
		}
		if t.Failed() {
			t.Fatalf("with %q", target)
		}
	}
	if let < 5 {
		t.Errorf("only %d paths were let in", let)
	}
}
