package library_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/library"
)

const role = "Orders.Read"

// client returns a client of the authority that has no proof yet.
func client(login *authoritytest.Authority) library.Client {
	app := login.App("report")
	return library.Client{Authority: login.URL, HTTP: login.HTTPClient(), TenantID: app.TenantID, ClientID: app.ClientID}
}

// accepted returns what the API's guard says about the token that a library gets.
func accepted(t *testing.T, login *authoritytest.Authority, c library.Client, name library.Name) guard.Decision {
	t.Helper()
	cred, err := c.Credential(name)
	if err != nil {
		t.Fatal(err)
	}
	api := login.API("orders")
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{api.Scope()}})
	if err != nil {
		t.Fatal(err)
	}
	if until := time.Until(token.ExpiresOn); until < time.Minute || until > 2*time.Hour {
		t.Errorf("the token expires in %v", until)
	}
	return api.Guard().Check(t.Context(), token.Token, guard.Rule{Roles: []string{role}})
}

func TestEveryLibraryIsAccepted(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	login.Grant("report", "orders", role)
	for _, name := range library.All() {
		t.Run(string(name), func(t *testing.T) {
			c := client(login)
			c.Secret = login.App("report").Secret
			if d := accepted(t, login, c, name); !d.Allowed() {
				t.Errorf("refused: %s", d.Reason)
			}
		})
	}
}

func TestACertificateIsProofInMostLibraries(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	login.Grant("report", "orders", role)
	certificate, err := library.NewCertificate("report", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	login.AddCertificate("report", certificate.Chain[0])
	for _, name := range []library.Name{library.ADAL, library.MSAL, library.AzureIdentity} {
		t.Run(string(name), func(t *testing.T) {
			c := client(login)
			c.Certificate = certificate
			if d := accepted(t, login, c, name); !d.Allowed() {
				t.Errorf("refused: %s", d.Reason)
			}
		})
	}
}

func TestAnAssertionIsAskedFor(t *testing.T) {
	t.Parallel()
	login := authoritytest.Start(t)
	c := client(login)
	asked := false
	c.Assertion = func(context.Context) (string, error) { asked = true; return "not.an.assertion", nil }
	cred, err := c.Credential(library.AzureIdentity)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{login.API("orders").Scope()}})
	if err == nil || !asked || !strings.Contains(err.Error(), "AADSTS50027") {
		t.Errorf("asked %v, refused with %v", asked, err)
	}
}

func TestLibrariesHaveNames(t *testing.T) {
	t.Parallel()
	for _, name := range library.All() {
		if got, err := library.Parse(string(name)); got != name || err != nil {
			t.Errorf("Parse(%q) is %q, %v", name, got, err)
		}
		if name.Implementation() == "" {
			t.Errorf("%q has no implementation", name)
		}
	}
	if _, err := library.Parse("curl"); err == nil || !strings.Contains(err.Error(), "adal, msal, appauth, azidentity") {
		t.Errorf("Parse of another name: %v", err)
	}
	if _, err := (library.Client{}).Credential("curl"); err == nil {
		t.Error("a credential of no library")
	}
}

func TestACertificateIsItsKeys(t *testing.T) {
	t.Parallel()
	now := time.Now()
	certificate, err := library.NewCertificate("orders-client", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certificate.Chain[0]
	if _, err := tls.X509KeyPair(pemOf(t, leaf, certificate.Key)); err != nil {
		t.Errorf("certificate and key: %v", err)
	}
	if leaf.NotAfter.After(now.Add(time.Hour)) || leaf.NotBefore.After(now) || leaf.Subject.CommonName != "orders-client" {
		t.Errorf("valid from %v to %v for %s", leaf.NotBefore, leaf.NotAfter, leaf.Subject)
	}
}

func pemOf(t *testing.T, certificate *x509.Certificate, key any) (cert, private []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", certificate.Raw), block("PRIVATE KEY", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
