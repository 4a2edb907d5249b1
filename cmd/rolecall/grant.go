package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/review"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
)

func grantCommand(c *cli) *cobra.Command {
	cmd := assigningCommand(c, &cobra.Command{
		Use:   "grant PRINCIPAL API/ROLE...",
		Short: "Grant app roles to an application, managed identity or user",
		Long: `Assigns app roles of an API to an application, a managed identity or a user, each given
by name or id; the API by its name, its app id or an identifier URI, also Microsoft Graph.
Roles that are already assigned stay assigned. A running server acts on the change before
this command ends, so the next token has the roles.`,
		Example: `  rolecall grant orders-client-mi orders-server/Orders.Read
  rolecall grant orders-client https://graph.microsoft.com/Application.Read.All
  rolecall grant orders-client api://orders/Orders.Read api://orders/Orders.Write`,
	}, roleChange{"granted", nobodyAffected, manage.Place.Assign}, c.WarnUnreachable)
	format, _ := cmd.Flag("output").Value.(*output.Format) // as assigningCommand has added it
	c.Changing(cmd, format)
	return cmd
}

func revokeCommand(c *cli) *cobra.Command {
	cmd := assigningCommand(c, &cobra.Command{
		Use:   "revoke PRINCIPAL API/ROLE...",
		Short: "Revoke app roles, or end tokens or sessions",
		Long: `Removes assignments of an API's app roles from an application, a managed identity or a
user; roles that are not assigned are left alone. A running server acts on the change
before this command ends, so the next token lacks the roles. Tokens that were issued
before carry them until they expire; an API that follows revocations refuses them within
seconds. With --tokens such an API refuses every token that an application or managed
identity has got until now, as after a stolen secret. With --sessions it ends everything
that began with a sign-in of a user: browser sessions, codes, device codes and refresh
tokens. Taking from the last administrator what makes it one needs --yes.`,
		Example: `  rolecall revoke orders-client-mi orders-server/Orders.Read
  rolecall revoke orders-client --tokens
  rolecall revoke dev@contoso.test --sessions`,
	}, roleChange{"revoked", keepsAdministrator, manage.Place.Unassign}, command.FailUnreachable)
	command.YesFlag(cmd)
	var sessions, tokens bool
	cmd.Flags().BoolVar(&sessions, "sessions", false, "end the sessions of a user, instead of revoking roles")
	cmd.Flags().BoolVar(&tokens, "tokens", false, "end the tokens that an application or managed identity has got, instead of revoking roles")
	roles, check := cmd.RunE, cmd.Args
	format, _ := cmd.Flag("output").Value.(*output.Format) // as assigningCommand has added it
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case sessions && tokens:
			return command.UsageError(cmd, errors.New("--sessions is for a user, and --tokens for an application or managed identity: give one"))
		case sessions:
			return command.Exactly(1, "one user, and no roles, with --sessions")(cmd, args)
		case tokens:
			return command.Exactly(1, "one application or managed identity, and no roles, with --tokens")(cmd, args)
		}
		return check(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case sessions:
			return c.endSessions(cmd, args[0])
		case tokens:
			return c.endTokens(cmd, args[0])
		}
		return roles(cmd, args)
	}
	c.Changing(cmd, format)
	return cmd
}

func nobodyAffected(context.Context, *cli, manage.Place, lookup.Principal, []operate.Role) error {
	return nil
}

// keepsAdministrator refuses to leave a tenant without anybody who could manage it through Graph,
// as far as the folder of this machine tells: Graph does not say what roles users have.
func keepsAdministrator(ctx context.Context, c *cli, place manage.Place, who lookup.Principal, roles []operate.Role) error {
	folder, here := place.(*manage.Folder)
	if !here {
		return nil
	}
	for _, role := range roles {
		last, err := review.IsLastAdministrator(folder.Data.Directory.View(ctx), who.Tenant.ID, who.ID(), role.ID)
		if err != nil {
			return err
		}
		if last {
			return c.Affects("revoking this of "+who.Name(), []string{"the tenant " + who.Tenant.Name + ", whose last administrator it is"})
		}
	}
	return nil
}

