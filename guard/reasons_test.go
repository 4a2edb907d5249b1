package guard

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unsafe"
)

// symptoms are what people see, and the reasons that it may have, the likely ones first.
var symptoms = []struct {
	seen    string
	reasons []Reason
}{
	{"Every call is refused, and a look into the token finds nothing wrong", []Reason{AudienceMismatch, IssuerUnknown, TenantNotAllowed}},
	{"The API's registration has both an application id and a URI, and only tokens of one version are accepted", []Reason{AudienceMismatch, IssuerUnknown, IssuerVersionMismatch}},
	{"The client is sure that it sends a token", []Reason{TokenMissing, CredentialsMalformed, MultipleCredentials, TokenInQuery}},
	{"What is sent is not the token, but a secret, a key, a JSON object or the word undefined", []Reason{TokenMalformed, CredentialsMalformed}},
	{"It works for an hour, then no more", []Reason{TokenExpired}},
	{"A token is refused that was issued a moment ago", []Reason{TokenNotYetValid, IatInFuture, TokenExpired, KeyUnknown}},
	{"It works with a client secret, and not as a developer who is signed in", []Reason{WrongCallerKind, ScopeMissing}},
	{"The token is accepted, and the caller may not", []Reason{RoleMissing, NoPermissions, ClientNotAllowed, PrincipalNotAllowed, WrongCallerKind, ScopeMissing}},
	{"The role was granted, and the call is refused all the same", []Reason{RoleMissing}},
	{"One path is refused, others are not", []Reason{NoPolicy, PathNotCanonical}},
	{"503", []Reason{KeysUnavailable, RevocationsUnavailable}},
	{"A token that has not ended is refused since its client was disabled or lost a role", []Reason{TokenRevoked}},
	{"It worked until the server's data folder was made anew, or its keys were revoked", []Reason{KeyUnknown, SignatureInvalid}},
	{"An ID token, a client assertion or a token of another program is sent", []Reason{NotAccessToken, TypNotAllowed, IssuerUnknown, AlgNotAllowed, TenantMismatch}},
	{"Tokens of proof of possession (PoP, DPoP, mutual TLS) are used", []Reason{BindingMissing, BindingMismatch, ProofInvalid, ProofReplayed, NonceRequired}},
	{"A caller with very many roles or groups is refused", []Reason{TokenTooLarge}},
	{"The token lives for days", []Reason{LifetimeTooLong, TokenRevoked}},
	{"Tokens are made or changed by a program of one's own", []Reason{
		HeaderInvalid, CritUnsupported, HeaderForbidden, KidInvalid, KeyMismatch, ClaimsInvalid, ExpInvalid, TokenEncrypted, SignatureInvalid,
	}},
}

// The tables of reasons in the documentation are made from the reasons.
func TestReasonsDocumented(t *testing.T) {
	t.Parallel()
	const page, begin = "../docs/errors.md", "\n## Refusals of the guard\n"
	var text strings.Builder
	text.WriteString("\n<!-- Generated: UPDATE=1 go test ./guard -->\n\n" +
		"An API behind the guard answers a refusal with a `reason`. The answer keeps to itself what the token\n" +
		"holds and what would be accepted. The API's log has it: give the guard a `Log`, and look for `request refused` and the\n" +
		"`trace_id` of the answer. `detail` is what was seen, `fix` what to do, `aud`, `iss`, `iat`, `nbf` and `exp` what the token\n" +
		"claims, `clock` the API's time. The line `guard trusts` at its start says what the API accepts.\n\n" +
		"| What you see | Reasons, the likely ones first |\n|---|---|\n")
	named := map[Reason]bool{}
	for _, symptom := range symptoms {
		links := make([]string, len(symptom.reasons))
		for i, reason := range symptom.reasons {
			named[reason], links[i] = true, fmt.Sprintf("`%s`", reason)
		}
		fmt.Fprintf(&text, "| %s | %s |\n", symptom.seen, strings.Join(links, ", "))
	}
	text.WriteString("\n| Reason | HTTP | The caller is told | What to do |\n|---|---|---|---|\n")
	for _, reason := range slices.Sorted(maps.Keys(refusalTexts)) {
		about := reason.about()
		fmt.Fprintf(&text, "| `%s` | %d | %s | %s |\n", reason, about.outcome.Status(), about.description, about.fix)
		if !named[reason] {
			t.Errorf("%s is behind no symptom", reason)
		}
	}
	whole, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, got, found := strings.Cut(string(whole), begin)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(page, []byte(before+begin+text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found || got != text.String() {
		t.Error("docs/errors.md differs; if the change is meant, UPDATE=1 go test ./guard rewrites it")
	}
}

// Every reason says what to do, in a sentence that fits into a table.
func TestEveryReasonHasAFix(t *testing.T) {
	t.Parallel()
	for reason, about := range refusalTexts {
		if about.fix == "" || !strings.HasSuffix(about.fix, ".") || strings.ContainsAny(about.fix+about.description, "|\n") {
			t.Errorf("%s: %q, %q", reason, about.description, about.fix)
		}
		if quotable(about.description) != about.description {
			t.Errorf("%s: %q does not fit into a header", reason, about.description)
		}
	}
	for _, kind := range []CallerKind{CallerApplication, CallerUser} {
		for reason := range refusalTexts {
			if told := (Decision{Reason: reason, caller: &Caller{Kind: kind}}).about().description; quotable(told) != told {
				t.Errorf("%s of %s: %q does not fit into a header", reason, kind, told)
			}
		}
	}
}

// FuzzNearMisses looks at any issuer, audience, path and header: what is said of them is
// one line of text, and what stood in place of a token is not repeated.
func FuzzNearMisses(f *testing.F) {
	for _, seed := range []string{
		"https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/v2.0", "https://sts.windows.net/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11/", "://", "https://[::1", "api://Orders",
		"A9100002-5A5A-4C4C-8D8D-000000000002", "/api//x", "/%zz", "Bearer: x", "'", "%", "{{", "…", "\x1b[31m\u202e", "",
	} {
		f.Add(seed)
	}
	g, err := New(f.Context(), Config{
		Authority: "https://localhost:8443/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", Audience: []string{"api://orders", "a9100002-5a5a-4c4c-8d8d-000000000002"},
	})
	if err != nil {
		f.Fatal(err)
	}
	p, err := g.Policy([]Rule{{Path: "/api/{x}/GetOrders"}, {Path: "/*", Methods: []string{"GET"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		near, fix := g.nearIssuer(s)
		missed, advice := missedAudience(s, "api://orders")
		r := Request{Method: "POST", Path: s}
		unmatched := p.unmatched(&r, NoPolicy)
		for _, said := range []string{near, fix, missed, advice, unmatched.detail, unmatched.fix, shownPath(s)} {
			if strings.ContainsFunc(said, func(c rune) bool { return !unicode.IsGraphic(c) }) {
				t.Errorf("%q", said)
			}
		}
		for _, seen := range []sight{seenInHeader(s), seenAsToken(s), seenAfterScheme(s)} {
			if seen.what == "" || seen.fix == "" || len(s) > 60 && strings.Contains(seen.what+seen.fix, s) {
				t.Errorf("%q is seen as %q, %q", s, seen.what, seen.fix)
			}
		}
	})
}

// A decision is returned by value on every request. One whose size is no multiple of 16 bytes
// is copied so slowly that the guard of a token seen before takes a tenth longer.
func TestADecisionIsCopiedFast(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Decision{}); size > 96 || unsafe.Sizeof(uintptr(0)) == 8 && size%16 != 0 {
		t.Errorf("a decision has %d bytes", size)
	}
}
