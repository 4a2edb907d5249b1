package guard_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// bindProof are the claims of a token that is bound to the holder's key by DPoP.
func (h *holder) bindProof() claims { return claims{"cnf": claims{"jkt": h.thumbprint}} }

// prove makes a proof for GET /orders of api.test with a token, with changes; a nil value removes a
// claim.
func (h *holder) prove(t testing.TB, at string, changes ...claims) string {
	t.Helper()
	sum := sha256.Sum256([]byte(at))
	c := claims{"jti": rand.Text(), "htm": "GET", "htu": "https://api.test/orders", "iat": now.Unix(), "ath": b64(sum[:])}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	for name, value := range c {
		if value == nil {
			delete(c, name)
		}
	}
	return h.signText(t, fmt.Sprintf(`{"typ":"dpop+jwt","alg":%q,"jwk":%s}`, h.alg, h.jwk), text(t, c))
}

// proving is a configuration that takes proofs for https://api.test.
func (a *authority) proving(more ...func(*guard.DPoP)) guard.Config {
	cfg := a.config()
	cfg.DPoP = &guard.DPoP{Origins: []string{"HTTPS://API.test:443/", "https://localhost:9443"}}
	for _, change := range more {
		change(cfg.DPoP)
	}
	return cfg
}

// send asks for GET /orders with an Authorization and headers DPoP, and returns the answer with
// its reason.
func send(t *testing.T, g *guard.Guard, authorization string, proofs ...string) (*httptest.ResponseRecorder, guard.Reason) {
	t.Helper()
	handler, err := g.Handler(protectedRules(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization")+r.Header.Get("DPoP") != "" {
			t.Error("the handler sees credentials")
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Authorization", authorization)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		return w, ""
	}
	var answer struct{ Reason guard.Reason }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return w, answer.Reason
}

func TestDPoP(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	rs, ps, es := newHolder(t, "RS256", spareKey()), newHolder(t, "PS256", spareKey()), newHolder(t, "ES256", ecHolderKey())
	other := newHolder(t, "RS256", strangerKey())
	bound, unbound := a.token(t, es.bindProof()), a.token(t)
	g := newGuard(t, a.proving())
	for _, tt := range []struct {
		id            string
		want          guard.Reason
		authorization string
		proofs        []string
	}{
		{"ES256", "", "DPoP " + bound, []string{es.prove(t, bound)}},
		{"scheme in lower case", "", "dpop " + bound, []string{es.prove(t, bound)}},
		{"RS256", "", "DPoP " + a.token(t, rs.bindProof()), []string{rs.prove(t, a.token(t, rs.bindProof()))}},
		{"another spelling of the URL", "", "DPoP " + bound, []string{es.prove(t, bound, claims{"htu": "HTTPS://api.TEST:443/%6frders?a=b#c"})}},
		{"the other origin", "", "DPoP " + bound, []string{es.prove(t, bound, claims{"htu": "https://localhost:9443/orders"})}},
		{"almost too old", "", "DPoP " + bound, []string{es.prove(t, bound, claims{"iat": now.Unix() - 360})}},
		{"almost too early", "", "DPoP " + bound, []string{es.prove(t, bound, claims{"iat": now.Unix() + 60})}},
		{"more claims", "", "DPoP " + bound, []string{es.prove(t, bound, claims{"nonce": "whatever", "exp": 1})}},
		{"a token that is not bound, as ever", "", "Bearer " + unbound, nil},
		{"a token that is not bound, beside a proof", "", "Bearer " + unbound, []string{es.prove(t, unbound)}},

		{"no proof", guard.ProofInvalid, "DPoP " + bound, nil},
		{"two proofs", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound), es.prove(t, bound)}},
		{"two proofs in a line", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound) + ", " + es.prove(t, bound)}},
		{"as Bearer", guard.BindingMissing, "Bearer " + bound, []string{es.prove(t, bound)}},
		{"a token that is not bound, as DPoP", guard.BindingMismatch, "DPoP " + unbound, []string{es.prove(t, unbound)}},
		{"another's key", guard.BindingMismatch, "DPoP " + bound, []string{other.prove(t, bound)}},
		{"another's key of the same type", guard.BindingMismatch, "DPoP " + bound, []string{ps.prove(t, bound)}},
		{"another's signature under the right key", guard.ProofInvalid, "DPoP " + bound, []string{(&holder{key: otherECKey(t), alg: "ES256", jwk: es.jwk}).prove(t, bound)}},
		{"for another token", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, unbound)}},
		{"for no token", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"ath": nil})}},
		{"another method", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"htm": "POST"})}},
		{"another path", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"htu": "https://api.test/healthz"})}},
		{"another host", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"htu": "https://evil.test/orders"})}},
		{"without TLS", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"htu": "http://api.test/orders"})}},
		{"too old", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"iat": now.Unix() - 361})}},
		{"too early", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"iat": now.Unix() + 61})}},
		{"no jti", guard.ProofInvalid, "DPoP " + bound, []string{es.prove(t, bound, claims{"jti": nil})}},
		{"the token as its own proof", guard.ProofInvalid, "DPoP " + bound, []string{bound}},
		{"a signed request as proof", guard.ProofInvalid, "DPoP " + bound, []string{es.sign(t, bound)}},
		{"expired", guard.TokenExpired, "DPoP " + a.token(t, es.bindProof(), claims{"exp": now.Unix() - 100}), []string{es.prove(t, a.token(t, es.bindProof(), claims{"exp": now.Unix() - 100}))}},
		{"of another key of the authority", guard.SignatureInvalid, "DPoP " + signWith(t, spareKey(), "trusted", nil, a.claims(es.bindProof())), []string{es.prove(t, signWith(t, spareKey(), "trusted", nil, a.claims(es.bindProof())))}},
		{"no token", guard.CredentialsMalformed, "DPoP ", []string{es.prove(t, bound)}},
		{"Bearer besides", guard.MultipleCredentials, "DPoP " + bound + ", Bearer " + unbound, []string{es.prove(t, bound)}},
		{"after Bearer", guard.MultipleCredentials, "Bearer " + unbound + ", DPoP " + bound, []string{es.prove(t, bound)}},
		{"after another scheme", guard.MultipleCredentials, "Basic abc, DPoP " + bound, nil},
		{"bound for signed requests", guard.BindingMissing, "DPoP " + a.token(t, es.bind()), []string{es.prove(t, a.token(t, es.bind()))}},
		{"bound to a certificate", guard.BindingMissing, "DPoP " + a.token(t, claims{"cnf": claims{"x5t#S256": es.thumbprint}}), []string{es.prove(t, a.token(t, claims{"cnf": claims{"x5t#S256": es.thumbprint}}))}},
		{"bound twice", guard.BindingMissing, "DPoP " + a.token(t, claims{"cnf": claims{"jkt": es.thumbprint, "kid": es.thumbprint}}), []string{es.prove(t, a.token(t, claims{"cnf": claims{"jkt": es.thumbprint, "kid": es.thumbprint}}))}},
		{"no role", guard.RoleMissing, "DPoP " + a.token(t, es.bindProof(), claims{"roles": []string{"Other"}}), []string{es.prove(t, a.token(t, es.bindProof(), claims{"roles": []string{"Other"}}))}},
	} {
		t.Run(tt.id, func(t *testing.T) {
			w, reason := send(t, g, tt.authorization, tt.proofs...)
			if reason != tt.want {
				t.Fatalf("%d %q, want %q", w.Code, reason, tt.want)
			}
			challenges := strings.Join(w.Header().Values("WWW-Authenticate"), "\n")
			switch scheme, _, _ := strings.Cut(tt.authorization, " "); {
			case tt.want == guard.ProofInvalid:
				if !strings.HasPrefix(challenges, `DPoP realm="api"`) || !strings.Contains(challenges, `error="invalid_dpop_proof"`) || !strings.Contains(challenges, `algs="ES256 `) {
					t.Error(challenges)
				}
			case tt.want == guard.BindingMissing:
				if !strings.HasPrefix(challenges, `DPoP realm="api"`) || !strings.Contains(challenges, `error="invalid_token"`) {
					t.Error(challenges)
				}
			case tt.want == guard.TokenExpired && scheme == "DPoP":
				if !strings.HasPrefix(challenges, "DPoP ") {
					t.Error(challenges)
				}
			}
			for _, proof := range tt.proofs {
				for _, secret := range fragments(proof) {
					if w.Code != http.StatusOK && strings.Contains(challenges+w.Body.String(), secret) {
						t.Errorf("the refusal holds %.20q", secret)
					}
				}
			}
		})
	}

	// Whoever sends nothing learns of both schemes, and nothing of this gets in where nobody
	// asked for it.
	w, _ := send(t, g, "")
	if all := strings.Join(w.Header().Values("WWW-Authenticate"), "\n"); !strings.Contains(all, "Bearer realm=") || !strings.Contains(all, "DPoP realm=") {
		t.Error(all)
	}
	off := newGuard(t, a.config())
	for authorization, want := range map[string]guard.Reason{"DPoP " + bound: guard.TokenMissing, "Bearer " + bound: guard.BindingMissing} {
		if _, reason := send(t, off, authorization, es.prove(t, bound)); reason != want {
			t.Errorf("%.10s: %q, want %q", authorization, reason, want)
		}
	}
}

