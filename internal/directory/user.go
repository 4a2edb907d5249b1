package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const maxPrincipalName = 113 // as in Entra: 64 before the at sign, 48 after it

// User finds one by object id or user principal name.
func (e *Editor) User(tenant TenantID, ref string) (*User, error) {
	found, err := e.userRow(tenant, ref)
	return found.value, err
}

// Users returns the tenant's users, by principal name.
func (e *Editor) Users(tenant TenantID) ([]*User, error) {
	rows, err := list[User](e, TenantID(fold(string(tenant))), kindUser, "upn/")
	return values(rows), err
}

// CreateUser makes a user, who cannot sign in without a password.
func (e *Editor) CreateUser(u User, password string) (*User, error) {
	tenant, err := e.tenantByID(u.Tenant)
	if err != nil {
		return nil, err
	}
	if u.ID, err = givenGUID("id", u.ID); err != nil {
		return nil, err
	}
	u.Tenant, u.Enabled, u.Created, u.Password = tenant.ID, true, e.now, nil
	// Both may hold assignments, by object id.
	for _, kind := range []string{kindUser, kindPrincipal} {
		if err := e.free(u.Tenant, kind, makeKey("id", string(u.ID)), ""); err != nil {
			return nil, duplicate(err, "id", fmt.Sprintf("There is a user or service principal with the object id %s already.", u.ID), "Leave the id out to have a new one made.")
		}
	}
	if err := e.checkUser(tenant, &u); err != nil {
		return nil, err
	}
	if password != "" {
		if u.Password, err = e.sealPassword(password); err != nil {
			return nil, err
		}
	}
	return &u, e.create(&u)
}

// UpdateUser changes the names, the directory roles and whether the user is enabled.
// Disabling ends the user's sessions.
func (e *Editor) UpdateUser(u User) (*User, error) {
	old, err := e.userRow(u.Tenant, string(u.ID))
	if err != nil {
		return nil, err
	}
	tenant, err := e.tenantByID(old.value.Tenant)
	if err != nil {
		return nil, err
	}
	next := *old.value
	next.PrincipalName, next.DisplayName, next.Enabled, next.DirectoryRoles = u.PrincipalName, u.DisplayName, u.Enabled, u.DirectoryRoles
	if err := e.checkUser(tenant, &next); err != nil {
		return nil, err
	}
	if old.value.Enabled && !next.Enabled {
		if err := e.dropRecords(next.Tenant, next.ID); err != nil {
			return nil, err
		}
	}
	return &next, update(e, old, &next, userDetail(old.value, &next))
}

// DeleteUser removes a user, with all assignments, grants and token records.
func (e *Editor) DeleteUser(tenant TenantID, id ObjectID) error {
	found, err := e.userRow(tenant, string(id))
	if err != nil {
		return err
	}
	user := found.value
	if err := e.dropAssignmentsOf(user.Tenant, "principal", user.ID); err != nil {
		return err
	}
	if err := e.dropGrants(user.Tenant, "principal", user.ID); err != nil {
		return err
	}
	if err := e.dropRecords(user.Tenant, user.ID); err != nil {
		return err
	}
	if err := e.remove(user, found.version); err != nil {
		return err
	}
	return e.record("delete", user.target(), "")
}

func (e *Editor) userRow(tenant TenantID, ref string) (row[User], error) {
	found, err := lookup[User](e, fold(tenant), kindUser, userKey(ref))
	if errors.Is(err, ErrNotFound) {
		return found, missing(fmt.Sprintf("There is no user %q in the tenant.", clip(ref)), "Name the user by object id or user principal name.")
	}
	return found, err
}

// userKey is the key under which what a caller calls a user is found.
func userKey(ref string) string {
	if id, ok := parseGUID(ref); ok {
		return makeKey("id", id)
	}
	return makeKey("upn", fold(ref))
}

func (e *Editor) checkUser(tenant *Tenant, u *User) error {
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
	for i, role := range u.DirectoryRoles {
		field := fmt.Sprintf("directoryRoles[%d]", i)
		if err := checkName(field, role); err != nil {
			return err
		}
		if slices.Contains(u.DirectoryRoles[:i], role) {
			return taken(field, fmt.Sprintf("The directory role %q is listed twice.", role), "List it once.")
		}
	}
	if err := e.free(u.Tenant, kindUser, makeKey("upn", u.PrincipalName), string(u.ID)); err != nil {
		return duplicate(err, "userPrincipalName", fmt.Sprintf("There is a user %s already.", u.PrincipalName), "Choose another name; case does not count.")
	}
	return nil
}

// checkPrincipalNameOf wants name@domain with a domain of the tenant.
func checkPrincipalNameOf(tenant *Tenant, name string) error {
	local, domain, ok := strings.Cut(name, "@")
	if !ok || !validLocal(local) || len(name) > maxPrincipalName {
		return &RuleError{Field: "userPrincipalName", What: fmt.Sprintf("%q is not a user principal name.", clip(name)), Fix: "Write it as dev@contoso.test."}
	}
	if !slices.Contains(tenant.Domains, domain) {
		return &RuleError{Field: "userPrincipalName", What: fmt.Sprintf("%q is not a domain of the tenant %s.", clip(domain), tenant.Name), Fix: "Use a domain of the tenant, or add this one to it."}
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
	return d.String()
}

func (u *User) target() target {
	return target{kind: kindUser, tenant: u.Tenant, id: string(u.ID), name: u.PrincipalName}
}
