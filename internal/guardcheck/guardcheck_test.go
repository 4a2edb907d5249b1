package guardcheck_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/guardcheck"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

const settings = "authority: https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11\naudience: [api://orders]\nrules:\n"

func parse(t testing.TB, content string) *guardfile.File {
	t.Helper()
	f, err := guardfile.Parse("guard.yaml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRulesThatAreHardlyMeant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, rules string
		want        []string // kind, path
	}{
		{"nothing", "  - {path: /a, roles: [R]}\n  - {path: /b/*, roles: [R]}\n  - {path: /*, anonymous: true}\n", nil},
		{"the special before the general", "  - {path: /a/health, anonymous: true}\n  - {path: '/a/{id}', roles: [R]}\n  - {path: /a/*, roles: [S]}\n", nil},
		{"the same twice", "  - {path: /a, roles: [R]}\n  - {path: /a, roles: [S]}\n", []string{"unreachable /a"}},
		{"the general before the special", "  - {path: /a/*, roles: [R]}\n  - {path: /a/b/c, roles: [S]}\n", []string{"unreachable /a/b/c"}},
		{"a wildcard before a name", "  - {path: '/a/{id}/b', roles: [R]}\n  - {path: /a/x/b, roles: [S]}\n", []string{"unreachable /a/x/b"}},
		{"several rules together", "  - {path: /a, methods: [GET], roles: [R]}\n  - {path: /*, methods: [POST], roles: [R]}\n  - {path: /a, methods: [POST, GET], roles: [S]}\n", []string{"unreachable /a"}},
		{"some methods", "  - {path: /a/*, methods: [GET], roles: [R]}\n  - {path: /a/b, methods: [GET, POST], roles: [S]}\n", []string{"shadowed /a/b"}},
		{"some methods, and the same rights", "  - {path: /a/*, methods: [GET], roles: [R]}\n  - {path: /a/b, methods: [GET, POST], roles: [R]}\n", nil},
		{"open above", "  - {path: /a/*, anonymous: true}\n  - {path: /a/b, roles: [R]}\n", []string{"open-above /a/b"}},
		{"open across", "  - {path: '/{x}/health', anonymous: true}\n  - {path: /admin/*, roles: [R]}\n", []string{"open-above /admin/*"}},
		{"open above, for another method", "  - {path: /a/*, methods: [GET], anonymous: true}\n  - {path: /a/b, methods: [POST], roles: [R]}\n", nil},
		{"a slash at the end", "  - {path: /a/, roles: [R]}\n", []string{"not-canonical /a/"}},
		{"an escape", "  - {path: /%61, roles: [R]}\n", []string{"wrong /%61"}},
		{"dots", "  - {path: /a/../b, roles: [R]}\n", []string{"wrong /a/../b"}},
		{"two slashes", "  - {path: //a, roles: [R]}\n", []string{"wrong //a"}},
		{"a client that is no id", "  - {path: /a, clients: [orders-client]}\n", []string{"wrong /a"}},
		{"scopes of applications", "  - {path: /a, scopes: [S]}\n", []string{"wrong /a"}},
		{"bound, and nobody can prove it", "  - {path: /a, roles: [R], bound: true}\n", []string{"wrong /a"}},
		{"bound, and proven by DPoP", "  - {path: /a, roles: [R], bound: true}\norigins: [https://a.test]\n", nil},
		{"bound, and passed on by a proxy", "  - {path: /a, roles: [R], bound: true}\nclientCertificate: X-Cert\ntrustedPeers: [10.0.0.1]\n", nil},
		{"bound, and asked for", "  - {path: /a, roles: [R], bound: true}\ntls: {cert: a.pem, key: b.pem, askClients: true}\n", nil},
		{"bound, and not asked for", "  - {path: /a, roles: [R], bound: true}\ntls: {cert: a.pem, key: b.pem}\n", []string{"wrong /a"}},
		{"bound, and sent by Envoy", "  - {path: /a, roles: [R], bound: true}\nmode: ext-authz\n", nil},
		{"shadows are apart", "  - {path: /a, roles: [S], shadow: true}\n  - {path: /a, roles: [R]}\n", nil},
		{"a shadow below a shadow", "  - {path: /*, roles: [S], shadow: true}\n  - {path: /a, roles: [T], shadow: true}\n  - {path: /a, roles: [R]}\n", []string{"unreachable /a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range guardcheck.Rules(t.Context(), parse(t, settings+tt.rules)) {
				got = append(got, string(f.Kind)+" "+f.Rule)
				if f.Line < 4 || f.What == "" {
					t.Errorf("%+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, f := range guardcheck.Rules(t.Context(), parse(t, settings+"  - {path: /a/../b, roles: [R]}\n")) {
		if f.Fix != "If the path /b is meant, write that." {
			t.Errorf("fix %q", f.Fix)
		}
	}
}

// What is said to be unreachable never decides, and what is said of nothing does, by the guard
// itself on every path there can be.
func TestUnreachableIsWhatTheGuardNeverReaches(t *testing.T) {
	t.Parallel()
	parts := []string{"a", "b", "{x}"}
	random := rand.New(rand.NewPCG(1, 2))
	path := func() string {
		p := ""
		for range random.IntN(4) {
			p += "/" + parts[random.IntN(len(parts))]
		}
		if random.IntN(3) == 0 {
			p += "/*"
		}
		return "/" + strings.TrimPrefix(p, "/")
	}
	paths := []string{"/"}
	for depth, last := 0, []string{""}; depth < 4; depth++ {
		var next []string
		for _, p := range last {
			next = append(next, p+"/a", p+"/b", p+"/c")
		}
		paths, last = append(paths, next...), next
	}
	found := 0
	for range 400 {
		rules := fmt.Sprintf("  - {path: '%s', clients: [00000000-0000-4000-8000-000000000000]}\n  - {path: '%s', methods: [GET], clients: [00000000-0000-4000-8000-000000000001]}\n  - {path: '%s', roles: [R]}\n", path(), path(), path())
		f := parse(t, settings+rules)
		last := f.APIs[0].Rules[2]
		unreachable := slices.ContainsFunc(guardcheck.Rules(t.Context(), f), func(f guardcheck.Finding) bool { return f.Kind == guardcheck.Unreachable && f.Line == 6 })
		g, err := guard.New(t.Context(), f.Config(f.APIs[0]))
		if err != nil {
			t.Fatal(err)
		}
		policy, err := g.Policy(f.APIs[0].Rules)
		if err != nil {
			t.Fatal(err)
		}
		reached := false
		for _, p := range paths {
			for _, method := range []string{"GET", "POST"} {
				rule, _ := policy.Decide(t.Context(), guard.Request{Method: method, Path: p}).Rule()
				reached = reached || len(rule.Roles) > 0
			}
		}
		if unreachable == reached {
			t.Errorf("%q is said to be unreachable: %v, and is reached: %v, in\n%s", last.Path, unreachable, reached, rules)
		}
		if unreachable {
			found++
		}
	}
	if found < 20 {
		t.Errorf("only %d rules were unreachable", found)
	}
}

func TestADirectoryKnowsWhatRulesName(t *testing.T) {
	t.Parallel()
	d := fixture.OpenDirectory(t, time.Now)
	for _, tt := range []struct{ name, content, want string }{
		{"all there", settings + "  - {path: /a, roles: [Orders.Read]}\n", ""},
		{"another case", settings + "  - {path: /a, roles: [orders.read]}\n", "Write Orders.Read: roles are compared exactly."},
		{"no such role", settings + "  - {path: /a, allRoles: [Nobody.Has]}\n", `has no app role "Nobody.Has"`},
		{"no such scope", settings + "  - {path: /a, caller: user, scopes: [Nobody.Has]}\n", `has no scope "Nobody.Has"`},
		{"no such client", settings + "  - {path: /a, clients: [00000000-0000-4000-8000-000000000009]}\n", `the directory has no application "00000000`},
		{"no such principal", settings + "  - {path: /a, principals: [00000000-0000-4000-8000-000000000009]}\n", `the directory has no principal "00000000`},
		{"no such tenant", settings + "  - {path: /a, tenants: [00000000-0000-4000-8000-000000000009]}\n", `the directory has no tenant "00000000`},
		{"another audience beside", strings.Replace(settings, "[api://orders]", "[api://orders, api://other]", 1) + "  - {path: /a, roles: [Orders.Read]}\n", `the audience "api://other" is neither`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			findings, unknown, err := guardcheck.Directory(t.Context(), parse(t, tt.content), d)
			if err != nil || len(unknown) > 0 {
				t.Fatalf("%v, unknown %q", err, unknown)
			}
			if tt.want == "" {
				if len(findings) > 0 {
					t.Errorf("got %+v", findings)
				}
				return
			}
			if len(findings) != 1 || !strings.Contains(findings[0].What+findings[0].Fix, tt.want) {
				t.Errorf("got %+v, want %s", findings, tt.want)
			}
		})
	}
	_, unknown, err := guardcheck.Directory(t.Context(), parse(t, strings.Replace(settings, "api://orders", "api://elsewhere", 1)+"  - {path: /a, roles: [X]}\n"), d)
	if err != nil || len(unknown) != 1 {
		t.Errorf("an API of another directory: %q, %v", unknown, err)
	}
}

const tested = `
authority: https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11
audience: [api://orders, a9100002-5a5a-4c4c-8d8d-000000000002]
caller: any
rules:
  - {path: /api/GetOrders, methods: [GET], roles: [Orders.Read], scopes: [Orders.List]}
  - {path: /api/Admin, caller: application, clients: [c11e0001-5a5a-4c4c-8d8d-000000000001]}
  - {path: /healthz, anonymous: true}
  - {path: /api/Pay, roles: [Orders.Read], bound: true}
`

func TestTables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, test string
		ok         bool
		got        string
	}{
		{"in", "{request: GET /api/GetOrders, caller: {roles: [Orders.Read]}, expect: allow}", true, "allow"},
		{"in, by status", "{request: 'GET /api/GetOrders?x=1', caller: {roles: [Orders.Read]}, expect: '200'}", true, "allow"},
		{"not in", "{request: GET /api/GetOrders, caller: {roles: [Orders.Write]}, expect: allow}", false, "role_missing"},
		{"refused", "{request: GET /api/GetOrders, caller: {roles: [Orders.Write]}, expect: refuse}", true, "role_missing"},
		{"refused, and let in", "{request: GET /api/GetOrders, caller: {roles: [Orders.Read]}, expect: refuse}", false, "allow"},
		{"by reason", "{request: GET /api/GetOrders, caller: {roles: [Orders.Write]}, expect: role_missing}", true, "role_missing"},
		{"by another reason", "{request: GET /api/GetOrders, caller: {roles: [Orders.Write]}, expect: scope_missing}", false, "role_missing"},
		{"a user", "{request: GET /api/GetOrders, caller: {scopes: [Orders.List]}, expect: allow}", true, "allow"},
		{"a user without scopes", "{request: GET /api/GetOrders, caller: {kind: user}, expect: scope_missing}", true, "scope_missing"},
		{"a user where applications are meant", "{request: GET /api/Admin, caller: {kind: user, scopes: [Orders.List]}, expect: caller_kind}", true, "caller_kind"},
		{"a client", "{request: POST /api/Admin, caller: {client: C11E0001-5a5a-4c4c-8d8d-000000000001}, expect: allow}", true, "allow"},
		{"another client", "{request: POST /api/Admin, caller: {}, expect: client_not_allowed}", true, "client_not_allowed"},
		{"nobody", "{request: GET /api/GetOrders, expect: '401'}", true, "token_missing"},
		{"everybody", "{request: HEAD /healthz, expect: allow}", true, "allow"},
		{"a path that is none", "{request: GET /healthz/..%2fapi, expect: '400'}", true, "path_not_canonical"},
		{"no rule", "{request: GET /other, expect: no_policy}", true, "no_policy"},
		{"expired", "{request: GET /api/GetOrders, caller: {expired: true, roles: [Orders.Read]}, expect: token_expired}", true, "token_expired"},
		{"for another API", "{request: GET /api/GetOrders, caller: {audience: api://other, roles: [Orders.Read]}, expect: audience_mismatch}", true, "audience_mismatch"},
		{"bound", "{request: POST /api/Pay, caller: {roles: [Orders.Read], bound: true}, expect: allow}", true, "allow"},
		{"not bound", "{request: POST /api/Pay, caller: {roles: [Orders.Read]}, expect: binding_missing}", true, "binding_missing"},
		{"bound, where nobody asks", "{request: GET /api/GetOrders, caller: {roles: [Orders.Read], bound: true}, expect: allow}", true, "allow"},
		{"of another tenant", "{request: GET /api/GetOrders, caller: {tenant: 00000000-0000-4000-8000-000000000009, roles: [Orders.Read]}, expect: tenant_not_allowed}", true, "tenant_not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table, err := guardcheck.ParseTable("t.yaml", []byte("tests: ["+tt.test+"]"))
			if err != nil {
				t.Fatal(err)
			}
			results, err := guardcheck.Run(t.Context(), parse(t, tested), table)
			if err != nil {
				t.Fatal(err)
			}
			if r := results[0]; r.OK != tt.ok || r.Got != tt.got || r.Name == "" || r.Got != "allow" && r.Got != "no_policy" && r.Detail == "" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestTablesOfSeveralAPIs(t *testing.T) {
	t.Parallel()
	f := parse(t, `
apis:
  - {host: a.test, authority: https://a.test/contoso.test, audience: [api://a], rules: [{path: /x, roles: [A]}]}
  - {host: b.test, authority: https://login.microsoftonline.com/organizations, tenants: [00000000-0000-4000-8000-000000000007], audience: [api://b], rules: [{path: /x, roles: [B]}]}
`)
	table, err := guardcheck.ParseTable("t.yaml", []byte(`tests:
  - {host: a.test, request: GET /x, caller: {roles: [A]}, expect: allow}
  - {host: B.test, request: GET /x, caller: {roles: [B]}, expect: allow}
  - {host: b.test, request: GET /x, caller: {roles: [A]}, expect: role_missing}
  - {host: b.test, request: GET /x, caller: {audience: api://a, roles: [B]}, expect: audience_mismatch}
  - {host: c.test, request: GET /x, expect: no_policy}
`))
	if err != nil {
		t.Fatal(err)
	}
	results, err := guardcheck.Run(t.Context(), f, table)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.OK {
			t.Errorf("%+v", r)
		}
	}
}

func TestTablesThatAreNone(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                          "t.yaml: ",
		"tests: []":                 "it has no tests",
		"testz: []":                 "testz",
		"tests: [{request: GET}]":   "is not a method and a path",
		"tests: [{request: GET /}]": "expect \"\" is none of",
		"tests: [{request: GET /, expect: maybe}]":                            "expect \"maybe\" is none of",
		"tests: [{request: GET /, expect: '418'}]":                            "expect \"418\" is none of",
		"tests: [{request: GET /, expect: allow, caller: {kind: robot}}]":     "kind is one of",
		"tests: [{request: GET /, expect: allow, caller: {role: [x]}}]":       "role",
		"tests: [{request: GET /, expect: allow, caller: [application]}]":     "t.yaml: ",
		"tests: [{request: GET http://a.test/, expect: allow}]":               "is not a method and a path",
		strings.Repeat("#", guardcheck.MaxTable) + "\n\ntests: [{expect: x}]": "it is longer",
	} {
		if _, err := guardcheck.ParseTable("t.yaml", []byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", content, err, want)
		}
	}
}

// Whatever the bytes: no panic, and a table that can be run, or an error.
func FuzzParseTable(f *testing.F) {
	f.Add([]byte("tests:\n  - {name: x, host: a.test, request: GET /x, caller: {roles: [A], kind: user, expired: true}, expect: allow}\n"))
	f.Add([]byte("tests: [{request: GET /%2f, expect: '400'}]"))
	f.Add([]byte("tests: &a [*a]"))
	settings := parse(f, tested)
	f.Fuzz(func(t *testing.T, content []byte) {
		table, err := guardcheck.ParseTable("t.yaml", content)
		if err != nil {
			return
		}
		if _, err := guardcheck.Run(t.Context(), settings, table); err != nil {
			t.Fatal(err)
		}
	})
}
