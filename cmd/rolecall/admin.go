package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/operate"
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
		open := c.Open
		if c.DryRuns() { // which makes no folder
			open = c.OpenExisting
		}
		data, err := open(ctx)
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
		if made.Secret+made.Password != "" && !c.DryRuns() {
			c.Say("keep it: it is printed this once and kept nowhere%s", made.until())
		}
		return c.WarnUnreachable(c.AwaitServer(ctx, data))
	}
	c.Changing(cmd, format)
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

func (a *adminCreator) create(ctx context.Context, data *server.Data, name string) (*administrator, error) {
	tenant, err := a.findTenant(data.Directory.View(ctx))
	if err != nil {
		return nil, err
	}
	management, err := a.Manage(data, "admin create")
	if err != nil {
		return nil, err
	}
	defer management.Close()
	made, err := management.Local.CreateAdministrator(ctx, operate.NewAdministrator{Tenant: *tenant, Name: name, User: a.user, Days: a.days})
	if err != nil {
		return nil, err
	}
	return &administrator{
		Tenant: made.Tenant.Name, TenantID: made.Tenant.ID, Name: made.Name, AppID: made.AppID, ObjectID: made.ObjectID,
		Secret: made.Secret, Expires: made.Expires, Password: made.Password, Roles: made.Roles,
	}, nil
}

// findTenant finds the tenant that is meant, or says which one to create: the first one.
func (a *adminCreator) findTenant(v *directory.View) (*directory.Tenant, error) {
	all, err := v.Tenants().List(directory.Query{Limit: 1})
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(a.user, "@")
	if len(all.Items) > 0 {
		if a.tenant == "" && domain != "" {
			if tenant, err := v.Tenants().Find(domain); err == nil {
				return tenant, nil
			}
		}
		return lookup.FindTenant(v, a.tenant)
	}
	if a.tenant == "" {
		return nil, command.Failed("name it: --tenant contoso creates it", "there is no tenant yet")
	}
	tenant := &directory.Tenant{Name: a.tenant}
	if domain != "" {
		tenant.Domains = []string{domain}
	}
	return tenant, nil
}
