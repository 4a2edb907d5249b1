package credential

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Settings that were mixed up, and authorities that repeat all they are sent.
func TestErrorsRepeatNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "canary~Q7.with+all=of&it/%"
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOjF9.c2lnbmF0dXJl"
	echo := func(status int) func(http.ResponseWriter, tokenRequest) {
		return func(w http.ResponseWriter, r tokenRequest) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"error": "invalid_client " + r.form.Get("client_id"),
				"error_description": fmt.Sprintf("AADSTS700016: %s, %s, %s, %s of %s was not found, and %s neither.", strings.Repeat("x", 300),
					r.form.Get("client_id"), r.form.Get("client_secret"), r.form.Get("client_assertion"), r.form.Encode(), token),
			})
		}
	}
	file := "testdata/certificates/aes256.pem"
	certificate, err := LoadCertificate(file, filePassword)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	for name, make := range map[string]func(opts *Options) (azcore.TokenCredential, error){
		"secret": func(opts *Options) (azcore.TokenCredential, error) {
			return NewSecret(testTenant, testClient, secret, opts)
		},
		"swapped": func(opts *Options) (azcore.TokenCredential, error) {
			return NewSecret(testTenant, secret, testClient, opts)
		},
		"certificate": func(opts *Options) (azcore.TokenCredential, error) {
			return NewCertificate(testTenant, secret, certificate, opts)
		},
		"assertion": func(opts *Options) (azcore.TokenCredential, error) {
			return NewAssertion(testTenant, testClient, func(context.Context) (string, error) { return token, nil }, opts)
		},
		"assertion that fails": func(opts *Options) (azcore.TokenCredential, error) {
			return NewAssertion(testTenant, testClient, func(context.Context) (string, error) { return "", fmt.Errorf("no assertion: %s", token) }, opts)
		},
		"ADAL": func(opts *Options) (azcore.TokenCredential, error) {
			return NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: secret, Options: opts})
		},
		"ADAL, swapped": func(opts *Options) (azcore.TokenCredential, error) {
			return NewADAL(ADALConfig{TenantID: testTenant, ClientID: secret, Secret: testClient, Options: opts})
		},
		"ADAL, certificate": func(opts *Options) (azcore.TokenCredential, error) {
			return NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Certificate: certificate, Options: opts})
		},
		"connection string": func(opts *Options) (azcore.TokenCredential, error) {
			return Parse("RunAs=App;AppId="+testClient+";TenantId="+testTenant+";AppKey="+secret, opts)
		},
	} {
		for _, status := range []int{400, 401, 500} {
			a := startAuthority(t)
			a.answer = echo(status)
			cred, err := make(a.options(t))
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { // a library waits before it tries a 500 again
				_, err := cred.GetToken(t.Context(), scoped(testScope))
				if err == nil {
					t.Errorf("%s, %d: no error", name, status)
					return
				}
				for _, leak := range []string{"canary", "eyJ"} {
					if strings.Contains(err.Error(), leak) {
						t.Errorf("%s, %d: %q is in %v", name, status, leak, err)
					}
				}
			})
		}
	}
}

func TestConceal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`proxyconnect tcp: invalid proxy address "http://user:pa55@proxy.test:1/%zz"`: `proxyconnect tcp: invalid proxy address "http://***@proxy.test:1/%zz"`,
		"no token here: eyJ, api://orders/a@b":                                        "no token here: eyJ, api://orders/a@b",
		"bad assertion eyJhbGciOiJub25lIn0.eyJhIjoxfQ.":                               "bad assertion ***",
		"secret hushhush and hushhush":                                                "secret *** and ***",
		"client " + testClient:                                                        "client " + testClient,
	} {
		if got := conceal(text, hidden(testTenant, testClient, "hushhush", "x")); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	for _, host := range []string{"https://user:canary@login.test", "user:canary@login.test", "https://user:can%zzary@login.test", "ftp://canary@x"} {
		if _, err := NewSecret(testTenant, testClient, testSecret, &Options{AuthorityHost: host}); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", host, err)
		}
	}
	transport := NewTransport(&script{}, testScope)
	transport.Origin = "https://user:canary@orders.test:x"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://orders.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := transport.RoundTrip(req); err == nil || strings.Contains(err.Error(), "canary") {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("got %v", err)
	}
}

// A bundle that an editor of Windows saved keeps its first certificate.
func TestABundleWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	opts := &Options{AuthorityHost: a.URL, CABundle: writeFile(t, "ca.pem", append([]byte(byteOrderMark), certificatePEM(a.Certificate())...))}
	cred, err := NewSecret(testTenant, testClient, testSecret, opts)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = cred.GetToken(ctx, scoped(testScope))
	}
	if err != nil {
		t.Error(err)
	}
}