func TestDPoPReplayed(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h, other := newHolder(t, "ES256", ecHolderKey()), newHolder(t, "RS256", spareKey())
	g := newGuard(t, a.proving())
	bound := a.token(t, h.bindProof())
	proof := h.prove(t, bound, claims{"jti": "one"})
	if _, reason := send(t, g, "DPoP "+bound, proof); reason != "" {
		t.Fatal(reason)
	}
	w, reason := send(t, g, "DPoP "+bound, proof)
	if reason != guard.ProofReplayed || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_dpop_proof"`) {
		t.Errorf("%q, %q", reason, w.Header().Get("WWW-Authenticate"))
	}
	if _, reason := send(t, g, "DPoP "+bound, h.prove(t, bound, claims{"jti": "one", "iat": now.Unix() + 1})); reason != guard.ProofReplayed {
		t.Errorf("the same jti, signed anew: %q", reason)
	}
	if _, reason := send(t, g, "DPoP "+a.token(t, other.bindProof()), other.prove(t, a.token(t, other.bindProof()), claims{"jti": "one"})); reason != "" {
		t.Errorf("the same jti of another key: %q", reason)
	}
}

func TestDPoPNonces(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	at := now
	shared := func(d *guard.DPoP) { d.Nonces, d.NonceKey = true, []byte("sixteen or more bytes") }
	cfg := a.proving(shared)
	cfg.Now = func() time.Time { return at }
	g, second := newGuard(t, cfg), newGuard(t, cfg)
	alone := newGuard(t, a.proving(func(d *guard.DPoP) { d.Nonces = true }))
	bound := a.token(t, h.bindProof())
	ask := func(g *guard.Guard, nonce any) (fresh string, reason guard.Reason) {
		w, reason := send(t, g, "DPoP "+bound, h.prove(t, bound, claims{"nonce": nonce, "iat": at.Unix()}))
		if challenge := w.Header().Get("WWW-Authenticate"); reason == guard.NonceRequired && (w.Code != 401 || !strings.HasPrefix(challenge, "DPoP ") || !strings.Contains(challenge, `error="use_dpop_nonce"`)) {
			t.Errorf("%d, %s", w.Code, challenge)
		}
		return w.Header().Get("DPoP-Nonce"), reason
	}
	nonce, reason := ask(g, nil)
	if reason != guard.NonceRequired || nonce == "" {
		t.Fatalf("%q, nonce %q", reason, nonce)
	}
	if fresh, reason := ask(g, nonce); reason != "" || fresh != "" {
		t.Errorf("with the nonce: %q", reason)
	}
	if _, reason := ask(second, nonce); reason != "" {
		t.Errorf("at a guard of the same key: %q", reason)
	}
	if _, reason := ask(alone, nonce); reason != guard.NonceRequired {
		t.Errorf("at a guard of another key: %q", reason)
	}
	for _, bad := range []any{"x", nonce + "x", strings.ToUpper(nonce)} {
		if _, reason := ask(g, bad); reason != guard.NonceRequired {
			t.Errorf("nonce %v: %q", bad, reason)
		}
	}
	at = at.Add(5 * time.Minute)
	if _, reason := ask(g, nonce); reason != "" {
		t.Errorf("five minutes later: %q", reason)
	}
	at = at.Add(5 * time.Minute)
	if fresh, reason := ask(g, nonce); reason != guard.NonceRequired || fresh == nonce {
		t.Errorf("ten minutes later: %q", reason)
	}
}

