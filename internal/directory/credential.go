package directory

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the thumbprint that clients send (x5t) is SHA-1; nothing rests on it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// A CredentialEditor changes the credentials of applications, of service principals and of
// managed identities. Whose they are is said by object id: of the application, or of the
// service principal.
type CredentialEditor struct{ *editor }

// A keychain is the credentials of one owner, to be changed. Lists are to be replaced, not
// edited; nil stands for one that the owner cannot have.
type keychain struct {
	tenant       TenantID
	called       string // "The application orders"
	ref          string
	secrets      *[]Secret
	certificates *[]Certificate
	federated    *[]FederatedCredential
}

// change lets f change a copy of the credentials of what has the object id, and keeps the
// result. What f returns goes into the audit row.
func (e CredentialEditor) change(verb Verb, tenant TenantID, owner ObjectID, f func(*keychain) (string, error)) error {
	return e.act(verb, Credentials, func() error {
		app, err := e.applications().get(tenant, owner)
		if err == nil {
			next := *app.value
			return changeKeychain(e.editor, app, &next, next.keychain(), f)
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		principal, principalErr := e.principals().get(tenant, owner)
		if errors.Is(principalErr, ErrNotFound) {
			return err
		}
		if principalErr != nil {
			return principalErr
		}
		next := *principal.value
		return changeKeychain(e.editor, principal, &next, next.keychain(), f)
	})
}

func changeKeychain[T any](e *editor, old row[T], next entity, k *keychain, f func(*keychain) (string, error)) error {
	detail, err := f(k)
	if err != nil {
		return err
	}
	return update(e, old, next, detail)
}

func (a *Application) keychain() *keychain {
	return &keychain{tenant: a.Tenant, called: "The application " + a.ref(), ref: a.ref(), secrets: &a.Secrets, certificates: &a.Certificates, federated: &a.Federated}
}

func (p *ServicePrincipal) keychain() *keychain {
	if p.Type == PrincipalManagedIdentity {
		return &keychain{tenant: p.Tenant, called: "The managed identity " + p.ref(), ref: p.ref(), federated: &p.Federated}
	}
	return &keychain{tenant: p.Tenant, called: "The service principal " + p.ref(), ref: p.ref(), secrets: &p.Secrets, certificates: &p.Certificates}
}

// has requires that the owner can have credentials of a kind.
func (k *keychain) has(able bool, what, fix string) error {
	if able {
		return nil
	}
	return &RuleError{What: fmt.Sprintf("%s cannot have %s.", k.called, what), Advice: fix}
}

func (k *keychain) hasSecrets() error {
	return k.has(k.secrets != nil, "secrets and certificates", "Use an application, or let programs run as the managed identity.")
}

func (k *keychain) hasFederated() error {
	return k.has(k.federated != nil, "federated credentials", "Add them to its application.")
}

// Remove removes the secret, certificate or federated credential with that id.
func (e CredentialEditor) Remove(tenant TenantID, owner ObjectID, id string) error {
	return e.change(Delete, tenant, owner, func(k *keychain) (string, error) {
		id := fold(id)
		if name, removed := removeFrom(k.secrets, func(s Secret) (string, string) { return s.ID, s.Name }, id); removed {
			return "secret removed: " + name, nil
		}
		if name, removed := removeFrom(k.certificates, func(c Certificate) (string, string) { return c.ID, c.Name }, id); removed {
			return "certificate removed: " + name, nil
		}
		if name, removed := removeFrom(k.federated, func(c FederatedCredential) (string, string) { return c.ID, c.Name }, id); removed {
			return "federated credential removed: " + name, nil
		}
		return "", missing(fmt.Sprintf("%s has no credential with the id %q.", k.called, text.Shown(id)), "List its credentials to see their ids.")
	})
}

// removeFrom replaces a list by one without what has the id, and gives the name that it had.
func removeFrom[T any](list *[]T, of func(T) (id, name string), id string) (name string, removed bool) {
	if list == nil {
		return "", false
	}
	for i, one := range *list {
		if its, name := of(one); its == id {
			*list = without(*list, i)
			return name, true
		}
	}
	return "", false
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

// A NewCertificate says what a certificate is to be kept as. All but DER may be left out.
type NewCertificate struct {
	DER   []byte // of the certificate alone
	ID    string // a GUID that the caller chose
	Name  string
	Usage CertificateUsage
	// When it counts, within what the certificate says; zero: as long as that.
	From, Until time.Time
}

// AddCertificate lets the key of a certificate prove the application. Only the public
// certificate is taken, in DER.
func (e CredentialEditor) AddCertificate(tenant TenantID, owner ObjectID, name string, der []byte) (Certificate, error) {
	return e.KeepCertificate(tenant, owner, NewCertificate{DER: der, Name: name})
}

// KeepCertificate is AddCertificate for callers who choose more than a name.
func (e CredentialEditor) KeepCertificate(tenant TenantID, owner ObjectID, wanted NewCertificate) (Certificate, error) {
	added, err := e.newCertificate(wanted)
	if err != nil {
		return Certificate{}, err
	}
	err = e.change(Create, tenant, owner, func(k *keychain) (string, error) {
		if err := k.hasSecrets(); err != nil {
			return "", err
		}
		if slices.ContainsFunc(*k.certificates, func(c Certificate) bool { return c.SHA256 == added.SHA256 || c.ID == added.ID }) {
			return "", taken("der", k.called+" has this certificate already.", "Use the one there is.")
		}
		if len(*k.certificates) >= maxCertificates {
			return "", &RuleError{Field: "certificates", What: fmt.Sprintf("%s has %d certificates already.", k.called, len(*k.certificates)), Advice: "Remove one first."}
		}
		if err := e.allowCertificate(k.tenant, &added); err != nil {
			return "", err
		}
		*k.certificates = append((*k.certificates)[:len(*k.certificates):len(*k.certificates)], added)
		return "certificate added: " + added.Name + " " + added.SHA256, nil
	})
	if err != nil {
		return Certificate{}, err
	}
	return added, nil
}

// newCertificate checks a certificate by itself.
func (e CredentialEditor) newCertificate(wanted NewCertificate) (Certificate, error) {
	parsed, err := checkCertificate(wanted.DER)
	if err != nil {
		return Certificate{}, err
	}
	added := Certificate{
		Name: cmp.Or(wanted.Name, certificateName(parsed)), DER: bytes.Clone(wanted.DER), SHA1: thumbprintSHA1(wanted.DER), SHA256: thumbprintSHA256(wanted.DER),
		Subject: parsed.Subject.String(), Usage: wanted.Usage, ValidFrom: stamp(parsed.NotBefore), ValidUntil: stamp(parsed.NotAfter), Created: e.now,
	}
	if err := checkName("name", added.Name); err != nil {
		return Certificate{}, err
	}
	if added.ID, err = givenGUID("id", wanted.ID); err != nil {
		return Certificate{}, err
	}
	if added.Usage == CertificateVerify {
		added.Usage = ""
	}
	if added.Usage != "" && added.Usage != CertificateSign {
		return Certificate{}, &RuleError{Field: "usage", What: fmt.Sprintf("There is no usage %q of certificates.", text.Shown(string(added.Usage))), Advice: "Use Verify or Sign."}
	}
	if !e.now.Before(parsed.NotAfter) {
		return Certificate{}, &RuleError{Field: "der", What: fmt.Sprintf("The certificate expired at %s.", shownTime(parsed.NotAfter)), Advice: "Use one that is still valid."}
	}
	return added, added.limit(stamp(wanted.From), stamp(wanted.Until))
}

// limit lets a certificate count for a part of its time only.
func (c *Certificate) limit(from, until time.Time) error {
	wrong := func(field string, at time.Time) error {
		return &RuleError{
			Field: field, What: fmt.Sprintf("The certificate %q cannot count from or until %s.", c.Name, shownTime(at)),
			Advice: fmt.Sprintf("Choose a time between %s and %s, within which it is valid, and the end after the beginning.", shownTime(c.ValidFrom), shownTime(c.ValidUntil)),
		}
	}
	if !until.IsZero() {
		if until.After(c.ValidUntil) || !until.After(c.ValidFrom) {
			return wrong("until", until)
		}
		c.ValidUntil = until
	}
	if !from.IsZero() {
		if from.Before(c.ValidFrom) || !from.Before(c.ValidUntil) {
			return wrong("from", from)
		}
		c.ValidFrom = from
	}
	return nil
}

func shownTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

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
