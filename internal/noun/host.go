package noun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// Identity is `rolecall identity`.
func Identity(c *command.Line) *cobra.Command {
	return nounCommand("identity", "Manage managed identities, and which hosts have them", "rolecall identity list",
		identityListCommand(c), identityShowCommand(c), identityCreateCommand(c), identityAssignCommand(c), identityUnassignCommand(c), identityDeleteCommand(c),
	)
}

func identityListCommand(c *command.Line) *cobra.Command {
	return listing(c, &cobra.Command{
		Use: "list", Short: "List managed identities",
		Example: `  rolecall identity list -o tsv`,
	}, "servicePrincipals", principalColumns(), principalRow, "id,appId,displayName,servicePrincipalType,accountEnabled,appRoleAssignmentRequired", "servicePrincipalType eq 'ManagedIdentity'")
}

const whichIdentity = "one managed identity, by its name or any of its ids"

// identity finds a managed identity by whatever it is called.
func (m *manager) identity(ctx context.Context, ref string) (lookup.Principal, error) {
	found, err := lookup.IdentityOf(ctx, m.place, ref)
	if err != nil && !strings.Contains(err.Error(), "no managed identity") { // which says what it is
		err = notThere(err, "managed identity", ref)
	}
	return found, err
}

// showIdentity shows a managed identity as Graph has it.
func (m *manager) showIdentity(ctx context.Context, tenant *directory.Tenant, id directory.ObjectID) error {
	return m.show(ctx, m.Graph(tenant), "servicePrincipals/"+string(id), principalColumns(), principalRow)
}

func identityShowCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "show IDENTITY", Short: "Show a managed identity",
		Example: `  rolecall identity show orders-client-mi`,
		Args:    command.Exactly(1, whichIdentity),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		found, err := m.identity(ctx, args[0])
		if err != nil {
			return err
		}
		return m.showIdentity(ctx, found.Tenant, found.ID())
	})
}

func identityCreateCommand(c *command.Line) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a managed identity",
		Long: `Creates a managed identity, which programs get from the platform that they run on: a
system-assigned one belongs to one host, a user-assigned one to any number.`,
		Example: `  rolecall identity create nightly --type user`,
		Args:    command.Exactly(1, "one name"),
	}
	cmd.Flags().StringVar(&kind, "type", string(directory.IdentitySystem), "system or user")
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		_, tenant, err := m.whole(ctx)
		if err != nil {
			return err
		}
		made, err := m.Local.CreateIdentity(ctx, tenant.ID, args[0], directory.IdentityKind(kind))
		if err != nil {
			return err
		}
		return m.showIdentity(ctx, tenant, made.ID)
	})
}

// An assigning changes whether the programs of a host have a managed identity.
type assigning func(a *operate.API, ctx context.Context, tenant directory.TenantID, host, identity directory.ObjectID) (*directory.Host, error)

// changeAssigned changes that, and shows the host.
func changeAssigned(c *command.Line, cmd *cobra.Command, change assigning, check func(context.Context, *local, lookup.Principal, *directory.Host) error) *cobra.Command {
	cmd.Args = command.Exactly(2, "the managed identity, and the host")
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		found, err := m.identity(ctx, args[0])
		if err != nil {
			return err
		}
		host, err := m.Data.Directory.View(ctx).Hosts().Find(found.Tenant.ID, args[1])
		if err != nil {
			return err
		}
		if err := check(ctx, m, found, host); err != nil {
			return err
		}
		if host, err = change(m.Local, ctx, found.Tenant.ID, host.ID, found.ID()); err != nil {
			return err
		}
		return m.printHost(ctx, found.Tenant, host)
	})
}

func identityAssignCommand(c *command.Line) *cobra.Command {
	return changeAssigned(c, &cobra.Command{
		Use: "assign IDENTITY HOST", Short: "Let the programs of a host act as a managed identity",
		Example: `  rolecall identity assign nightly agent`,
	}, (*operate.API).AssignIdentity, func(context.Context, *local, lookup.Principal, *directory.Host) error { return nil })
}

func identityUnassignCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unassign IDENTITY HOST", Short: "Let the programs of a host act as a managed identity no longer",
		Long: `Takes a managed identity from a host. If the identity got a token within the last week, that
is said, and --yes is needed: the programs of the host may be what got it.`,
		Example: `  rolecall identity unassign orders-client-mi agent`,
	}
	command.YesFlag(cmd)
	return changeAssigned(c, cmd, (*operate.API).UnassignIdentity, func(ctx context.Context, m *local, found lookup.Principal, host *directory.Host) error {
		rows, err := m.uses(ctx, directory.SignInFilter{Tenant: found.Tenant.ID, AppID: found.Service.AppID})
		if err != nil || len(losing(host, withoutIdentity(host, found.ID()))) == 0 {
			return err
		}
		last := review.LastUse(rows, func(directory.SignIn) bool { return true })
		if last.IsZero() {
			return nil
		}
		return m.Affects("unassigning "+found.Name(), []string{fmt.Sprintf("the programs of the host %s, which act as %s (%s)", host.Name, found.Name(), m.lastUsed(last))})
	})
}

// withoutIdentity is a host without one of its identities.
func withoutIdentity(host *directory.Host, id directory.ObjectID) *directory.Host {
	next := *host
	next.Identities = slices.DeleteFunc(slices.Clone(host.Identities), func(one directory.ObjectID) bool { return one == id })
	return &next
}

func identityDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete IDENTITY", Short: "Delete a managed identity",
		Long: `Deletes a managed identity, with its assignments, and takes it from its hosts. If it got a
token within the last week, or a host has it, that is said, and --yes is needed.`,
		Example: `  rolecall identity delete spare`,
		Args:    command.Exactly(1, whichIdentity),
	}
	command.YesFlag(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		found, err := m.identity(ctx, args[0])
		if err != nil {
			return err
		}
		var who []string
		hosts, err := m.Data.Directory.View(ctx).Hosts().All(found.Tenant.ID)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if slices.Contains(h.Identities, found.ID()) {
				who = append(who, "the programs of the host "+h.Name)
			}
		}
		if err := m.principalInUse(ctx, found, "deleting", who...); err != nil {
			return err
		}
		if err := m.Local.DeleteIdentity(ctx, found.Tenant.ID, found.ID()); err != nil {
			return err
		}
		m.done("deleted %s, object id %s", found.Name(), found.ID())
		return nil
	})
}

// Host is `rolecall host`.
func Host(c *command.Line) *cobra.Command {
	return nounCommand("host", "Manage hosts: places whose programs have managed identities", "rolecall host list",
		hostListCommand(c), hostShowCommand(c), hostCreateCommand(c), hostUpdateCommand(c), hostDeleteCommand(c),
	)
}

// A toldHost is a host as commands tell it to programs.
type toldHost struct {
	ID         directory.ObjectID `json:"id"`
	Tenant     string             `json:"tenant"`
	Name       string             `json:"name"`
	Via        directory.Platform `json:"via"`
	Listen     string             `json:"listen,omitempty"`
	Identities []string           `json:"identities"`
	Names      []string           `json:"names,omitempty"`
	From       []string           `json:"from,omitempty"`
	User       string             `json:"user,omitempty"`
	Node       string             `json:"node,omitempty"`
}

// hostListing is what people see of hosts, and programs a list of them.
func (m *local) hostListing(ctx context.Context, tenant *directory.Tenant, hosts ...*directory.Host) (output.Listing, []toldHost, error) {
	all := []toldHost{}
	l := output.Listing{Columns: []string{"name", "via", "listen", "identities", "object id"}, Spare: []int{4}, Cut: []int{3, 0}, Empty: "there are no hosts"}
	for _, h := range hosts {
		one := toldHost{h.ID, tenant.Name, h.Name, h.Platform, h.Listen, []string{}, h.Names, h.From, h.User, h.Node}
		for _, id := range h.Identities {
			identity, err := m.Data.Directory.View(ctx).Identities().Get(tenant.ID, id)
			if err != nil {
				return l, nil, err
			}
			one.Identities = append(one.Identities, identity.Label())
		}
		all = append(all, one)
		l.Rows = append(l.Rows, []string{h.Name, string(h.Platform), h.Listen, strings.Join(one.Identities, " "), string(h.ID)})
	}
	l.Value = all
	return l, all, nil
}

// printHost prints one host.
func (m *local) printHost(ctx context.Context, tenant *directory.Tenant, host *directory.Host) error {
	l, told, err := m.hostListing(ctx, tenant, host)
	if err != nil {
		return err
	}
	l.Value = told[0]
	return m.Print(m.format, l)
}

