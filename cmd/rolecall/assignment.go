package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

func assignmentCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "assignment",
		Short:   "List who was granted what",
		Example: `  rolecall assignment list`,
		Args:    unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(cmd, errors.New("say what to do with the assignments: list; `rolecall grant` and `rolecall revoke` change them"))
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
		Args: exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&api, "api", "", "only those of this API: its name, app id or an identifier URI")
	flags.StringVar(&client, "client", "", "only those of this application, managed identity or user: its name or id")
	flags.StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	format := c.outputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		data, err := c.openExisting(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		r, filter, err := c.chooseAccess(data.Directory.View(cmd.Context()), tenant, api, client)
		if err != nil {
			return err
		}
		r.Directory = data.Directory
		found := []review.Access{}
		err = r.Access(cmd.Context(), filter, func(a review.Access) error {
			found = append(found, a)
			return nil
		})
		if err != nil {
			return err
		}
		return c.print(format, accessListing(found))
	}
	return cmd
}

// chooseAccess finds whom and what an access is asked about.
func (c *cli) chooseAccess(v *directory.View, tenant, api, client string) (*review.Reviewer, review.AccessFilter, error) {
	var filter review.AccessFilter
	r := &review.Reviewer{Now: c.now(), Passing: tempcred.IsTemporary}
	var err error
	if r.Tenants, err = lookup.FindTenants(v, tenant); err != nil {
		return nil, filter, err
	}
	if client != "" {
		who, err := lookup.FindPrincipal(v, tenant, client)
		if err != nil {
			return nil, filter, err
		}
		filter.Client, filter.User, tenant = who.Service, who.User, string(who.Tenant.ID)
		r.Tenants = []*directory.Tenant{who.Tenant}
	}
	if api != "" {
		found, err := lookup.FindAPI(v, tenant, api)
		if err != nil {
			return nil, filter, err
		}
		filter.API, r.Tenants = found.Application, []*directory.Tenant{found.Tenant}
	}
	return r, filter, nil
}

func accessListing(all []review.Access) output.Listing {
	l := output.Listing{
		Columns: []string{"principal", "kind", "api", "permission", "client", "idle", "since", "tenant", "id"},
		Value:   all, Spare: []int{8, 7, 6, 1}, Cut: []int{5, 0, 2}, Empty: "nothing was granted, or nothing matches the filter",
	}
	for _, a := range all {
		l.Rows = append(l.Rows, []string{a.Principal, a.Kind, a.API, a.Permission(), a.Client, a.Idle, shortTime(a.Since), a.Tenant, string(a.ID)})
	}
	return l
}
