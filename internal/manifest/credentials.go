package manifest

import (
	"bytes"
	"cmp"
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
		for _, step := range []func(*application, *directory.Application) error{
			w.removeCredentials, w.applySecrets, w.applyCertificates, w.applyFederated,
		} {
			app, err := w.editor.Applications().Find(w.tenant.ID, string(w.applications[a].ID))
			if err != nil {
				return err
			}
			if err := step(a, app); err != nil {
				return err
			}
		}
	}
	for _, i := range w.file.identities {
		if err := w.applyIdentityCredentials(i); err != nil {
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

// removeCredentials removes what the file changes and, when pruning, what it does not
// mention by name; first of all, so that what it adds is not taken for a repetition.
func (w *work) removeCredentials(a *application, app *directory.Application) error {
	var gone []string
	for _, present := range app.Secrets {
		mentioned := slices.ContainsFunc(a.secrets, func(s *secret) bool { return s.name == present.Name })
		if w.prune && !mentioned {
			gone = append(gone, present.ID)
		}
	}
	for _, present := range app.Certificates {
		i := slices.IndexFunc(a.certificates, func(c *certificate) bool { return c.name == present.Name })
		if (i < 0 && w.prune) || (i >= 0 && !bytes.Equal(a.certificates[i].der, present.DER)) {
			gone = append(gone, present.ID)
		}
	}
	gone = append(gone, w.changedTrusts(a.federated, app.Federated)...)
	for _, id := range gone {
		if err := w.editor.Credentials().Remove(w.tenant.ID, app.ID, id); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) applySecrets(a *application, app *directory.Application) error {
	for _, s := range a.secrets {
		apply := w.importSecret
		if s.generate {
			apply = w.generateSecret
		}
		if err := apply(s, app); err != nil {
			return w.ruled(err, s.of)
		}
	}
	return nil
}

// importSecret relies on the directory, which knows a secret again, and lets the new one
// take the place of those with its name.
func (w *work) importSecret(s *secret, app *directory.Application) error {
	kept, err := w.editor.Credentials().ImportSecret(w.tenant.ID, app.ID, s.name, s.chosen(), s.expires)
	if err != nil {
		return err
	}
	for _, present := range app.Secrets {
		if present.Name != s.name || present.ID == kept.ID {
			continue
		}
		if err := w.editor.Credentials().Remove(w.tenant.ID, app.ID, present.ID); err != nil {
			return err
		}
	}
	return nil
}

// generateSecret makes a secret unless there is one of that name. Its expiry cannot be
// moved, because the author of another may expect a new secret or the old one.
func (w *work) generateSecret(s *secret, app *directory.Application) error {
	i := slices.IndexFunc(app.Secrets, func(present directory.Secret) bool { return present.Name == s.name })
	if i >= 0 {
		if present := app.Secrets[i].Expires; s.has("expires") && !present.Equal(s.expires) {
			w.add(s.of("expires"), fmt.Sprintf("the secret %q was made with the expiry %s, which stays.", s.name, expiry(present)),
				"Write that one, or give the new secret another name.")
		}
		return nil
	}
	made, value, err := w.editor.Credentials().AddSecret(w.tenant.ID, app.ID, s.name, s.expires)
	if err != nil {
		return err
	}
	w.result.Secrets = append(w.result.Secrets, GeneratedSecret{
		Tenant: w.tenant.Name, Application: cmp.Or(app.Name, app.DisplayName), AppID: app.AppID, Name: made.Name, Value: value, Expires: made.Expires,
	})
	return nil
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func (w *work) applyCertificates(a *application, app *directory.Application) error {
	for _, c := range a.certificates {
		if slices.ContainsFunc(app.Certificates, func(present directory.Certificate) bool { return present.Name == c.name }) {
			continue
		}
		if _, err := w.editor.Credentials().AddCertificate(w.tenant.ID, app.ID, c.name, c.der); err != nil {
			return w.ruled(err, func(field string) position {
				if field == "der" && c.has("pem") {
					return c.of("pem")
				}
				if field == "der" {
					field = "file"
				}
				return c.of(field)
			})
		}
	}
	return nil
}

func (w *work) applyFederated(a *application, app *directory.Application) error {
	return w.applyTrusts(a.federated, app.ID, app.Federated)
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
