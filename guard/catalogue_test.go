package guard_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// A verdict is what a client sees of a decision.
type verdict struct {
	status int
	code   string // the error of the challenge; empty if it names none
	bare   bool   // whether there is no challenge at all
	reason guard.Reason
}

// The verdicts, each with its reason.
func badToken(r guard.Reason) verdict { return verdict{401, "invalid_token", false, r} }
func badRequest(r guard.Reason) verdict {
	return verdict{400, "invalid_request", false, r}
}
func missingRight(r guard.Reason) verdict {
	return verdict{403, "insufficient_scope", false, r}
}
func plain(status int, r guard.Reason) verdict { return verdict{status, "", true, r} }

var (
	noToken = verdict{401, "", false, guard.TokenMissing}
	allowed = verdict{status: 200, bare: true}
)

// An api is a guarded server over real HTTP.
type api struct {
	*httptest.Server
	reached *http.Request // what the protected handler saw last
}

// protect serves a handler behind g with rules for /orders by role, /healthz
// for all, and nothing else.
func protect(t testing.TB, g *guard.Guard, more ...guard.Rule) *api {
	t.Helper()
	a := &api{}
	handler, err := g.Handler(append(protectedRules(), more...), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		a.reached = r
		_, _ = io.WriteString(w, "orders")
	}))
	if err != nil {
		t.Fatal(err)
	}
	a.Server = httptest.NewServer(handler)
	t.Cleanup(a.Close)
	return a
}

func protectedRules() []guard.Rule {
	return []guard.Rule{
		{Path: "/orders", Methods: []string{"GET", "POST"}, Roles: []string{"Orders.Read"}},
		{Path: "/healthz", Anonymous: true},
	}
}

// get asks for path with the Authorization lines given.
func (a *api) get(t testing.TB, path string, authorization ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = authorization
	return a.do(t, req)
}

func (a *api) do(t testing.TB, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := a.Client().Do(req)
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

// expect compares an answer with the verdict wanted, and scans a refusal for
// anything that must not be in one.
func expect(t testing.TB, resp *http.Response, body string, want verdict, secrets ...string) {
	t.Helper()
	challenge := resp.Header.Get("WWW-Authenticate")
	got := verdict{status: resp.StatusCode, bare: challenge == "", code: between(challenge, ` error="`, `"`)}
	if resp.StatusCode != http.StatusOK {
		var answer struct{ Reason guard.Reason }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Errorf("the body %q is not JSON: %v", body, err)
		}
		got.reason = answer.Reason
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Error("the refusal may be cached")
		}
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, secret := range append(secrets, "goroutine", "runtime error", ".go:", "crypto/", "json:", "trusted") {
		if secret != "" && resp.StatusCode != http.StatusOK && strings.Contains(challenge+body, secret) {
			t.Errorf("the refusal holds %.20q", secret)
		}
	}
}

// between returns what stands in s between two marks.
func between(s, before, after string) string {
	_, s, found := strings.Cut(s, before)
	if !found {
		return ""
	}
	s, _, _ = strings.Cut(s, after)
	return s
}

// A bearerCase is one token that everything but one rule would accept.
type bearerCase struct {
	id   string // what is tried; cases of one kind share a number: A algorithms and keys, B encoding, C claims, D transport
	raw  string
	want verdict
}

// run sends every case to a server behind g, twice: what is remembered of the
// first time must not help the second. The same request without HTTP must get
// the same decision, and so must one in each of the forms of a guard in front of an
// API. What is let in a foreign library must verify too, with
// the keys all tests share or those given.
func run(t *testing.T, g *guard.Guard, cases []bearerCase, keys ...crypto.PublicKey) {
	t.Helper()
	server, policy, forms := protect(t, g), newPolicy(t, g), forms(t, g)
	for _, tt := range cases {
		t.Run(tt.id, func(t *testing.T) {
			for _, form := range forms {
				form.expect(t, "/orders", []string{"Bearer " + tt.raw}, tt.want, fragments(tt.raw)...)
			}
			for range 2 {
				resp, body := server.get(t, "/orders", "Bearer "+tt.raw)
				expect(t, resp, body, tt.want, fragments(tt.raw)...)
				expectDecision(t, policy.Decide(t.Context(), bearing("/orders", "Bearer "+tt.raw)), tt.want)
				if resp.StatusCode == http.StatusOK {
					judge(t, tt.raw, keys...)
				}
			}
		})
	}
}

// fragments returns the pieces of a token that no answer may hold.
func fragments(raw string) []string {
	var out []string
	for part := range strings.SplitSeq(raw, ".") {
		if len(part) >= 12 {
			out = append(out, part[:12], part[len(part)-12:])
		}
	}
	return out
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// compact joins the parts of a token.
func compact(header, payload string, signature []byte) string {
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(signature)
}

// signHeader signs a header given as text with RS256, whatever it says.
func signHeader(t testing.TB, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

// mac signs with HMAC, as an attacker does who knows what a server takes for
// the key.
func mac(alg string, key []byte, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	hash := map[string]func() []byte{
		"HS256": func() []byte { h := hmac.New(sha256.New, key); h.Write([]byte(signed)); return h.Sum(nil) },
		"HS384": func() []byte { h := hmac.New(sha512.New384, key); h.Write([]byte(signed)); return h.Sum(nil) },
		"HS512": func() []byte { h := hmac.New(sha512.New, key); h.Write([]byte(signed)); return h.Sum(nil) },
	}[alg]
	return signed + "." + b64(hash())
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
