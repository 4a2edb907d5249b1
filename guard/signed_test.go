package guard_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A holder has a key to which tokens are bound, and signs requests with it.
type holder struct {
	key        crypto.Signer
	alg        string
	jwk        json.RawMessage
	thumbprint string // by a foreign library
}

func newHolder(t testing.TB, alg string, key crypto.Signer) *holder {
	t.Helper()
	jwk := jose.JSONWebKey{Key: key.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwk.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return &holder{key, alg, text, b64(sum)}
}

var ecHolderKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// bind are the claims of a token that is bound to the holder's key.
func (h *holder) bind() claims { return claims{"cnf": claims{"kid": h.thumbprint}} }

// sign signs a request as MSAL for .NET does, with changes; a nil value removes a member.
func (h *holder) sign(t testing.TB, at string, changes ...claims) string {
	t.Helper()
	c := claims{
		"at": at, "ts": now.Unix(), "m": "GET", "u": "api.test", "p": "/orders", "cnf": claims{"jwk": h.jwk}, "nonce": rand.Text(),
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	for name, value := range c {
		if value == nil {
			delete(c, name)
		}
	}
	return h.signText(t, fmt.Sprintf(`{"typ":"pop","alg":%q,"kid":%q}`, h.alg, h.thumbprint), text(t, c))
}

// signText signs header and payload as they are, with the algorithm of the holder.
func (h *holder) signText(t testing.TB, header, payload string) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch key := h.key.(type) {
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest[:])
		signature, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), signErr
	case *rsa.PrivateKey:
		if h.alg == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

// signing is a configuration that takes signed requests to api.test.
func (a *authority) signing(more ...func(*guard.SignedRequests)) guard.Config {
	cfg := a.config()
	cfg.SignedRequests = &guard.SignedRequests{Hosts: []string{"API.test", "localhost:9443"}}
	for _, change := range more {
		change(cfg.SignedRequests)
	}
	return cfg
}

// A signedCase is one request and what becomes of it.
type signedCase struct {
	id            string
	authorization string
	want          guard.Reason
}

// tryAll sends every case over HTTP, with and without a query, and once more without HTTP.
func tryAll(t *testing.T, g *guard.Guard, query string, cases []signedCase) {
	t.Helper()
	handler, err := g.Handler(protectedRules(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range cases {
		t.Run(tt.id, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/orders", nil)
			r.URL.RawQuery = query
			r.Header.Set("Authorization", tt.authorization)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			var answer struct{ Reason guard.Reason }
			if w.Code != http.StatusOK {
				if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
					t.Fatal(err)
				}
			}
			if answer.Reason != tt.want || w.Code == http.StatusOK != (tt.want == "") {
				t.Errorf("%d %q, want %q", w.Code, answer.Reason, tt.want)
			}
			scheme, raw, _ := strings.Cut(tt.authorization, " ")
			challenges := strings.Join(w.Header().Values("WWW-Authenticate"), "\n")
			if w.Code != http.StatusOK && strings.EqualFold(scheme, "PoP") && tt.want != guard.MultipleCredentials && tt.want != guard.CredentialsMalformed && tt.want != guard.TokenMissing &&
				!strings.HasPrefix(challenges, `PoP realm="api"`) {
				t.Errorf("challenge %q", challenges)
			}
			for _, secret := range append(fragments(raw), "goroutine", "trusted") {
				if w.Code != http.StatusOK && strings.Contains(challenges+w.Body.String(), secret) {
					t.Errorf("the refusal holds %.20q", secret)
				}
			}
		})
	}
}

func TestSignedRequests(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	rs, ps, es := newHolder(t, "RS256", spareKey()), newHolder(t, "PS256", spareKey()), newHolder(t, "ES256", ecHolderKey())
	other := newHolder(t, "RS256", strangerKey())
	bound, unbound := a.token(t, rs.bind()), a.token(t)
	var cases []signedCase
	add := func(want guard.Reason, id, raw string) { cases = append(cases, signedCase{id, "PoP " + raw, want}) }

	for _, h := range []*holder{rs, ps, es} {
		add("", h.alg, h.sign(t, a.token(t, h.bind())))
	}
	add("", "v1.0", rs.sign(t, a.token(t, a.v1Claims(), rs.bind())))
	add("", "the other host", rs.sign(t, bound, claims{"u": "LocalHost:9443"}))
	add("", "the default port", rs.sign(t, bound, claims{"u": "api.test:443"}))
	add("", "path without slash", rs.sign(t, bound, claims{"p": "orders"}))
	add("", "path with a slash at its end", rs.sign(t, bound, claims{"p": "/orders/"}))
	add("", "no nonce", rs.sign(t, bound, claims{"nonce": nil}))
	add("", "almost too old", rs.sign(t, bound, claims{"ts": now.Unix() - 360}))
	add("", "almost too early", rs.sign(t, bound, claims{"ts": now.Unix() + 60}))
	add("", "without typ", rs.signText(t, `{"alg":"RS256"}`, text(t, claims{"at": bound, "ts": now.Unix(), "m": "GET", "u": "api.test", "p": "/orders", "cnf": claims{"jwk": rs.jwk}})))
	add("", "more members", rs.sign(t, bound, claims{"client_claims": "{}", "x5c": 1, "h": []any{[]string{"a"}, "b"}, "b": "hash of a body"}))

	// The token in it has to be good in every respect.
	add(guard.TokenExpired, "an expired token", rs.sign(t, a.token(t, rs.bind(), claims{"exp": now.Unix() - 100})))
	add(guard.AudienceMismatch, "a token for another API", rs.sign(t, a.token(t, rs.bind(), claims{"aud": "api://other"})))
	add(guard.SignatureInvalid, "a token signed by the holder", rs.sign(t, signWith(t, spareKey(), "trusted", nil, a.claims(rs.bind()))))
	add(guard.IssuerUnknown, "another's token", rs.sign(t, a.token(t, rs.bind(), claims{"iss": "https://evil.test/"})))
	add(guard.RoleMissing, "no role", rs.sign(t, a.token(t, rs.bind(), claims{"roles": []string{"Other"}})))
	add(guard.TokenMalformed, "no token at all", rs.sign(t, "a.b.c"))
	add(guard.CredentialsMalformed, "a token with blanks", rs.sign(t, bound+" "))
	for _, at := range []any{nil, "", 1, []string{bound}, claims{"a": bound}} {
		add(guard.ProofInvalid, "at is "+text(t, at)[:min(20, len(text(t, at)))], rs.sign(t, bound, claims{"at": at}))
	}

	// The binding.
	add(guard.BindingMismatch, "a token that is not bound", rs.sign(t, unbound))
	add(guard.BindingMismatch, "another's key", other.sign(t, bound))
	add(guard.BindingMismatch, "the same key by another algorithm's type", es.sign(t, bound))
	add(guard.ProofInvalid, "another's signature under the right key", other.sign(t, bound, claims{"cnf": claims{"jwk": rs.jwk}}))
	add(guard.ProofInvalid, "the authority's key signs", (&holder{key: trustedKey(), alg: "RS256", jwk: rs.jwk, thumbprint: rs.thumbprint}).sign(t, bound))
	for _, cnf := range []any{
		nil, "x", 1, claims{}, claims{"kid": rs.thumbprint}, claims{"jwk": 1}, claims{"jwk": claims{}}, claims{"jwk": string(rs.jwk)},
		claims{"jwk": claims{"kty": "oct", "k": "AAAA"}}, claims{"jku": "https://evil.test/keys"},
	} {
		add(guard.ProofInvalid, "cnf "+text(t, cnf)[:min(40, len(text(t, cnf)))], rs.sign(t, bound, claims{"cnf": cnf}))
	}
	add(guard.ProofInvalid, "a private key", rs.sign(t, bound, claims{"cnf": claims{"jwk": privateJWK(t, rs)}}))
	for _, cnf := range []any{
		claims{"jkt": rs.thumbprint}, claims{"x5t#S256": rs.thumbprint}, claims{"kid": rs.thumbprint, "jkt": rs.thumbprint}, claims{"kid": ""}, claims{"kid": 1},
		claims{"kid": rs.thumbprint + "="}, claims{"kid": rs.thumbprint[:42]}, claims{"kid": rs.thumbprint + "\n"}, claims{"kid": strings.ToUpper(rs.thumbprint)[:42] + "!"},
		claims{"jwk": rs.jwk}, claims{}, "x", number("null"), []string{rs.thumbprint},
	} {
		add(guard.BindingMissing, "a token with cnf "+text(t, cnf)[:min(40, len(text(t, cnf)))], rs.sign(t, a.token(t, claims{"cnf": cnf})))
	}

	// The time, the host, the method, the path.
	for _, ts := range []any{nil, now.Unix() - 361, now.Unix() + 61, 0, -1, fmt.Sprint(now.Unix()), float64(now.Unix()) + .5, number("1e9"), number("null"), true} {
		add(guard.ProofInvalid, "ts "+text(t, ts), rs.sign(t, bound, claims{"ts": ts}))
	}
	for _, u := range []any{nil, "", "evil.test", "api.test.evil", "https://api.test", "api.test/", "api.test:80", "api.test:444", "localhost", "user@api.test", " api.test", []string{"api.test"}, 1} {
		add(guard.ProofInvalid, "u "+text(t, u), rs.sign(t, bound, claims{"u": u}))
	}
	for _, m := range []any{nil, "", "get", "POST", "GET ", 1, []string{"GET"}} {
		add(guard.ProofInvalid, "m "+text(t, m), rs.sign(t, bound, claims{"m": m}))
	}
	for _, p := range []any{nil, "", "/", "/healthz", "/orders/1", "/Orders", "//orders", "/orders//", "/./orders", "/%6frders", "https://api.test/orders", 1, []string{"/orders"}} {
		add(guard.ProofInvalid, "p "+text(t, p), rs.sign(t, bound, claims{"p": p}))
	}

	// The form of the proof.
	payload := text(t, claims{"at": bound, "ts": now.Unix(), "m": "GET", "u": "api.test", "p": "/orders", "cnf": claims{"jwk": rs.jwk}})
	for _, header := range []string{
		`{"typ":"JWT","alg":"RS256"}`, `{"typ":"dpop+jwt","alg":"RS256"}`, `{"typ":1,"alg":"RS256"}`, `{"typ":"pop"}`, `{"typ":"pop","alg":"none"}`, `{"typ":"pop","alg":"HS256"}`,
		`{"typ":"pop","alg":"RS512"}`, `{"typ":"pop","alg":"ES256"}`, `{"typ":"pop","alg":"PS256"}`, `{"typ":"pop","alg":["RS256"]}`, `{"typ":"pop","alg":"RS256","crit":["exp"]}`,
		`{"typ":"pop","alg":"RS256","jwk":` + string(rs.jwk) + `}`, `{"typ":"pop","alg":"RS256","jku":"https://evil.test"}`, `{"typ":"pop","alg":"RS256","x5c":["AAAA"]}`,
		`{"typ":"pop","alg":"RS256","b64":false}`, `{"typ":"pop","alg":"RS256","zip":"DEF"}`, `{"typ":"pop","alg":"none","alg":"RS256"}`, `{"typ":"pop","ALG":"RS256"}`, `[]`, ``,
	} {
		add(guard.ProofInvalid, "header "+header[:min(40, len(header))], rs.signText(t, header, payload))
	}
	const header = `{"typ":"pop","alg":"RS256"}`
	for _, bad := range []string{
		strings.Replace(payload, `"m":`, `"m":"POST","m":`, 1), strings.Replace(payload, `{`, `{"at":"x",`, 1), payload + "{}", payload[:len(payload)-1], "[" + payload + "]", `"x"`, "",
		strings.Replace(payload, `{`, "{\"x\":\"\xff\",", 1), strings.Replace(payload, `"cnf"`, `"CNF":{},"cnf"`, 1),
	} {
		add(guard.ProofInvalid, "payload "+bad[:min(30, len(bad))], rs.signText(t, header, bad))
	}
	good := rs.sign(t, bound)
	parts := strings.Split(good, ".")
	for id, raw := range map[string]string{
		"no signature": parts[0] + "." + parts[1] + ".", "two parts": parts[0] + "." + parts[1], "padded": good + "=", "cut": good[:len(good)-2], "five parts": good + ".a.b",
		"a bit of the signature": good[:len(good)-10] + flip(good[len(good)-10]) + good[len(good)-9:], "one of another": parts[0] + "." + parts[1] + "." + strings.Split(rs.sign(t, bound), ".")[2],
	} {
		add(guard.ProofInvalid, id, raw)
	}
	add(guard.ProofInvalid, "a bound token alone", bound)
	add(guard.ProofInvalid, "far too long", strings.Repeat("a", 64<<10)+good)
	cases = append(cases,
		signedCase{"scheme in lower case", "pop " + rs.sign(t, bound), ""},
		signedCase{"a token that is not bound, as ever", "Bearer " + unbound, ""},
		signedCase{"a bound token as Bearer", "Bearer " + bound, guard.BindingMissing},
		signedCase{"a signed request as Bearer", "Bearer " + rs.sign(t, bound), guard.TypNotAllowed},
		signedCase{"two in a line", "PoP " + rs.sign(t, bound) + ", PoP " + rs.sign(t, bound), guard.MultipleCredentials},
		signedCase{"a token besides", "PoP " + rs.sign(t, bound) + ", Bearer " + unbound, guard.MultipleCredentials},
		signedCase{"after a token", "Bearer " + unbound + ", PoP " + rs.sign(t, bound), guard.MultipleCredentials},
		signedCase{"after another scheme", "Basic abc, PoP " + rs.sign(t, bound), guard.MultipleCredentials},
		signedCase{"nothing", "PoP ", guard.CredentialsMalformed},
		signedCase{"a tab", "PoP\t" + rs.sign(t, bound), guard.CredentialsMalformed},
		signedCase{"DPoP", "DPoP " + rs.sign(t, bound), guard.TokenMissing},
	)
	tryAll(t, newGuard(t, a.signing()), "", cases)
	if len(cases) < 120 {
		t.Errorf("%d cases", len(cases))
	}

	// Nothing of this gets in where nobody asked for it.
	var off []signedCase
	for _, tt := range cases {
		if strings.HasPrefix(tt.authorization, "PoP ") && tt.want == "" {
			off = append(off, signedCase{tt.id, tt.authorization, guard.TokenMissing})
		}
	}
	off = append(off, signedCase{"a bound token", "Bearer " + bound, guard.BindingMissing})
	tryAll(t, newGuard(t, a.config()), "", off)
}

func privateJWK(t testing.TB, h *holder) json.RawMessage {
	t.Helper()
	b, err := jose.JSONWebKey{Key: h.key}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flip returns another character of base64url.
func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestSignedQueries(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	bound := a.token(t, h.bind())
	const query = "b=bar&a=foo%20x&c=duck&d=1&d=2"
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return b64(sum[:]) }
	var cases []signedCase
	for _, tt := range []struct {
		q    any
		want guard.Reason
	}{
		{nil, ""},
		{[]any{[]string{"b", "a", "c"}, hash("b=bar&a=foo%20x&c=duck")}, ""},
		{[]any{[]string{"c", "b"}, hash("c=duck&b=bar")}, ""},
		{[]any{[]string{}, query}, ""}, // MSAL.js
		{[]any{[]string{}, "?" + query}, ""},
		{[]any{[]string{"b"}, hash("b=evil")}, guard.ProofInvalid},
		{[]any{[]string{"b", "a"}, hash("a=foo%20x&b=bar")}, guard.ProofInvalid},
		{[]any{[]string{"x"}, hash("x=1")}, guard.ProofInvalid},
		{[]any{[]string{"d"}, hash("d=1")}, guard.ProofInvalid},
		{[]any{[]string{}, "b=bar"}, guard.ProofInvalid},
		{[]any{[]string{}, ""}, guard.ProofInvalid},
		{[]any{[]string{}, hash("")}, guard.ProofInvalid},
		{[]any{[]string{"b"}, query}, guard.ProofInvalid},
		{[]any{[]string{"b"}}, guard.ProofInvalid},
		{[]any{[]any{1}, "x"}, guard.ProofInvalid},
		{[]any{"b", "x"}, guard.ProofInvalid},
		{[]any{[]string{"b"}, 1}, guard.ProofInvalid},
		{query, guard.ProofInvalid},
		{number("null"), guard.ProofInvalid},
		{claims{}, guard.ProofInvalid},
	} {
		cases = append(cases, signedCase{"q " + text(t, tt.q), "PoP " + h.sign(t, bound, claims{"q": tt.q}), tt.want})
	}
	tryAll(t, newGuard(t, a.signing()), query, cases)
}

// A signed request is for one request: whoever overhears it cannot send it again, nor another
// one that the same signature could stand for.
func TestASignedRequestCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		h := newHolder(t, "ES256", ecHolderKey())
		start := time.Now()
		cfg := a.signing()
		cfg.Now = func() time.Time { return now.Add(time.Since(start)) }
		g := newGuard(t, cfg)
		bound := a.token(t, h.bind(), claims{"exp": now.Unix() + 20*3600})
		send := func(raw string) guard.Reason {
			d := g.Decide(t.Context(), guard.Request{Method: "GET", Path: "/orders", Header: map[string][]string{"Authorization": {"PoP " + raw}}}, ordersRule)
			return d.Reason
		}
		raw := h.sign(t, bound)
		for i, want := range []guard.Reason{"", guard.ProofReplayed, guard.ProofReplayed} {
			if r := send(raw); r != want {
				t.Errorf("time %d: %q, want %q", i, r, want)
			}
		}
		if r := send(malleated(t, raw)); r != guard.ProofReplayed {
			t.Errorf("the same request under the other signature that fits: %q", r)
		}
		again := h.sign(t, bound)
		for minute := range 20 { // every request is refused from its second time on until its end, and after it
			time.Sleep(time.Minute)
			if r := send(raw); r != guard.ProofReplayed && r != guard.ProofInvalid {
				t.Errorf("after %d minutes: %q", minute+1, r)
			}
			if r := send(h.sign(t, bound, claims{"ts": cfg.Now().Unix()})); r != "" {
				t.Errorf("a new one after %d minutes: %q", minute+1, r)
			}
			if minute == 4 {
				if r := send(again); r != "" {
					t.Errorf("one that was kept for five minutes: %q", r)
				}
			}
		}
		// Of many at once one gets in.
		raw = h.sign(t, bound, claims{"ts": cfg.Now().Unix()})
		let := make(chan guard.Reason, 50)
		for range cap(let) {
			go func() { let <- send(raw) }()
		}
		in := 0
		for range cap(let) {
			if r := <-let; r == "" {
				in++
			} else if r != guard.ProofReplayed {
				t.Error(r)
			}
		}
		if in != 1 {
			t.Errorf("%d of %d got in", in, cap(let))
		}
	})
}

