package authoritytest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Certificate returns a new certificate by which the named client can prove who it is, and
// its private key, after registering it for the client. It is valid for an hour before and
// after now, by the machine's clock and by the authority's.
func (a *Authority) Certificate(client string) credential.Certificate {
	a.t.Helper()
	key, err := keys.next()
	a.check("make a key", err)
	from, until := time.Now(), a.clock.Now()
	if until.Before(from) {
		from, until = until, from
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(random(8)), Subject: pkix.Name{CommonName: client},
		NotBefore: from.Add(-time.Hour), NotAfter: until.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	a.check("make a certificate", err)
	certificate, err := x509.ParseCertificate(der)
	a.check("read a certificate", err)
	a.AddCertificate(client, certificate)
	return credential.Certificate{Chain: []*x509.Certificate{certificate}, Key: key}
}

// AddCertificate registers a certificate of the test's own for the named client.
func (a *Authority) AddCertificate(client string, certificate *x509.Certificate) {
	a.t.Helper()
	a.edit(client, func(e *directory.Editor, app directory.ObjectID) error {
		_, err := e.Credentials().AddCertificate(TenantID, app, "test", certificate.Raw)
		return err
	})
}

// CertificateFile is Certificate for programs that are given a PEM file with certificate
// and private key. The file is there until the test ends.
func (a *Authority) CertificateFile(client string) string {
	a.t.Helper()
	certificate := a.Certificate(client)
	private, err := x509.MarshalPKCS8PrivateKey(certificate.Key)
	a.check("encode a key", err)
	content := append(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Chain[0].Raw})...)
	path := filepath.Join(a.t.TempDir(), "client.pem")
	a.check("write a certificate", os.WriteFile(path, content, 0o600))
	return path
}

// Trust lets the named client prove who it is by tokens of another issuer about a subject,
// such as a build service or a cluster, in place of a secret: it adds a federated
// credential. The tokens are for the audience "api://AzureADTokenExchange". For an issuer
// that the test runs itself, see [AllowIssuers].
func (a *Authority) Trust(client, issuer, subject string) {
	a.t.Helper()
	a.edit(client, func(e *directory.Editor, app directory.ObjectID) error {
		_, err := e.Credentials().AddFederated(TenantID, app, directory.FederatedCredential{
			Name: fmt.Sprintf("test-%x", random(8)), Issuer: issuer, Subject: subject, Audience: directory.ExchangeAudience,
		})
		return err
	})
}

// edit changes the registration of a client.
func (a *Authority) edit(client string, change func(*directory.Editor, directory.ObjectID) error) {
	a.t.Helper()
	a.App(client)
	a.change("change client "+client, func(e *directory.Editor) error {
		app, err := e.Applications().Find(TenantID, client)
		if err != nil {
			return err
		}
		return change(e, app.ID)
	})
}
