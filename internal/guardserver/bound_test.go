package guardserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall-auth/rolecall/guard"
)

// boundRules demand a bound token.
const boundRules = `
  - {path: /api/GetOrders, methods: [GET, POST], roles: [Orders.Read], bound: true}
`

// clientCertificate is one with its key.
func clientCertificate(t testing.TB, serial int64) (pair tls.Certificate, asPEM string) {
	t.Helper()
	cert, key := certificate(t, t.TempDir(), serial)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
}

// boundToken is one that is bound to a certificate.
func (w *world) boundToken(pair tls.Certificate) string {
	w.t.Helper()
	w.login.Grant("client", "orders", "Orders.Read")
	app := w.login.App("client")
	client := w.login.HTTPClient()
	transport := client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	defer transport.CloseIdleConnections()
	client.Transport = transport
	resp, err := client.PostForm(app.Authority+"/"+app.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {w.api.Scope()}, "token_type": {"mtls_pop"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Type  string `json:"token_type"`
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Type != "mtls_pop" {
		w.t.Fatalf("%s, %q, %v", resp.Status, answer.Type, err)
	}
	return answer.Token
}

// A proxy at which TLS ends passes the client's certificate on; nobody else is believed.
func TestForwardedCertificates(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings, path string
		more           []string // headers
	}{
		"proxy":        {"clientCertificate: X-SSL-Client-Cert\ntrustedPeers: [127.0.0.1/32]", "/api/GetOrders", nil},
		"forward-auth": {"mode: forward-auth\ndialect: traefik\nclientCertificate: x-ssl-client-cert", "/guard/check", []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /api/GetOrders"}},
		"ext-authz":    {"mode: ext-authz\ndialect: http\nclientCertificate: X-SSL-Client-Cert", "/api/GetOrders", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			pair, asPEM := clientCertificate(t, 1)
			_, other := clientCertificate(t, 2)
			w.start(w.settings(tt.settings, boundRules))
			token := "Authorization: Bearer " + w.boundToken(pair)
			for want, headers := range map[guard.Reason][]string{
				"":                    {token, "X-Ssl-Client-Cert: " + url.PathEscape(asPEM)},
				guard.BindingMismatch: {token, "X-Ssl-Client-Cert: " + url.PathEscape(other)},
				guard.BindingMissing:  {token, "X-Ssl-Client-Cert: " + url.PathEscape(asPEM), "X-Ssl-Client-Cert: " + url.PathEscape(asPEM)},
			} {
				resp, body := w.get(tt.path, append(headers, tt.more...)...)
				if want == "" && resp.StatusCode != http.StatusOK || want != "" && !strings.Contains(body, string(want)) {
					t.Errorf("%q: %s %s", want, resp.Status, body)
				}
			}
			if _, body := w.get(tt.path, append([]string{token, "X-Forwarded-Client-Cert: " + base64.StdEncoding.EncodeToString(pair.Certificate[0])}, tt.more...)...); !strings.Contains(body, "binding_missing") {
				t.Errorf("in another header: %s", body)
			}
		})
	}
	t.Run("a client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		pair, asPEM := clientCertificate(t, 1)
		w.start(w.settings("clientCertificate: X-SSL-Client-Cert\ntrustedPeers: [10.0.0.1]", boundRules))
		if _, body := w.get("/api/GetOrders", "Authorization: Bearer "+w.boundToken(pair), "X-Ssl-Client-Cert: "+url.PathEscape(asPEM)); !strings.Contains(body, "binding_missing") {
			t.Errorf("got %s", body)
		}
	})
	t.Run("Envoy", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		pair, asPEM := clientCertificate(t, 1)
		w.start(w.settings("mode: ext-authz", boundRules))
		good := "authorization: Bearer " + w.boundToken(pair)
		request := message(message(nil, 2, "GET"), 4, "/api/GetOrders")
		name, value, _ := strings.Cut(good, ": ")
		request = message(request, 3, string(message(message(nil, 1, name), 2, value)))
		asks := func(certificate string) []byte {
			attributes := message(nil, 4, string(message(nil, 2, string(request))))
			if certificate != "" {
				attributes = message(attributes, 1, string(message(nil, 5, url.PathEscape(certificate))))
			}
			return message(nil, 1, string(attributes))
		}
		const check = "/envoy.service.auth.v3.Authorization/Check"
		if status, answer := w.call(check, asks(asPEM)); status != "0" || strings.Contains(string(answer), "binding") {
			t.Errorf("with the certificate: %s %s", status, answer)
		}
		if _, answer := w.call(check, asks("")); !strings.Contains(string(answer), "binding_missing") {
			t.Errorf("without: %s", answer)
		}
	})
}

