package noun

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// A manager manages the directory: in the folder of this machine, or on a server elsewhere.
type manager struct {
	*command.Line
	place  manage.Place
	tenant string // --tenant
	format *output.Format
	blind  bool // sign-ins may not be read
}

// flags adds those that all managing commands have.
func (m *manager) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.tenant, "tenant", "", "tenant: its name, id or domain (required if there are several)")
	m.format = m.OutputFlag(cmd, "", output.Lists()...)
}

// work lets run work in the place, and waits until a change counts: changing commands let a
// running server act on it before they end.
func (m *manager) work(ctx context.Context, changes bool, run func() error) (err error) {
	defer func() { err = command.CloseAfter(err, m.place) }()
	if err := run(); err != nil || !changes || m.DryRuns() {
		return misused(err)
	}
	return m.WarnUnreachable(m.place.Await(ctx))
}

// managing completes a command that manages the directory, wherever it is.
func managing(c *command.Line, cmd *cobra.Command, changes bool, run func(ctx context.Context, m *manager, args []string) error) *cobra.Command {
	m := &manager{Line: c}
	m.flags(cmd)
	c.ServerFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if m.place, err = manage.Open(ctx, c, words(cmd), m.tenant); err != nil {
			return err
		}
		return m.work(ctx, changes, func() error { return run(ctx, m, args) })
	}
	if changes {
		c.Changing(cmd, m.format)
	}
	return cmd
}

// words are those of a command below the program's name.
func words(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "rolecall ") }

// A local manager manages what Graph has not, which is only where the folder is.
type local struct {
	manager
	*manage.Folder
}

// managingHere completes a command that manages what Graph has not.
func managingHere(c *command.Line, cmd *cobra.Command, changes bool, run func(ctx context.Context, m *local, args []string) error) *cobra.Command {
	m := &local{manager: manager{Line: c}}
	m.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if m.Folder, err = manage.OpenFolder(ctx, c, words(cmd), m.tenant); err != nil {
			return err
		}
		m.place = m.Folder
		return m.work(ctx, changes, func() error { return run(ctx, m, args) })
	}
	if changes {
		c.Changing(cmd, m.format)
	}
	return cmd
}

// listing completes a command that lists things of Graph's, chosen by display name and filter
// and by a term of OData that is always there.
func listing(c *command.Line, cmd *cobra.Command, path string, l output.Listing, row func(json.RawMessage) ([]string, error), columns, always string) *cobra.Command {
	var prefix, filter string
	cmd.Args = command.Exactly(0, "")
	cmd.Flags().StringVar(&prefix, "display-name", "", "only those whose display name begins so")
	cmd.Flags().StringVar(&filter, "filter", "", "only those that this expression of OData is true of")
	return managing(c, cmd, false, func(ctx context.Context, m *manager, _ []string) error {
		client, _, err := m.whole(ctx)
		if err != nil {
			return err
		}
		query := url.Values{"$top": {"999"}}
		var terms []string
		if always != "" {
			terms = append(terms, always)
		}
		if filter != "" && always == "" && prefix == "" {
			terms = append(terms, filter) // whose places errors name
		} else if filter != "" {
			terms = append(terms, "("+filter+")")
		}
		if prefix != "" {
			terms = append(terms, "startswith(displayName,"+odataText(prefix)+")")
		}
		if len(terms) > 0 {
			query.Set("$filter", strings.Join(terms, " and "))
		}
		if v := m.format.Value; v != "json" && v != "yaml" && !m.format.Queried() {
			query.Set("$select", columns)
		}
		return m.Printer().Stream(m.format, output.Stream{Listing: l, Each: func(yield func([]string, any) error) error {
			return client.Each(ctx, path, query, func(one json.RawMessage) error {
				cells, err := row(one)
				if err != nil {
					return err
				}
				return yield(cells, one)
			})
		}})
	})
}

// odataText is a text as expressions of OData have it.
func odataText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// whole calls Graph in the tenant that is named, or the only one.
func (m *manager) whole(ctx context.Context) (*graphclient.Client, *directory.Tenant, error) {
	tenant, err := m.place.FindTenant(ctx)
	if err != nil {
		return nil, nil, err
	}
	return m.Graph(tenant), tenant, nil
}

// Graph calls Graph in one tenant, wherever it is.
func (m *manager) Graph(tenant *directory.Tenant) *graphclient.Client { return m.place.Graph(tenant) }

// application finds a registration by whatever it is called, and calls Graph in its tenant.
func (m *manager) application(ctx context.Context, ref string) (*graphclient.Client, lookup.API, error) {
	found, err := m.place.FindApplication(ctx, ref)
	if err != nil {
		return nil, found, m.noApplication(ctx, err, ref)
	}
	return m.Graph(found.Tenant), found, nil
}

// done says what was done, unless nothing was.
func (m *manager) done(format string, args ...any) {
	if !m.DryRuns() {
		m.Say(format, args...)
	}
}

// show reads one thing and prints it, with a row of it for people.
func (m *manager) show(ctx context.Context, client *graphclient.Client, path string, l output.Listing, row func(json.RawMessage) ([]string, error)) error {
	if m.DryRuns() { // it is as it was, or not there
		return nil
	}
	var found json.RawMessage
	if err := client.Get(ctx, path, &found); err != nil {
		return err
	}
	return m.printOne(found, l, row)
}

func (m *manager) printOne(found json.RawMessage, l output.Listing, row func(json.RawMessage) ([]string, error)) error {
	if m.DryRuns() {
		return nil
	}
	cells, err := row(found)
	if err != nil {
		return err
	}
	l.Rows, l.Value = [][]string{cells}, found
	return m.Print(m.format, l)
}

// nounCommand is a command that has others below it.
func nounCommand(use, short, example string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: "  " + example,
		Args: command.UnknownCommand,
	}
	var verbs []string
	for _, b := range below {
		verbs = append(verbs, b.Name())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return command.UsageError(cmd, errors.New("say what to do: "+strings.Join(verbs, ", ")))
	}
	cmd.AddCommand(below...)
	return cmd
}
