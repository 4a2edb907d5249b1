package directory

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the thumbprint that clients send (x5t) is SHA-1; nothing rests on it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A CredentialEditor changes the credentials of applications and managed identities.
type CredentialEditor struct{ *editor }

// Remove removes the secret, certificate or federated credential with that id
// from an application, or the federated credential from a managed identity.
func (e CredentialEditor) Remove(tenant TenantID, owner ObjectID, id string) error {
	id = fold(id)
	if _, err := e.view.Identities().get(tenant, owner); !errors.Is(err, ErrNotFound) {
		if err != nil {
			return err
		}
		return e.removeFederated(tenant, owner, id)
	}
	return e.changeApplication(Delete, tenant, owner, func(a *Application) (string, error) {
		if i := slices.IndexFunc(a.Secrets, func(s Secret) bool { return s.ID == id }); i >= 0 {
			name := a.Secrets[i].Name
			a.Secrets = without(a.Secrets, i)
			return "secret removed: " + name, nil
		}
		if i := slices.IndexFunc(a.Certificates, func(c Certificate) bool { return c.ID == id }); i >= 0 {
			name := a.Certificates[i].Name
			a.Certificates = without(a.Certificates, i)
			return "certificate removed: " + name, nil
		}
		if i := slices.IndexFunc(a.Federated, func(c FederatedCredential) bool { return c.ID == id }); i >= 0 {
			name := a.Federated[i].Name
			a.Federated = without(a.Federated, i)
			return "federated credential removed: " + name, nil
		}
		return "", missing(fmt.Sprintf("The application %s has no credential with the id %q.", a.ref(), text.Shown(id)), "List its credentials to see their ids.")
	})
}

func (e CredentialEditor) removeFederated(tenant TenantID, owner ObjectID, id string) error {
	return e.changeFederated(Delete, tenant, owner, func(name string, all *[]FederatedCredential) (string, error) {
		i := slices.IndexFunc(*all, func(c FederatedCredential) bool { return c.ID == id })
		if i < 0 {
			return "", missing(fmt.Sprintf("%s has no credential with the id %q.", name, text.Shown(id)), "List its credentials to see their ids.")
		}
		removed := (*all)[i].Name
		*all = without(*all, i)
		return "federated credential removed: " + removed, nil
	})
}

// changeApplication lets f change a copy of a registration's credentials, and keeps the
// result. What f returns goes into the audit row. Lists are to be replaced, not edited.
func (e CredentialEditor) changeApplication(verb Verb, tenant TenantID, app ObjectID, f func(*Application) (string, error)) error {
	return e.act(verb, Credentials, func() error {
		old, err := e.applications().get(tenant, app)
		if err != nil {
			return err
		}
		next := *old.value
		detail, err := f(&next)
		if err != nil {
			return err
		}
		return update(e.editor, old, &next, detail)
	})
}

// without returns the list without its i-th element, nil when nothing is left.
func without[T any](list []T, i int) []T {
	if len(list) == 1 {
		return nil
	}
	return slices.Concat(list[:i], list[i+1:])
}

const (
	maxCertificate  = 16 << 10 // bytes of DER
	maxCertificates = 50       // in one application
	minRSABits      = 2048
	maxRSABits      = 8192
	minRSAExponent  = 65537
)

// AddCertificate lets the key of a certificate prove the application. Only the public
// certificate is taken, in DER.
func (e CredentialEditor) AddCertificate(tenant TenantID, app ObjectID, name string, der []byte) (Certificate, error) {
	parsed, err := checkCertificate(der)
	if err != nil {
		return Certificate{}, err
	}
	if name == "" {
		name = certificateName(parsed)
	}
	if err := checkName("name", name); err != nil {
		return Certificate{}, err
	}
	if !e.now.Before(parsed.NotAfter) {
		return Certificate{}, &RuleError{Field: "der", What: fmt.Sprintf("The certificate expired at %s.", parsed.NotAfter.UTC().Format("2006-01-02 15:04:05Z")), Advice: "Use one that is still valid."}
	}
	added := Certificate{
		ID: guid.New(), Name: name, DER: bytes.Clone(der), SHA1: thumbprintSHA1(der), SHA256: thumbprintSHA256(der),
		Subject: parsed.Subject.String(), ValidFrom: stamp(parsed.NotBefore), ValidUntil: stamp(parsed.NotAfter), Created: e.now,
	}
	err = e.changeApplication(Create, tenant, app, func(a *Application) (string, error) {
		if slices.ContainsFunc(a.Certificates, func(c Certificate) bool { return c.SHA256 == added.SHA256 }) {
			return "", taken("der", fmt.Sprintf("The application %s has this certificate already.", a.ref()), "Use the one there is.")
		}
		if len(a.Certificates) >= maxCertificates {
			return "", &RuleError{Field: "certificates", What: fmt.Sprintf("The application %s has %d certificates already.", a.ref(), len(a.Certificates)), Advice: "Remove one first."}
		}
		a.Certificates = append(a.Certificates[:len(a.Certificates):len(a.Certificates)], added)
		return "certificate added: " + added.Name + " " + added.SHA256, nil
	})
	if err != nil {
		return Certificate{}, err
	}
	return added, nil
}

// checkCertificate checks the certificate by itself, whatever the time.
func checkCertificate(der []byte) (*x509.Certificate, error) {
	refuse := func(what, fix string) (*x509.Certificate, error) {
		return nil, &RuleError{Field: "der", What: what, Advice: fix}
	}
	if len(der) > maxCertificate {
		return refuse(fmt.Sprintf("The certificate is larger than %d bytes.", maxCertificate), "Give one certificate alone, without its chain.")
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return refuse("The certificate cannot be read.", "Give one X.509 certificate in DER, without a private key.")
	}
	key, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok {
		return refuse("The certificate's key is not RSA.", "Use a certificate with an RSA key of 2048 bits or more.")
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return refuse(fmt.Sprintf("The certificate's RSA key has %d bits.", bits), fmt.Sprintf("Use %d to %d bits.", minRSABits, maxRSABits))
	}
	if key.E < minRSAExponent || key.E%2 == 0 {
		return refuse(fmt.Sprintf("The certificate's RSA key has the exponent %d.", key.E), fmt.Sprintf("Use an odd exponent of at least %d.", minRSAExponent))
	}
	return parsed, nil
}

// certificateName is what a certificate is called for which the caller has no name.
func certificateName(c *x509.Certificate) string {
	if checkName("name", c.Subject.CommonName) == nil {
		return c.Subject.CommonName
	}
	return "certificate"
}

func thumbprintSHA1(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // see the import
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func thumbprintSHA256(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
