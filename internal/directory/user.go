package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

const maxPrincipalName = 113 // as in Entra: 64 before the at sign, 48 after it

// A UserEditor reads and changes users.
type UserEditor struct {
	Objects[User]
	*editor
	version version
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e UserEditor) IfVersion(expected int64) UserEditor {
	e.version = version(expected)
	return e
}

// Create makes a user, who cannot sign in without a password (nil).
func (e UserEditor) Create(u User, password *Chosen) (*User, error) {
	if password = password.orNil(); password != nil {
		if err := e.actor.May(Create, Passwords); err != nil {
			return nil, err
		}
	}
	return acting(e.editor, Create, Users, func() (*User, error) {
		tenant, err := e.tenantByID(u.Tenant)
		if err != nil {
			return nil, err
		}
		if u.ID, err = givenGUID("id", u.ID); err != nil {
			return nil, err
		}
		u.Tenant, u.Enabled, u.Created, u.SessionsFrom, u.Password = tenant.ID, true, e.now, time.Time{}, nil
		// Both may hold assignments, by object id.
		for _, kind := range []string{KindUser, KindServicePrincipal} {
			if err := e.free(u.Tenant, kind, makeKey("id", string(u.ID)), ""); err != nil {
				return nil, duplicate(err, "id", fmt.Sprintf("There is a user or service principal with the object id %s already.", u.ID), "Leave the id out to have a new one made.")
			}
		}
		if err := e.checkUser(tenant, &u); err != nil {
			return nil, err
		}
		if password != nil {
			if u.Password, err = e.newPassword(password); err != nil {
				return nil, err
			}
		}
		return &u, e.create(&u)
	})
}

// Edit changes the names, the directory roles, the settings and whether the user is enabled. Disabling
// ends the user's sessions.
func (e UserEditor) Edit(tenant TenantID, id ObjectID, f func(*User) error) (*User, error) {
	old, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	u, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, Users, func() (*User, error) {
		tenant, err := e.tenantByID(old.value.Tenant)
		if err != nil {
			return nil, err
		}
		next := *old.value
		next.PrincipalName, next.DisplayName, next.Enabled, next.DirectoryRoles, next.Settings = u.PrincipalName, u.DisplayName, u.Enabled, u.DirectoryRoles, u.Settings
		if err := e.checkUser(tenant, &next); err != nil {
			return nil, err
		}
		if old.value.Enabled && !next.Enabled {
			if err := e.endSessions(&next); err != nil {
				return nil, err
			}
		}
		return &next, update(e.editor, old, &next, userDetail(old.value, &next))
	})
}

// EndSessions ends all that began with a sign-in of the user until now: browser sessions,
// codes, device codes and refresh tokens. Access tokens live until they expire.
func (e UserEditor) EndSessions(tenant TenantID, id ObjectID) error {
	return e.act(Update, Users, func() error {
		old, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(old.version); err != nil {
			return err
		}
		next := *old.value
		if err := e.endSessions(&next); err != nil {
			return err
		}
		return update(e.editor, old, &next, "sessions ended")
	})
}

// endSessions lets no session of the user from before count. The records that name the user
// go at once; those that do not, such as a device code that was asked for at an alias, are
// refused by their time.
func (e UserEditor) endSessions(u *User) error {
	u.SessionsFrom = e.now
	if err := e.revokeUser(u); err != nil {
		return err
	}
	return e.dropRecords(u.Tenant, u.ID)
}

// Delete removes a user, with all assignments, grants and token records.
func (e UserEditor) Delete(tenant TenantID, id ObjectID) error {
	return e.act(Delete, Users, func() error {
		found, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(found.version); err != nil {
			return err
		}
		if err := e.delete(found); err != nil {
			return err
		}
		return e.record("delete", found.value.target(), "")
	})
}

// delete removes a user with all that goes with it; the audit row of it itself is the caller's.
func (e UserEditor) delete(found row[User]) error {
	user := found.value
	if err := e.assignments().dropOf(user.Tenant, "principal", user.ID); err != nil {
		return err
	}
	if err := e.grants().dropOf(user.Tenant, "principal", user.ID); err != nil {
		return err
	}
	if err := e.dropRecords(user.Tenant, user.ID); err != nil {
		return err
	}
	if err := e.dropOwner(user.Tenant, user.ID); err != nil {
		return err
	}
	if err := e.remove(user, found.version); err != nil {
		return err
	}
	return e.revokeUser(user)
}

// userKey is the key under which what a caller calls a user is found.
func userKey(ref string) string {
	if id, ok := guid.Parse(ref); ok {
		return makeKey("id", id)
	}
	return makeKey("upn", fold(ref))
}

