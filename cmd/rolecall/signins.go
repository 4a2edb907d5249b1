package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
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
		Args: exactly(0, ""),
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
	format := c.outputFlag(cmd, "", output.Lists()...)
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
		filter.CorrelationID = strings.TrimSuffix(filter.CorrelationID, "…") // as a narrow table has it
		if filter.Since, err = parseSince(since, c.now()); err != nil {
			return usageError(cmd, err)
		}
		if follow {
			return c.followSignIns(ctx, format, data, filter)
		}
		limit := cmp.Or(max(filter.Limit, 0), 100)
		filter.Limit = limit + 1
		rows, err := c.newestSignIns(ctx, data, filter)
		if err != nil {
			return err
		}
		rows, more := newest(rows, limit)
		l := signInListing(rows)
		l.More = more
		return c.print(format, l)
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

// parseSince reads how far back to look: a duration (with d for days), a date or a time.
func parseSince(since string, now time.Time) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(since, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 15); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(since); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, since, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is neither a span such as 15m, 36h or 7d nor a time such as 2026-12-31T23:00:00Z", text.Shown(since))
}

// followed is how often new sign-ins are looked for.
const followed = time.Second

// followSignIns prints the rows there are, oldest first, and new ones as they come, until the
// context ends.
func (c *cli) followSignIns(ctx context.Context, format *output.Format, data *server.Data, filter directory.SignInFilter) error {
	shown := map[string]bool{} // by trace id
	for {
		rows, err := c.newestSignIns(ctx, data, filter)
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
		return c.printValue(format, row)
	case format.Value == "json":
		return json.NewEncoder(c.out).Encode(row)
	case format.Value == "table":
		result := row.Version
		if row.Refused() {
			result = explain.ReasonOf(row)
		}
		fmt.Fprintln(c.out, text.Clean(strings.Join([]string{shortTime(row.Time), signInClient(row), row.Resource, result, row.CorrelationID}, "  ")))
		return nil
	}
	return c.print(format, signInListing([]directory.SignIn{row}))
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
			shortTime(r.Time), signInClient(r), r.Credential, r.Resource, strings.Join(r.Roles, " "), result, r.CorrelationID, r.User, strings.Join(r.Scopes, " "), r.Cloud,
		})
	}
	return l
}
