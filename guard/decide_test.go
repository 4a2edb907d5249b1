package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// newPolicy returns the policy that protect serves.
func newPolicy(t testing.TB, g *guard.Guard) *guard.Policy {
	t.Helper()
	p, err := g.Policy(protectedRules())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bearing is a GET of a path with the Authorization lines given.
func bearing(path string, authorization ...string) guard.Request {
	r := guard.Request{Method: "GET", Path: path, Header: map[string][]string{}}
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return r
}

// expectDecision holds a decision without HTTP to the verdict that the
// middleware gave.
func expectDecision(t testing.TB, d guard.Decision, want verdict) {
	t.Helper()
	answer := d.Answer()
	challenge := strings.Join(answer.Header["Www-Authenticate"], "")
	got := verdict{status: answer.Status, bare: challenge == "", code: between(challenge, ` error="`, `"`), reason: d.Reason}
	if got != want || d.Allowed() != (want.status == http.StatusOK) {
		t.Errorf("decided without HTTP: %+v, want %+v", got, want)
	}
}

// TestHTTPStaysAtTheEdges: proxies and authorization endpoints decide without
// net/http, so only the middleware, the fetcher of keys, and the
// configuration, which names the client for it, may import the package.
func TestHTTPStaysAtTheEdges(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if strings.HasPrefix(spec.Path.Value, `"net/http`) {
				got = append(got, file.Name())
			}
		}
	}
	if want := []string{"config.go", "fetch.go", "middleware.go"}; !slices.Equal(got, want) {
		t.Errorf("net/http is imported by %q, want %q", got, want)
	}
}

func TestADecisionSaysWhatOperatorsNeed(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	p := newPolicy(t, newGuard(t, a.config()))
	for _, tt := range []struct {
		name        string
		request     guard.Request
		reason      guard.Reason
		route       string // of the rule; empty if there is none
		client      bool   // whether it says who called
		detail, fix string // parts of them
	}{
		{"allowed", bearing("/orders", "Bearer "+a.token(t)), "", "/orders", true, "", ""},
		{"anonymous", bearing("/healthz"), "", "/healthz", false, "", ""},
		{"no role", bearing("/orders", "Bearer "+a.token(t, claims{"roles": nil})), guard.RoleMissing, "/orders", true, clientID, "Needed: Orders.Read"},
		{"expired", bearing("/orders", "Bearer "+a.token(t, claims{"nbf": nil, "exp": now.Unix() - 300})), guard.TokenExpired, "/orders", false, "2026-11-23", "Get a new token"},
		{"another API's", bearing("/orders", "Bearer "+a.token(t, claims{"aud": "api://customers"})), guard.AudienceMismatch, "/orders", false, "api://customers", "A v2.0 token carries"},
		{"no token", bearing("/orders"), guard.TokenMissing, "/orders", false, "", "Authorization: Bearer"},
		{"two tokens", bearing("/orders", "Bearer a", "Bearer b"), guard.MultipleCredentials, "/orders", false, "", "one Authorization header"},
		{"not a token", bearing("/orders", "Bearer a b"), guard.CredentialsMalformed, "/orders", false, "", "Send Bearer"},
		{"a token in the query", guard.Request{Method: "GET", Path: "/orders", Query: "access_token=x"}, guard.TokenInQuery, "/orders", false, "", "nowhere else"},
		{"no rule", bearing("/other"), guard.NoPolicy, "", false, "", "Add a rule"},
		{"no rule for the method", guard.Request{Method: "DELETE", Path: "/orders"}, guard.NoPolicy, "", false, "", "Add a rule"},
		{"a path that can be read in two ways", bearing("/healthz/../orders"), guard.PathNotCanonical, "", false, "", "dot segments"},
		{"a whole URL", bearing("http://api.test/orders"), guard.PathNotCanonical, "", false, "", ""},
		{"no path", bearing(""), guard.PathNotCanonical, "", false, "", ""},
		{"an escape cut short", bearing("/orders%4"), guard.PathNotCanonical, "", false, "", ""},
		{"an escape that is none", bearing("/orders%zz"), guard.PathNotCanonical, "", false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := p.Decide(t.Context(), tt.request)
			if d.Reason != tt.reason || d.Allowed() != (tt.reason == "") {
				t.Fatalf("%s %q, want %q", d.Outcome, d.Reason, tt.reason)
			}
			rule, ok := d.Rule()
			if ok != (tt.route != "") || rule.Path != tt.route || d.Route != tt.route {
				t.Errorf("the rule is %q, the route %q, want %q", rule.Path, d.Route, tt.route)
			}
			if _, ok := d.Caller(); ok != tt.client {
				t.Errorf("says who called: %v", ok)
			}
			if !strings.Contains(d.Detail(), tt.detail) || tt.detail == "" && d.Allowed() && d.Detail() != "" {
				t.Errorf("detail %q, want %q", d.Detail(), tt.detail)
			}
			if !strings.Contains(d.Fix(), tt.fix) || d.Allowed() && d.Fix() != "" {
				t.Errorf("fix %q, want %q", d.Fix(), tt.fix)
			}
			if (len(d.TraceID) == 32) != (tt.reason != "") {
				t.Errorf("trace %q", d.TraceID)
			}
			if logged := fmt.Sprint(d.LogValue()); strings.Contains(logged, clientID) != tt.client || strings.Contains(logged, "customers") {
				t.Errorf("logged %s", logged)
			}
			answer := d.Answer()
			for _, secret := range []string{d.Detail(), d.Fix()} {
				if secret != "" && strings.Contains(string(answer.Body)+fmt.Sprint(answer.Header), secret) {
					t.Errorf("the answer tells the caller %q", secret)
				}
			}
		})
	}
}

