package manifest

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// applyCredentials brings the credentials of each application to the file's state.
func (w *work) applyCredentials() error {
	if err := w.findTrustedIdentities(); err != nil || w.err() != nil {
		return err
	}
	for _, a := range w.file.applications {
		if err := w.applyApplicationCredentials(a); err != nil {
			return err
		}
		if err := w.applyPrincipalCredentials(a); err != nil {
			return err
		}
	}
	for _, i := range w.file.identities {
		if err := w.applyIdentityCredentials(i); err != nil {
			return err
		}
	}
	return nil
}

// A keeper is who keeps secrets and certificates in the directory: an application, or a service
// principal that has some of its own.
type keeper struct {
	id           directory.ObjectID
	appID        directory.AppID
	called       string
	secrets      []directory.Secret
	certificates []directory.Certificate
}

func (w *work) applyApplicationCredentials(a *application) error {
	find := func() (*directory.Application, error) {
		return w.editor.Applications().Find(w.tenant.ID, string(w.applications[a].ID))
	}
	app, err := find()
	if err != nil {
		return err
	}
	for _, id := range w.changedTrusts(a.federated, app.Federated) {
		if err := w.editor.Credentials().Remove(w.tenant.ID, app.ID, id); err != nil {
			return err
		}
	}
	err = w.applyKeys(&a.keys, func() (keeper, error) {
		app, err = find()
		if err != nil {
			return keeper{}, err
		}
		return keeper{app.ID, app.AppID, cmp.Or(app.Name, app.DisplayName), app.Secrets, app.Certificates}, nil
	})
	if err != nil {
		return err
	}
	return w.applyTrusts(a.federated, app.ID, app.Federated)
}

// applyPrincipalCredentials is for what the service principal has beside its application.
func (w *work) applyPrincipalCredentials(a *application) error {
	principal := w.principals[a]
	if principal == nil {
		return nil
	}
	return w.applyKeys(&a.principal.keys, func() (keeper, error) {
		p, err := w.editor.ServicePrincipals().Find(w.tenant.ID, string(principal.ID))
		if err != nil {
			return keeper{}, err
		}
		return keeper{p.ID, p.AppID, cmp.Or(p.Name, p.DisplayName), p.Secrets, p.Certificates}, nil
	})
}