// exampleCertificate is that of RFC 8705, appendix A, and exampleCertified its thumbprint there.
const (
	exampleCertificate = `-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
`
	exampleCertified = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
)

func exampleDER(t testing.TB) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(exampleCertificate))
	if block == nil {
		t.Fatal("the example is no PEM")
	}
	return block.Bytes
}

// A token that is bound to a certificate counts over a connection with that certificate alone.
func TestTokensBoundToACertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	bound := a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified}})
	right, wrong := exampleDER(t), trustedCertificate()
	for _, cfg := range []guard.Config{a.config(), a.proving(), a.signing()} {
		g := newGuard(t, cfg)
		for name, tt := range map[string]struct {
			raw         string
			certificate []byte
			want        guard.Reason
		}{
			"the certificate":                    {bound, right, ""},
			"none":                               {bound, nil, guard.BindingMissing},
			"another":                            {bound, wrong, guard.BindingMismatch},
			"no certificate at all":              {bound, []byte("x"), guard.BindingMismatch},
			"not bound, beside one":              {a.token(t), right, ""},
			"a thumbprint that is none":          {a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified[1:]}}), right, guard.BindingMissing},
			"the thumbprint with padding":        {a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified + "="}}), right, guard.BindingMissing},
			"beside another binding":             {a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified, "x": 1}}), right, guard.BindingMissing},
			"a token that does not count anyway": {a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified}, "aud": "api://other"}), right, guard.AudienceMismatch},
		} {
			r := guard.Request{Method: "GET", Path: "/orders", Certificate: tt.certificate, Header: http.Header{"Authorization": {"Bearer " + tt.raw}}}
			for range 2 { // from memory, too
				if d := g.Decide(t.Context(), r, ordersRule); d.Reason != tt.want {
					t.Errorf("%s: %q, want %q", name, d.Reason, tt.want)
				}
			}
		}
		if d := g.Check(t.Context(), bound, ordersRule); d.Reason != guard.BindingMissing {
			t.Errorf("the token alone: %q", d.Reason)
		}
	}
}

