package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/output"
)

func auditCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show and check the log of changes",
		Example: `  rolecall audit list
  rolecall audit verify`,
		Args: command.UnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("say what to do with the audit log: list or verify"))
		},
	}
	cmd.AddCommand(auditListCommand(c), auditVerifyCommand(c))
	return cmd
}

func auditListCommand(c *cli) *cobra.Command {
	var since, actor string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who changed what",
		Long: `Lists the changes of the directory, newest first: when, by whom, what was done to what.
Secrets are never among them. Whether the list is whole is checked by "rolecall audit
verify".`,
		Example: `  rolecall audit list --since 7d`,
		Args:    command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "only those of the last 15m, 36h or 7d, or since a time such as 2026-12-31T23:00:00Z")
	flags.StringVar(&actor, "by", "", "only those by this actor, such as cli:apply")
	flags.IntVar(&limit, "limit", 100, "list at most this many")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		from, err := command.ParseSince(since, c.Now())
		if err != nil {
			return command.UsageError(cmd, err)
		}
		place, err := manage.Open(ctx, c.Line, "audit list", "")
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, place) }()
		rows, err := place.Changes(ctx, from, max(limit, 0)+1, func(row audit.Row) bool { return actor == "" || actor == row.Actor })
		if err != nil {
			return err
		}
		rows, more := command.Newest(rows, max(limit, 0))
		l := changeListing(rows)
		l.More = more
		return c.Print(format, l)
	}
	c.ServerFlag(cmd)
	return cmd
}

// A change is a row of the audit log as `rolecall audit list` tells it to programs.
type change struct {
	Sequence int64 `json:"sequence"`
	audit.Event
}

func changeListing(rows []audit.Row) output.Listing {
	value := make([]change, len(rows))
	l := output.Listing{Columns: []string{"time", "by", "action", "name", "detail"}, Name: 3, Value: value, Spare: []int{4, 1}, Cut: []int{3}, Empty: "no changes yet, or none match the filter"}
	for i, row := range rows {
		value[i] = change{row.Sequence, row.Event}
		l.Rows = append(l.Rows, []string{command.ShortTime(row.Time), row.Actor, row.Action, cmp.Or(row.Name, row.Target), row.Detail})
	}
	return l
}

// An auditReport is what `rolecall audit verify` tells programs.
type auditReport struct {
	Whole     bool   `json:"whole"`
	Rows      int64  `json:"rows"`
	KeyedFrom int64  `json:"keyedFrom"` // sequence of the first row that was made by the folder's key
	Last      string `json:"last,omitempty"`
	Problem   string `json:"problem,omitempty"`
}

func auditVerifyCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody has changed the log of changes",
		Long: `Checks every row of the audit log with the folder's key, and that no row is missing, also
at the end. Exits with 4 if rows were changed, added or removed by anything other than
Rolecall. Anyone who has the key could forge the log, and an old copy of the whole database
passes the check: compare the number of rows with one that you noted elsewhere.`,
		Example: `  rolecall audit verify -o json`,
		Args:    command.Exactly(0, ""),
	}
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		data, err := c.OpenExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		found, broken := data.Directory.VerifyAudit(ctx)
		if _, is := errors.AsType[*audit.ChangedError](broken); broken != nil && !is && !errors.Is(broken, audit.ErrUnsigned) {
			return broken // it could not be read
		}
		report := auditReport{Whole: broken == nil, Rows: found.Rows, KeyedFrom: found.Keyed, Last: command.ShortTime(found.Last)}
		if broken != nil {
			report.Problem = broken.Error()
		}
		if err := c.Print(format, auditListing(report)); err != nil {
			return err
		}
		return auditFailure(broken)
	}
	return cmd
}

func auditListing(r auditReport) output.Listing {
	whole := "no"
	if r.Whole {
		whole = "yes"
	}
	return output.Listing{
		Columns: []string{"whole", "rows", "keyed from", "last"}, Value: r,
		Rows: [][]string{{whole, fmt.Sprint(r.Rows), fmt.Sprint(r.KeyedFrom), r.Last}},
	}
}

func auditFailure(broken error) error {
	switch {
	case broken == nil:
		return nil
	case errors.Is(broken, audit.ErrUnsigned):
		return command.Fail(command.ExitRefused, broken, "its signature was removed, or could not be written")
	}
	return command.Fail(command.ExitRefused, broken, "find out who could write to the database, and compare it with a backup")
}
