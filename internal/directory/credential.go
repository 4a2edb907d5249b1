package directory

import (
	"errors"
	"fmt"
	"slices"

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