// endSessions ends all sessions of a user.
func (c *cli) endSessions(cmd *cobra.Command, user string) error {
	return c.endAll(cmd, user, func(ctx context.Context, place manage.Place, who lookup.Principal) error {
		if who.User == nil {
			return command.Failed("end its tokens: rolecall revoke "+who.Name()+" --tokens", "%s is no user, and has no sessions", who.Name())
		}
		return place.Graph(who.Tenant).Do(ctx, http.MethodPost, "users/"+string(who.User.ID)+"/revokeSignInSessions", nil, nil)
	}, "the sessions of %s have ended; access tokens live until they expire, unless an API follows revocations")
}

// endTokens ends what tokens an application or managed identity has got.
func (c *cli) endTokens(cmd *cobra.Command, client string) error {
	return c.endAll(cmd, client, func(ctx context.Context, place manage.Place, who lookup.Principal) error {
		if who.User != nil {
			return command.Failed("end the user's sessions: rolecall revoke "+who.Name()+" --sessions", "%s is a user, whose tokens are of sessions", who.Name())
		}
		folder, here := place.(*manage.Folder)
		if !here {
			return command.Failed("disable it, which ends its tokens too where APIs follow revocations: rolecall sp disable "+who.Name(), "Microsoft Graph has no request that ends the tokens of an application")
		}
		return folder.Local.EndTokens(ctx, who.Tenant.ID, who.ID())
	}, "the tokens that %s has got until now are refused by APIs that follow revocations; other APIs take them until they expire")
}

// endAll ends something of a principal, and says so.
func (c *cli) endAll(cmd *cobra.Command, name string, end func(context.Context, manage.Place, lookup.Principal) error, done string) (err error) {
	ctx := cmd.Context()
	place, err := manage.Open(ctx, c.Line, "revoke", cmd.Flag("tenant").Value.String())
	if err != nil {
		return err
	}
	defer func() { err = command.CloseAfter(err, place) }()
	who, err := place.FindPrincipal(ctx, name)
	if err != nil {
		return err
	}
	if err := end(ctx, place, who); err != nil {
		return err
	}
	if c.DryRuns() {
		return nil
	}
	c.Say(done, who.Name())
	return command.FailUnreachable(place.Await(ctx))
}

// A roleChange is what grant and revoke do with app roles, and what they call it.
type roleChange struct {
	done string // "granted"
	// check refuses what somebody would notice, unless that is confirmed.
	check func(ctx context.Context, c *cli, place manage.Place, who lookup.Principal, roles []operate.Role) error
	do    func(p manage.Place, ctx context.Context, who lookup.Principal, roles ...operate.Role) ([]bool, error)
}

// assigningCommand completes a command that does something with the roles it is given, with all
// of them or with none. What it makes of a server that does not answer then is confirm's.
func assigningCommand(c *cli, cmd *cobra.Command, change roleChange, confirm func(error) error) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return command.UsageError(cmd, errors.New("say who, and which roles: PRINCIPAL API/ROLE"))
		}
		return nil
	}
	var tenant string
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant of the principal, if several tenants have that name")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		place, err := manage.Open(ctx, c.Line, cmd.Name(), tenant)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, place) }()
		who, err := place.FindPrincipal(ctx, args[0])
		if err != nil {
			return err
		}
		var results []assignment
		var roles []operate.Role
		for _, arg := range args[1:] {
			role, err := place.FindRole(ctx, cmd.CommandPath(), who, arg)
			if err != nil {
				return err
			}
			roles = append(roles, operate.Role{Resource: role.Principal, ID: role.ID})
			results = append(results, assignment{who.Tenant.Name, who.Name(), who.ID(), cmp.Or(role.API.Name, role.API.DisplayName), role.Value, unchanged})
		}
		if err := change.check(ctx, c, place, who, roles); err != nil {
			return err
		}
		changed, err := change.do(place, ctx, who, roles...)
		if err != nil {
			return err
		}
		for i, did := range changed {
			if did {
				results[i].Result = change.done
			}
		}
		if err := c.Print(format, assignmentListing(results)); err != nil {
			return err
		}
		return confirm(place.Await(ctx))
	}
	c.ServerFlag(cmd)
	return cmd
}

