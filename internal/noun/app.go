package noun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// App is `rolecall app`.
func App(c *command.Line) *cobra.Command {
	return nounCommand("app", "Manage applications: APIs and clients", "rolecall app list",
		appListCommand(c), appShowCommand(c), appCreateCommand(c), appUpdateCommand(c), appDeleteCommand(c),
		appRoleCommand(c), appPermissionCommand(c), appCredentialCommand(c), appFederatedCommand(c), appOwnerCommand(c),
	)
}

// applicationRow is what people see of an application.
func applicationRow(found json.RawMessage) ([]string, error) {
	var a struct {
		ID             string   `json:"id"`
		AppID          string   `json:"appId"`
		DisplayName    string   `json:"displayName"`
		IdentifierURIs []string `json:"identifierUris"`
	}
	err := json.Unmarshal(found, &a)
	return []string{a.DisplayName, a.AppID, a.ID, strings.Join(a.IdentifierURIs, " ")}, err
}

func applicationColumns() output.Listing {
	return output.Listing{Columns: []string{"name", "app id", "object id", "identifier uris"}, Spare: []int{2}, Cut: []int{0, 3}, Empty: "there are no applications, or none match"}
}

func appListCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List applications",
		Long: `Lists the registrations of a tenant, as Microsoft Graph has them. A filter is an expression
of OData, as Graph takes it.`,
		Example: `  rolecall app list -o tsv
  rolecall app list --display-name orders --query [].appId -o tsv`,
		Args: command.Exactly(0, ""),
	}
	return listing(c, cmd, "applications", applicationColumns(), applicationRow, "id,appId,displayName,identifierUris", "")
}

const whichApp = "one application, by its name or any of its ids"

func appShowCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use:   "show APP",
		Short: "Show an application",
		Long: `Shows a registration, as Microsoft Graph has it. It is named by its name, its app id, its
object id, an identifier URI, or a display name that no other has.`,
		Example: `  rolecall app show orders-server
  rolecall app show api://orders --query appRoles[].value -o tsv`,
		Args: command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		return m.show(ctx, client, "applications/"+string(app.ID), applicationColumns(), applicationRow)
	})
}

// appSettings are the flags that say what an application is.
type appSettings struct {
	uris, web, spa, native []string
	audience               string
	version                int
	public                 bool
}

func (s *appSettings) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&s.uris, "identifier-uris", nil, "URI by which clients ask for tokens for it, such as api://orders; may be given several times")
	flags.StringArrayVar(&s.web, "web-redirect-uris", nil, "where a web application takes the answer to a sign-in")
	flags.StringArrayVar(&s.spa, "spa-redirect-uris", nil, "where a script in a browser takes the answer to a sign-in")
	flags.StringArrayVar(&s.native, "public-client-redirect-uris", nil, "where a program on the user's machine takes the answer to a sign-in")
	flags.StringVar(&s.audience, "sign-in-audience", "", "whose users it is meant for, such as AzureADMyOrg")
	flags.IntVar(&s.version, "requested-access-token-version", 2, "version of the access tokens for it: 1 or 2")
	flags.BoolVar(&s.public, "is-fallback-public-client", false, "whether it is a public client, which keeps no secret")
}

// body is what Graph is sent: what was given on the command line, or everything.
func (s *appSettings) body(cmd *cobra.Command, all bool) map[string]any {
	given := func(flag string) bool { return all || cmd.Flags().Changed(flag) }
	body := map[string]any{}
	if cmd.Flags().Changed("identifier-uris") {
		body["identifierUris"] = s.uris
	}
	for flag, member := range map[string]string{"web-redirect-uris": "web", "spa-redirect-uris": "spa", "public-client-redirect-uris": "publicClient"} {
		if cmd.Flags().Changed(flag) {
			body[member] = map[string]any{"redirectUris": map[string][]string{"web": s.web, "spa": s.spa, "publicClient": s.native}[member]}
		}
	}
	if s.audience != "" {
		body["signInAudience"] = s.audience
	}
	if given("requested-access-token-version") {
		body["api"] = map[string]any{"requestedAccessTokenVersion": s.version}
	}
	if given("is-fallback-public-client") {
		body["isFallbackPublicClient"] = s.public
	}
	return body
}

