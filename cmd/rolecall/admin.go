package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func adminCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "admin",
		Short:   "Make administrators, who manage a tenant with az, Terraform and Microsoft Graph",
		Example: `  rolecall admin create terraform --tenant contoso`,
		Args:    command.UnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("say what to do: create"))
		},
	}
	cmd.AddCommand(adminCreateCommand(c))
	return cmd
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

func adminCreateCommand(c *cli) *cobra.Command {
	a := &adminCreator{cli: c}
	cmd := &cobra.Command{
		Use:   "create {NAME | --user UPN}",
		Short: "Make an application or a user an administrator",
		Long: `Creates an application with a secret and with the app roles of Microsoft Graph that manage
a whole tenant; or makes a user a Global Administrator, creating the user where there is
none. The secret or password is printed once and kept nowhere. The secret ends after 180
days unless --days says otherwise. Where there is no tenant yet, --tenant names the one to
create.`,
		Example: `  rolecall admin create terraform --tenant contoso
  rolecall admin create --user admin@contoso.test -o json`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 || (len(args) == 1) == (a.user != "") {
			return command.UsageError(cmd, errors.New("say who is to be an administrator: the name of a new application, or --user with a user principal name"))
		}
		return nil
	}
	cmd.Flags().StringVar(&a.user, "user", "", "user principal name of the user, instead of an application")
	cmd.Flags().StringVar(&a.tenant, "tenant", "", "tenant to manage, if there are several")
	cmd.Flags().IntVar(&a.days, "days", int(directory.DefaultSecretLife/(24*time.Hour)), "days after which the secret of the application ends")
	format := c.OutputFlag(cmd, "", "table", "json", "yaml", "tsv") // each of which shows the secret
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if a.days < 1 {
			return command.UsageError(cmd, errors.New("--days takes a number of days, at least 1"))
		}
		if err := c.NeedData(); err != nil {
			return err
		}
		data, err := c.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		made, err := a.create(ctx, data, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if err := c.Print(format, made.listing()); err != nil {
			return err
		}
		if made.Secret+made.Password != "" {
			c.Say("keep it: it is printed this once and kept nowhere%s", made.until())
		}
		return c.WarnUnreachable(c.AwaitServer(ctx, data))
	}
	return cmd
}

// An adminCreator makes an application or a user an administrator.
type adminCreator struct {
	*cli
	user, tenant string
	days         int
}

// An administrator is what became of one.
type administrator struct {
	Tenant   string             `json:"tenant"`
	TenantID directory.TenantID `json:"tenantId"`
	Name     string             `json:"name"` // of the application or the user
	AppID    directory.AppID    `json:"appId,omitempty"`
	ObjectID directory.ObjectID `json:"objectId"` // of the service principal or the user
	Secret   string             `json:"secret,omitempty"`
	Expires  time.Time          `json:"expires,omitzero"`
	Password string             `json:"password,omitempty"`
	Roles    []string           `json:"roles"`
}

func (a *administrator) listing() output.Listing {
	l := output.Listing{Columns: []string{"tenant", "name", "appId", "secret"}, Name: 1, Value: a}
	secret := a.Secret
	if a.AppID == "" {
		l.Columns, secret = []string{"tenant", "name", "objectId", "password"}, a.Password
		l.Rows = [][]string{{a.Tenant, a.Name, string(a.ObjectID), secret}}
		return l
	}
	l.Rows = [][]string{{a.Tenant, a.Name, string(a.AppID), secret}}
	return l
}

func (a *administrator) until() string {
	if a.Expires.IsZero() {
		return ""
	}
	return "; it ends at " + command.ShortTime(a.Expires)
}

func (a *adminCreator) create(ctx context.Context, data *server.Data, name string) (made *administrator, err error) {
	_, err = data.Directory.Change(ctx, directory.Operator("cli:admin create"), func(e *directory.Editor) error {
		tenant, err := a.findTenant(e)
		if err != nil {
			return err
		}
		made = &administrator{Tenant: tenant.Name, TenantID: tenant.ID}
		if a.user != "" {
			return a.makeUser(e, made)
		}
		return a.makeApplication(e, made, name)
	})
	return made, err
}

// findTenant finds the tenant that is meant; the first one is created.
func (a *adminCreator) findTenant(e *directory.Editor) (*directory.Tenant, error) {
	all, err := e.Tenants().List(directory.Query{Limit: 1})
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(a.user, "@")
	if len(all.Items) > 0 {
		if a.tenant == "" && domain != "" {
			if tenant, err := e.Tenants().Find(domain); err == nil {
				return tenant, nil
			}
		}
		return lookup.FindTenant(e.View(), a.tenant)
	}
	if a.tenant == "" {
		return nil, command.Failed("name it: --tenant contoso creates it", "there is no tenant yet")
	}
	tenant := directory.Tenant{Name: a.tenant}
	if domain != "" {
		tenant.Domains = []string{domain}
	}
	return e.Tenants().Create(tenant)
}

func (a *adminCreator) makeApplication(e *directory.Editor, made *administrator, name string) error {
	graph, err := e.Applications().FindAPI(made.TenantID, string(directory.GraphAppID))
	if err != nil {
		return err
	}
	api, err := e.ServicePrincipals().FindAPI(made.TenantID, graph.AppID)
	if err != nil {
		return err
	}
	permission := directory.Permission{API: graph.AppID}
	for _, value := range administratorRoles() {
		role, ok := graph.Role(value)
		if !ok {
			return command.Failed("add the role to it, or remove that application", "%s stands in the place of Microsoft Graph and has no app role %q", graph.Label(), value)
		}
		permission.Roles = append(permission.Roles, role.ID)
	}
	app, err := e.Applications().Create(directory.Application{Tenant: made.TenantID, Name: name, Permissions: []directory.Permission{permission}})
	if err != nil {
		return err
	}
	principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: made.TenantID, AppID: app.AppID})
	if err != nil {
		return err
	}
	for _, role := range permission.Roles {
		if _, _, err := e.Assignments().Add(made.TenantID, principal.ID, api.ID, role); err != nil {
			return err
		}
	}
	secret, value, err := e.Credentials().AddSecret(made.TenantID, app.ID, "admin create", app.Created.AddDate(0, 0, a.days))
	if err != nil {
		return err
	}
	made.Name, made.AppID, made.ObjectID = app.Name, app.AppID, principal.ID
	made.Secret, made.Expires, made.Roles = value, secret.Expires, administratorRoles()
	return nil
}

// makeUser gives a user the directory role, and a new one a password.
func (a *adminCreator) makeUser(e *directory.Editor, made *administrator) error {
	user, err := e.Users().Find(made.TenantID, a.user)
	switch {
	case err == nil:
		user, err = e.Users().Edit(made.TenantID, user.ID, func(u *directory.User) error {
			if !slices.Contains(u.DirectoryRoles, globalAdministrator) {
				u.DirectoryRoles = append(u.DirectoryRoles, globalAdministrator)
			}
			return nil
		})
	case errors.Is(err, directory.ErrNotFound):
		made.Password = newPassword()
		user, err = e.Users().Create(directory.User{Tenant: made.TenantID, PrincipalName: a.user, DirectoryRoles: []string{globalAdministrator}}, directory.Choose(made.Password))
	}
	if err != nil {
		return fmt.Errorf("make %q an administrator: %w", a.user, err)
	}
	made.Name, made.ObjectID, made.Roles = user.PrincipalName, user.ID, user.DirectoryRoles
	return nil
}

// newPassword makes one of 144 random bits.
func newPassword() string {
	random := make([]byte, 18)
	rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}