// An assignment is what became of one role.
type assignment struct {
	Tenant      string             `json:"tenant"`
	Principal   string             `json:"principal"`
	PrincipalID directory.ObjectID `json:"principalId"`
	API         string             `json:"api"`
	Role        string             `json:"role"`
	Result      string             `json:"result"` // "granted", "revoked" or "unchanged"
}

func assignmentListing(all []assignment) output.Listing {
	l := output.Listing{Columns: []string{"principal", "api", "role", "result"}, Name: 2, Value: all}
	for _, a := range all {
		l.Rows = append(l.Rows, []string{a.Principal, a.API, a.Role, a.Result})
	}
	return l
}

const unchanged = "unchanged"

func assignmentCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "assignment",
		Short:   "List who was granted what",
		Example: `  rolecall assignment list`,
		Args:    command.UnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("say what to do with the assignments: list; `rolecall grant` and `rolecall revoke` change them"))
		},
	}
	cmd.AddCommand(assignmentListCommand(c))
	return cmd
}

func assignmentListCommand(c *cli) *cobra.Command {
	var tenant, api, client string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who may call an API, or what a client may call",
		Long: `Lists the app roles and scopes that were granted: to whom, of which API, and since when.
With --api it tells who may call that API, with --client what that application, managed
identity or user may call. What is granted and stands in no token for now, because the
role or somebody is disabled, is listed with the reason.`,
		Example: `  rolecall assignment list --api orders-server
  rolecall assignment list --client orders-client -o tsv`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&api, "api", "", "only those of this API: its name, app id or an identifier URI")
	flags.StringVar(&client, "client", "", "only those of this application, managed identity or user: its name or id")
	flags.StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		place, err := manage.Open(ctx, c.Line, "assignment list", tenant)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, place) }()
		tenants, filter, err := chooseAccess(ctx, place, api, client)
		if err != nil {
			return err
		}
		found := []review.Access{}
		for _, tenant := range tenants {
			err := place.Access(ctx, tenant, filter, func(a review.Access) error {
				found = append(found, a)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return c.Print(format, accessListing(found))
	}
	c.ServerFlag(cmd)
	return cmd
}

// chooseAccess finds whom and what an access is asked about.
func chooseAccess(ctx context.Context, place manage.Place, api, client string) (tenants []*directory.Tenant, filter review.AccessFilter, err error) {
	if tenants, err = place.Tenants(ctx); err != nil {
		return nil, filter, err
	}
	var finder lookup.Finder = place
	if client != "" {
		who, err := place.FindPrincipal(ctx, client)
		if err != nil {
			return nil, filter, err
		}
		filter.Client, filter.User = who.Service, who.User
		tenants, finder = []*directory.Tenant{who.Tenant}, place.Within(who.Tenant)
	}
	if api != "" {
		found, err := finder.FindAPI(ctx, api)
		if err != nil {
			return nil, filter, err
		}
		filter.API, tenants = found.Application, []*directory.Tenant{found.Tenant}
	}
	return tenants, filter, nil
}

func accessListing(all []review.Access) output.Listing {
	l := output.Listing{
		Columns: []string{"principal", "kind", "api", "permission", "client", "idle", "since", "tenant", "id"},
		Value:   all, Spare: []int{8, 7, 6, 1}, Cut: []int{5, 0, 2}, Empty: "nothing was granted, or nothing matches the filter",
	}
	for _, a := range all {
		l.Rows = append(l.Rows, []string{a.Principal, a.Kind, a.API, a.Permission(), a.Client, a.Idle, command.ShortTime(a.Since), a.Tenant, string(a.ID)})
	}
	return l
}
