package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func signInsCommand(c *cli) *cobra.Command {
	var tenant, app string
	var filter directory.SignInFilter
	cmd := &cobra.Command{
		Use:   "signins",
		Short: "List who got tokens and who was refused",
		Long: `Lists the authority's answers to token requests, newest first: who asked, with what kind
of credential, for which API, the roles and scopes issued or the reason for the refusal,
and the user, if the token was for one. A managed identity's token that comes from the
cache of its endpoint is no new answer, and has no row.`,
		Example: `  rolecall signins --failed --app orders-client`,
		Args:    exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	flags.StringVar(&app, "app", "", "only those of this application or managed identity: its name or app id")
	flags.StringVar(&filter.CorrelationID, "correlation-id", "", "only the requests with this correlation id")
	flags.BoolVar(&filter.FailuresOnly, "failed", false, "only requests that were refused")
	flags.IntVar(&filter.Limit, "limit", 100, "list at most this many")
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		data, err := c.openExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		if err := chooseSignIns(data.Directory.View(ctx), &filter, tenant, app); err != nil {
			return err
		}
		rows, err := c.newestSignIns(ctx, data, filter)
		if err != nil {
			return err
		}
		return c.print(output, signInListing(rows))
	}
	return cmd
}

// chooseSignIns completes a filter with the tenant and the application that were named.
func chooseSignIns(v *directory.View, filter *directory.SignInFilter, tenant, app string) error {
	if app == "" && tenant == "" {
		return nil
	}
	if app == "" {
		found, err := v.Tenants().Find(tenant)
		if err == nil {
			filter.Tenant = found.ID
		}
		return err
	}
	found, err := lookup.FindPrincipal(v, tenant, app)
	if err != nil {
		return err
	}
	if found.Service == nil {
		return notFound("name an application or a managed identity", "%s is a user", found.Name())
	}
	filter.Tenant, filter.AppID = found.Tenant.ID, found.Service.AppID
	return nil
}

// newestSignIns reads sign-ins, those included that a running server has not written yet.
func (c *cli) newestSignIns(ctx context.Context, data *server.Data, filter directory.SignInFilter) ([]directory.SignIn, error) {
	found, err := server.FindReachable(ctx, c.dir)
	if err == nil && found != nil {
		err = found.Sync(ctx, 0)
	}
	if errors.Is(err, server.ErrUnreachable) {
		c.say("warning: %v; sign-ins that it has not written yet are missing", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return data.Directory.SignIns(ctx, filter)
}

func signInListing(rows []directory.SignIn) listing {
	if rows == nil {
		rows = []directory.SignIn{}
	}
	l := listing{
		columns: []string{"time", "client", "credential", "api", "roles", "result", "correlation id", "user", "scopes"},
		name:    6, value: rows,
		empty: "no sign-ins yet, or none match the filter",
	}
	for _, r := range rows {
		name := r.Name
		if name == "" {
			name = string(r.AppID)
		}
		result := "issued " + r.Version
		if r.Code != 0 {
			result = fmt.Sprintf("AADSTS%d", r.Code)
		}
		l.rows = append(l.rows, []string{
			shortTime(r.Time), name, r.Credential, r.Resource, strings.Join(r.Roles, " "), result, r.CorrelationID, r.User, strings.Join(r.Scopes, " "),
		})
	}
	return l
}