// TestDecideAndExplainAgreeOnTheFix: the first step that Explain fails is what
// Decide refuses for.
func TestDecideAndExplainAgreeOnTheFix(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	for name, raw := range map[string]string{
		"no role": a.token(t, claims{"roles": nil}), "a user": a.token(t, claims{"idtyp": "user", "scp": "S"}), "expired": a.token(t, claims{"exp": now.Unix() - 300, "nbf": nil}),
		"another key": signWith(t, strangerKey(), "trusted", nil, a.claims()), "not a token": "x",
	} {
		d := g.Decide(t.Context(), bearing("", "Bearer "+raw), ordersRule)
		for _, step := range g.Explain(t.Context(), raw, ordersRule) {
			if step.Outcome == guard.StepFailed {
				if step.Reason != d.Reason || step.Fix != d.Fix() || step.Detail != d.Detail() {
					t.Errorf("%s: Decide says %q, %q, %q; Explain says %q, %q, %q", name, d.Reason, d.Detail(), d.Fix(), step.Reason, step.Detail, step.Fix)
				}
				break
			}
		}
	}
}

func TestTheMiddlewareSendsTheAnswer(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	p := newPolicy(t, g)
	server := protect(t, g)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, line := range []string{"", "Bearer x.y.z", "Bearer " + a.token(t, claims{"roles": nil}), "Bearer ,", "Bearer " + a.token(t)} {
		in := bearing("/orders", line)
		in.Header["Traceparent"] = []string{trace}
		answer := p.Decide(t.Context(), in).Answer()
		req, err := http.NewRequest(http.MethodGet, server.URL+"/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = in.Header
		resp, body := server.do(t, req)
		if resp.StatusCode != answer.Status {
			t.Errorf("%.20q: the middleware answers %d, the decision %d", line, resp.StatusCode, answer.Status)
		}
		if answer.Status == http.StatusOK {
			if len(answer.Header)+len(answer.Body) > 0 {
				t.Errorf("an allowed request is answered %v %q", answer.Header, answer.Body)
			}
			continue
		}
		if body != string(answer.Body) || !json.Valid(answer.Body) {
			t.Errorf("%.20q: the middleware answers %s, the decision %s", line, body, answer.Body)
		}
		for name, lines := range answer.Header {
			if !slices.Equal(resp.Header[name], lines) || name != http.CanonicalHeaderKey(name) {
				t.Errorf("%.20q: %s is %q, in the decision %q", line, name, resp.Header[name], lines)
			}
		}
	}
}

// TestAZeroDecisionHasAnAnswer: nothing that refuses may panic or let in.
func TestAZeroDecisionHasAnAnswer(t *testing.T) {
	t.Parallel()
	for _, d := range []guard.Decision{{}, {Reason: guard.TokenMissing, Outcome: guard.Unauthenticated}, {Reason: guard.ScopeMissing}} {
		answer := d.Answer()
		if answer.Status < 400 || !json.Valid(answer.Body) || d.Detail() != "" {
			t.Errorf("%+v is answered %d %s", d, answer.Status, answer.Body)
		}
		if _, ok := d.Rule(); ok {
			t.Error("a decision that nobody has made names a rule")
		}
		if _, ok := guard.CallerFrom(d.Context(t.Context())); ok {
			t.Error("a decision that nobody has made names a caller")
		}
	}
}

// TestPathTricksWithoutHTTP: a path as a proxy reports it is decided
// on as the middleware does that has parsed it.
func TestPathTricksWithoutHTTP(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	rules := []guard.Rule{{Path: "/admin/*", Roles: []string{"Admin"}}, {Path: "/open/*", Anonymous: true}}
	p, err := g.Policy(rules)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := g.Handler(rules, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, target := range pathTricks() {
		path, query, _ := strings.Cut(target, "?")
		d := p.Decide(t.Context(), guard.Request{Method: "GET", Path: path, Query: query})
		u, err := url.ParseRequestURI(target)
		if err != nil {
			if d.Allowed() {
				t.Errorf("%q is no target and was allowed", target)
			}
			continue
		}
		count++
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}})
		if w.Code != d.Answer().Status {
			t.Errorf("%q: the middleware answers %d, the decision %d %s", target, w.Code, d.Answer().Status, d.Reason)
		}
		canonical, ok := guard.Request{Path: path}.CanonicalPath()
		if ok != (d.Reason != guard.PathNotCanonical) || ok && canonical != u.Path {
			t.Errorf("%q is canonical: %v, %q; the mux reads %q", target, ok, canonical, u.Path)
		}
	}
	if count < 500 {
		t.Errorf("only %d paths", count)
	}
}

