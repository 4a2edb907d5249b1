package guard_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// logged returns a configuration whose log is read from the buffer.
func (a *authority) logged() (guard.Config, *bytes.Buffer) {
	var log bytes.Buffer
	cfg := a.config()
	cfg.Log = slog.New(slog.NewJSONHandler(&log, nil))
	return cfg, &log
}

// lastLine is the last line of a log, as its members.
func lastLine(t testing.TB, log *bytes.Buffer) map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var all map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &all); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	members := map[string]string{}
	for name, value := range all {
		members[name] = fmt.Sprint(value)
	}
	return members
}

// An operator sees in the API's log what was refused, why, and what to do, without the
// token and without asking the caller.
func TestTheLogSaysAllOfARefusal(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg, log := a.logged()
	p := newPolicy(t, newGuard(t, cfg))
	for _, tt := range []struct {
		name  string
		token string
		want  map[string]string
	}{
		{"another audience", a.token(t, claims{"aud": "api://customers"}), map[string]string{
			"reason": "audience_mismatch", "method": "GET", "path": "/orders", "route": "/orders", "wanted": "Orders.Read", "aud": "api://customers", "iss": a.v2,
			"iat": "2026-11-23T11:59:00Z", "nbf": "2026-11-23T11:59:00Z", "exp": "2026-11-23T13:00:00Z", "clock": "2026-11-23T12:00:00Z", "detail": `this API is api://orders, ` + apiID, "fix": "A v2.0 token carries",
		}},
		{"another issuer", a.token(t, claims{"iss": "https://nobody.test/"}), map[string]string{
			"reason": "issuer_unknown", "iss": "https://nobody.test/", "aud": apiID, "detail": "trusted: " + a.v1 + ", " + a.v2, "fix": "Authority",
		}},
		{"not yet", a.token(t, claims{"nbf": now.Unix() + 1200}), map[string]string{
			"reason": "token_not_yet_valid", "nbf": "2026-11-23T12:20:00Z", "clock": "2026-11-23T12:00:00Z", "fix": "clocks",
		}},
		{"no role", a.token(t, claims{"roles": []string{"orders.read"}}), map[string]string{
			"reason": "role_missing", "wanted": "Orders.Read", "client": clientID, "tenant": tenant, "aud": apiID, "iss": a.v2, "exp": "2026-11-23T13:00:00Z",
			"detail": `roles ["orders.read"]`, "fix": "The token has orders.read, which differs by case",
		}},
		{"an audience of no use to a log", a.token(t, claims{"aud": strings.Repeat("x", 4000) + "\u202e\n\u009b31m"}), map[string]string{"reason": "audience_mismatch", "aud": strings.Repeat("x", 120)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log.Reset()
			d := p.Decide(t.Context(), bearing("/orders", "Bearer "+tt.token))
			got := lastLine(t, log)
			for name, want := range tt.want {
				if !strings.Contains(got[name], want) {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			if got["trace_id"] != d.TraceID || len(d.TraceID) != 32 {
				t.Errorf("trace %q, of the answer %q", got["trace_id"], d.TraceID)
			}
			if log.Len() > 2500 || strings.Count(log.String(), "\n") != 1 || strings.ContainsAny(log.String(), "\u202e\u009b") {
				t.Errorf("logged %q", log.String())
			}
			for _, part := range strings.Split(tt.token, ".") {
				if strings.Contains(log.String(), part) {
					t.Errorf("the log has a part of the token")
				}
			}
		})
	}
}

// Whoever counts decisions learns the same as the log.
func TestOnDecisionHasTheEvidence(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	var heard guard.Decision
	cfg.OnDecision = func(d guard.Decision) { heard = d }
	g := newGuard(t, cfg)
	p := newPolicy(t, g)
	p.Decide(t.Context(), bearing("/orders", "Bearer "+a.token(t, claims{"aud": "api://Orders"})))
	e := heard.Evidence()
	if e.Method != "GET" || e.Path != "/orders" || len(e.Wanted) != 1 || e.Wanted[0] != "Orders.Read" || e.Audience != "api://Orders" || e.Issuer != a.v2 ||
		e.IssuedAt.Unix() != now.Unix()-60 || e.NotBefore != e.IssuedAt || e.Expires.Unix() != now.Unix()+3600 || !e.Clock.Equal(now) {
		t.Errorf("evidence %+v", e)
	}
	if !strings.Contains(heard.Detail(), "differs from api://orders by case") {
		t.Errorf("detail %q", heard.Detail())
	}
	g.Check(t.Context(), a.token(t, claims{"roles": nil}), ordersRule)
	if e := heard.Evidence(); e.Method != "" || e.Path != "" || e.Audience != apiID || e.Issuer != a.v2 {
		t.Errorf("of a token alone: %+v", e)
	}
	p.Decide(t.Context(), bearing("/orders", "Bearer "+a.token(t)))
	if e := heard.Evidence(); e.Path != "" || !e.Clock.IsZero() {
		t.Errorf("of a request that was allowed: %+v", e)
	}
	raw := a.token(t)
	p.Decide(t.Context(), bearing("/"+raw+"/x"))
	if e := heard.Evidence(); e.Path != "/(a token)" || strings.Contains(heard.Detail(), raw) {
		t.Errorf("a token in the path: %q, %q", e.Path, heard.Detail())
	}
}

func TestAGuardSaysWhatItTrusts(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg, log := a.logged()
	cfg.Clients = []string{clientID}
	newGuard(t, cfg)
	got := lastLine(t, log)
	for name, want := range map[string]string{
		"msg": "guard trusts", "issuers": a.v1 + ", " + a.v2, "audience": apiURI + ", " + apiID, "caller": "application", "tenants": tenant, "clients": clientID,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("more than a line: %s", log.String())
	}
}

// What is wrong by a detail that is easy to overlook is named.
func TestNearMisses(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	v1 := func(aud string) string { return a.token(t, a.v1Claims(), claims{"aud": aud}) }
	both, id, uri := []string{apiURI, apiID}, []string{apiID}, []string{apiURI}
	v2only := []guard.Issuer{{Issuer: a.v2}}
	v1only := []guard.Issuer{{Issuer: a.v1}}
	for _, tt := range []struct {
		name        string
		audience    []string
		issuers     []guard.Issuer // in place of Authority
		raw         string
		detail, fix string
	}{
		{"a URI of another case", both, nil, v1("api://Orders"), "differs from api://orders by case", "the same way"},
		{"an application id with a slash", both, nil, v1(apiID + "/"), "differs from " + apiID + " by a slash at its end", "without the slash"},
		{"a URI with two slashes", both, nil, v1(apiURI + "//"), "by a slash at its end", "without the slash"},
		{"an application id in upper case", both, nil, v1(strings.ToUpper(apiID)), "the application id in upper case", "lower case"},
		{"the URI, where Audience has the id alone", id, nil, v1(apiURI), "is a URI, and Audience holds the application id alone", "list it in Audience beside the application id"},
		{"the URI of the id", id, nil, v1("api://" + apiID), "names this API by its URI", "List the URI in Audience beside the application id"},
		{"the id, where Audience has the URI alone", uri, nil, a.token(t), "is an application id, and Audience holds URIs alone", "list it in Audience beside the URI"},
		{"the id of the URI", []string{"api://" + apiID}, nil, a.token(t), "names this API by its application id", "List the application id in Audience"},
		{"a scope in Audience", []string{apiURI + "/.default"}, nil, v1(apiURI), "is a scope", "Leave /.default out"},
		{"Microsoft Graph", both, nil, v1("https://graph.microsoft.com/"), "Microsoft Graph", "Name this API in the scope"},
		{"the client itself", both, nil, a.token(t, claims{"aud": clientID}), "the client itself", "Ask for this API"},
		{"another API", both, nil, v1("api://customers"), `aud is "api://customers"; this API is`, "/.default as scope"},

		{"version 1.0, where 2.0 is trusted", both, v2only, v1(apiURI), "the same tenant's version 1.0 issuer", "Set Authority, which trusts the issuers of both versions"},
		{"version 2.0, where 1.0 is trusted", both, v1only, a.token(t), "the same tenant's version 2.0 issuer", "requestedAccessTokenVersion"},
		{"a slash too many", both, nil, a.token(t, claims{"iss": a.v2 + "/"}), "by a slash at its end", "compared exactly"},
		{"an issuer of another case", both, nil, a.token(t, claims{"iss": strings.ToUpper(a.v2)}), "by case", "compared exactly"},
		{"the same authority by another name", both, nil, a.token(t, claims{"iss": strings.Replace(a.v2, "authority.test", "127.0.0.1:8443", 1)}), "the same tenant's issuer at another address", "https://127.0.0.1:8443"},
		{"http", both, nil, a.token(t, claims{"iss": strings.Replace(a.v2, "https", "http", 1)}), "the same tenant's issuer at another address", "http://authority.test"},
		{"another tenant", both, nil, a.token(t, claims{"iss": strings.Replace(a.v2, tenant, otherTenant, 1)}), "another tenant's issuer at the same authority", "Tenants"},
		{"a stranger", both, nil, a.token(t, claims{"iss": "https://nobody.test/" + otherTenant + "/v2.0"}), `v2.0"; trusted:`, "Authority"},
		{"no URL", both, nil, a.token(t, claims{"iss": "joe"}), `iss is "joe"; trusted`, "Authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := a.config()
			cfg.Audience = tt.audience
			if tt.issuers != nil {
				cfg.Authority, cfg.Issuers = "", tt.issuers
			}
			d := newGuard(t, cfg).Check(t.Context(), tt.raw, ordersRule)
			if d.Allowed() || !strings.Contains(d.Detail(), tt.detail) || !strings.Contains(d.Fix(), tt.fix) {
				t.Errorf("%s: %q, %q; want %q, %q", d.Reason, d.Detail(), d.Fix(), tt.detail, tt.fix)
			}
			if answer := d.Answer(); strings.Contains(string(answer.Body)+fmt.Sprint(answer.Header), "differs") {
				t.Errorf("the answer tells the caller: %s", answer.Body)
			}
		})
	}
}

// Entra's version 1.0 tokens have an issuer on a host of its own.
func TestEntrasOtherIssuerIsNamed(t *testing.T) {
	t.Parallel()
	cfg := newAuthority("https://authority.test").config()
	cfg.Authority, cfg.Issuers = "", []guard.Issuer{{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0"}}
	d := newGuard(t, cfg).Check(t.Context(), entraToken(t, "1.0", nil), ordersRule)
	if d.Reason != guard.IssuerUnknown || !strings.Contains(d.Detail(), "the same tenant's version 1.0 issuer") {
		t.Errorf("%s: %s", d.Reason, d.Detail())
	}
}

// Application ids are the same in either case, and those who copy them from a portal do not
// look at it.
func TestApplicationIDsInAudienceHaveNoCase(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.Audience = []string{strings.ToUpper(apiID)}
	run(t, newGuard(t, cfg), []bearerCase{
		{"the application id", a.token(t), allowed},
		{"another application id", a.token(t, claims{"aud": clientID}), badToken(guard.AudienceMismatch)},
	})
}

func TestPathsThatNearlyHaveARule(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	p, err := newGuard(t, a.config()).Policy([]guard.Rule{{Path: "/api/GetOrders", Methods: []string{"GET"}}, {Path: "/reports/*"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ method, path, detail, fix string }{
		{"GET", "/api/getorders", `differs from the rule for "/api/GetOrders" by case`, "IgnoreCase"},
		{"GET", "/Reports/2026", `differs from the rule for "/reports/*" by case`, "IgnoreCase"},
		{"DELETE", "/api/GetOrders", `the rule for "/api/GetOrders" is for GET`, "method"},
		{"GET", "/GetOrders", `has more before it, which a proxy may have removed`, "proxy"},
		{"GET", "/v1/api/GetOrders", `it has more before the path of the rule`, "proxy"},
		{"GET", "/nothing", `no rule is for GET "/nothing"`, "Add a rule"},
		{"GET", "/", `no rule is for GET "/"`, "Add a rule"},
		{"BREW\nx", "/nothing\n", "a control character", "Send the path"},
		{"GET", "/api//GetOrders", "two slashes in a row", "Send the path"},
		{"GET", "/api/../GetOrders", "a dot segment", "Send the path"},
		{"GET", "/api%2fGetOrders", "hides a separator", "Send the path"},
		{"GET", "/api/GetOrders;x", "a semicolon", "Send the path"},
		{"GET", "http://api.test/", "does not begin with a slash", "Send the path"},
	} {
		d := p.Decide(t.Context(), guard.Request{Method: tt.method, Path: tt.path})
		if d.Allowed() || !strings.Contains(d.Detail(), tt.detail) || !strings.Contains(d.Fix(), tt.fix) {
			t.Errorf("%s %q: %s %q, %q; want %q, %q", tt.method, tt.path, d.Reason, d.Detail(), d.Fix(), tt.detail, tt.fix)
		}
	}
}

// What stands in place of a token is named and never repeated: it may be a secret.
func TestWhatWasSeenInPlaceOfAToken(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	p := newPolicy(t, newGuard(t, a.config()))
	good := a.token(t)
	for _, tt := range []struct {
		line   string
		reason guard.Reason
		detail string
	}{
		{"bearer: " + good, guard.CredentialsMalformed, "a colon behind Bearer"},
		{"Bearer=" + good, guard.CredentialsMalformed, "an equals sign behind Bearer"},
		{"Bearer\t" + good, guard.CredentialsMalformed, "a tab behind Bearer"},
		{"Bearer", guard.CredentialsMalformed, "Bearer, and nothing after it"},
		{"Bearer ", guard.CredentialsMalformed, "Bearer, and nothing after it"},
		{"Bearer Bearer " + good, guard.CredentialsMalformed, "two schemes"},
		{"Bearer bearer: " + good, guard.CredentialsMalformed, "two schemes"},
		{`Bearer "` + good + `"`, guard.CredentialsMalformed, "quotes around it"},
		{"Bearer '" + good + "'", guard.CredentialsMalformed, "quotes around it"},
		{`"Bearer ` + good + `"`, guard.TokenMissing, "quotes around it"},
		{"Bearer undefined", guard.TokenMalformed, "the word undefined"},
		{"Bearer null", guard.TokenMalformed, "the word null"},
		{"Bearer None", guard.TokenMalformed, "the word none"},
		{"Bearer [object Object]", guard.CredentialsMalformed, "the word [object Object]"},
		{"undefined", guard.TokenMissing, "the word undefined"},
		{"Bearer $TOKEN", guard.CredentialsMalformed, "a placeholder"},
		{"Bearer {{token}}", guard.CredentialsMalformed, "a placeholder"},
		{"Bearer <token>", guard.CredentialsMalformed, "a placeholder"},
		{`Bearer {"access_token":"` + good + `"}`, guard.CredentialsMalformed, "a JSON object"},
		{"Bearer " + good[:60] + " " + good[60:], guard.CredentialsMalformed, "several words"},
		{"Bearer " + good[:60] + "...", guard.TokenEncrypted, "cut short"},
		{"Bearer%20" + good, guard.TokenMissing, "the space behind Bearer is URL-encoded"},
		{"Bearer " + strings.ReplaceAll(good, ".", "%2E"), guard.CredentialsMalformed, "URL-encoding"},
		{"Bearer" + good, guard.TokenMissing, "no space behind Bearer"},
		{good, guard.TokenMissing, "a token without a scheme"},
		{"Basic dXNlcjpwYXNz", guard.TokenMissing, "its scheme is Basic"},
		{"Authorization: Bearer " + good, guard.TokenMissing, "the name of the header stands in its value"},
		{"hunter2", guard.TokenMissing, "does not begin with Bearer"},
		{"", guard.TokenMissing, "it is empty"},
		{"Bearer hunter2", guard.TokenMalformed, "one part without dots"},
		{"Bearer hun.ter2", guard.TokenMalformed, "not three parts"},
		{"Bearer hün.ter.2", guard.CredentialsMalformed, "characters that no token has"},
		{"Bearer " + good + ", Bearer " + good, guard.MultipleCredentials, "a comma"},
	} {
		d := p.Decide(t.Context(), bearing("/orders", tt.line))
		if d.Reason != tt.reason || !strings.Contains(d.Detail(), tt.detail) || d.Fix() == "" {
			t.Errorf("%.30q: %s %q, %q; want %s %q", tt.line, d.Reason, d.Detail(), d.Fix(), tt.reason, tt.detail)
		}
		for _, secret := range []string{good[:20], "hunter2", "dXNlcjpwYXNz"} {
			if strings.Contains(d.Detail()+d.Fix(), secret) {
				t.Errorf("%.30q: it is repeated: %s", tt.line, d.Detail())
			}
		}
	}
	for detail, r := range map[string]guard.Request{
		"there is no header Authorization":  bearing("/orders"),
		"there are 2 headers":               bearing("/orders", "Bearer a", "Bearer b"),
		"one called X-Forwarded-Access":     {Method: "GET", Path: "/orders", Header: map[string][]string{"X-Forwarded-Access-Token": {good}}},
		"the query of the URL has access_t": {Method: "GET", Path: "/orders", Query: "access_token=" + good},
	} {
		if d := p.Decide(t.Context(), r); !strings.Contains(d.Detail(), detail) || strings.Contains(d.Detail(), good[:20]) {
			t.Errorf("%s %q, want %q", d.Reason, d.Detail(), detail)
		}
	}
}

// A wrong token is told no less than none: where a client gets a token, and for what.
func TestAWrongTokenIsToldNoLessThanNone(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	p := newPolicy(t, newGuard(t, a.config()))
	told := func(line string) map[string]string {
		challenge := strings.Join(p.Decide(t.Context(), bearing("/orders", line)).Answer().Header["Www-Authenticate"], "")
		all := map[string]string{}
		for _, name := range []string{"authorization_uri", "resource_id", "realm"} {
			all[name] = between(challenge, name+`="`, `"`)
		}
		return all
	}
	none := told("")
	for name, raw := range map[string]string{
		"another audience": a.token(t, claims{"aud": "api://customers"}), "another issuer": a.token(t, claims{"iss": "https://nobody.test/"}),
		"expired": a.token(t, claims{"nbf": nil, "exp": now.Unix() - 300}), "malformed": "x", "two words": "a b",
	} {
		for parameter, got := range told("Bearer " + raw) {
			if got != none[parameter] || got == "" {
				t.Errorf("%s: %s is %q, without a token %q", name, parameter, got, none[parameter])
			}
		}
	}
}

// The answer says which kind of caller came, and names no scope that would not help.
func TestTheAnswerNamesTheKindOfCaller(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	user := a.token(t, claims{"idtyp": "user", "scp": "Orders.List", "sub": "pairwise"})
	anyone := guard.Rule{Caller: guard.CallerAny, Scopes: []string{"Orders.List"}}
	for _, tt := range []struct {
		name, raw string
		rule      guard.Rule
		reason    guard.Reason
		says, fix string
		scope     string
	}{
		{"a user where applications are meant", user, ordersRule, guard.WrongCallerKind, "speaks for a user", "The caller is a user", ""},
		{"an application where users are meant", a.token(t), guard.Rule{Caller: guard.CallerUser, Scopes: []string{"Orders.List"}}, guard.WrongCallerKind, "an application's own", "The caller is an application", ""},
		{"an application where a scope is needed", a.token(t), anyone, guard.ScopeMissing, "an application's own", "an application's own token has no scope", ""},
		{"a user without the scope", a.token(t, claims{"idtyp": "user", "scp": "Other", "sub": "pairwise"}), anyone, guard.ScopeMissing, "does not carry the scope", "Orders.List", "api://orders/Orders.List"},
		{"a device", a.token(t, claims{"idtyp": "device"}), ordersRule, guard.WrongCallerKind, "This kind of caller", "neither", ""},
		{"no role", a.token(t, claims{"roles": nil}), ordersRule, guard.RoleMissing, "app role", "Orders.Read", "api://orders/.default"},
	} {
		d := g.Check(t.Context(), tt.raw, tt.rule)
		challenge := strings.Join(d.Answer().Header["Www-Authenticate"], "")
		var body struct {
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(d.Answer().Body, &body); err != nil {
			t.Fatal(err)
		}
		if d.Reason != tt.reason || !strings.Contains(body.Description, tt.says) || between(challenge, `error_description="`, `"`) != body.Description ||
			!strings.Contains(d.Fix(), tt.fix) || between(challenge, ` scope="`, `"`) != tt.scope {
			t.Errorf("%s: %s\n%s\n%s\n%s", tt.name, d.Reason, challenge, body.Description, d.Fix())
		}
	}
}

// An API whose machine does not trust the authority's certificate is told the setting.
func TestKeysThatCannotBeFetchedNameTheSetting(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	for _, tt := range []struct {
		cause error
		fix   string
	}{
		{x509.UnknownAuthorityError{}, "set CABundle"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, "another name"},
		{x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}, "the clock"},
		{nil, "check the host and the tenant in Authority"}, // which answers 404
		{errors.New("connection refused"), "authority is up"},
	} {
		cfg := a.config()
		cfg.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			if tt.cause == nil {
				return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
			}
			return nil, tt.cause
		})}
		if d := newGuard(t, cfg).Check(t.Context(), a.token(t), ordersRule); d.Reason != guard.KeysUnavailable || !strings.Contains(d.Fix(), tt.fix) {
			t.Errorf("%v: %s %q", tt.cause, d.Reason, d.Fix())
		}
	}
}

// An unknown key is not said to be unpublished, but with what is known, and since when.
func TestAnUnknownKeySaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	d := newGuard(t, a.config()).Check(t.Context(), signWith(t, spareKey(), "new", nil, a.claims()), ordersRule)
	if d.Reason != guard.KeyUnknown || !strings.Contains(d.Detail(), `no key "new" as far as is known: it published trusted when it was last asked, at 20`) ||
		strings.Contains(d.Reason.Description(), "publish") {
		t.Errorf("%s: %s; %s", d.Reason, d.Detail(), d.Reason.Description())
	}
}
