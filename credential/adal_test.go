package credential

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

func TestADALAssertionIsSignedForTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	certificate := newCertificate(t, "orders-client", time.Now().Add(-time.Hour))
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Certificate: certificate, Options: a.options(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(a.seen()[0].form.Get("client_assertion"), ".")
	var header struct {
		Alg, Typ, X5t string
		X5c           []string
	}
	var claims struct {
		Aud, Iss, Sub, Jti string
		Nbf, Exp           int64
	}
	decode(t, parts[0], &header)
	decode(t, parts[1], &claims)
	leaf := certificate.Chain[0]
	digest := thumbprint(leaf)
	if header.Alg != "RS256" || header.Typ != "JWT" || header.X5t != base64.RawURLEncoding.EncodeToString(digest[:]) ||
		len(header.X5c) != 1 || header.X5c[0] != base64.StdEncoding.EncodeToString(leaf.Raw) {
		t.Errorf("header %+v", header)
	}
	if claims.Aud != a.URL+"/"+testTenant+"/oauth2/token?api-version=1.0" || claims.Iss != testClient || claims.Sub != testClient ||
		claims.Jti == "" || claims.Exp-claims.Nbf != 600 {
		t.Errorf("claims %+v", claims)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(leaf.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
		t.Error(err)
	}
}

func decode(t *testing.T, part string, into any) {
	t.Helper()
	content, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADALResource(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: "s", Options: a.options(t)})
	if err != nil {
		t.Fatal(err)
	}
	for scope, resource := range map[string]string{
		"api://orders/.default":                 "api://orders",
		"api://orders":                          "api://orders",
		"https://orders.contoso.test//.default": "https://orders.contoso.test/",
	} {
		before := len(a.seen())
		if _, err := cred.GetToken(t.Context(), scoped(scope)); err != nil {
			t.Fatal(err)
		}
		if got := a.seen()[before].form.Get("resource"); got != resource {
			t.Errorf("scope %s asked for %q, want %q", scope, got, resource)
		}
	}
}

func TestADALRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: "s", Options: a.options(t)})
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]policy.TokenRequestOptions{
		"no scope":       {},
		"two scopes":     scoped("a/.default", "b/.default"),
		"another tenant": {Scopes: []string{testScope}, TenantID: "other.test"},
	} {
		if _, err := cred.GetToken(t.Context(), opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if asked := a.seen(); len(asked) != 0 {
		t.Errorf("the authority was asked %d times", len(asked))
	}
	certificate := newCertificate(t, "orders-client", time.Now())
	other := newCertificate(t, "other", time.Now())
	for name, cfg := range map[string]ADALConfig{
		"neither":     {},
		"both":        {Secret: "s", Certificate: certificate},
		"key alone":   {Certificate: Certificate{Key: certificate.Key}},
		"other's key": {Certificate: Certificate{Chain: certificate.Chain, Key: other.Key}},
	} {
		cfg.TenantID, cfg.ClientID = testTenant, testClient
		if _, err := NewADAL(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The retired library was content with plain http on the same machine.
func TestADALOverLoopbackHTTP(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	plain := httptest.NewServer(http.HandlerFunc(a.ServeHTTP))
	defer plain.Close()
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: "s", Options: &Options{AuthorityHost: plain.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cred.GetToken(t.Context(), scoped(testScope)); err != nil {
		t.Error(err)
	}
}

func TestV1Answer(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_795_441_700, 0)
	for _, tt := range []struct {
		name, body string
		want       int64 // expiry; 0 means an error
	}{
		{"strings", `{"access_token":"t","token_type":"Bearer","expires_on":"1795445300","expires_in":"3600"}`, 1795445300},
		{"this machine's clock is ahead", `{"access_token":"t","token_type":"Bearer","expires_on":"1795186100","expires_in":"3600"}`, 1795445300},
		{"this machine's clock is behind", `{"access_token":"t","token_type":"Bearer","expires_on":"1795704500","expires_in":"3600"}`, 1795445300},
		{"centuries", `{"access_token":"t","token_type":"Bearer","expires_in":1099511627776}`, 1795441700 + 100*365*24*3600},
		{"numbers", `{"access_token":"t","token_type":"bearer","expires_on":1795445300}`, 1795445300},
		{"only expires_in", `{"access_token":"t","token_type":"Bearer","expires_in":"3600"}`, 1795445300},
		{"no expiry", `{"access_token":"t","token_type":"Bearer"}`, 0},
		{"no token", `{"token_type":"Bearer","expires_on":"1795445300"}`, 0},
		{"another type", `{"access_token":"t","token_type":"pop","expires_on":"1795445300"}`, 0},
		{"date", `{"access_token":"t","token_type":"Bearer","expires_on":"2026-12-01"}`, 0},
		{"negative", `{"access_token":"t","token_type":"Bearer","expires_on":"-1"}`, 0},
		{"no JSON", `<html>canary`, 0},
		{"wrong type", `{"access_token":{"canary":1}}`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := v1Answer([]byte(tt.body), now)
			if tt.want == 0 {
				if err == nil || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || token.ExpiresOn.Unix() != tt.want {
				t.Errorf("expires %d, %v; want %d", token.ExpiresOn.Unix(), err, tt.want)
			}
		})
	}
}
