package authoritytest

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Disable turns off the client, managed identity, API or user of that name: from then on
// the authority refuses it, and tokens for it. Tokens that were issued before stay good
// until they expire.
func (a *Authority) Disable(name string) {
	a.t.Helper()
	a.setEnabled(name, false)
}

// Enable turns on again what Disable has turned off.
func (a *Authority) Enable(name string) {
	a.t.Helper()
	a.setEnabled(name, true)
}

func (a *Authority) setEnabled(name string, enabled bool) {
	a.t.Helper()
	a.change("enable or disable "+name, func(e *directory.Editor) error {
		if isUser(name) {
			user, err := e.User(TenantID, name)
			if err != nil {
				return err
			}
			next := *user
			next.Enabled = enabled
			_, err = e.UpdateUser(next)
			return err
		}
		principal, err := e.ServicePrincipal(TenantID, name)
		if err != nil {
			return err
		}
		next := *principal
		next.Enabled = enabled
		_, err = e.UpdateServicePrincipal(next)
		return err
	})
}

// Delete removes the client, managed identity, API or user of that name, with all its
// roles. The name may be used anew: what is then registered under it is another.
func (a *Authority) Delete(name string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change("delete "+name, func(e *directory.Editor) error {
		if isUser(name) {
			user, err := e.User(TenantID, name)
			if err != nil {
				return err
			}
			return e.DeleteUser(TenantID, user.ID)
		}
		principal, err := e.ServicePrincipal(TenantID, name)
		if err != nil {
			return err
		}
		if principal.Type == directory.PrincipalManagedIdentity {
			return e.DeleteServicePrincipal(TenantID, principal.ID)
		}
		return e.DeleteApplication(TenantID, principal.Application)
	})
	delete(a.apis, name)
	delete(a.secrets, name)
	delete(a.identities, name)
}

// isUser reports whether a name is a user's: no other may have an at sign.
func isUser(name string) bool { return strings.Contains(name, "@") }
