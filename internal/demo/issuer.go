package demo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// An issuer is another party's token service, such as that of a build system: a federated
// credential accepts its tokens in place of a secret.
type issuer struct {
	at  *listening
	key *rsa.PrivateKey
}

const issuerKeyID = "demo-issuer"

func newIssuer(ctx context.Context) (*issuer, error) {
	at, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return &issuer{at: at}, nil
}

// makeKey makes the key that the issuer signs with, by newKey or else afresh.
func (i *issuer) makeKey(newKey func() (*rsa.PrivateKey, error)) (err error) {
	if newKey == nil {
		newKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	i.key, err = newKey()
	return err
}

func (i *issuer) url() string  { return i.at.url("https") }
func (i *issuer) close() error { return i.at.close() }

// serve publishes the discovery document and the keys (OpenID Connect Discovery section 4).
func (i *issuer) serve(secure *tls.Config) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		document, err := json.Marshal(map[string]any{
			"issuer": i.url(), "jwks_uri": i.url() + "/keys",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
		writeDocument(w, document, err)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		document, err := token.KeysDocument([]token.Key{{ID: issuerKeyID, Use: "sig", KeyType: "RSA", Public: i.key.Public()}})
		writeDocument(w, document, err)
	})
	i.at.serve(mux, secure)
}

func writeDocument(w http.ResponseWriter, document []byte, err error) {
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) // the client may be gone
}

// assertion is a token with which a job of the build system proves its identity.
func (i *issuer) assertion(context.Context) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": i.url(), "sub": federatedSubject, "aud": directory.ExchangeAudience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	return token.Sign("RS256", issuerKeyID, nil, claims, i.key)
}