func appCreateCommand(c *command.Line) *cobra.Command {
	var settings appSettings
	var registered bool
	cmd := &cobra.Command{
		Use:   "create {NAME | --display-name NAME}",
		Short: "Register an application",
		Long: `Registers an application under a display name, and makes its service principal, so that it
can get tokens and tokens are issued for it.`,
		Example: `  rolecall app create orders-server --identifier-uris api://orders
  rolecall app create --display-name orders-client --query appId -o tsv
  rolecall app create reports-server --dry-run`,
	}
	var name string
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && name == "" {
			name = args[0]
			return command.Exactly(1, "one display name")(cmd, args)
		}
		if len(args) > 0 || name == "" {
			return command.UsageError(cmd, errors.New("give one display name: as the argument, or with --display-name as for az"))
		}
		return nil
	}
	cmd.Flags().StringVar(&name, "display-name", "", "its display name, in place of the argument")
	settings.flags(cmd)
	cmd.Flags().BoolVar(&registered, "registered-only", false, "make no service principal: it takes no part in the tenant yet")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, _ []string) error {
		if err := notAnID(name); err != nil {
			return err
		}
		client, tenant, err := m.whole(ctx)
		if err != nil {
			return err
		}
		if found, err := m.place.Within(tenant).FindApplication(ctx, name); err == nil {
			return command.Failed("choose another name, or change that one with `rolecall app update`", "there is an application %q already, with the app id %s", name, found.AppID)
		} else if !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, lookup.ErrAmbiguous) {
			return err
		}
		body := settings.body(cmd, true)
		body["displayName"] = name
		var made json.RawMessage
		if err := client.Do(ctx, http.MethodPost, "applications", body, &made); err != nil {
			return err
		}
		if m.DryRuns() { // there is no application yet to make a service principal of
			if !registered {
				m.Rehearses()([]directory.ChangeNote{{Action: "create", Kind: directory.KindServicePrincipal, Tenant: tenant.Name, Name: name, Detail: "of the new application"}})
			}
			return nil
		}
		row, err := applicationRow(made)
		if err == nil && !registered {
			err = client.Do(ctx, http.MethodPost, "servicePrincipals", map[string]any{"appId": row[1]}, nil)
		}
		if err != nil {
			return err
		}
		return m.printOne(made, applicationColumns(), applicationRow)
	})
}

func appUpdateCommand(c *command.Line) *cobra.Command {
	var settings appSettings
	var name string
	cmd := &cobra.Command{
		Use:   "update APP",
		Short: "Change an application",
		Long: `Changes what is given and leaves the rest. A list of URIs takes the place of the one there
is.`,
		Example: `  rolecall app update orders-server --identifier-uris api://orders --identifier-uris api://orders.test
  rolecall app update orders-server --display-name "Orders API"`,
		Args: command.Exactly(1, whichApp),
	}
	settings.flags(cmd)
	cmd.Flags().StringVar(&name, "display-name", "", "what people call it")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		body := settings.body(cmd, false)
		if cmd.Flags().Changed("display-name") {
			if err := notAnID(name); err != nil {
				return err
			}
			body["displayName"] = name
		}
		if len(body) == 0 {
			return command.UsageError(cmd, errors.New("say what to change"))
		}
		if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), body, nil); err != nil {
			return err
		}
		return m.show(ctx, client, "applications/"+string(app.ID), applicationColumns(), applicationRow)
	})
}

func appDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete APP",
		Short: "Delete an application and all that it was granted",
		Long: `Deletes a registration, its service principal, its credentials, and the assignments to and
of it. If others hold roles or scopes of it, or it got a token within the last week, that
is said, and --yes is needed.`,
		Example: `  rolecall app delete reports-client
  rolecall app delete orders-server --yes`,
		Args: command.Exactly(1, whichApp),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := m.holders(ctx, app, "")
		if err != nil {
			return err
		}
		used, err := m.place.LastUses(ctx, app, recently)
		if err != nil {
			return err
		}
		if last := used[""]; m.Now().Sub(last) < recently {
			who = append([]string{fmt.Sprintf("%s itself, which got a token at %s", app.Label(), command.ShortTime(last))}, who...)
		}
		if err := m.Affects("deleting "+app.Label(), who); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, "applications/"+string(app.ID), nil, nil); err != nil {
			return err
		}
		m.done("deleted %s, app id %s", app.Label(), app.AppID)
		return nil
	})
}

// A member is an element of a list that an application has, as Graph has it.
type member = map[string]any

// members reads a list of an application.
func (m *manager) members(ctx context.Context, client *graphclient.Client, app lookup.API, name string) ([]member, error) {
	var found map[string]json.RawMessage
	if err := client.Get(ctx, "applications/"+string(app.ID)+"?$select="+name, &found); err != nil {
		return nil, err
	}
	all := []member{}
	return all, json.Unmarshal(found[name], &all)
}

// memberText is the text of a member; empty where it has none.
func memberText(of member, name string) string {
	if of[name] == nil {
		return ""
	}
	return fmt.Sprint(of[name])
}

func appRoleCommand(c *command.Line) *cobra.Command {
	return nounCommand("role", "Manage the app roles that an API offers", "rolecall app role list orders-server",
		appRoleListCommand(c), appRoleAddCommand(c), appRoleUpdateCommand(c), appRoleDisableCommand(c), appRoleRemoveCommand(c),
	)
}

func roleListing(all []member) output.Listing {
	l := output.Listing{Columns: []string{"value", "enabled", "members", "display name", "id"}, Value: all, Spare: []int{4}, Cut: []int{3, 0}, Empty: "the application offers no app roles"}
	for _, r := range all {
		var types []string
		if list, ok := r["allowedMemberTypes"].([]any); ok {
			for _, one := range list {
				types = append(types, fmt.Sprint(one))
			}
		}
		l.Rows = append(l.Rows, []string{memberText(r, "value"), memberText(r, "isEnabled"), strings.Join(types, " "), memberText(r, "displayName"), memberText(r, "id")})
	}
	return l
}

func appRoleListCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "list APP", Short: "List the app roles of an API",
		Example: `  rolecall app role list orders-server`,
		Args:    command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		roles, err := m.members(ctx, client, app, "appRoles")
		if err != nil {
			return err
		}
		return m.Print(m.format, roleListing(roles))
	})
}

// changeRoles lets change work on the app roles of an API, and prints them.
func (m *manager) changeRoles(ctx context.Context, ref string, change func(app lookup.API, roles []member) ([]member, error)) error {
	client, app, err := m.application(ctx, ref)
	if err != nil {
		return err
	}
	roles, err := m.members(ctx, client, app, "appRoles")
	if err != nil {
		return err
	}
	if roles, err = change(app, roles); err != nil {
		return err
	}
	if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"appRoles": roles}, nil); err != nil {
		return err
	}
	if roles, err = m.members(ctx, client, app, "appRoles"); err != nil {
		return err
	}
	return m.Print(m.format, roleListing(roles))
}

// roleAt finds an app role by its value or id.
func roleAt(app lookup.API, roles []member, ref string) (int, error) {
	i := slices.IndexFunc(roles, func(r member) bool {
		return memberText(r, "value") == ref || strings.EqualFold(memberText(r, "id"), ref)
	})
	if i < 0 {
		var there []string
		for _, r := range roles {
			there = append(there, memberText(r, "value"))
		}
		return 0, lacks(app.Called(), "app role", ref, there, "app role list "+lookup.Word(app.Called()))
	}
	return i, nil
}

