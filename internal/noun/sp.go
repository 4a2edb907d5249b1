package noun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// ServicePrincipal is `rolecall sp`.
func ServicePrincipal(c *command.Line) *cobra.Command {
	return nounCommand("sp", "Manage service principals: applications and managed identities in a tenant", "rolecall sp list",
		spListCommand(c), spShowCommand(c), spCreateCommand(c), spUpdateCommand(c), spEnableCommand(c), spDisableCommand(c), spDeleteCommand(c),
	)
}

// principalRow is what people see of a service principal.
func principalRow(found json.RawMessage) ([]string, error) {
	var p struct {
		ID          string `json:"id"`
		AppID       string `json:"appId"`
		DisplayName string `json:"displayName"`
		Type        string `json:"servicePrincipalType"`
		Enabled     bool   `json:"accountEnabled"`
		Required    bool   `json:"appRoleAssignmentRequired"`
	}
	err := json.Unmarshal(found, &p)
	return []string{p.DisplayName, p.AppID, p.ID, p.Type, fmt.Sprint(p.Enabled), fmt.Sprint(p.Required)}, err
}

func principalColumns() output.Listing {
	return output.Listing{Columns: []string{"name", "app id", "object id", "type", "enabled", "assignment required"}, Spare: []int{2, 5, 3}, Cut: []int{0}, Empty: "there are no service principals, or none match"}
}

func spListCommand(c *command.Line) *cobra.Command {
	return listing(c, &cobra.Command{
		Use: "list", Short: "List service principals",
		Long: `Lists the service principals of a tenant, as Microsoft Graph has them: applications that take
part in it, and managed identities.`,
		Example: `  rolecall sp list -o tsv
  rolecall sp list --filter "accountEnabled eq false"`,
	}, "servicePrincipals", principalColumns(), principalRow, "id,appId,displayName,servicePrincipalType,accountEnabled,appRoleAssignmentRequired", "")
}

const whichPrincipal = "one application or managed identity, by its name or any of its ids"

// service finds a service principal by whatever it is called, and calls Graph in its tenant.
func (m *manager) service(ctx context.Context, ref string) (*graphclient.Client, lookup.Principal, error) {
	found, err := m.place.FindPrincipal(ctx, ref)
	if err != nil {
		return nil, found, notThere(err, "service principal", ref)
	}
	if found.Service == nil {
		return nil, found, command.NotFound("`rolecall user` manages users", "%s is a user, and no service principal", found.Name())
	}
	return m.Graph(found.Tenant), found, nil
}

func spShowCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "show PRINCIPAL", Short: "Show a service principal",
		Example: `  rolecall sp show orders-client --query id -o tsv`,
		Args:    command.Exactly(1, whichPrincipal),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.service(ctx, args[0])
		if err != nil {
			return err
		}
		return m.show(ctx, client, "servicePrincipals/"+string(found.ID()), principalColumns(), principalRow)
	})
}

func spCreateCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "create APP", Short: "Let a registered application take part in its tenant",
		Long:    `Makes the service principal of an application: from then on it gets tokens, and tokens are issued for it.`,
		Example: `  rolecall sp create later-client`,
		Args:    command.Exactly(1, whichApp),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		if there, err := m.place.Within(app.Tenant).FindPrincipal(ctx, string(app.AppID)); err == nil {
			return command.Failed("`rolecall sp show "+lookup.Word(there.Name())+"` shows it", "%s has a service principal already", there.Name())
		}
		var made json.RawMessage
		if err := client.Do(ctx, http.MethodPost, "servicePrincipals", member{"appId": app.AppID}, &made); err != nil {
			return err
		}
		return m.printOne(made, principalColumns(), principalRow)
	})
}

// changePrincipal changes members of a service principal, and shows it.
func (m *manager) changePrincipal(ctx context.Context, client *graphclient.Client, found lookup.Principal, members member) error {
	path := "servicePrincipals/" + string(found.ID())
	if err := client.Do(ctx, http.MethodPatch, path, members, nil); err != nil {
		return err
	}
	return m.show(ctx, client, path, principalColumns(), principalRow)
}

