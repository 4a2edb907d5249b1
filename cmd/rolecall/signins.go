package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/text"
)

func signInsCommand(c *cli) *cobra.Command {
	var tenant, app, since string
	var follow bool
	var filter directory.SignInFilter
	cmd := &cobra.Command{
		Use:   "signins",
		Short: "List who got tokens and who was refused",
		Long: `Lists the authority's answers to token requests, newest first: who asked, with what kind
of credential, for which API, the roles and scopes issued or the reason for the refusal,
and the user, if the token was for one. A managed identity's token that comes from the
cache of its endpoint is no new answer, and has no row.`,
		Example: `  rolecall signins --failed --app orders-client
  rolecall signins --since 15m --user dev@contoso.test`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	flags.StringVar(&app, "app", "", "only those of this application or managed identity: its name or app id")
	flags.StringVar(&filter.CorrelationID, "correlation-id", "", "only the requests with this correlation id, or the beginning of one")
	flags.BoolVar(&filter.FailuresOnly, "failed", false, "only requests that were refused")
	flags.StringVar(&since, "since", "", "only those of the last 15m, 36h or 7d, or since a time such as 2026-12-31T23:00:00Z")
	flags.StringVar(&filter.User, "user", "", "only those in which this user took part: the user principal name")
	flags.BoolVar(&follow, "follow", false, "go on to list new ones as they come, oldest first, until Ctrl-C")
	flags.IntVar(&filter.Limit, "limit", 100, "list at most this many")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		place, err := manage.Open(ctx, c.Line, "signins", tenant)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, place) }()
		if err := chooseSignIns(ctx, place, &filter, tenant, app); err != nil {
			return err
		}
		filter.CorrelationID = strings.TrimSuffix(filter.CorrelationID, "…") // as a narrow table has it
		if filter.Since, err = command.ParseSince(since, c.Now()); err != nil {
			return command.UsageError(cmd, err)
		}
		if follow {
			return c.followSignIns(ctx, format, place, filter)
		}
		limit := cmp.Or(max(filter.Limit, 0), 100)
		filter.Limit = limit + 1
		rows, err := place.SignIns(ctx, filter)
		if err != nil {
			return err
		}
		rows, more := command.Newest(rows, limit)
		l := signInListing(rows)
		l.More = more
		return c.Print(format, l)
	}
	c.ServerFlag(cmd)
	return cmd
}

// chooseSignIns completes a filter with the tenant and the application that were named.
func chooseSignIns(ctx context.Context, place manage.Place, filter *directory.SignInFilter, tenant, app string) error {
	if app == "" && tenant == "" {
		return nil
	}
	if app == "" {
		found, err := place.FindTenant(ctx)
		if err == nil {
			filter.Tenant = found.ID
		}
		return err
	}
	found, err := place.FindPrincipal(ctx, app)
	if err != nil {
		return err
	}
	if found.Service == nil {
		return command.NotFound("name an application or a managed identity", "%s is a user", found.Name())
	}
	filter.Tenant, filter.AppID = found.Tenant.ID, found.Service.AppID
	return nil
}

// followed is how often new sign-ins are looked for.
const followed = time.Second

// followSignIns prints the rows there are, oldest first, and new ones as they come, until the
// context ends.
func (c *cli) followSignIns(ctx context.Context, format *output.Format, place manage.Place, filter directory.SignInFilter) error {
	shown := map[string]bool{} // by trace id
	for {
		rows, err := place.SignIns(ctx, filter)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		rows = slices.DeleteFunc(rows, func(row directory.SignIn) bool { return shown[row.TraceID] })
		slices.Reverse(rows)
		for _, row := range rows {
			shown[row.TraceID] = true
			if err := c.printSignIn(format, row); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			filter.Since = rows[len(rows)-1].Time.Add(-time.Minute) // rows are written a little out of order
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followed):
		}
	}
}

// printSignIn prints one row on a line of its own.
func (c *cli) printSignIn(format *output.Format, row directory.SignIn) error {
	switch {
	case format.Queried():
		return c.PrintValue(format, row)
	case format.Value == "json":
		return json.NewEncoder(c.Out).Encode(row)
	case format.Value == "table":
		result := row.Version
		if row.Refused() {
			result = explain.ReasonOf(row)
		}
		fmt.Fprintln(c.Out, text.Clean(strings.Join([]string{command.ShortTime(row.Time), signInClient(row), row.Resource, result, row.CorrelationID}, "  ")))
		return nil
	}
	return c.Print(format, signInListing([]directory.SignIn{row}))
}

// signInClient is what the client is called: by its name, or by its id where it has none.
func signInClient(r directory.SignIn) string {
	if r.Name == "" {
		return string(r.AppID)
	}
	return r.Name
}

func signInListing(rows []directory.SignIn) output.Listing {
	if rows == nil {
		rows = []directory.SignIn{}
	}
	l := output.Listing{
		Columns: []string{"time", "client", "credential", "api", "roles", "result", "correlation id", "user", "scopes", "cloud"},
		Name:    6, Value: rows, Spare: []int{9, 2, 8, 7, 4}, Cut: []int{6, 1, 3},
		Empty: "no sign-ins yet, or none match the filter",
	}
	for _, r := range rows {
		result := "issued " + r.Version
		if r.Refused() {
			result = explain.ReasonOf(r)
		}
		l.Rows = append(l.Rows, []string{
			command.ShortTime(r.Time), signInClient(r), r.Credential, r.Resource, strings.Join(r.Roles, " "), result, r.CorrelationID, r.User, strings.Join(r.Scopes, " "), r.Cloud,
		})
	}
	return l
}