// malleated is a signed request with n-s in place of s, which any reader takes as well.
func malleated(t testing.TB, raw string) string {
	t.Helper()
	i := strings.LastIndexByte(raw, '.')
	signature, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	b := signature.Signatures[0].Signature
	s := new(big.Int).SetBytes(b[32:])
	s.Sub(elliptic.P256().Params().N, s)
	return raw[:i+1] + b64(append(b[:32:32], s.FillBytes(make([]byte, 32))...))
}

// What kubelogin sends has neither method nor path in it, and is sent until it ends.
func TestRequestsSignedForAHostOnly(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "RS256", spareKey())
	bound := a.token(t, h.bind())
	kubelogin := h.sign(t, bound, claims{"m": nil, "p": nil})
	hostOnly := func(s *guard.SignedRequests) { s.HostOnly = true }
	cases := []signedCase{
		{"kubelogin", "PoP " + kubelogin, ""}, {"kubelogin once more", "PoP " + kubelogin, ""},
		{"method and path are looked at where they are signed", "PoP " + h.sign(t, bound, claims{"m": "POST"}), guard.ProofInvalid},
		{"another path", "PoP " + h.sign(t, bound, claims{"p": "/other"}), guard.ProofInvalid},
		{"another host", "PoP " + h.sign(t, bound, claims{"m": nil, "p": nil, "u": "evil.test"}), guard.ProofInvalid},
		{"no host", "PoP " + h.sign(t, bound, claims{"m": nil, "p": nil, "u": nil}), guard.ProofInvalid},
		{"too old", "PoP " + h.sign(t, bound, claims{"m": nil, "p": nil, "ts": now.Unix() - 361}), guard.ProofInvalid},
	}
	tryAll(t, newGuard(t, a.signing(hostOnly)), "", cases)
	tryAll(t, newGuard(t, a.signing()), "", []signedCase{{"not asked for", "PoP " + kubelogin, guard.ProofInvalid}})
}

