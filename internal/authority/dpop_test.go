package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// A prover signs proofs by a foreign library.
type prover struct {
	w          *world
	signer     jose.Signer
	thumbprint string
}

func newProver(w *world) *prover {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	w.must(err)
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	w.must(err)
	return &prover{w, signer, base64.RawURLEncoding.EncodeToString(sum)}
}

// proof makes one for a POST to a path, with changes; nil removes a claim.
func (p *prover) proof(path string, changes object) string {
	p.w.t.Helper()
	c := object{"jti": rand.Text(), "htm": "POST", "htu": testBase + path, "iat": p.w.clock.Now().Unix()}
	text, err := json.Marshal(c.with(changes))
	p.w.must(err)
	signed, err := p.signer.Sign(text)
	p.w.must(err)
	raw, err := signed.CompactSerialize()
	p.w.must(err)
	return raw
}

func proves(proofs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for _, proof := range proofs {
			r.Header.Add("DPoP", proof)
		}
	}
}

// boundBy checks the type and cnf of an answer's token.
func (w *world) boundBy(r *reply, tokenType, member, thumbprint string) map[string]any {
	w.t.Helper()
	_, claims := w.judge(r.token(), keysV2Path)
	cnf, _ := claims["cnf"].(map[string]any)
	if r.json["token_type"] != tokenType || len(cnf) != 1 || cnf[member] != thumbprint {
		w.t.Errorf("token_type is %v, cnf %v; want %s, %s %s", r.json["token_type"], claims["cnf"], tokenType, member, thumbprint)
	}
	return claims
}

func TestTokensBoundByDPoP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Aliases = []string{"idp.contoso.test"} })
	p := newProver(w)
	w.boundBy(w.post(pathV2, w.good(), proves(p.proof(pathV2, nil))), "DPoP", "jkt", p.thumbprint)
	w.boundBy(w.post(pathV1, w.goodV1(), proves(p.proof(pathV1, nil))), "DPoP", "jkt", p.thumbprint)
	w.boundBy(w.post(pathV2, w.good().set("token_type", "DPoP"), proves(p.proof(pathV2, object{"htu": strings.ToUpper(testBase) + pathV2 + "?a=b"}))), "DPoP", "jkt", p.thumbprint)
	w.boundBy(w.post(pathV2, w.good(), proves(p.proof(pathV2, object{"htu": "https://idp.contoso.test" + pathV2}))), "DPoP", "jkt", p.thumbprint)
	if _, claims := w.judge(w.post(pathV2, w.good()).token(), keysV2Path); claims["cnf"] != nil {
		t.Errorf("without a proof: cnf %v", claims["cnf"])
	}
}

func TestProofsThatBindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newProver(w)
	good := p.proof(pathV2, nil)
	now := w.clock.Now()
	_, reqCnf := confirmation("one")
	for name, tt := range map[string]struct {
		form   values
		proofs []string
	}{
		"two proofs":        {w.good(), []string{p.proof(pathV2, nil), p.proof(pathV2, nil)}},
		"no proof at all":   {w.good(), []string{"x"}},
		"an empty one":      {w.good(), []string{""}},
		"asked for, absent": {w.good().set("token_type", "DPoP"), nil},
		"another method":    {w.good(), []string{p.proof(pathV2, object{"htm": "GET"})}},
		"another endpoint":  {w.good(), []string{p.proof(pathV1, nil)}},
		"another host":      {w.good(), []string{p.proof(pathV2, object{"htu": "https://evil.test" + pathV2})}},
		"without TLS":       {w.good(), []string{p.proof(pathV2, object{"htu": strings.Replace(testBase, "https", "http", 1) + pathV2})}},
		"an hour old":       {w.good(), []string{p.proof(pathV2, object{"iat": now.Add(-time.Hour).Unix()})}},
		"from the future":   {w.good(), []string{p.proof(pathV2, object{"iat": now.Add(time.Hour).Unix()})}},
		"no jti":            {w.good(), []string{p.proof(pathV2, object{"jti": nil})}},
		"a changed one":     {w.good(), []string{good[:len(good)-6] + "AAAAAA"}},
		"a token":           {w.good(), []string{w.post(pathV2, w.good()).token()}},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.post(pathV2, tt.form, proves(tt.proofs...))
			r.t = t
			r.refused(400, "invalid_dpop_proof", 9002313)
		})
	}
	w.post(pathV2, w.good().set("token_type", "pop", "req_cnf", reqCnf), proves(p.proof(pathV2, nil))).refused(400, "invalid_request", 9002313)
	w.post(pathV2, w.good().set("client_secret", "wrong"), proves(p.proof(pathV2, nil))).refused(401, "invalid_client", 7000215)

	// A proof counts once, for one client and key.
	once := p.proof(pathV2, object{"jti": "once"})
	w.post(pathV2, w.good(), proves(once)).token()
	w.post(pathV2, w.good(), proves(once)).refused(400, "invalid_dpop_proof", 9002313)
	w.post(pathV2, w.good(), proves(p.proof(pathV2, object{"jti": "once"}))).refused(400, "invalid_dpop_proof", 9002313)
	w.post(pathV2, w.good(), proves(newProver(w).proof(pathV2, object{"jti": "once"}))).token()
}