func hostListCommand(c *command.Line) *cobra.Command {
	return managingHere(c, &cobra.Command{
		Use: "list", Short: "List hosts",
		Example: `  rolecall host list -o tsv`,
		Args:    command.Exactly(0, ""),
	}, false, func(ctx context.Context, m *local, _ []string) error {
		_, tenant, err := m.whole(ctx)
		if err != nil {
			return err
		}
		hosts, err := m.Data.Directory.View(ctx).Hosts().All(tenant.ID)
		if err != nil {
			return err
		}
		l, _, err := m.hostListing(ctx, tenant, hosts...)
		if err != nil {
			return err
		}
		return m.Print(m.format, l)
	})
}

const whichHost = "one host, by its name or object id"

// host finds a host by its name or id.
func (m *local) host(ctx context.Context, ref string) (*directory.Tenant, *directory.Host, error) {
	return lookup.FindHost(m.Data.Directory.View(ctx), m.tenant, ref)
}

func hostShowCommand(c *command.Line) *cobra.Command {
	return managingHere(c, &cobra.Command{
		Use: "show HOST", Short: "Show a host",
		Example: `  rolecall host show agent`,
		Args:    command.Exactly(1, whichHost),
	}, false, func(ctx context.Context, m *local, args []string) error {
		tenant, host, err := m.host(ctx, args[0])
		if err != nil {
			return err
		}
		return m.printHost(ctx, tenant, host)
	})
}

func hostDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete HOST", Short: "Delete a host: its programs get no more tokens",
		Long:    `Deletes a host. If it has managed identities, that is said, and --yes is needed: its programs get no more tokens.`,
		Example: `  rolecall host delete agent --yes`,
		Args:    command.Exactly(1, whichHost),
	}
	command.YesFlag(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		tenant, host, err := m.host(ctx, args[0])
		if err != nil {
			return err
		}
		if err := m.Affects("deleting the host "+host.Name, m.programs(ctx, tenant, host.Identities)); err != nil {
			return err
		}
		if err := m.Local.DeleteHost(ctx, tenant.ID, host.ID); err != nil {
			return err
		}
		m.done("deleted the host %s", host.Name)
		return nil
	})
}

// Tenant is `rolecall tenant`.
func Tenant(c *command.Line) *cobra.Command {
	return nounCommand("tenant", "Manage tenants", "rolecall tenant list",
		tenantListCommand(c), tenantShowCommand(c), tenantCreateCommand(c), tenantUpdateCommand(c), tenantDeleteCommand(c),
	)
}

func tenantListing(tenants ...*directory.Tenant) output.Listing {
	all := append([]*directory.Tenant{}, tenants...) // of none, an empty list
	l := output.Listing{Columns: []string{"name", "id", "enabled", "domains"}, Cut: []int{3, 0}, Value: all, Empty: "there are no tenants"}
	for _, t := range all {
		l.Rows = append(l.Rows, []string{t.Name, string(t.ID), fmt.Sprint(t.Enabled), strings.Join(t.Domains, " ")})
	}
	return l
}

// printTenant prints one tenant.
func (m *local) printTenant(tenant *directory.Tenant) error {
	l := tenantListing(tenant)
	l.Value = tenant
	return m.Print(m.format, l)
}

func tenantListCommand(c *command.Line) *cobra.Command {
	return managingHere(c, &cobra.Command{
		Use: "list", Short: "List tenants",
		Example: `  rolecall tenant list -o tsv`,
		Args:    command.Exactly(0, ""),
	}, false, func(ctx context.Context, m *local, _ []string) error {
		all, err := m.Data.Directory.View(ctx).Tenants().All()
		if err != nil {
			return err
		}
		return m.Print(m.format, tenantListing(all...))
	})
}

const whichTenant = "one tenant, by its name, id or a domain"

func tenantShowCommand(c *command.Line) *cobra.Command {
	return managingHere(c, &cobra.Command{
		Use: "show TENANT", Short: "Show a tenant",
		Example: `  rolecall tenant show contoso.test`,
		Args:    command.Exactly(1, whichTenant),
	}, false, func(ctx context.Context, m *local, args []string) error {
		found, err := m.Data.Directory.View(ctx).Tenants().Find(args[0])
		if err != nil {
			return err
		}
		return m.printTenant(found)
	})
}