func TestOnlyBoundTokens(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	h := newHolder(t, "ES256", ecHolderKey())
	bound := a.token(t, h.bind())
	g := newGuard(t, a.signing(func(s *guard.SignedRequests) { s.Required = true }))
	tryAll(t, g, "", []signedCase{
		{"signed", "PoP " + h.sign(t, bound), ""},
		{"not bound", "Bearer " + a.token(t), guard.BindingMissing},
		{"bound and alone", "Bearer " + bound, guard.BindingMissing},
		{"not bound and signed", "PoP " + h.sign(t, a.token(t)), guard.BindingMismatch},
	})
	for required, want := range map[bool]string{false: "Bearer PoP", true: "PoP"} {
		g := newGuard(t, a.signing(func(s *guard.SignedRequests) { s.Required = required }))
		var schemes []string
		for _, challenge := range g.Decide(t.Context(), guard.Request{Method: "GET", Path: "/"}, ordersRule).Answer().Header["Www-Authenticate"] {
			scheme, _, _ := strings.Cut(challenge, " ")
			schemes = append(schemes, scheme)
		}
		if got := strings.Join(schemes, " "); got != want {
			t.Errorf("required %t: challenges of %s, want %s", required, got, want)
		}
	}
	// Require knows the path as well.
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Authorization", "PoP "+h.sign(t, bound))
	w := httptest.NewRecorder()
	g.Require("Orders.Read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("Require: %d %s", w.Code, w.Body)
	}
}

