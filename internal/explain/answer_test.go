package explain_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/explain"
)

var answered = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// What libraries say of a refusal means one of the guard's reasons.
func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		challenge, body string
		want            explain.Answer
	}{
		{"the guard", `Bearer realm="api", authorization_uri="https://a.test/x", resource_id="api://orders", error="invalid_token", error_description="No."`,
			`{"error":"invalid_token","error_description":"No.","reason":"audience_mismatch","trace_id":"0af7651916cd43dd8448eb211c80319c"}`,
			explain.Answer{Reason: guard.AudienceMismatch, Says: "No.", TraceID: "0af7651916cd43dd8448eb211c80319c", API: "api://orders", Guarded: true}},
		{"the guard, of no token", `Bearer realm="api", resource_id="api://orders"`, `{"error":"unauthorized","reason":"token_missing"}`,
			explain.Answer{Reason: guard.TokenMissing, Says: "unauthorized", API: "api://orders", Bare: true, Guarded: true}},
		{"a reason that nobody knows", "", `{"reason":"because"}`, explain.Answer{}},
		{"ASP.NET, audience", `Bearer error="invalid_token", error_description="The audience 'api://x' is invalid"`, "", explain.Answer{Reason: guard.AudienceMismatch, Says: "The audience 'api://x' is invalid"}},
		{"ASP.NET, issuer", `Bearer error="invalid_token", error_description="The issuer 'https://x/' is invalid"`, "", explain.Answer{Reason: guard.IssuerUnknown, Says: "The issuer 'https://x/' is invalid"}},
		{"ASP.NET, expired", `Bearer error="invalid_token", error_description="The token expired at '11/23/2026 11:00:00'"`, "", explain.Answer{Reason: guard.TokenExpired, Says: "The token expired at '11/23/2026 11:00:00'"}},
		{"ASP.NET, early", `Bearer error="invalid_token", error_description="The token is not valid before '11/23/2026 13:00:00'"`, "", explain.Answer{Reason: guard.TokenNotYetValid, Says: "The token is not valid before '11/23/2026 13:00:00'"}},
		{"ASP.NET, key", `Bearer error="invalid_token", error_description="The signature key was not found"`, "", explain.Answer{Reason: guard.KeyUnknown, Says: "The signature key was not found"}},
		{"ASP.NET, signature", `Bearer error="invalid_token", error_description="The signature is invalid"`, "", explain.Answer{Reason: guard.SignatureInvalid, Says: "The signature is invalid"}},
		{"ASP.NET, no token", `Bearer`, "", explain.Answer{Bare: true}},
		{"Spring", `Bearer error="invalid_token", error_description="An error occurred while attempting to decode the Jwt: The iss claim is not valid", error_uri="https://x"`, "",
			explain.Answer{Reason: guard.IssuerUnknown, Says: "An error occurred while attempting to decode the Jwt: The iss claim is not valid"}},
		{"Express", `Bearer realm="api", error="invalid_token", error_description="Unexpected \"aud\" value"`, "", explain.Answer{Reason: guard.AudienceMismatch, Says: `Unexpected "aud" value`}},
		{"FastAPI", "", `{"detail":"Signature has expired"}`, explain.Answer{Reason: guard.TokenExpired, Says: "Signature has expired"}},
		{"Envoy", `Bearer realm="http://x/", error="invalid_token"`, "Jwt is expired", explain.Answer{Reason: guard.TokenExpired, Says: "Jwt is expired"}},
		{"Envoy, no token", `Bearer realm="http://x/"`, "Jwt is missing", explain.Answer{Reason: guard.TokenMissing, Says: "Jwt is missing", Bare: true}},
		{"Microsoft.Identity.Web", "", "IDW10201: Neither scope nor roles claim was found in the bearer token.", explain.Answer{Reason: guard.NoPermissions, Says: "IDW10201: Neither scope nor roles claim was found in the bearer token."}},
		{"App Service", `Bearer realm="x" authorization_uri="https://l.test/t/oauth2/v2.0/authorize" resource_id="a9100002-5a5a-4c4c-8d8d-000000000002"`, "", explain.Answer{API: "a9100002-5a5a-4c4c-8d8d-000000000002", Bare: true}},
		{"two schemes", `Negotiate, Bearer scope="api://orders/.default", error="insufficient_scope"`, "", explain.Answer{}},
		{"a scope", `Bearer scope="api://orders/.default", error="insufficient_scope"`, "", explain.Answer{API: "api://orders"}},
		{"a token in what it says", "", `{"message":"bad eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.abc here"}`, explain.Answer{Says: "bad (a token) here"}},
		{"an escape for the terminal", "", "\x1b[2J\u202eno", explain.Answer{Says: "?[2J?no"}},
		{"a page", "", "<html>sign in</html>", explain.Answer{}},
		{"nothing", "", "", explain.Answer{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"Content-Type": {"application/json"}}
			if tt.challenge != "" {
				header.Set("WWW-Authenticate", tt.challenge)
			}
			if strings.HasPrefix(tt.body, "<") {
				header.Set("Content-Type", "text/html")
			}
			tt.want.Status = 401
			if got := explain.ReadAnswer(401, header, []byte(tt.body), answered); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// The Date of an answer tells how far the API's clock is off.
func TestTheClockOfAnAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		date string
		says string
	}{
		{"Mon, 23 Nov 2026 11:40:00 GMT", "the API's clock is 20 min behind."},
		{"Mon, 23 Nov 2026 11:59:00 GMT", "the API's clock is 60 s behind."},
		{"Mon, 23 Nov 2026 15:00:00 GMT", "the API's clock is 3 h ahead."},
		{"Thu, 23 Nov 2023 12:00:00 GMT", "the API's clock is 1096 days behind."},
		{"Mon, 23 Nov 2026 11:59:58 GMT", "what answers has the right time, but what decides has not."},
		{"", "its clock is wrong, or it does not tell the time."},
		{"yesterday", "its clock is wrong, or it does not tell the time."},
	} {
		a := explain.ReadAnswer(401, http.Header{"Date": {tt.date}}, []byte(`{"reason":"token_not_yet_valid"}`), answered)
		d := a.Disagree(&explain.Report{Accepted: true}, &explain.Settings{API: "orders-server"}, "GET", "/")
		if d == nil || !strings.Contains(d.What, tt.says) || !strings.Contains(d.Fix.What, "clock") {
			t.Errorf("%q: %+v", tt.date, d)
		}
	}
}

