package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A boundWorld is a server that asks for certificates, a client that has one and a secret, and an
// API that demands bound tokens.
type boundWorld struct {
	t           *testing.T
	server      *server.Server
	api         *httptest.Server
	certificate tls.Certificate // registered
	client      string
	secret      string
	tokens      string // URL of the token endpoint
}

func newBoundWorld(t *testing.T) *boundWorld {
	t.Helper()
	const client, api = "d0000002-5a5a-4c4c-8d8d-000000000002", "d0000003-5a5a-4c4c-8d8d-000000000003"
	w := &boundWorld{t: t, client: client, certificate: selfSigned(t)}
	w.server = start(t, server.Config{Dir: t.TempDir(), MutualTLS: true, Prepare: func(ctx context.Context, data *server.Data) error {
		_, err := data.Directory.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
			tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso"})
			if err != nil {
				return err
			}
			role := directory.AppRole{Value: "Orders.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}
			orders, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, AppID: api, Name: "orders", IdentifierURIs: []string{"api://orders"}, AppRoles: []directory.AppRole{role}, TokenVersion: 2})
			if err != nil {
				return err
			}
			report, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, AppID: client, Name: "report"})
			if err != nil {
				return err
			}
			resource, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: api})
			if err != nil {
				return err
			}
			holder, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: client})
			if err != nil {
				return err
			}
			if _, _, err = e.Assignments().Add(tenant.ID, holder.ID, resource.ID, orders.AppRoles[0].ID); err != nil {
				return err
			}
			if _, err = e.Credentials().AddCertificate(tenant.ID, report.ID, "tls", w.certificate.Certificate[0]); err != nil {
				return err
			}
			_, w.secret, err = e.Credentials().AddSecret(tenant.ID, report.ID, "ci", time.Time{})
			return err
		})
		return err
	}})
	at := w.server.Endpoints()
	w.tokens = at.Authority + "/" + at.Tenants[0].ID + "/oauth2/v2.0/token"
	w.api = httptest.NewUnstartedServer(nil)
	w.api.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	w.api.StartTLS()
	t.Cleanup(w.api.Close)
	g, err := guard.New(t.Context(), guard.Config{
		Authority: at.Authority + "/" + at.Tenants[0].ID, Audience: []string{"api://orders", api}, CABundle: at.CABundle,
		DPoP: &guard.DPoP{Origins: []string{w.api.URL}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.api.Config.Handler, err = g.Handler([]guard.Rule{{Path: "/orders", Roles: []string{"Orders.Read"}, Bound: true}}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// selfSigned returns a certificate that signs itself.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := fixture.NewKeys()()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// send sends a request over a connection with those certificates, and returns the answer's body.
func (w *boundWorld) send(r *http.Request, certificates ...tls.Certificate) (status int, body string) {
	w.t.Helper()
	roots := w.server.CA().Pool()
	roots.AddCert(w.api.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// token gets one for the API.
func (w *boundWorld) token(form url.Values, proof string, certificates ...tls.Certificate) (raw, tokenType string) {
	w.t.Helper()
	form.Set("grant_type", "client_credentials")
	form.Set("client_id", w.client)
	form.Set("scope", "api://orders/.default")
	r, err := http.NewRequest(http.MethodPost, w.tokens, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	status, body := w.send(r, certificates...)
	var answer struct {
		Type  string `json:"token_type"`
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		w.t.Fatalf("%d: %s", status, body)
	}
	return answer.Token, answer.Type
}

// call asks the API, and returns the status and the reason of a refusal.
func (w *boundWorld) call(authorization, proof string, certificates ...tls.Certificate) (status int, reason string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.api.URL+"/orders", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	status, body := w.send(r, certificates...)
	var answer struct{ Reason string }
	if status != http.StatusOK {
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			w.t.Fatal(err)
		}
	}
	return status, answer.Reason
}

// A client that authenticates by its certificate gets a token that counts over connections with
// that certificate alone.
func TestCertificateBoundTokens(t *testing.T) {
	t.Parallel()
	w := newBoundWorld(t)
	raw, tokenType := w.token(url.Values{}, "", w.certificate)
	if tokenType != "Bearer" {
		t.Errorf("token_type is %s", tokenType)
	}
	if status, reason := w.call("Bearer "+raw, "", w.certificate); status != http.StatusOK {
		t.Errorf("with the certificate: %d %s", status, reason)
	}
	if status, reason := w.call("Bearer "+raw, ""); status != http.StatusUnauthorized || reason != "binding_missing" {
		t.Errorf("stolen: %d %s", status, reason)
	}
	if status, reason := w.call("Bearer "+raw, "", selfSigned(t)); status != http.StatusUnauthorized || reason != "binding_mismatch" {
		t.Errorf("stolen, with another certificate: %d %s", status, reason)
	}
	bearer, _ := w.token(url.Values{"client_secret": {w.secret}}, "")
	if status, reason := w.call("Bearer "+bearer, "", w.certificate); status != http.StatusUnauthorized || reason != "binding_missing" {
		t.Errorf("not bound: %d %s", status, reason)
	}
}

// A client that sends a proof gets a token that counts with proofs of that key alone.
func TestProofBoundTokens(t *testing.T) {
	t.Parallel()
	w := newBoundWorld(t)
	prove := prover(t)
	raw, tokenType := w.token(url.Values{"client_secret": {w.secret}}, prove("POST", w.tokens, ""))
	if tokenType != "DPoP" {
		t.Errorf("token_type is %s", tokenType)
	}
	proof := prove("GET", w.api.URL+"/orders", raw)
	if status, reason := w.call("DPoP "+raw, proof); status != http.StatusOK {
		t.Errorf("with the proof: %d %s", status, reason)
	}
	for name, tt := range map[string]struct{ authorization, proof, reason string }{
		"again":         {"DPoP " + raw, proof, "proof_replayed"},
		"stolen":        {"Bearer " + raw, "", "binding_missing"},
		"without proof": {"DPoP " + raw, "", "proof_invalid"},
		"another key":   {"DPoP " + raw, prover(t)("GET", w.api.URL+"/orders", raw), "binding_mismatch"},
		"another URL":   {"DPoP " + raw, prove("GET", w.api.URL+"/admin", raw), "proof_invalid"},
	} {
		if status, reason := w.call(tt.authorization, tt.proof); status != http.StatusUnauthorized || reason != tt.reason {
			t.Errorf("%s: %d %s, want %s", name, status, reason, tt.reason)
		}
	}
}

// prover makes proofs of one key by a foreign library.
func prover(t *testing.T) func(method, target, raw string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: crypto.Signer(key)}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	return func(method, target, raw string) string {
		claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": target, "iat": time.Now().Unix()}
		if raw != "" {
			sum := sha256.Sum256([]byte(raw))
			claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
}

// Where TLS ends at a proxy, nobody can show a certificate.
func TestMutualTLSBehindAProxy(t *testing.T) {
	t.Parallel()
	_, err := server.Start(t.Context(), server.Config{Dir: t.TempDir(), MutualTLS: true, PublicURL: "https://auth.corp.test", NewKey: fixture.NewKeys()})
	if err == nil || !strings.Contains(err.Error(), "TLS ends at a proxy") {
		t.Errorf("got %v", err)
	}
}
