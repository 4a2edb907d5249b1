package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A caution is how careful a command that changes something is to be, and what it has found.
type caution struct {
	yes      bool // --yes: whoever is affected
	dryRun   bool // --dry-run
	changes  []directory.ChangeNote
	affected []string
}

// Changing completes a command that changes something: with --dry-run it makes all checks, says
// what would change, and changes nothing. It is called once the command can run.
func (c *Line) Changing(cmd *cobra.Command, format *output.Format) {
	cmd.Flags().Bool("dry-run", false, "say what would change and change nothing")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.BeCautious(cmd)
		if err := run(cmd, args); err != nil || !c.caution.dryRun {
			return err
		}
		return c.reportDryRun(format)
	}
}

// BeCautious reads how careful a command is to be from its flags --yes and --dry-run.
func (c *Line) BeCautious(cmd *cobra.Command) {
	given := func(name string) bool {
		f := cmd.Flags().Lookup(name)
		return f != nil && f.Value.String() == "true"
	}
	c.caution = caution{yes: given("yes"), dryRun: given("dry-run")}
}

// YesFlag adds --yes to a command that may do harm.
func YesFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("yes", false, "do it, whoever is affected")
}

// DryRuns reports whether the command is to change nothing.
func (c *Line) DryRuns() bool { return c.caution.dryRun }

// Rehearses is told what a dry run would change. It is nil where the command makes its changes.
func (c *Line) Rehearses() func([]directory.ChangeNote) {
	if !c.caution.dryRun {
		return nil
	}
	return func(changes []directory.ChangeNote) { c.caution.changes = append(c.caution.changes, changes...) }
}

// Affects refuses a change that others notice, unless it is confirmed by --yes. The list says who
// they are, and since when they have not used what goes. A dry run says so and goes on.
func (c *Line) Affects(what string, who []string) error {
	if len(who) == 0 || c.caution.yes && !c.caution.dryRun {
		return nil
	}
	said := fmt.Sprintf("%s affects %s", what, text.Clean(strings.Join(shortened(who), "; ")))
	if c.caution.dryRun {
		c.caution.affected = append(c.caution.affected, who...)
		c.Say("%s; without --dry-run, it takes --yes", said)
		return nil
	}
	return Fail(ExitRefused, errors.New(said), "add --yes if that is meant")
}

// shortened is a list of whom a change affects, as far as people read it.
func shortened(who []string) []string {
	const listed = 10
	if len(who) <= listed {
		return who
	}
	return append(slices.Clone(who[:listed]), fmt.Sprintf("%d more", len(who)-listed))
}

// A dryRun is what a dry run tells programs.
type dryRun struct {
	DryRun   bool                   `json:"dryRun"`
	Changes  []directory.ChangeNote `json:"changes"`
	Affected []string               `json:"affected,omitempty"`
}

// reportDryRun prints what would change: one line for each change.
func (c *Line) reportDryRun(f *output.Format) error {
	all := dryRun{DryRun: true, Changes: append([]directory.ChangeNote{}, c.caution.changes...), Affected: c.caution.affected}
	c.Say("dry run: nothing was changed")
	if f.ForPeople() {
		for _, n := range all.Changes {
			line := fmt.Sprintf("would %s %s %s", n.Action, n.Kind, text.Clean(n.Name))
			if n.Detail != "" {
				line += ": " + text.Clean(n.Detail)
			}
			fmt.Fprintln(c.Out, line)
		}
		return nil
	}
	l := output.Listing{Name: 3, Value: all}
	for _, n := range all.Changes {
		l.Rows = append(l.Rows, []string{n.Action, n.Kind, n.Tenant, n.Name, n.Detail})
	}
	return c.Printer().Print(f, l)
}