// Where a rule demands it, a token that is not bound does not count, and one with its proof does.
func TestRulesThatDemandABinding(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	cfg := a.proving()
	cfg.SignedRequests = &guard.SignedRequests{Hosts: []string{"api.test"}}
	g := newGuard(t, cfg)
	rule := ordersRule
	rule.Bound = true
	proven, signed := a.token(t, h.bindProof()), a.token(t, h.bind())
	for name, tt := range map[string]struct {
		r    guard.Request
		want guard.Reason
	}{
		"bearer":      {guard.Request{Header: http.Header{"Authorization": {"Bearer " + a.token(t)}}}, guard.BindingMissing},
		"certificate": {guard.Request{Certificate: exampleDER(t), Header: http.Header{"Authorization": {"Bearer " + a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified}})}}}, ""},
		"not its own": {guard.Request{Certificate: exampleDER(t), Header: http.Header{"Authorization": {"Bearer " + a.token(t)}}}, guard.BindingMissing},
		"proof":       {guard.Request{Header: http.Header{"Authorization": {"DPoP " + proven}, "Dpop": {h.prove(t, proven)}}}, ""},
		"signed":      {guard.Request{Header: http.Header{"Authorization": {"PoP " + h.sign(t, signed)}}}, ""},
	} {
		tt.r.Method, tt.r.Path = "GET", "/orders"
		d := g.Decide(t.Context(), tt.r, rule)
		if d.Reason != tt.want {
			t.Errorf("%s: %q, want %q", name, d.Reason, tt.want)
		}
		if all := strings.Join(d.Answer().Header["Www-Authenticate"], "\n"); tt.want != "" && (!strings.Contains(all, "PoP realm") || !strings.Contains(all, "DPoP realm") || strings.Contains(all, "Bearer ")) {
			t.Errorf("%s: %s", name, all)
		}
	}
	if d := g.Check(t.Context(), a.token(t), rule); d.Reason != guard.BindingMissing {
		t.Errorf("a token alone: %q", d.Reason)
	}
	for _, raw := range []string{proven, signed, a.token(t, claims{"cnf": claims{"x5t#S256": exampleCertified}})} {
		var failed []string
		for _, step := range g.Explain(t.Context(), raw, ordersRule) {
			if step.Outcome == guard.StepFailed {
				failed = append(failed, step.Name+" "+string(step.Reason))
			}
		}
		if got := strings.Join(failed, ", "); got != "binding binding_missing" {
			t.Errorf("a bound token alone is explained by %q", got)
		}
	}
	required := newGuard(t, a.proving(func(d *guard.DPoP) { d.Required = true }))
	if _, reason := send(t, required, "Bearer "+a.token(t)); reason != guard.BindingMissing {
		t.Errorf("where all have to be bound: %q", reason)
	}
	if _, reason := send(t, required, "DPoP "+proven, h.prove(t, proven)); reason != "" {
		t.Errorf("where all have to be bound, a bound one: %q", reason)
	}
}