func TestSettingsOfSignedRequests(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	for _, s := range []guard.SignedRequests{
		{}, {Hosts: []string{""}}, {Hosts: []string{"https://api.test"}}, {Hosts: []string{"api.test/x"}}, {Hosts: []string{"user@api.test"}},
		{Hosts: []string{"api.test"}, Lifetime: -1}, {Hosts: []string{"api.test"}, Lifetime: 2 * time.Hour},
	} {
		cfg := a.config()
		cfg.SignedRequests = &s
		if _, err := guard.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "SignedRequests") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// Thumbprints are those of a foreign library.
func TestThumbprints(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.PublicKey{spareKey().Public(), ecHolderKey().Public()} {
		sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if got := (token.Key{Public: key}).Thumbprint(); got != b64(sum) {
			t.Errorf("%T: %s, want %s", key, got, b64(sum))
		}
	}
}

// FuzzSignedRequest changes a signed request in any way, and signs it again with the right
// key: only what is signed for this request, host and time gets in.
func FuzzSignedRequest(f *testing.F) {
	a := newAuthority("https://authority.test")
	g, err := guard.New(f.Context(), a.signing(func(s *guard.SignedRequests) { s.HostOnly = true }))
	if err != nil {
		f.Fatal(err)
	}
	h := newHolder(f, "ES256", ecHolderKey())
	const good = "<token>"
	bound := a.token(f, h.bind())
	payload := text(f, claims{"at": good, "ts": now.Unix(), "m": "GET", "u": "api.test", "p": "/orders", "cnf": claims{"jwk": h.jwk}})
	f.Add(`{"typ":"pop","alg":"ES256"}`, payload, "GET", "/orders", "a=b")
	f.Add(`{"alg":"ES256"}`, strings.Replace(payload, `"m":"GET",`, "", 1), "POST", "/orders", "")
	f.Add(`{"alg":"ES256","alg":"none"}`, payload, "GET", "/", "")
	f.Add(`{"alg":"ES256"}`, strings.Replace(payload, `"u":`, `"q":[["a"],"x"],"u":`, 1), "GET", "/orders", "a=b&a=c")
	f.Add(`{"alg":"ES256"}`, strings.Replace(payload, `"u":`, `"q":[[],"a=b"],"u":`, 1), "GET", "/orders", "a=b")
	f.Fuzz(func(t *testing.T, header, payload, method, path, query string) {
		raw := h.signText(t, header, strings.ReplaceAll(payload, good, bound))
		d := g.Decide(t.Context(), guard.Request{Method: method, Path: path, Query: query, Header: map[string][]string{"Authorization": {"PoP " + raw}}}, ordersRule)
		if !d.Allowed() {
			if d.Reason == "" || d.Outcome == guard.Unavailable {
				t.Errorf("%s %q", d.Outcome, d.Reason)
			}
			return
		}
		var signed struct {
			At, U string
			M, P  *string
			Ts    int64
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(payload, good, bound)), &signed); err != nil {
			t.Fatalf("let in what another reader cannot read: %v", err)
		}
		if signed.At != bound || !strings.HasPrefix(strings.ToLower(signed.U), "api.test") && !strings.EqualFold(signed.U, "localhost:9443") ||
			signed.M != nil && *signed.M != method || signed.P != nil && strings.Trim(*signed.P, "/") != strings.Trim(path, "/") ||
			signed.Ts < now.Unix()-360 || signed.Ts > now.Unix()+60 {
			t.Errorf("let in %s %s with %s", method, path, payload)
		}
		if _, err := url.ParseQuery(query); err == nil && strings.Contains(query, "access_token=") {
			t.Error("with a token in the query")
		}
	})
}

// otherECKey is a key of P-256 that is nobody's.
func otherECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