func (e UserEditor) checkUser(tenant *Tenant, u *User) error {
	u.PrincipalName = fold(u.PrincipalName)
	if err := checkPrincipalNameOf(tenant, u.PrincipalName); err != nil {
		return err
	}
	if u.DisplayName == "" {
		u.DisplayName, _, _ = strings.Cut(u.PrincipalName, "@")
	}
	if err := checkName("displayName", u.DisplayName); err != nil {
		return err
	}
	if err := checkSettings(&u.Settings); err != nil {
		return err
	}
	for i, role := range u.DirectoryRoles {
		field := fmt.Sprintf("directoryRoles[%d]", i)
		if err := checkName(field, role); err != nil {
			return err
		}
		if slices.Contains(u.DirectoryRoles[:i], role) {
			return taken(field, fmt.Sprintf("The directory role %q is listed twice.", role), "List it once.")
		}
	}
	if err := e.free(u.Tenant, KindUser, makeKey("upn", u.PrincipalName), string(u.ID)); err != nil {
		return duplicate(err, "userPrincipalName", fmt.Sprintf("There is a user %s already.", u.PrincipalName), "Choose another name; case does not count.")
	}
	return nil
}

// checkPrincipalNameOf requires name@domain with a domain of the tenant.
func checkPrincipalNameOf(tenant *Tenant, name string) error {
	local, domain, ok := strings.Cut(name, "@")
	if !ok || !validLocal(local) || len(name) > maxPrincipalName {
		return &RuleError{Field: "userPrincipalName", What: fmt.Sprintf("%q is not a user principal name.", text.Shown(name)), Advice: "Write it as dev@contoso.test."}
	}
	if !slices.Contains(tenant.Domains, domain) {
		return &RuleError{Field: "userPrincipalName", What: fmt.Sprintf("%q is not a domain of the tenant %s.", text.Shown(domain), tenant.Name), Advice: "Use a domain of the tenant, or add this one to it."}
	}
	return nil
}

func validLocal(local string) bool {
	if local == "" || len(local) > 64 || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") {
		return false
	}
	return strings.Trim(local, "abcdefghijklmnopqrstuvwxyz0123456789._-'!#^~+") == ""
}

// userDomain is the part of a user principal name behind the at sign.
func userDomain(name string) string {
	_, domain, _ := strings.Cut(name, "@")
	return domain
}

func userDetail(old, next *User) string {
	var d detail
	d.changed("userPrincipalName", old.PrincipalName, next.PrincipalName)
	d.changed("displayName", old.DisplayName, next.DisplayName)
	d.changed("enabled", old.Enabled, next.Enabled)
	d.lists("directoryRoles", old.DirectoryRoles, next.DirectoryRoles)
	d.settings(old.Settings, next.Settings)
	return d.String()
}

func (u *User) target() target {
	return target{kind: KindUser, tenant: u.Tenant, id: string(u.ID), name: u.PrincipalName}
}

// ErrWrongPassword is what CheckPassword answers besides success.
var ErrWrongPassword = errors.New("the password is not the user's")

const (
	minPassword = 8
	maxPassword = 256
)

// CheckPassword is CheckPasswordFor the operator, who waits in no queue of strangers.
func (d *Directory) CheckPassword(ctx context.Context, user *User, presented string) error {
	return d.CheckPasswordFor(ctx, operator(), user, presented)
}

// CheckPasswordFor reports whether the presented text is the user's password; if not, the
// error is ErrWrongPassword, or ErrBusy when there is no room to wait for a slow hash. It works as hard for a user without a password, and for nil,
// so that the time it takes does not tell who exists: ask it also about users who do not.
// Whether the user may sign in at all is for the caller to see (User.Enabled), afterwards.
func (d *Directory) CheckPasswordFor(ctx context.Context, asker Asker, user *User, presented string) error {
	if presented == "" || len(presented) > maxPassword {
		return ErrWrongPassword
	}
	password := d.secrets.nobodys
	if user != nil && user.Password != nil {
		password = user.Password
	}
	switch matches, err := d.secrets.is(ctx, asker, password, presented); {
	case err != nil:
		return fmt.Errorf("check a password: %w", err)
	case !matches:
		return ErrWrongPassword
	}
	return nil
}

// noPassword is one that no text matches: its digest is that of nothing.
func (s *secrets) noPassword() *Secret {
	secret := &Secret{Digest: make([]byte, digestSize)}
	s.prepare(secret)
	rand.Read(secret.Digest) // never fails
	return secret
}

// SetPassword replaces a user's password and ends the sessions that began with another.
// Setting the one there is changes nothing.
func (e UserEditor) SetPassword(tenant TenantID, id ObjectID, password *Chosen) error {
	return e.act(Update, Passwords, func() error {
		old, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		next := *old.value
		if next.Password != nil && len(password.text) <= maxPassword {
			same, err := e.d.secrets.same(e.ctx, next.Password, password)
			if err != nil {
				return err
			}
			if same {
				e.note("none", next.target(), "")
				return nil
			}
		}
		if next.Password, err = e.newPassword(password); err != nil {
			return err
		}
		if err := e.endSessions(&next); err != nil {
			return err
		}
		return update(e.editor, old, &next, "password set")
	})
}

func (e UserEditor) newPassword(password *Chosen) (*Secret, error) {
	if len(password.text) < minPassword || len(password.text) > maxPassword {
		return nil, &RuleError{Field: "password", What: "The password is too short or too long.", Advice: fmt.Sprintf("Give it %d to %d bytes.", minPassword, maxPassword)}
	}
	secret := &Secret{ID: guid.New(), Name: "password", Created: e.now}
	if err := e.d.secrets.keep(e.ctx, secret, password); err != nil {
		return nil, err
	}
	return secret, nil
}