// A rule on trial that demands a binding decides as it would.
func TestShadowOfABinding(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	g := newGuard(t, a.proving())
	policy, err := g.Policy([]guard.Rule{{Path: "/orders", Roles: []string{"Orders.Read"}, Bound: true, Shadow: true}, {Path: "/orders", Roles: []string{"Orders.Read"}}})
	if err != nil {
		t.Fatal(err)
	}
	bound := a.token(t, h.bindProof())
	for want, header := range map[guard.Reason]http.Header{
		guard.BindingMissing: {"Authorization": {"Bearer " + a.token(t)}},
		"":                   {"Authorization": {"DPoP " + bound}, "Dpop": {h.prove(t, bound)}},
	} {
		r := guard.Request{Method: "GET", Path: "/orders", Header: header}
		d := policy.Decide(t.Context(), r)
		if !d.Allowed() {
			t.Fatal(d.Reason)
		}
		if trial, ok := policy.Shadow(t.Context(), r, d); !ok || trial.Reason != want {
			t.Errorf("on trial: %q, want %q", trial.Reason, want)
		}
	}
}

// A token that is revoked stays so for a rule on trial.
func TestShadowOfARevokedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		f.revoke(map[string]any{"kind": "principal", "principal": principalID})
		g := newGuard(t, f.config())
		policy, err := g.Policy([]guard.Rule{{Path: "/orders", Roles: []string{"Orders.Write"}, Shadow: true}, {Path: "/orders", Roles: []string{"Orders.Read"}}})
		if err != nil {
			t.Fatal(err)
		}
		r := guard.Request{Method: "GET", Path: "/orders", Header: http.Header{"Authorization": {"Bearer " + f.token(t)}}}
		d := policy.Decide(t.Context(), r)
		if trial, ok := policy.Shadow(t.Context(), r, d); d.Reason != guard.TokenRevoked || !ok || trial.Reason != guard.TokenRevoked {
			t.Errorf("%q, on trial %q", d.Reason, trial.Reason)
		}
	})
}

func TestDPoPMisconfigured(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*guard.DPoP){
		"no Origins":         func(d *guard.DPoP) { d.Origins = nil },
		`"api.test"`:         func(d *guard.DPoP) { d.Origins = []string{"api.test"} },
		`"https://a.test/x"`: func(d *guard.DPoP) { d.Origins = []string{"https://a.test/x"} },
		`"http://a.test"`:    func(d *guard.DPoP) { d.Origins = []string{"http://a.test"} },
		"Lifetime of -1s":    func(d *guard.DPoP) { d.Lifetime = -time.Second },
		"Lifetime of 2h":     func(d *guard.DPoP) { d.Lifetime = 2 * time.Hour },
		"NonceKey of 3":      func(d *guard.DPoP) { d.NonceKey = []byte("abc") },
	} {
		if _, err := guard.New(t.Context(), newAuthority("https://authority.test").proving(change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
