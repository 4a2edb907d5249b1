package authoritytest

import (
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Disable turns off the client, managed identity, API or user of that name: from then on
// the authority refuses it, and tokens for it. Tokens that were issued before stay good
// until they expire, but for guards that follow [API.Revocations].
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
			user, err := e.Users().Find(TenantID, name)
			if err != nil {
				return err
			}
			next := *user
			next.Enabled = enabled
			_, err = e.Users().Edit(next.Tenant, next.ID, func(v *directory.User) error { *v = next; return nil })
			return err
		}
		principal, err := e.ServicePrincipals().Find(TenantID, name)
		if err != nil {
			return err
		}
		next := *principal
		next.Enabled = enabled
		_, err = e.ServicePrincipals().Edit(next.Tenant, next.ID, func(v *directory.ServicePrincipal) error { *v = next; return nil })
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
			user, err := e.Users().Find(TenantID, name)
			if err != nil {
				return err
			}
			return e.Users().Delete(TenantID, user.ID)
		}
		principal, err := e.ServicePrincipals().Find(TenantID, name)
		if err != nil {
			return err
		}
		if principal.Type == directory.PrincipalManagedIdentity {
			return e.ServicePrincipals().Delete(TenantID, principal.ID)
		}
		return e.Applications().Delete(TenantID, principal.Application)
	})
	delete(a.apis, name)
	delete(a.secrets, name)
	delete(a.identities, name)
}

// isUser reports whether a name is a user's: no other may have an at sign.
func isUser(name string) bool { return strings.Contains(name, "@") }
