package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A lister lists the names that may stand somewhere on a command line.
type lister func(v *directory.View, tenant directory.TenantID) []string

// completedFlags are the flags whose values are names of the directory.
var completedFlags = map[string]lister{
	"as": principalNames, "also": principalNames, "app": serviceNames, "api": apiNames, "on": hostNames,
}

// completeNames offers the directory's names on TAB, in every command.
func (c *cli) completeNames(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		for name, list := range completedFlags {
			if cmd.Flags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, c.complete(list)) // it fails for unknown flags only
			}
		}
		if cmd.Flags().Lookup("tenant") != nil {
			_ = cmd.RegisterFlagCompletionFunc("tenant", c.complete(nil))
		}
		switch cmd.Name() {
		case "grant", "revoke":
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
				list := principalNames
				if len(args) > 0 {
					list = roleNames
				}
				return c.complete(list)(cmd, args, word)
			}
		}
	}
}

// complete returns the names that a list has in all tenants, or in the one that --tenant
// names. A nil list stands for the tenants themselves.
func (c *cli) complete(list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		_ = c.prepare(cmd, nil) // what is wrong with the environment is said when the command runs
		names := c.names(cmd.Context(), list, cmd)
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, word) })
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}

// names reads them from the folder, if it has any. TAB shows no errors.
func (c *cli) names(ctx context.Context, list lister, cmd *cobra.Command) (names []string) {
	if c.dir == "" || !server.HasData(filepath.Clean(c.dir)) {
		return nil
	}
	data, err := c.open(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = data.Close() }() // it was only read
	view := data.Directory.View(ctx)
	tenants, err := view.Tenants().All()
	if err != nil {
		return nil
	}
	chosen := ""
	if f := cmd.Flags().Lookup("tenant"); f != nil {
		chosen = f.Value.String()
	}
	for _, tenant := range tenants {
		switch {
		case list == nil:
			names = append(names, tenant.Name)
		case chosen == "" || strings.EqualFold(chosen, tenant.Name) || strings.EqualFold(chosen, string(tenant.ID)):
			names = append(names, list(view, tenant.ID)...)
		}
	}
	return names
}

// listed is the names of what a view has; where it fails, there are none to offer.
func listed[T any](all []*T, _ error, name func(*T) string) (names []string) {
	for _, v := range all {
		if n := name(v); n != "" {
			names = append(names, n)
		}
	}
	return names
}

func serviceNames(v *directory.View, tenant directory.TenantID) []string {
	all, err := v.ServicePrincipals().All(tenant)
	return listed(all, err, func(p *directory.ServicePrincipal) string { return p.Name })
}

func principalNames(v *directory.View, tenant directory.TenantID) []string {
	all, err := v.Users().All(tenant)
	return append(serviceNames(v, tenant), listed(all, err, func(u *directory.User) string { return u.PrincipalName })...)
}

func hostNames(v *directory.View, tenant directory.TenantID) []string {
	all, err := v.Hosts().All(tenant)
	return listed(all, err, func(h *directory.Host) string { return h.Name })
}

func apiNames(v *directory.View, tenant directory.TenantID) []string {
	all, err := v.Applications().All(tenant)
	return listed(all, err, func(a *directory.Application) string {
		if len(a.IdentifierURIs) == 0 && len(a.AppRoles) == 0 && len(a.Scopes) == 0 {
			return ""
		}
		return a.Name
	})
}

// roleNames lists the app roles of APIs, as grant takes them.
func roleNames(v *directory.View, tenant directory.TenantID) (names []string) {
	all, _ := v.Applications().All(tenant)
	for _, app := range all {
		for _, role := range app.AppRoles {
			if role.Enabled {
				names = append(names, app.Name+"/"+role.Value)
			}
		}
	}
	return names
}
