package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/guardcheck"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func guardCheckCommand(c *cli) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find mistakes in the rules of a guard.yaml",
		Long: `Finds mistakes in a guard.yaml before it is used: rules that are never reached or decide
about some of their requests only, anonymous rules above others, paths that are another
spelling of a path, and roles, scopes, applications and principals that the directory of
the data folder does not have. The exit code is 4 if there are any.`,
		Example: `  rolecall guard check --config guard.yaml
  rolecall guard check -o json`,
		Args: command.Exactly(0, ""),
	}
	guardConfigFlag(cmd, &file)
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := c.guardFile(file)
		if err != nil {
			return err
		}
		found := guardcheck.Rules(cmd.Context(), settings)
		more, err := c.compareWithDirectory(cmd.Context(), settings)
		if err != nil {
			return err
		}
		return c.printFindings(format, file, append(found, more...))
	}
	return cmd
}

// guardFile reads the settings of a guard.
func (c *cli) guardFile(name string) (*guardfile.File, error) {
	content, err := c.ReadFile(name)
	if err != nil {
		return nil, withoutSettings(fmt.Errorf("read the settings: %w", err))
	}
	f, err := guardfile.Parse(name, content)
	if err != nil {
		return nil, err
	}
	if tenants, ok := c.Lookup(guardfile.TenantsVariable); ok {
		f.AllowTenants(tenants)
	}
	return f, nil
}

// compareWithDirectory compares rules with the directory of the data folder, if there is one.
func (c *cli) compareWithDirectory(ctx context.Context, settings *guardfile.File) (found []guardcheck.Finding, err error) {
	if c.Dir == "" || !server.HasData(c.Dir) {
		c.Say("there is no data in %s, so roles and applications were not compared with a directory", c.Dir)
		return nil, nil
	}
	data, err := c.OpenExisting(ctx)
	if err != nil {
		return nil, err
	}
	found, unknown, err := guardcheck.Directory(ctx, settings, data.Directory)
	for _, host := range unknown {
		c.Say("no API of the directory in %s has this audience%s, so its roles and applications were not compared", c.Dir, ofHost(host))
	}
	return found, errors.Join(err, data.Close())
}

func ofHost(host string) string {
	if host == "" {
		return ""
	}
	return " (host " + host + ")"
}

func (c *cli) printFindings(format *output.Format, file string, found []guardcheck.Finding) error {
	l := output.Listing{Columns: []string{"where", "what", "rule", "detail"}, Value: map[string]any{"findings": found}, Empty: "there are no mistakes in " + file}
	if found == nil {
		l.Value = map[string]any{"findings": []guardcheck.Finding{}}
	}
	for _, f := range found {
		where := filepath.Base(file)
		if f.Line > 0 {
			where += ":" + strconv.Itoa(f.Line)
		}
		l.Rows = append(l.Rows, []string{where, string(f.Kind), f.Rule, strings.TrimSpace(sentence(f.What) + " " + f.Fix)})
	}
	if err := c.Print(format, l); err != nil || len(found) == 0 {
		return err
	}
	return command.Silently(command.ExitRefused)
}

// sentence ends a text that begins one.
func sentence(what string) string { return strings.TrimSuffix(what, ".") + "." }

func guardTestCommand(c *cli) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "test [guard-test.yaml]",
		Short: "Test the rules of a guard.yaml",
		Long: `Decides about each request of a table with the rules of a guard.yaml, and compares the
decision with the one that the table expects. Callers get tokens of an issuer that exists
only in the test, so neither an authority nor a network is needed. The exit code is 4 if a
decision is another one.`,
		Example: `  rolecall guard test
  rolecall guard test guard-test.yaml --config guard.yaml -o json`,
		Args: command.AtMost(1, "a table of tests"),
	}
	guardConfigFlag(cmd, &file)
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := "guard-test.yaml"
		if len(args) == 1 {
			name = args[0]
		}
		content, err := c.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read the tests: %w", err)
		}
		table, err := guardcheck.ParseTable(name, content)
		if err != nil {
			return err
		}
		if table.Config != "" && !cmd.Flags().Changed("config") {
			if file = table.Config; !filepath.IsAbs(file) {
				file = filepath.Join(filepath.Dir(name), file)
			}
		}
		settings, err := c.guardFile(file)
		if err != nil {
			return err
		}
		results, err := guardcheck.Run(cmd.Context(), settings, table)
		if err != nil {
			return err
		}
		return c.printResults(format, results)
	}
	return cmd
}

func (c *cli) printResults(format *output.Format, results []guardcheck.Result) error {
	l := output.Listing{Columns: []string{"ok", "test", "expected", "got", "rule", "detail"}, Name: 1, Spare: []int{4}, Cut: []int{5}, Value: map[string]any{"tests": results}}
	failures := 0
	for _, r := range results {
		mark, detail := "✓", ""
		if !r.OK {
			mark, detail = "✗", r.Detail
			failures++
		}
		l.Rows = append(l.Rows, []string{mark, r.Name, r.Expected, r.Got, r.Rule, detail})
	}
	if err := c.Print(format, l); err != nil {
		return err
	}
	c.Say("%d of %d tests passed", len(results)-failures, len(results))
	if failures > 0 {
		return command.Silently(command.ExitRefused)
	}
	return nil
}

func guardExplainConfigCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain-config FILE",
		Short: "Print what the settings of another guard mean",
		Long: `Prints the guard.yaml that says the same as an authsettingsV2 document of App Service or a
validate-azure-ad-token policy of API Management, and warns of what they leave open, such
as any tenant or no role.`,
		Example: `  rolecall guard explain-config authsettings.json > guard.yaml
  rolecall guard explain-config policy.xml -o json`,
		Args: command.Exactly(1, "a file"),
	}
	format := c.OutputFlag(cmd, "yaml", "yaml", "json")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f, err := c.guardFile(args[0])
		if err != nil {
			return err
		}
		if format.Value == "json" {
			warnings := f.Warnings
			if warnings == nil {
				warnings = []guardfile.Warning{}
			}
			return c.PrintValue(format, map[string]any{"source": f.Foreign, "settings": f.Settings(), "warnings": warnings})
		}
		for _, warning := range f.Warnings {
			c.Say("warning: %s", sentence(warning.What))
			if warning.Fix != "" {
				c.Say("hint: %s", warning.Fix)
			}
		}
		return c.PrintValue(format, f.Settings())
	}
	return cmd
}