// A public client's refresh token is of no use without the key that it was handed out for, and
// a confidential client proves itself.
func TestRefreshTokensBoundByDPoP(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	p, thief := newProver(w.world), newProver(w.world)
	password := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://orders/.default offline_access"}
	first := w.post(pathV2, password, proves(p.proof(pathV2, nil)))
	w.boundBy(first, "DPoP", "jkt", p.thumbprint)
	refresh := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": first.text("refresh_token")}
	w.post(pathV2, refresh).refused(400, "invalid_grant", 700082)
	w.post(pathV2, refresh, proves(thief.proof(pathV2, nil))).refused(400, "invalid_grant", 700082)
	_, reqCnf := confirmation("one")
	w.post(pathV2, refresh.set("token_type", "pop", "req_cnf", reqCnf)).refused(400, "invalid_grant", 700082)
	second := w.post(pathV2, refresh, proves(p.proof(pathV2, nil)))
	w.boundBy(second, "DPoP", "jkt", p.thumbprint)
	w.post(pathV2, refresh.set("refresh_token", second.text("refresh_token"))).refused(400, "invalid_grant", 700082)

	// One that was handed out without a key may go on with one, and is bound from then on.
	free := w.post(pathV2, password)
	bound := w.post(pathV2, refresh.set("refresh_token", free.text("refresh_token")), proves(p.proof(pathV2, nil)))
	w.post(pathV2, refresh.set("refresh_token", bound.text("refresh_token"))).refused(400, "invalid_grant", 700082)
}

// withCertificate is the connection of a client that has shown to have the certificate's key.
func withCertificate(der []byte) func(*http.Request) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return func(r *http.Request) {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	}
}

// certificate makes one that signs itself.
func (w *world) certificate(from, until time.Time) []byte {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	return w.certificateOf(key, from, until)
}

func (w *world) certificateOf(key crypto.Signer, from, until time.Time) []byte {
	w.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	w.must(err)
	return der
}

