package graph

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// passwordCredentials lists secrets as they are ever shown: without their text.
func passwordCredentials(secrets []directory.Secret) []object {
	list := make([]object, len(secrets))
	for i := range secrets {
		list[i] = passwordCredential(&secrets[i], "")
	}
	return list
}

// passwordCredential is a secret, with its text where it was just made.
func passwordCredential(s *directory.Secret, value string) object {
	from := s.From
	if from.IsZero() {
		from = s.Created
	}
	return object{
		{"customKeyIdentifier", nil}, {"displayName", orNull(s.Name)}, {"endDateTime", date(s.Expires)}, {"hint", orNull(s.Hint)},
		{"keyId", s.ID}, {"secretText", orNull(value)}, {"startDateTime", date(from)},
	}
}

// readPassword reads what a secret is to be.
func readPassword(in input) (directory.NewSecret, error) {
	type wanted = *directory.NewSecret
	s := directory.NewSecret{}
	ignored := func(wanted, input) error { return nil } // the server gives them
	err := apply([]field[wanted]{
		{name: "displayName", write: func(s wanted, in input) (err error) { s.Name, err = in.optionalText(); return err }},
		{name: "startDateTime", write: func(s wanted, in input) (err error) { s.From, err = in.time(); return err }},
		{name: "endDateTime", write: func(s wanted, in input) (err error) { s.Expires, err = in.time(); return err }},
		{name: "customKeyIdentifier", write: ignored}, {name: "keyId", write: ignored}, {name: "hint", write: ignored},
		{name: "secretText", write: func(_ wanted, in input) error {
			if in.value != nil {
				return invalid(in.path, "Property 'secretText' is read-only and cannot be set: the server makes the secret.")
			}
			return nil
		}},
	}, &s, in)
	return s, err
}

