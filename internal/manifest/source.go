package manifest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A source is where a secret text comes from: exactly one of the members value, env and
// file, or generate for client secrets.
type source struct {
	value    string
	generate bool
	prepared *directory.Chosen // nil until Prepare
}

// chosen is the text as the directory takes it.
func (s *source) chosen() *directory.Chosen {
	if s.prepared == nil {
		s.prepared = directory.Choose(s.value)
	}
	return s.prepared
}

func (d *decoder) secret(n *yaml.Node) *secret {
	s := &secret{}
	members := d.sources(&s.source)
	members["name"] = d.text(&s.name)
	members["expires"] = d.moment(&s.expires)
	members["generate"] = d.boolean(&s.generate)
	var ok bool
	if s.place, ok = d.object(n, schema{what: "a secret", members: members, required: []string{"name"}, secret: true}); ok {
		d.oneOf(s.place, "a secret", "value", "env", "file", "generate")
	}
	if s.has("generate") && !s.generate {
		d.add(s.of("generate"), "generate can only be true.", "Give value, env or file in its place, or write true.")
	}
	return s
}

func (d *decoder) password(n *yaml.Node) *password {
	p := &password{}
	var ok bool
	if p.place, ok = d.object(n, schema{what: "a password", members: d.sources(&p.source), secret: true}); ok {
		d.oneOf(p.place, "a password", "value", "env", "file")
	}
	return p
}

// sources returns the members that a secret text can come from.
func (d *decoder) sources(into *source) map[string]reader {
	return map[string]reader{
		"value": d.text(&into.value),
		"env":   d.fromEnvironment(&into.value),
		"file": d.fromFile(func(content []byte) error {
			// Editors and echo end a file with a line break that belongs to no secret.
			into.value = strings.TrimRight(string(content), "\r\n")
			if into.value == "" {
				return errors.New("it is empty")
			}
			return nil
		}),
	}
}

// HoldsSecrets reports whether the text of a secret or password stands in the file itself, so
// that whoever reads the file has it.
func (f *File) HoldsSecrets() bool {
	for _, t := range f.tenants {
		for _, a := range t.applications {
			if slices.ContainsFunc(slices.Concat(a.secrets, a.principal.secrets), func(s *secret) bool { return s.has("value") }) {
				return true
			}
		}
		if slices.ContainsFunc(t.users, func(u *user) bool { return u.password != nil && u.password.has("value") }) {
			return true
		}
	}
	return false
}

// oneOf reports an object that has none or several of some members.
func (d *decoder) oneOf(p place, what string, members ...string) {
	var given []string
	for _, member := range members {
		if p.has(member) {
			given = append(given, member)
		}
	}
	choices := strings.Join(members, ", ")
	switch {
	case len(given) == 0:
		d.add(p.at, fmt.Sprintf("%s says nowhere where it comes from.", what), "Add one of "+choices+".")
	case len(given) > 1:
		d.add(p.of(given[1]), fmt.Sprintf("%s comes from %s and from %s.", what, given[0], given[1]), "Keep one of "+choices+".")
	}
}

// fromEnvironment reads the name of an environment variable and takes its value. The name
// is not repeated in errors: who confuses env and value would see the secret there.
func (d *decoder) fromEnvironment(into *string) reader {
	return func(n *yaml.Node) {
		name, ok := d.scalar(n)
		if !ok {
			return
		}
		value, set := d.environment(name)
		if !set || value == "" {
			d.add(positionOf(n), "the environment variable of this name is not set or empty.", "Set it, or give the secret in another way.")
			return
		}
		*into = value
	}
}

// fromFile reads a path and hands on the content of the file.
func (d *decoder) fromFile(take func(content []byte) error) reader {
	return func(n *yaml.Node) {
		path, ok := d.scalar(n)
		if !ok {
			return
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(d.file), path)
		}
		fix := "Paths are relative to the folder of this file."
		content, err := d.readFile(path)
		if err == nil {
			fix = "Name a file that holds what belongs here."
			err = take(content)
		}
		var pathError *fs.PathError
		if errors.As(err, &pathError) { // without the path, for the reason given above
			err = pathError.Err
		}
		if err != nil {
			d.add(positionOf(n), fmt.Sprintf("cannot read this file: %v.", err), fix)
		}
	}
}

func (d *decoder) certificate(n *yaml.Node) *certificate {
	c := &certificate{usage: string(directory.CertificateVerify)}
	var ok bool
	c.place, ok = d.object(n, schema{what: "a certificate", members: map[string]reader{
		"name": d.text(&c.name),
		"file": d.fromFile(func(content []byte) (err error) {
			c.der, err = firstCertificate(content)
			return err
		}),
		"pem": func(n *yaml.Node) {
			content, ok := d.scalar(n)
			if !ok {
				return
			}
			var err error
			if c.der, err = firstCertificate([]byte(content)); err != nil {
				d.add(positionOf(n), "this is no certificate in PEM form.", "Paste one with its BEGIN and END lines, or name a file.")
			}
		},
		"usage":      d.choice(&c.usage, string(directory.CertificateVerify), string(directory.CertificateSign)),
		"validFrom":  d.moment(&c.from),
		"validUntil": d.moment(&c.until),
	}, required: []string{"name"}})
	if ok {
		d.oneOf(c.place, "a certificate", "file", "pem")
	}
	return c
}

// firstCertificate returns the first certificate of a PEM file: in a chain, the one whose
// key signs. A private key beside it is passed over. A file that is one certificate in DER, as
// Windows and Azure export it, is that certificate.
func firstCertificate(content []byte) ([]byte, error) {
	if _, err := x509.ParseCertificate(content); err == nil {
		return content, nil
	}
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return nil, errors.New(`it holds no certificate: neither a "CERTIFICATE" in PEM form nor one in DER form (.cer)`)
		}
		if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
}

func (d *decoder) federated(n *yaml.Node) *federated {
	f := &federated{audience: directory.ExchangeAudience}
	var ok bool
	f.place, ok = d.object(n, schema{what: "a federated credential", members: map[string]reader{
		"name":    d.text(&f.name),
		"issuer":  d.text(&f.issuer),
		"subject": d.text(&f.subject),

		"claimsMatchingExpression": d.text(&f.expression),

		"audience":    d.text(&f.audience),
		"identity":    d.text(&f.identity),
		"description": d.text(&f.description),
	}, required: []string{"name"}})
	if !ok {
		return f
	}
	if f.has("identity") == f.has("issuer") {
		d.federatedMember(f, "issuer")
	}
	const expression = "claimsMatchingExpression"
	switch {
	case f.has("subject") && f.has(expression):
		d.add(f.of(expression), "a federated credential has a subject and an expression.", "Keep one of them.")
	case f.has("identity") && f.has(expression):
		d.federatedMember(f, expression)
	case !f.has(expression) && f.has("identity") == f.has("subject"):
		d.federatedMember(f, "subject")
	}
	if f.has("identity") && f.has("audience") {
		d.federatedMember(f, "audience")
	}
	return f
}

// federatedMember reports a member that is missing, or that an identity leaves no room for.
func (d *decoder) federatedMember(f *federated, member string) {
	if f.has("identity") {
		d.add(f.of(member), "a federated credential that names an identity has no "+member+" of its own.", "Remove the "+member+", or the identity.")
		return
	}
	d.add(f.at, "a federated credential lacks its "+member+".", "Add "+member+", or name a managed identity of the tenant as identity.")
}