// A client authenticates by its registered certificate on the connection alone, and its tokens are
// bound to it; with another credential it has to ask for that.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	now := w.clock.Now()
	key := rsaKey(w.world)
	registered := w.certificateOf(key, now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
	other := w.certificate(now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
	ended := w.certificateOf(key, now.AddDate(-1, 0, 0), now.AddDate(0, 0, -1))
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		for _, der := range [][]byte{registered} {
			if _, err := e.Credentials().AddCertificate(testTenant, app.ID, "tls", der); err != nil {
				return err
			}
		}
		return nil
	})
	thumbprint := func(der []byte) string {
		sum := sha256.Sum256(der)
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	bare := w.good().without("client_secret")
	claims := w.boundBy(w.post(pathV2, bare, withCertificate(registered)), "Bearer", "x5t#S256", thumbprint(registered))
	if claims["azpacr"] != "2" {
		t.Errorf("azpacr is %v", claims["azpacr"])
	}
	w.boundBy(w.post(pathV1, w.goodV1().without("client_secret"), withCertificate(registered)), "Bearer", "x5t#S256", thumbprint(registered))
	w.boundBy(w.post(pathV2, w.good().set("token_type", "mtls_pop"), withCertificate(other)), "mtls_pop", "x5t#S256", thumbprint(other))
	p := newProver(w.world)
	w.boundBy(w.post(pathV2, bare, withCertificate(registered), proves(p.proof(pathV2, nil))), "DPoP", "jkt", p.thumbprint)

	if _, claims := w.judge(w.post(pathV2, w.good(), withCertificate(other)).token(), keysV2Path); claims["cnf"] != nil {
		t.Errorf("nobody asked for a binding: cnf %v", claims["cnf"])
	}
	w.post(pathV2, bare).refused(401, "invalid_client", 7000218)
	w.post(pathV2, bare, withCertificate(other)).refused(401, "invalid_client", 700027)
	w.post(pathV2, bare, withCertificate(ended)).refused(401, "invalid_client", 700027)
	w.post(pathV2, bare.set("client_id", publicApp), withCertificate(registered)).refused(401, "invalid_client", 700025)
	w.post(pathV2, bare.set("client_id", nobody), withCertificate(registered)).refused(400, "unauthorized_client", 700016)
	w.post(pathV2, w.good().set("client_secret", "wrong"), withCertificate(registered)).refused(401, "invalid_client", 7000215)

	// A public client's refresh token stays with the certificate.
	password := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://orders/.default offline_access", "token_type": "mtls_pop"}
	first := w.post(pathV2, password, withCertificate(other))
	w.boundBy(first, "mtls_pop", "x5t#S256", thumbprint(other))
	refresh := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": first.text("refresh_token"), "token_type": "mtls_pop"}
	w.post(pathV2, refresh, withCertificate(registered)).refused(400, "invalid_grant", 700082)
	w.boundBy(w.post(pathV2, refresh, withCertificate(other)), "mtls_pop", "x5t#S256", thumbprint(other))

	w.clock.Advance(2 * 365 * 24 * time.Hour)
	w.post(pathV2, bare, withCertificate(registered)).refused(401, "invalid_client", 700027)
}

func rsaKey(w *world) *rsa.PrivateKey {
	w.t.Helper()
	key, err := fixture.NewKeys()()
	w.must(err)
	return key
}

// Where clients are asked for certificates, the metadata says what for.
func TestMetadataOfBindings(t *testing.T) {
	t.Parallel()
	path := "/" + testTenant + "/v2.0/.well-known/openid-configuration"
	without := newWorld(t).get(path).json
	with := newWorld(t, func(c *Config) { c.MutualTLS = true }).get(path).json
	if without["tls_client_certificate_bound_access_tokens"] != nil || with["tls_client_certificate_bound_access_tokens"] != true {
		t.Errorf("got %v and %v", without["tls_client_certificate_bound_access_tokens"], with["tls_client_certificate_bound_access_tokens"])
	}
	same := maps.Clone(with)
	delete(same, "tls_client_certificate_bound_access_tokens")
	if len(same) != len(without) || len(with["token_endpoint_auth_methods_supported"].([]any)) != len(without["token_endpoint_auth_methods_supported"].([]any))+1 {
		t.Errorf("got %v", with)
	}
	if algorithms, _ := without["dpop_signing_alg_values_supported"].([]any); len(algorithms) == 0 {
		t.Errorf("got %v", without)
	}
}

// A code that was asked for with a key is redeemed with a proof of that key alone (RFC 9449
// section 10).
func TestCodesBoundByDPoP(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	p := newProver(w.world)
	code := func() string { return w.browser().toolCode("dpop_jkt", p.thumbprint) }
	w.boundBy(w.post(pathV2, w.toolRedeems().set("code", code()), proves(p.proof(pathV2, nil))), "DPoP", "jkt", p.thumbprint)
	w.post(pathV2, w.toolRedeems().set("code", code())).refused(400, "invalid_grant", 9002313)
	stolen := code()
	w.post(pathV2, w.toolRedeems().set("code", stolen), proves(newProver(w.world).proof(pathV2, nil))).refused(400, "invalid_grant", 9002313)
	if r := w.post(pathV2, w.toolRedeems().set("code", stolen), proves(p.proof(pathV2, nil))); r.Code != http.StatusBadRequest {
		t.Errorf("a code that was tried by somebody else: %d", r.Code)
	}
	for _, bad := range []string{"x", p.thumbprint + "=", p.thumbprint[1:], strings.Repeat("A", 44)} {
		r := w.browser().open(authorizeV2Path, w.toolAsks().set("dpop_jkt", bad))
		if location := r.Header().Get("Location"); !strings.Contains(location, "error=invalid_request") && !strings.Contains(r.Body.String(), "dpop_jkt") {
			t.Errorf("%q: %d %s", bad, r.Code, location)
		}
	}
}