// time is a date, the zero time for null.
func (in input) time() (time.Time, error) {
	if in.value == nil {
		return time.Time{}, nil
	}
	s, ok := in.value.(string)
	if ok {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, in.wrong("a date such as 2026-01-31T12:00:00Z")
}

// makeSecret makes a secret of an application or a service principal.
func makeSecret(c *call, e *directory.Editor, owner directory.ObjectID, wanted directory.NewSecret) (object, error) {
	if wanted.Expires.IsZero() {
		begins := c.api.cfg.Now()
		if wanted.From.After(begins) {
			begins = wanted.From
		}
		wanted.Expires = begins.Add(directory.DefaultSecretLife)
	}
	secret, value, err := e.Credentials().MakeSecret(c.tenant(), owner, wanted)
	if err != nil {
		return nil, err
	}
	return passwordCredential(&secret, value), nil
}

// writePasswords takes the secrets of a new application. Afterwards those that there are can
// be sent back, as whoever reads and writes whole objects does.
func writePasswords(d *applicationDraft, in input) (err error) {
	if d.creating {
		d.passwords, err = each(in, readPassword)
		return err
	}
	all, err := in.list()
	if err != nil {
		return err
	}
	present := map[string]bool{}
	for _, secret := range d.Secrets {
		present[secret.ID] = true
	}
	for _, one := range all {
		b, _ := one.value.(body)
		id := b.get("keyId")
		if s, _ := id.(string); !present[strings.ToLower(s)] {
			return invalid(one.path, "Property 'passwordCredentials' cannot be updated: use addPassword and removePassword.")
		}
	}
	if len(all) != len(d.Secrets) {
		return invalid(in.path, "Property 'passwordCredentials' cannot be updated: use addPassword and removePassword.")
	}
	return nil
}

// keyCredentials lists certificates without their bytes, as the service does.
func keyCredentials(certificates []directory.Certificate) []object {
	list := make([]object, len(certificates))
	for i := range certificates {
		list[i] = keyCredential(&certificates[i], nil)
	}
	return list
}

// keyCredential is a certificate, with its bytes where they were asked for.
func keyCredential(c *directory.Certificate, der []byte) object {
	kind, usage := typeCertificate, directory.CertificateVerify
	if c.Usage == directory.CertificateSign {
		kind, usage = typeCertificateAndPassword, c.Usage
	}
	var key any
	if der != nil {
		key = base64.StdEncoding.EncodeToString(der)
	}
	return object{
		{"customKeyIdentifier", orNull(thumbprint(c.SHA1))}, {"displayName", orNull(c.Name)}, {"endDateTime", date(c.ValidUntil)}, {"key", key},
		{"keyId", c.ID}, {"startDateTime", date(c.ValidFrom)}, {"type", kind}, {"usage", usage},
	}
}

// The types of key credentials.
const (
	typeCertificate            = "AsymmetricX509Cert"
	typeCertificateAndPassword = "X509CertAndPassword" //nolint:gosec // the name of a type
)

// thumbprint is one as the service writes it: hexadecimal digits in capitals.
func thumbprint(base64url string) string {
	decoded, err := base64.RawURLEncoding.DecodeString(base64url)
	if err != nil {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(decoded))
}

// A sentKey is a key credential that a client sent. One without bytes names one that there is.
type sentKey struct {
	directory.NewCertificate
	path string
	kind string
}

// readKey reads a key credential.
func readKey(in input) (sentKey, error) {
	type key = *sentKey
	k := sentKey{path: in.path}
	err := apply([]field[key]{
		{name: "customKeyIdentifier", write: func(key, input) error { return nil }}, // the thumbprint, which the server computes
		{name: "displayName", write: func(k key, in input) (err error) { k.Name, err = in.optionalText(); return err }},
		{name: "endDateTime", write: func(k key, in input) (err error) { k.Until, err = in.time(); return err }},
		{name: "key", write: func(k key, in input) (err error) { k.DER, err = in.certificate(); return err }},
		{name: "keyId", write: func(k key, in input) (err error) {
			if in.value != nil {
				k.ID, err = in.guid()
			}
			return err
		}},
		{name: "startDateTime", write: func(k key, in input) (err error) { k.From, err = in.time(); return err }},
		{name: "type", write: func(k key, in input) (err error) { k.kind, err = in.optionalText(); return err }},
		{name: "usage", write: func(k key, in input) error {
			usage, err := in.optionalText()
			k.Usage = directory.CertificateUsage(usage)
			return err
		}},
	}, &k, in)
	return k, err
}

// check requires a kind of key that can be kept here.
func (k *sentKey) check() error {
	switch {
	case k.kind != "" && k.kind != typeCertificate:
		return invalid(k.path+".type", saysInvalid+" Key credentials of type "+quote(k.kind)+" are not kept here: use "+typeCertificate+" with a certificate.")
	case k.Usage != "" && k.Usage != directory.CertificateVerify && k.Usage != directory.CertificateSign:
		return invalid(k.path+".usage", saysInvalid+" Property 'usage' must be Verify.")
	}
	if k.Name == "" {
		k.Name = subject(k.DER)
	}
	return nil
}

const maxKeyName = 120 // characters

// subject is what the service calls a certificate without a name: its subject, beginning with
// what is most particular.
func subject(der []byte) string {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	short := map[string]string{
		"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "S", "2.5.4.10": "O", "2.5.4.11": "OU",
		"0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "E",
	}
	var parts []string
	names := parsed.Subject.ToRDNSequence()
	for i := len(names) - 1; i >= 0; i-- {
		for _, attribute := range names[i] {
			name := short[attribute.Type.String()]
			if name == "" {
				name = attribute.Type.String()
			}
			parts = append(parts, fmt.Sprintf("%s=%v", name, attribute.Value))
		}
	}
	joined := strings.Join(parts, ", ")
	if len([]rune(joined)) > maxKeyName {
		return ""
	}
	return joined
}

// certificate is the DER of one, nil for null. Clients send DER or PEM, in base64 with or
// without line breaks.
func (in input) certificate() ([]byte, error) {
	if in.value == nil {
		return nil, nil
	}
	s, ok := in.value.(string)
	if !ok {
		return nil, in.wrong("a certificate in base64")
	}
	if block, _ := pem.Decode([]byte(s)); block != nil && block.Type == "CERTIFICATE" {
		return block.Bytes, nil
	}
	s = strings.NewReplacer("\r", "", "\n", "", " ", "", "\t", "").Replace(s)
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	der, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(der) == 0 {
		return nil, in.wrong("a certificate in base64")
	}
	if block, _ := pem.Decode(der); block != nil && block.Type == "CERTIFICATE" {
		return block.Bytes, nil
	}
	return der, nil
}

func writeKeys(d *applicationDraft, in input) error {
	keys, err := each(in, readKey)
	if keys == nil {
		keys = []sentKey{}
	}
	d.keys = &keys
	return err
}

// replaceKeys makes the certificates of an owner those that a client sent: what it left out
// goes, what it sent without bytes stays, the rest is new.
func replaceKeys(c *call, e *directory.Editor, owner directory.ObjectID, present []directory.Certificate, wanted []sentKey) error {
	keep := map[string]bool{}
	var added []sentKey
	for _, key := range wanted {
		found := find(present, &key)
		switch {
		case found != nil:
			keep[found.ID] = true
		case key.DER == nil:
			return invalid(key.path, saysInvalid+" There is no key credential with the keyId "+quote(key.ID)+", and it brings no key.")
		default:
			added = append(added, key)
		}
	}
	for _, certificate := range present {
		if !keep[certificate.ID] {
			if err := e.Credentials().Remove(c.tenant(), owner, certificate.ID); err != nil {
				return err
			}
		}
	}
	for _, key := range added {
		if err := key.check(); err != nil {
			return err
		}
		if _, err := e.Credentials().KeepCertificate(c.tenant(), owner, key.NewCertificate); err != nil {
			return err
		}
	}
	return nil
}

// find returns the certificate that a client means by what it sent.
func find(present []directory.Certificate, key *sentKey) *directory.Certificate {
	for i := range present {
		one := &present[i]
		if key.DER == nil && one.ID == key.ID || key.DER != nil && bytes.Equal(one.DER, key.DER) && (key.ID == "" || key.ID == one.ID) {
			return one
		}
	}
	return nil
}