// roleTexts are the flags that describe an app role.
type roleTexts struct {
	display, description string
	members              []string
}

func (t *roleTexts) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.display, "display-name", "", "what people call it")
	cmd.Flags().StringVar(&t.description, "description", "", "what its holders can do")
	cmd.Flags().StringSliceVar(&t.members, "allowed-member-types", []string{"Application"}, "who can hold it: Application, User")
}

func appRoleAddCommand(c *command.Line) *cobra.Command {
	var texts roleTexts
	cmd := &cobra.Command{
		Use: "add APP VALUE", Short: "Let an API offer an app role",
		Long:    `Adds an app role to an API. Clients that are granted it have its value in the roles claim of their tokens.`,
		Example: `  rolecall app role add orders-server Orders.Read --display-name "Read orders"`,
		Args:    command.Exactly(2, "the application, and the value of the role"),
	}
	texts.flags(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(_ lookup.API, roles []member) ([]member, error) {
			display := texts.display
			if display == "" {
				display = args[1]
			}
			description := texts.description
			if description == "" {
				description = display
			}
			return append(roles, member{
				"id": guid.New(), "value": args[1], "displayName": display, "description": description, "isEnabled": true, "allowedMemberTypes": texts.members,
			}), nil
		})
	})
}

func appRoleUpdateCommand(c *command.Line) *cobra.Command {
	var texts roleTexts
	var enabled bool
	cmd := &cobra.Command{
		Use: "update APP ROLE", Short: "Change an app role of an API",
		Example: `  rolecall app role update orders-server Orders.Read --description "Read every order"`,
		Args:    command.Exactly(2, "the application, and the role by its value or id"),
	}
	texts.flags(cmd)
	cmd.Flags().BoolVar(&enabled, "enabled", true, "whether it is offered")
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			for flag, set := range map[string]func(){
				"display-name":         func() { roles[i]["displayName"] = texts.display },
				"description":          func() { roles[i]["description"] = texts.description },
				"allowed-member-types": func() { roles[i]["allowedMemberTypes"] = texts.members },
				"enabled":              func() { roles[i]["isEnabled"] = enabled },
			} {
				if cmd.Flags().Changed(flag) {
					set()
				}
			}
			if enabled {
				return roles, nil
			}
			return roles, m.roleInUse(ctx, app, "disabling", memberText(roles[i], "value"))
		})
	})
}

func appRoleDisableCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "disable APP ROLE", Short: "Take an app role out of use",
		Long: `Disables an app role: those who hold it keep it, and it leaves their tokens. If somebody
holds it, that is said, and --yes is needed.`,
		Example: `  rolecall app role disable orders-server Orders.Read --yes`,
		Args:    command.Exactly(2, "the application, and the role by its value or id"),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			roles[i]["isEnabled"] = false
			return roles, m.roleInUse(ctx, app, "disabling", memberText(roles[i], "value"))
		})
	})
}

// roleInUse refuses to take a role from those who hold it, unless that is confirmed.
func (m *manager) roleInUse(ctx context.Context, app lookup.API, doing, value string) error {
	who, err := m.holders(ctx, app, value)
	if err != nil {
		return err
	}
	return m.Affects(doing+" "+app.Label()+"/"+value, who)
}

func appRoleRemoveCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove APP ROLE", Short: "Remove an app role that is disabled",
		Long: `Removes an app role from an API, with its assignments. It must have been disabled before, as
in Entra. If somebody still holds it, that is said, and --yes is needed.`,
		Example: `  rolecall app role remove orders-server Orders.Write`,
		Args:    command.Exactly(2, "the application, and the role by its value or id"),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			if roles[i]["isEnabled"] == true {
				return nil, command.Failed(fmt.Sprintf("`rolecall app role disable %s %s` first", lookup.Word(app.Called()), lookup.Word(args[1])), "the app role %s of %s is enabled and cannot be removed", args[1], app.Called())
			}
			if err := m.roleInUse(ctx, app, "removing", memberText(roles[i], "value")); err != nil {
				return nil, err
			}
			return slices.Delete(roles, i, i+1), nil
		})
	})
}

