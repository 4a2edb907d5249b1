package operate

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A NewAdministrator says who is to manage a tenant: a new application of a name, or a user.
type NewAdministrator struct {
	// Tenant is the tenant to manage. One without an id is created: the first one.
	Tenant directory.Tenant
	Name   string // of the application, or
	User   string // the user principal name
	Days   int    // after which the secret of the application ends
}

// An Administrator is what became of one.
type Administrator struct {
	Tenant   *directory.Tenant
	Name     string             // of the application or the user
	AppID    directory.AppID    // of the application
	ObjectID directory.ObjectID // of the service principal or the user
	Secret   string             // of the application, to be shown once
	Expires  time.Time          // when that ends
	Password string             // of a new user, to be shown once
	Roles    []string           // app roles of Microsoft Graph, or directory roles
}

// administratorRoles are the app roles of Microsoft Graph that an application needs to manage all
// there is in its tenant.
func administratorRoles() []string {
	return []string{
		"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
		"AuditLog.Read.All", "Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration", "User.ReadWrite.All",
	}
}

const globalAdministrator = "Global Administrator"

// CreateAdministrator makes an application or a user an administrator, with a secret or, for a
// new user, a password: all of it or, after an error, nothing. Nobody can do that through Graph
// before there is an administrator.
func (a *API) CreateAdministrator(ctx context.Context, wanted NewAdministrator) (*Administrator, error) {
	return changed(ctx, a, func(e *directory.Editor) (*Administrator, error) {
		tenant := &wanted.Tenant
		if tenant.ID == "" {
			var err error
			if tenant, err = e.Tenants().Create(wanted.Tenant); err != nil {
				return nil, err
			}
		}
		made := &Administrator{Tenant: tenant}
		if wanted.User != "" {
			return made, made.makeUser(e, wanted.User)
		}
		return made, made.makeApplication(e, wanted.Name, wanted.Days)
	})
}

func (a *Administrator) makeApplication(e *directory.Editor, name string, days int) error {
	tenant := a.Tenant.ID
	graph, err := e.Applications().FindAPI(tenant, string(directory.GraphAppID))
	if err != nil {
		return err
	}
	api, err := e.ServicePrincipals().FindAPI(tenant, graph.AppID)
	if err != nil {
		return err
	}
	permission := directory.Permission{API: graph.AppID}
	for _, value := range administratorRoles() {
		role, ok := graph.Role(value)
		if !ok {
			return &directory.RuleError{
				What:   fmt.Sprintf("%s stands in the place of Microsoft Graph and has no app role %q.", graph.Label(), value),
				Advice: "Add the role to it, or remove that application.",
			}
		}
		permission.Roles = append(permission.Roles, role.ID)
	}
	app, err := e.Applications().Create(directory.Application{Tenant: tenant, Name: name, Permissions: []directory.Permission{permission}})
	if err != nil {
		return err
	}
	principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant, AppID: app.AppID})
	if err != nil {
		return err
	}
	for _, role := range permission.Roles {
		if _, _, err := e.Assignments().Add(tenant, principal.ID, api.ID, role); err != nil {
			return err
		}
	}
	secret, value, err := e.Credentials().AddSecret(tenant, app.ID, "admin create", app.Created.AddDate(0, 0, days))
	if err != nil {
		return err
	}
	a.Name, a.AppID, a.ObjectID = app.Name, app.AppID, principal.ID
	a.Secret, a.Expires, a.Roles = value, secret.Expires, administratorRoles()
	return nil
}

// makeUser gives a user the directory role, and a new one a password.
func (a *Administrator) makeUser(e *directory.Editor, name string) error {
	user, err := e.Users().Find(a.Tenant.ID, name)
	switch {
	case err == nil:
		user, err = e.Users().Edit(a.Tenant.ID, user.ID, func(u *directory.User) error {
			if !slices.Contains(u.DirectoryRoles, globalAdministrator) {
				u.DirectoryRoles = append(u.DirectoryRoles, globalAdministrator)
			}
			return nil
		})
	case errors.Is(err, directory.ErrNotFound):
		a.Password = newPassword()
		user, err = e.Users().Create(directory.User{Tenant: a.Tenant.ID, PrincipalName: name, DirectoryRoles: []string{globalAdministrator}}, directory.Choose(a.Password))
	}
	if err != nil {
		return fmt.Errorf("make %q an administrator: %w", name, err)
	}
	a.Name, a.ObjectID, a.Roles = user.PrincipalName, user.ID, user.DirectoryRoles
	return nil
}

// newPassword makes one of 144 random bits.
func newPassword() string {
	random := make([]byte, 18)
	rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}