func TestDecidingOnASeenTokenAllocatesNothing(t *testing.T) {
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	p := newPolicy(t, g)
	ctx, request := context.Background(), bearing("/orders", "Bearer "+a.token(t))
	for name, decide := range map[string]func() guard.Decision{
		"policy": func() guard.Decision { return p.Decide(ctx, request) },
		"guard":  func() guard.Decision { return g.Decide(ctx, request, ordersRule) },
	} {
		if d := decide(); !d.Allowed() {
			t.Fatal(d.Reason)
		}
		if allocs := testing.AllocsPerRun(100, func() { decide() }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestRulesAreNotShared: neither the caller's rules nor those that a decision
// returns change the policy.
func TestRulesAreNotShared(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	rules := []guard.Rule{{Path: "/orders", Methods: []string{"GET"}, Roles: []string{"Orders.Read"}, Clients: []string{clientID}}}
	p, err := g.Policy(rules)
	if err != nil {
		t.Fatal(err)
	}
	request := bearing("/orders", "Bearer "+a.token(t))
	for range 2 {
		rules[0].Roles[0], rules[0].Methods[0], rules[0].Clients[0] = "Other", "PUT", principalID
		d := p.Decide(t.Context(), request)
		if !d.Allowed() {
			t.Fatal(d.Reason)
		}
		rule, _ := d.Rule()
		rule.Roles[0], rule.Methods[0], rule.Clients[0] = "Other", "PUT", principalID
	}
	mine := guard.Rule{Roles: []string{"Other"}}
	d := g.Decide(t.Context(), request, mine)
	mine.Roles[0] = "Changed.Afterwards"
	if rule, ok := d.Rule(); !ok || rule.Roles[0] != "Other" {
		t.Errorf("the decision holds %q", rule.Roles)
	}
}

func TestTheContextOfADecisionNamesTheCaller(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	d := g.Decide(t.Context(), bearing("", "Bearer "+a.token(t)), ordersRule)
	if caller, ok := guard.CallerFrom(d.Context(t.Context())); !ok || caller.ClientID != clientID {
		t.Errorf("the context names %+v", caller)
	}
	d = g.Decide(t.Context(), bearing("", "Bearer "+a.token(t, claims{"roles": nil})), ordersRule)
	if _, ok := guard.CallerFrom(d.Context(t.Context())); ok {
		t.Error("the context of a refusal names a caller")
	}
}

func TestDecisionsAreToldOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	var heard []guard.Decision
	var log bytes.Buffer
	cfg.OnDecision = func(d guard.Decision) { heard = append(heard, d) }
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	g := newGuard(t, cfg)
	p := newPolicy(t, g)
	for _, d := range []guard.Decision{
		p.Decide(t.Context(), bearing("/orders", "Bearer "+a.token(t))), p.Decide(t.Context(), bearing("/orders")), p.Decide(t.Context(), bearing("/other")),
		g.Decide(t.Context(), bearing(""), ordersRule), g.Check(t.Context(), "x", ordersRule),
	} {
		if len(heard) == 0 {
			t.Fatal("not told")
		}
		rule, ok := heard[0].Rule()
		if heard[0].Reason != d.Reason || heard[0].TraceID != d.TraceID || ok != (d.Reason != guard.NoPolicy) || ok && rule.Path != "/orders" {
			t.Errorf("told %+v of %+v", heard[0], d)
		}
		if logged := strings.Contains(log.String(), "reason="+string(d.Reason)+" "); logged == d.Allowed() {
			t.Errorf("%s is logged: %v", d.Reason, logged)
		}
		heard = heard[1:]
	}
	if len(heard) > 0 {
		t.Errorf("told %d more", len(heard))
	}
}

func TestSanitizeLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	clean := http.Header{"Accept": {"a"}, "Authorization": {"Bearer x"}}
	if got := guard.Sanitize(clean); !maps.EqualFunc(got, clean, slices.Equal) {
		t.Errorf("%v", got)
	}
	forged := http.Header{"Accept": {"a"}, "X_ms_client_principal": {"evil"}, "Cookie": {"AppServiceAuthSession=evil; lang=en"}}
	got := guard.Sanitize(forged)
	if want := (http.Header{"Accept": {"a"}, "Cookie": {"lang=en"}}); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v", got)
	}
	if len(forged) != 3 || !strings.Contains(forged["Cookie"][0], "evil") {
		t.Errorf("the headers themselves were changed: %v", forged)
	}
}

// What was allowed ends with its token, for which clocks may differ.
func TestWhatWasAllowedEnds(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.Skew = 2 * time.Minute
	g := newGuard(t, cfg)
	ends := now.Add(time.Hour + 2*time.Minute)
	for name, tt := range map[string]struct {
		decision guard.Decision
		want     time.Time
	}{
		"allowed":       {g.Check(t.Context(), a.token(t), ordersRule), ends},
		"once more":     {g.Check(t.Context(), a.token(t), ordersRule), ends},
		"refused":       {g.Check(t.Context(), a.token(t), guard.Rule{Roles: []string{"Orders.Write"}}), time.Time{}},
		"anonymous":     {g.Decide(t.Context(), guard.Request{}, guard.Rule{Anonymous: true}), time.Time{}},
		"of nobody":     {guard.Decision{Outcome: guard.Allow}, time.Time{}},
		"no decision":   {guard.Decision{}, time.Time{}},
		"a bad request": {guard.Refuse(guard.Request{}, guard.NoPolicy), time.Time{}},
	} {
		if got := tt.decision.Until(); !got.Equal(tt.want) {
			t.Errorf("%s: ends at %v, want %v", name, got, tt.want)
		}
	}
}