func appOwnerCommand(c *command.Line) *cobra.Command {
	return nounCommand("owner", "Manage who owns an application", "rolecall app owner list orders-server",
		appOwnerListCommand(c), appOwnerAddCommand(c), appOwnerRemoveCommand(c),
	)
}

func appOwnerListCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "list APP", Short: "List the owners of an application",
		Example: `  rolecall app owner list orders-server`,
		Args:    command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}

func (m *manager) printOwners(ctx context.Context, client *graphclient.Client, app lookup.API) error {
	all, err := collected(ctx, client, "applications/"+string(app.ID)+"/owners")
	if err != nil {
		return err
	}
	l := output.Listing{Columns: []string{"name", "kind", "id"}, Value: all, Cut: []int{0}, Empty: "nobody owns the application: administrators manage it"}
	for _, one := range all {
		l.Rows = append(l.Rows, []string{memberText(one, "displayName"), strings.TrimPrefix(memberText(one, "@odata.type"), "#microsoft.graph."), memberText(one, "id")})
	}
	return m.Print(m.format, l)
}

func appOwnerAddCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "add APP PRINCIPAL", Short: "Let a user or an application own an application",
		Example: `  rolecall app owner add orders-server dev@contoso.test`,
		Args:    command.Exactly(2, "the application, and who is to own it"),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := m.place.Within(app.Tenant).FindPrincipal(ctx, args[1])
		if err != nil {
			return err
		}
		if owners, err := m.owners(ctx, client, app); err != nil {
			return err
		} else if slices.Contains(owners, string(who.ID())) {
			return command.Failed(ownersListed(app), "%s owns %s already", who.Name(), app.Called())
		}
		link := member{"@odata.id": client.Base + "/directoryObjects/" + string(who.ID())}
		if err := client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/owners/$ref", link, nil); err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}

// owners are the ids of those who own an application.
func (m *manager) owners(ctx context.Context, client *graphclient.Client, app lookup.API) (ids []string, err error) {
	all, err := collected(ctx, client, "applications/"+string(app.ID)+"/owners")
	for _, one := range all {
		ids = append(ids, memberText(one, "id"))
	}
	return ids, err
}

// ownersListed says where owners are listed.
func ownersListed(app lookup.API) string {
	return "`rolecall app owner list " + lookup.Word(app.Called()) + "` lists those who do"
}

func appOwnerRemoveCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove APP PRINCIPAL", Short: "Let a user or an application own an application no longer",
		Long:    `Removes an owner. If it is the last one, that is said, and --yes is needed: administrators alone can manage the application then.`,
		Example: `  rolecall app owner remove orders-server dev@contoso.test --yes`,
		Args:    command.Exactly(2, "the application, and who is to own it no longer"),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := m.place.Within(app.Tenant).FindPrincipal(ctx, args[1])
		if err != nil {
			return err
		}
		owners, err := m.owners(ctx, client, app)
		if err != nil {
			return err
		}
		if !slices.Contains(owners, string(who.ID())) {
			return command.NotFound(ownersListed(app), "%s does not own %s", who.Name(), app.Called())
		}
		if len(owners) == 1 {
			if err := m.Affects("removing the last owner", []string{app.Label() + ", which administrators alone can manage then"}); err != nil {
				return err
			}
		}
		if err := client.Do(ctx, http.MethodDelete, "applications/"+string(app.ID)+"/owners/"+string(who.ID())+"/$ref", nil, nil); err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}