func tenantCreateCommand(c *command.Line) *cobra.Command {
	var domains []string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a tenant: a directory of its own",
		Example: `  rolecall tenant create fabrikam --domain fabrikam.test`,
		Args:    command.Exactly(1, "one name"),
	}
	cmd.Flags().StringArrayVar(&domains, "domain", nil, "domain of the tenant; may be given several times")
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		made, err := m.Local.CreateTenant(ctx, directory.Tenant{Name: args[0], Domains: domains})
		if err != nil {
			return err
		}
		return m.printTenant(made)
	})
}

func tenantUpdateCommand(c *command.Line) *cobra.Command {
	var name string
	var domains []string
	var enabled bool
	cmd := &cobra.Command{
		Use: "update TENANT", Short: "Change a tenant",
		Long: `Changes what is given and leaves the rest. A list of domains takes the place of the one
there is. Disabling a tenant with applications in it needs --yes.`,
		Example: `  rolecall tenant update contoso --domain contoso.test --domain contoso.example`,
		Args:    command.Exactly(1, whichTenant),
	}
	cmd.Flags().StringVar(&name, "name", "", "another name")
	cmd.Flags().StringArrayVar(&domains, "domain", nil, "domain of the tenant; may be given several times")
	cmd.Flags().BoolVar(&enabled, "enabled", true, "whether anybody gets tokens of the tenant")
	command.YesFlag(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		if !cmd.Flags().Changed("name") && !cmd.Flags().Changed("domain") && !cmd.Flags().Changed("enabled") {
			return command.UsageError(cmd, errors.New("say what to change"))
		}
		found, err := m.Data.Directory.View(ctx).Tenants().Find(args[0])
		if err != nil {
			return err
		}
		if !enabled {
			if err := m.tenantInUse(ctx, found, "disabling"); err != nil {
				return err
			}
		}
		found, err = m.Local.EditTenant(ctx, found.ID, func(next *directory.Tenant) error {
			if cmd.Flags().Changed("name") {
				next.Name = name
			}
			if cmd.Flags().Changed("domain") {
				next.Domains = domains
			}
			if cmd.Flags().Changed("enabled") {
				next.Enabled = enabled
			}
			return nil
		})
		if err != nil {
			return err
		}
		return m.printTenant(found)
	})
}

// tenantInUse refuses to take a tenant from those who are in it, unless that is confirmed.
func (m *local) tenantInUse(ctx context.Context, tenant *directory.Tenant, doing string) error {
	var who []string
	r := &review.Reviewer{Directory: m.Data.Directory, Tenants: []*directory.Tenant{tenant}, Now: m.Now()}
	rows, err := m.uses(ctx, directory.SignInFilter{Tenant: tenant.ID})
	if err != nil {
		return err
	}
	err = r.Access(ctx, review.AccessFilter{}, func(a review.Access) error {
		last := review.LastUse(rows, func(row directory.SignIn) bool { return row.Name == a.Principal })
		who = append(who, fmt.Sprintf("%s, which may call %s (%s)", a.Principal, a.API, m.lastUsed(last)))
		return nil
	})
	if err != nil {
		return err
	}
	apps, err := m.Data.Directory.View(ctx).Applications().List(tenant.ID, directory.Query{Limit: 1})
	if err != nil {
		return err
	}
	if len(who) == 0 && len(apps.Items) > 0 {
		who = append(who, "the applications in it")
	}
	return m.Affects(doing+" the tenant "+tenant.Name, who)
}

func tenantDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete TENANT", Short: "Delete a tenant and everything in it",
		Long:    `Deletes a tenant with everything in it, its signing keys included. Where there are applications, --yes is needed.`,
		Example: `  rolecall tenant delete fabrikam`,
		Args:    command.Exactly(1, whichTenant),
	}
	command.YesFlag(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		found, err := m.Data.Directory.View(ctx).Tenants().Find(args[0])
		if err != nil {
			return err
		}
		if err := m.tenantInUse(ctx, found, "deleting"); err != nil {
			return err
		}
		if err := m.Local.DeleteTenant(ctx, found.ID); err != nil {
			return err
		}
		m.done("deleted the tenant %s, id %s", found.Name, found.ID)
		return nil
	})
}