// applyKeys brings the secrets and certificates of one keeper to the file's state. It is read anew
// before each step.
func (w *work) applyKeys(k *keys, read func() (keeper, error)) error {
	for _, step := range []func(*keys, keeper) error{w.removeKeys, w.applySecrets, w.applyCertificates} {
		kept, err := read()
		if err != nil {
			return err
		}
		if err := step(k, kept); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) applyIdentityCredentials(i *identity) error {
	present := w.principals[i]
	for _, id := range w.changedTrusts(i.federated, present.Federated) {
		if err := w.editor.Credentials().Remove(w.tenant.ID, present.ID, id); err != nil {
			return err
		}
	}
	present, err := w.editor.ServicePrincipals().Find(w.tenant.ID, string(present.ID))
	if err != nil {
		return err
	}
	return w.applyTrusts(i.federated, present.ID, present.Federated)
}

// removeKeys removes what the file changes and, when pruning, what it does not mention by name;
// first of all, so that what it adds is not taken for a repetition.
func (w *work) removeKeys(k *keys, kept keeper) error {
	var gone []string
	for _, present := range kept.secrets {
		mentioned := slices.ContainsFunc(k.secrets, func(s *secret) bool { return s.name == present.Name })
		if w.prune && !mentioned {
			gone = append(gone, present.ID)
		}
	}
	for _, present := range kept.certificates {
		i := slices.IndexFunc(k.certificates, func(c *certificate) bool { return c.name == present.Name })
		if (i < 0 && w.prune) || (i >= 0 && !w.sameCertificate(k.certificates[i], present)) {
			gone = append(gone, present.ID)
		}
	}
	for _, id := range gone {
		if err := w.editor.Credentials().Remove(w.tenant.ID, kept.id, id); err != nil {
			return err
		}
	}
	return nil
}

// sameCertificate reports whether the file means what is there.
func (a *applier) sameCertificate(c *certificate, present directory.Certificate) bool {
	if !bytes.Equal(c.der, present.DER) {
		return false
	}
	if a.says(c.place, "usage", false) && c.usage != usageOf(present) {
		return false
	}
	parsed, err := x509.ParseCertificate(c.der)
	if err != nil {
		return true // and so it was when it was kept
	}
	same := func(member string, wanted, usual, kept time.Time) bool {
		if wanted.IsZero() {
			wanted = usual.Truncate(time.Microsecond) // as the directory keeps it
		}
		return !a.says(c.place, member, false) || wanted.Equal(kept)
	}
	return same("validFrom", c.from, parsed.NotBefore, present.ValidFrom) && same("validUntil", c.until, parsed.NotAfter, present.ValidUntil)
}

func usageOf(c directory.Certificate) string {
	return string(cmp.Or(c.Usage, directory.CertificateVerify))
}

func (w *work) applySecrets(k *keys, kept keeper) error {
	for _, s := range k.secrets {
		apply := w.importSecret
		if s.generate {
			apply = w.generateSecret
		}
		if err := apply(s, kept); err != nil {
			return w.ruled(err, s.of)
		}
	}
	return nil
}

// importSecret relies on the directory, which knows a secret again, and lets the new one
// take the place of those with its name.
func (w *work) importSecret(s *secret, kept keeper) error {
	imported, err := w.editor.Credentials().ImportSecret(w.tenant.ID, kept.id, s.name, s.chosen(), s.expires)
	if err != nil {
		return err
	}
	for _, present := range kept.secrets {
		if present.Name != s.name || present.ID == imported.ID {
			continue
		}
		if err := w.editor.Credentials().Remove(w.tenant.ID, kept.id, present.ID); err != nil {
			return err
		}
	}
	return nil
}

// generateSecret makes a secret unless there is one of that name. Its expiry cannot be
// moved, because the author of another may expect a new secret or the old one.
func (w *work) generateSecret(s *secret, kept keeper) error {
	i := slices.IndexFunc(kept.secrets, func(present directory.Secret) bool { return present.Name == s.name })
	if i >= 0 {
		if present := kept.secrets[i].Expires; s.has("expires") && !present.Equal(s.expires) {
			w.add(s.of("expires"), fmt.Sprintf("the secret %q was made with the expiry %s, which stays.", s.name, expiry(present)),
				"Write that one, or give the new secret another name.")
		}
		return nil
	}
	made, value, err := w.editor.Credentials().AddSecret(w.tenant.ID, kept.id, s.name, s.expires)
	if err != nil {
		return err
	}
	w.result.Secrets = append(w.result.Secrets, GeneratedSecret{
		Tenant: w.tenant.Name, Application: kept.called, AppID: kept.appID, Name: made.Name, Value: value, Expires: made.Expires,
	})
	return nil
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func (w *work) applyCertificates(k *keys, kept keeper) error {
	for _, c := range k.certificates {
		if slices.ContainsFunc(kept.certificates, func(present directory.Certificate) bool { return present.Name == c.name }) {
			continue
		}
		wanted := directory.NewCertificate{DER: c.der, Name: c.name, Usage: directory.CertificateUsage(c.usage), From: c.from, Until: c.until}
		if _, err := w.editor.Credentials().KeepCertificate(w.tenant.ID, kept.id, wanted); err != nil {
			return w.ruled(err, func(field string) position { return c.field(field) })
		}
	}
	return nil
}

// field gives the place of what a rule of certificates objects to.
func (c *certificate) field(field string) position {
	switch {
	case field == "from":
		field = "validFrom"
	case field == "until":
		field = "validUntil"
	case field == "der" && c.has("pem"):
		field = "pem"
	case field == "der":
		field = "file"
	}
	return c.of(field)
}

// applyTrusts adds the federated credentials that an application or identity lacks.
func (w *work) applyTrusts(wanted []*federated, owner directory.ObjectID, present []directory.FederatedCredential) error {
	for _, f := range wanted {
		if slices.ContainsFunc(present, func(c directory.FederatedCredential) bool { return strings.EqualFold(c.Name, f.name) }) {
			continue
		}
		if _, err := w.editor.Credentials().AddFederated(w.tenant.ID, owner, w.credential(f, "")); err != nil {
			return w.ruled(err, f.of)
		}
	}
	return nil
}

// changedTrusts returns the ids of the federated credentials that the file says otherwise
// or, when pruning, not at all.
func (w *work) changedTrusts(wanted []*federated, present []directory.FederatedCredential) (gone []string) {
	for _, c := range present {
		i := slices.IndexFunc(wanted, func(f *federated) bool { return strings.EqualFold(f.name, c.Name) })
		if (i < 0 && w.prune) || (i >= 0 && w.credential(wanted[i], c.ID) != c) {
			gone = append(gone, c.ID)
		}
	}
	return gone
}

// findTrustedIdentities finds the managed identities that federated credentials name, and
// reports those that are not there.
func (w *work) findTrustedIdentities() error {
	w.trusted = make(map[*federated]directory.ObjectID)
	find := func(all []*federated) error {
		for _, f := range all {
			if f.identity == "" {
				continue
			}
			found, err := w.editor.View().Identities().Find(w.tenant.ID, f.identity)
			switch {
			case errors.Is(err, directory.ErrNotFound):
				w.missing(f.of("identity"), err)
			case err != nil:
				return err
			default:
				w.trusted[f] = found.ID
			}
		}
		return nil
	}
	for _, a := range w.file.applications {
		if err := find(a.federated); err != nil {
			return err
		}
	}
	for _, i := range w.file.identities {
		if err := find(i.federated); err != nil {
			return err
		}
	}
	return nil
}

// credential returns what the file says, as the credential with that id.
func (w *work) credential(f *federated, id string) directory.FederatedCredential {
	return directory.FederatedCredential{
		ID: id, Name: f.name, Issuer: f.issuer, Subject: f.subject, Expression: f.expression, Audience: f.audience, Identity: w.trusted[f], Description: f.description,
	}
}
