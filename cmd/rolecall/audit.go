package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

func auditCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "Check the log of changes",
		Example: `  rolecall audit verify`,
		Args:    unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(cmd, errors.New("say what to do with the audit log: verify"))
		},
	}
	cmd.AddCommand(auditVerifyCommand(c))
	return cmd
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
		Args:    exactly(0, ""),
	}
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		data, err := c.openExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		found, broken := data.Directory.VerifyAudit(ctx)
		if _, is := errors.AsType[*audit.ChangedError](broken); broken != nil && !is && !errors.Is(broken, audit.ErrUnsigned) {
			return broken // it could not be read
		}
		report := auditReport{Whole: broken == nil, Rows: found.Rows, KeyedFrom: found.Keyed, Last: shortTime(found.Last)}
		if broken != nil {
			report.Problem = broken.Error()
		}
		if err := c.print(output, auditListing(report)); err != nil {
			return err
		}
		return auditFailure(broken)
	}
	return cmd
}

func auditListing(r auditReport) listing {
	whole := "no"
	if r.Whole {
		whole = "yes"
	}
	return listing{
		columns: []string{"whole", "rows", "keyed from", "last"}, value: r,
		rows: [][]string{{whole, fmt.Sprint(r.Rows), fmt.Sprint(r.KeyedFrom), r.Last}},
	}
}

func auditFailure(broken error) error {
	switch {
	case broken == nil:
		return nil
	case errors.Is(broken, audit.ErrUnsigned):
		return &failure{exitRefused, broken, "its signature was removed, or could not be written"}
	}
	return &failure{exitRefused, broken, "find out who could write to the database, and compare it with a backup"}
}