// A proxy that has TLS itself asks for certificates where it is told to.
func TestCertificatesOfConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pair, _ := clientCertificate(t, 1)
	cert, key := certificate(t, w.folder, 3)
	w.start(w.settings("tls: {cert: "+filepath.Base(cert)+", key: "+filepath.Base(key)+", askClients: true}", boundRules))
	token := w.boundToken(pair)
	content, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	for want, certificates := range map[int][]tls.Certificate{http.StatusOK: {pair}, http.StatusUnauthorized: nil} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
		req, err := http.NewRequest(http.MethodGet, strings.Replace(w.url, "http://127.0.0.1", "https://localhost", 1)+"/api/GetOrders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d certificates: %s", len(certificates), resp.Status)
		}
	}
}

// proofs returns what makes proofs of one key, by a foreign library.
func proofs(t testing.TB) func(method, target, token string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	return func(method, target, token string) string {
		claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": target, "iat": time.Now().Unix()}
		if token != "" {
			sum := sha256.Sum256([]byte(token))
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

// Whatever the form, a proof is for the URL by which the client calls, and counts once. Neither
// it nor the token goes on.
func TestProofsThroughEveryForm(t *testing.T) {
	t.Parallel()
	const target = "https://orders.corp.test/api/GetOrders"
	for name, tt := range map[string]struct {
		settings, path string
		more           []string // headers
	}{
		"proxy":   {"", "/api/GetOrders", nil},
		"nginx":   {"mode: forward-auth\ndialect: nginx", "/guard/check", []string{"X-Original-Method: GET", "X-Original-Uri: /api/GetOrders"}},
		"traefik": {"mode: forward-auth\ndialect: traefik", "/guard/check", []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /api/GetOrders"}},
		"envoy":   {"mode: ext-authz\ndialect: http", "/api/GetOrders", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start(w.settings(tt.settings+"\norigins: [https://orders.corp.test]", boundRules))
			prove := proofs(t)
			w.login.Grant("client", "orders", "Orders.Read")
			app := w.login.App("client")
			endpoint := app.Authority + "/" + app.TenantID + "/oauth2/v2.0/token"
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {w.api.Scope()}}
			req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("DPoP", prove(http.MethodPost, endpoint, ""))
			resp, err := w.login.HTTPClient().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Token string `json:"access_token"`
			}
			err = json.NewDecoder(resp.Body).Decode(&answer)
			_ = resp.Body.Close()
			if err != nil || answer.Token == "" {
				t.Fatal(resp.Status, err)
			}
			ask := func(scheme, proof string) (*http.Response, string) {
				headers := append([]string{"Authorization: " + scheme + " " + answer.Token}, tt.more...)
				if proof != "" {
					headers = append(headers, "Dpop: "+proof)
				}
				return w.get(tt.path, headers...)
			}
			proof := prove(http.MethodGet, target, answer.Token)
			resp, body := ask("DPoP", proof)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s", resp.Status, body)
			}
			if removed := resp.Header.Get("X-Envoy-Auth-Headers-To-Remove"); name == "envoy" && (!strings.Contains(removed, "authorization") || !strings.Contains(removed, "dpop")) {
				t.Errorf("Envoy removes %q", removed)
			}
			for _, r := range w.requests() {
				if r.Header.Get("Authorization")+r.Header.Get("DPoP") != "" {
					t.Error("the upstream sees credentials")
				}
			}
			for want, of := range map[string][2]string{
				"proof_replayed":  {"DPoP", proof},
				"proof_invalid":   {"DPoP", prove(http.MethodGet, w.url+"/api/GetOrders", answer.Token)},
				"binding_missing": {"Bearer", ""},
			} {
				resp, body := ask(of[0], of[1])
				if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, want) || !strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), " "), "DPoP realm") {
					t.Errorf("%s: %s %s", want, resp.Status, body)
				}
			}
		})
	}
}