func spUpdateCommand(c *command.Line) *cobra.Command {
	var required bool
	var tags []string
	cmd := &cobra.Command{
		Use: "update PRINCIPAL", Short: "Change a service principal",
		Long: `Changes what is given and leaves the rest. With an assignment required, only clients and
users that hold a role of the API get tokens for it. If others got one within the last week,
that is said, and --yes is needed.`,
		Example: `  rolecall sp update orders-server --app-role-assignment-required`,
		Args:    command.Exactly(1, whichPrincipal),
	}
	cmd.Flags().BoolVar(&required, "app-role-assignment-required", false, "whether only holders of a role get tokens for it")
	cmd.Flags().StringArrayVar(&tags, "tags", nil, "word to find it by; may be given several times")
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.service(ctx, args[0])
		if err != nil {
			return err
		}
		members := member{}
		if cmd.Flags().Changed("app-role-assignment-required") {
			members["appRoleAssignmentRequired"] = required
		}
		if cmd.Flags().Changed("tags") {
			members["tags"] = tags
		}
		if len(members) == 0 {
			return command.UsageError(cmd, errors.New("say what to change"))
		}
		if required && !found.Service.AssignmentRequired {
			if err := m.unassigned(ctx, found); err != nil {
				return err
			}
		}
		return m.changePrincipal(ctx, client, found, members)
	})
}

// unassigned refuses to ask for an assignment of those who got tokens for an API without one,
// unless that is confirmed.
func (m *manager) unassigned(ctx context.Context, found lookup.Principal) error {
	api, err := m.place.Within(found.Tenant).FindAPI(ctx, string(found.Service.AppID))
	if errors.Is(err, directory.ErrNotFound) { // a managed identity is no API
		return nil
	}
	if err != nil {
		return err
	}
	assigned := map[string]bool{}
	if err := m.place.Access(ctx, found.Tenant, review.AccessFilter{API: api.Application}, func(a review.Access) error {
		assigned[a.Principal] = assigned[a.Principal] || a.Role != ""
		return nil
	}); err != nil {
		return err
	}
	rows, err := m.uses(ctx, directory.SignInFilter{Tenant: found.Tenant.ID})
	if err != nil {
		return err
	}
	var who []string
	for _, row := range rows { // newest first
		name := cmp.Or(row.User, row.Name, string(row.AppID))
		if row.Refused() || !review.IsFor(row, api.Application) || assigned[name] {
			continue
		}
		assigned[name] = true // it is told once
		who = append(who, fmt.Sprintf("%s, which holds no role of it (%s)", name, m.lastUsed(row.Time)))
	}
	return m.Affects("requiring an assignment for "+found.Name(), who)
}

func spEnableCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "enable PRINCIPAL", Short: "Give a service principal tokens again",
		Example: `  rolecall sp enable orders-client`,
		Args:    command.Exactly(1, whichPrincipal),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.service(ctx, args[0])
		if err != nil {
			return err
		}
		return m.changePrincipal(ctx, client, found, member{"accountEnabled": true})
	})
}

func spDisableCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "disable PRINCIPAL", Short: "Give a service principal no more tokens",
		Long: `Disables a service principal: it gets no tokens, and none are issued for it. If it got one
within the last week, or others hold roles of it, that is said, and --yes is needed.`,
		Example: `  rolecall sp disable orders-client`,
		Args:    command.Exactly(1, whichPrincipal),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.service(ctx, args[0])
		if err != nil {
			return err
		}
		if err := m.principalInUse(ctx, found, "disabling"); err != nil {
			return err
		}
		return m.changePrincipal(ctx, client, found, member{"accountEnabled": false})
	})
}

// principalInUse refuses to take away a service principal that somebody would miss, unless that
// is confirmed.
func (m *manager) principalInUse(ctx context.Context, found lookup.Principal, doing string, who ...string) error {
	app := lookup.API{Application: &directory.Application{AppID: found.Service.AppID}, Tenant: found.Tenant}
	used, err := m.place.LastUses(ctx, app, recently)
	if err != nil {
		return err
	}
	if last := used[""]; m.Now().Sub(last) < recently {
		who = append(who, fmt.Sprintf("%s itself, which got a token at %s", found.Name(), command.ShortTime(last)))
	}
	if found.Service.Type == directory.PrincipalApplication {
		if app, err = m.place.Within(found.Tenant).FindAPI(ctx, string(found.Service.AppID)); err != nil {
			return err
		}
		others, err := m.holders(ctx, app, "")
		if err != nil {
			return err
		}
		who = append(who, others...)
	}
	last, err := m.lastAdministrator(ctx, found)
	if err != nil {
		return err
	}
	return m.Affects(doing+" "+found.Name(), append(who, last...))
}

func spDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete PRINCIPAL", Short: "Let an application take part in its tenant no longer",
		Long: `Deletes a service principal, with the assignments to and of it. The registration of an
application stays. If it got a token within the last week, or others hold roles of it,
that is said, and --yes is needed.`,
		Example: `  rolecall sp delete reports-client`,
		Args:    command.Exactly(1, whichPrincipal),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.service(ctx, args[0])
		if err != nil {
			return err
		}
		if err := m.principalInUse(ctx, found, "deleting"); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, "servicePrincipals/"+string(found.ID()), nil, nil); err != nil {
			return err
		}
		m.done("deleted the service principal of %s, object id %s", found.Name(), found.ID())
		return nil
	})
}