// When the directory has the cause, it has the word; an API that refuses for a reason that the
// directory does not see is never said to have none.
func TestWhenTheDirectoryAndAnAPIDisagree(t *testing.T) {
	t.Parallel()
	settings := &explain.Settings{API: "orders-server", Authority: "https://a.test/t", Audience: []string{"id", "api://orders"}}
	for _, tt := range []struct {
		api, directory string // reasons; of the directory empty: accepted
		besides, nil   bool
	}{
		{"role_missing", "role_missing", false, true},
		{"no_permissions", "role_missing", false, true},
		{"", "role_missing", false, true},
		{"", "", false, false},
		{"audience_mismatch", "", false, false},
		{"audience_mismatch", "role_missing", true, false},
		{"issuer_unknown", "token_expired", true, false},
		{"caller_kind", "caller_kind", false, true},
		{"scope_missing", "caller_kind", false, false},
		{"no_policy", "role_missing", false, false},
	} {
		a := explain.Answer{Status: 401, Reason: guard.Reason(tt.api)}
		d := a.Disagree(&explain.Report{Accepted: tt.directory == "", Reason: tt.directory}, settings, "GET", "/")
		if (d == nil) != tt.nil || d != nil && d.Besides != tt.besides {
			t.Errorf("API %q, directory %q: %+v", tt.api, tt.directory, d)
		}
	}
	for _, reason := range []guard.Reason{
		"", guard.PathNotCanonical, guard.NoPolicy, guard.MultipleCredentials, guard.TokenInQuery, guard.TokenMissing, guard.CredentialsMalformed, guard.TokenTooLarge,
		guard.TokenMalformed, guard.IssuerUnknown, guard.KeyUnknown, guard.KeysUnavailable, guard.SignatureInvalid, guard.TokenExpired, guard.LifetimeTooLong, guard.TokenRevoked,
		guard.AudienceMismatch, guard.TenantNotAllowed, guard.NotAccessToken, guard.BindingMissing, guard.WrongCallerKind, guard.ClientNotAllowed, guard.PrincipalNotAllowed,
		guard.RoleMissing, guard.ScopeMissing, guard.NoPermissions,
	} {
		d := explain.Answer{Status: 401, Reason: reason}.Disagree(&explain.Report{Accepted: true}, settings, "GET", "/")
		if d == nil || d.Fix == nil || d.Fix.What == "" || !strings.Contains(d.What, string(reason)) || strings.Contains(d.What, "in order") {
			t.Errorf("%s: %+v", reason, d)
		}
	}
	bare := explain.Answer{Status: 401, Bare: true}.Disagree(&explain.Report{Accepted: true}, settings, "GET", "/")
	if bare == nil || !strings.Contains(bare.What, "it saw no token") || !strings.Contains(bare.Fix.What, "https://a.test/t") {
		t.Errorf("a challenge without an error: %+v", bare)
	}
}

// FuzzReadAnswer reads any refusal: what is made of it is short, on one line, and no token.
func FuzzReadAnswer(f *testing.F) {
	f.Add(`Bearer realm="api", error="invalid_token", error_description="The token is not a compact JWS."`, `{"reason":"token_malformed","trace_id":"x"}`, "Mon, 23 Nov 2026 11:40:00 GMT")
	f.Add(`Bearer realm="x" resource_id="y\"`, `{"message":"eyJhbGciOiJSUzI1NiJ9.x.y"}`, "")
	f.Add(`Bearer =,"`, "\x1b]0;x\a", "x")
	f.Fuzz(func(t *testing.T, challenge, body, date string) {
		a := explain.ReadAnswer(401, http.Header{"Www-Authenticate": {challenge}, "Date": {date}}, []byte(body), answered)
		if len(a.Says) > 400 || strings.ContainsFunc(a.Says, func(r rune) bool { return !unicode.IsGraphic(r) }) || strings.Contains(a.Says, "eyJhbGciOiJSUzI1NiJ9") {
			t.Errorf("it says %q", a.Says)
		}
		if a.Guarded && a.Reason == "" || a.TraceID != "" && len(a.TraceID) != 32 {
			t.Errorf("%+v", a)
		}
		d := a.Disagree(&explain.Report{Accepted: true}, &explain.Settings{API: "orders-server"}, "GET", "/")
		if d == nil || d.What == "" || d.Fix == nil {
			t.Errorf("%+v", d)
		}
	})
}
