package guard_test

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func stepNamed(t testing.TB, steps []guard.Step, name string) guard.Step {
	t.Helper()
	for _, step := range steps {
		if step.Name == name {
			return step
		}
	}
	t.Fatalf("no step %q", name)
	return guard.Step{}
}

func TestExplainNamesEveryFault(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	cfg := a.config()
	cfg.Audience = []string{apiID}
	g := newGuard(t, cfg)
	for _, tt := range []struct {
		name   string
		raw    string
		failed []guard.Reason
		say    string // somewhere in detail or fix
	}{
		{"a good token", a.token(t), nil, ""},
		{"no token", "x", []guard.Reason{guard.TokenMalformed}, "three parts"},
		{"expired, for another API, without role", a.token(t, claims{"nbf": nil, "exp": now.Unix() - 300, "aud": "api://customers", "roles": nil}),
			[]guard.Reason{guard.TokenExpired, guard.AudienceMismatch, guard.RoleMissing}, "Assign the app role"},
		{"C10 a v2.0 token with the URI", a.token(t, claims{"aud": "api://" + apiID}), []guard.Reason{guard.AudienceMismatch}, "A v2.0 token carries the API's application id"},
		{"a v1.0 token with the URI", a.token(t, a.v1Claims(), claims{"aud": "api://" + apiID}), []guard.Reason{guard.AudienceMismatch}, "names this API by its URI"},
		{"another key", signWith(t, strangerKey(), "trusted", nil, a.claims()), []guard.Reason{guard.SignatureInvalid}, "signed by someone else"},
		{"another issuer", a.token(t, claims{"iss": "https://evil.test/"}), []guard.Reason{guard.IssuerUnknown}, "https://evil.test/"},
		{"no exp", a.token(t, claims{"exp": nil}), []guard.Reason{guard.ExpInvalid}, "exp is absent"},
		{"a user", a.token(t, claims{"idtyp": "user", "scp": "S"}), []guard.Reason{guard.WrongCallerKind}, "token of an application"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := g.Explain(t.Context(), tt.raw, ordersRule)
			var failed []guard.Reason
			said := ""
			for _, step := range steps {
				said += step.Detail + step.Fix
				if step.Outcome == guard.StepFailed {
					failed = append(failed, step.Reason)
				}
			}
			if len(failed) != len(tt.failed) {
				t.Fatalf("failed %q, want %q", failed, tt.failed)
			}
			for i := range failed {
				if failed[i] != tt.failed[i] {
					t.Errorf("failed %q, want %q", failed, tt.failed)
				}
			}
			if len(failed) > 0 && failed[0] != reason(g, tt.raw) {
				t.Errorf("Check says %q", reason(g, tt.raw))
			}
			if !strings.Contains(said, tt.say) {
				t.Errorf("not a word of %q in %q", tt.say, said)
			}
			if signature := tt.raw[strings.LastIndexByte(tt.raw, '.')+1:]; len(signature) > 20 && strings.Contains(said, signature[:20]) {
				t.Error("the signature is shown")
			}
		})
	}
}

// TestExplainShowsOneLine has claims that would break a terminal or a log.
func TestExplainShowsOneLine(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	raw := a.token(t, claims{"aud": "a\nb\x1b[31m", "iss": strings.Repeat("é", 500), "tid": "\u0000"})
	for _, step := range newGuard(t, a.config()).Explain(t.Context(), raw, ordersRule) {
		if strings.ContainsAny(step.Detail, "\n\x1b\x00") || len(step.Detail) > 600 {
			t.Errorf("%s: %q", step.Name, step.Detail)
		}
	}
}
