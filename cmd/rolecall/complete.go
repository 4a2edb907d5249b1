package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A lister lists the names that begin with a word and may stand somewhere on a command line. It
// need not list all, but enough for a shell to see how they go on.
type lister func(v *directory.View, tenant directory.TenantID, word string) []string

// completedFlags are the flags whose values are names of the directory.
var completedFlags = map[string]lister{
	"as": principalNames, "also": principalNames, "app": serviceNames, "api": apiNames, "on": hostNames, "identity": identityNames, "client": principalNames,
}

// completeNames offers the directory's names on TAB, in every command.
func (c *cli) completeNames(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		c.completeNames(cmd)
		for name, list := range completedFlags {
			if cmd.Flags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, c.complete(list)) // it fails for unknown flags only
			}
		}
		if cmd.Flags().Lookup("tenant") != nil {
			_ = cmd.RegisterFlagCompletionFunc("tenant", c.complete(nil))
		}
		c.completeNouns(cmd)
		switch cmd.CommandPath() {
		case "rolecall keys show", "rolecall keys revoke":
			cmd.ValidArgsFunction = c.completeKeys
		case "rolecall grant", "rolecall revoke":
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

// completeNouns offers the names of what the first argument of a noun's commands may be.
func (c *cli) completeNouns(cmd *cobra.Command) {
	noun, _, _ := strings.Cut(strings.TrimPrefix(cmd.CommandPath(), "rolecall "), " ")
	list, known := map[string]lister{"app": applicationNames, "sp": serviceNames, "user": userNames, "identity": identityNames, "host": hostNames, "tenant": nil}[noun]
	switch {
	case !known, cmd.HasSubCommands():
		return
	case cmd.Name() == "create" && noun != "sp": // of something new
		return
	case cmd.Name() == "create":
		list = applicationNames
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return c.complete(list)(cmd, args, word)
		case len(args) == 1 && noun == "identity" && (cmd.Name() == "assign" || cmd.Name() == "unassign"):
			return c.complete(hostNames)(cmd, args, word)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// complete returns the names that a list has in all tenants, or in the one that --tenant
// names. A nil list stands for the tenants themselves.
func (c *cli) complete(list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		_ = c.Prepare(cmd, nil) // what is wrong with the environment is said when the command runs
		names := c.names(cmd.Context(), list, cmd, word)
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, word) })
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeKeys offers the ids of signing keys.
func (c *cli) completeKeys(cmd *cobra.Command, args []string, word string) (ids []string, _ cobra.ShellCompDirective) {
	_ = c.Prepare(cmd, nil) // what is wrong with the environment is said when the command runs
	if len(args) > 0 || c.Dir == "" || !server.HasData(filepath.Clean(c.Dir)) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	data, err := c.Open(cmd.Context())
	if err != nil { // TAB shows no errors
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = data.Close() }() // it was only read
	keys, err := c.keysIn(cmd.Context(), data, "keys", cmd.Flag("tenant").Value.String())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, key := range keys {
		if strings.HasPrefix(key.ID, word) {
			ids = append(ids, key.ID)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// names reads them from the folder, if it has any. TAB shows no errors.
func (c *cli) names(ctx context.Context, list lister, cmd *cobra.Command, word string) (names []string) {
	if c.Dir == "" || !server.HasData(filepath.Clean(c.Dir)) {
		return nil
	}
	data, err := c.Open(ctx)
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
			names = append(names, list(view, tenant.ID, word)...)
		}
	}
	return names
}

const (
	offered   = 100  // names, of each kind
	lookedAt  = 2000 // things, for names that only some have
	pageNames = 125
)

// A nameList lists things by name.
type nameList[T any] interface {
	List(directory.TenantID, directory.Query) (directory.Page[T], error)
	Past(prefix string) string
}

// beginning lists the names that begin with a word; a thing without a name has "". Of many it
// lists the first, and others that show how far all of them are alike, because that is what a
// shell completes at once. Where reading fails, there are none to offer.
func beginning[T any](all nameList[T], tenant directory.TenantID, word string, name func(*T) string) (names []string) {
	query := directory.Query{Prefix: word, Limit: pageNames}
	for looked := 0; ; {
		page, err := all.List(tenant, query)
		if err != nil {
			return names
		}
		for _, one := range page.Items {
			if n := name(one); n != "" {
				names = append(names, n)
			}
		}
		looked += len(page.Items)
		if query.After = page.Next; query.After == "" {
			return names
		}
		if len(names) >= offered || looked >= lookedAt {
			break
		}
	}
	for alike := commonPrefix(names); len(alike) > len(word); alike = commonPrefix(names) {
		page, err := all.List(tenant, directory.Query{Prefix: word, After: all.Past(alike), Limit: pageNames})
		if err != nil || len(page.Items) == 0 {
			return names
		}
		before := len(names)
		for _, one := range page.Items {
			if n := name(one); n != "" {
				names = append(names, n)
				break
			}
		}
		if len(names) == before {
			return names
		}
	}
	return names
}

// commonPrefix is how all names begin, in any case.
func commonPrefix(names []string) string {
	if len(names) == 0 {
		return ""
	}
	alike := strings.ToLower(names[0])
	for _, name := range names[1:] {
		for !strings.HasPrefix(strings.ToLower(name), alike) {
			_, size := utf8.DecodeLastRuneInString(alike)
			alike = alike[:len(alike)-size]
		}
	}
	return alike
}

// byDisplayName lists things by the name that people are shown.
type byDisplayName[T any] struct{ directory.Objects[T] }

func (l byDisplayName[T]) List(tenant directory.TenantID, q directory.Query) (directory.Page[T], error) {
	return l.DisplayedFrom(tenant, q.Prefix, q)
}

func (l byDisplayName[T]) Past(prefix string) string { return l.PastDisplayed(prefix) }

// eitherName lists names and, of things that have none, display names.
func eitherName[T any](all directory.Objects[T], tenant directory.TenantID, word string, name, display func(*T) string) []string {
	return append(beginning(all, tenant, word, name), beginning(byDisplayName[T]{all}, tenant, word, func(one *T) string {
		if name(one) != "" {
			return ""
		}
		return display(one)
	})...)
}

func principalName(p *directory.ServicePrincipal) string { return p.Name }

func principalDisplayName(p *directory.ServicePrincipal) string { return p.DisplayName }

func serviceNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return eitherName(v.ServicePrincipals().Objects, tenant, word, principalName, principalDisplayName)
}

func principalNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return append(serviceNames(v, tenant, word), userNames(v, tenant, word)...)
}

func userNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return beginning(v.Users(), tenant, word, func(u *directory.User) string { return u.PrincipalName })
}

func hostNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return beginning(v.Hosts(), tenant, word, func(h *directory.Host) string { return h.Name })
}

func applicationNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return eitherName(v.Applications().Objects, tenant, word, func(a *directory.Application) string { return a.Name }, func(a *directory.Application) string { return a.DisplayName })
}

func identityNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return eitherName(v.Identities().Objects, tenant, word, principalName, principalDisplayName)
}

// apiName is the name of an API; empty: it is none.
func apiName(a *directory.Application) string {
	if len(a.IdentifierURIs) == 0 && len(a.AppRoles) == 0 && len(a.Scopes) == 0 {
		return ""
	}
	return a.Name
}

func apiNames(v *directory.View, tenant directory.TenantID, word string) []string {
	return eitherName(v.Applications().Objects, tenant, word, apiName, func(a *directory.Application) string {
		if a.Name != "" || len(a.IdentifierURIs) == 0 && len(a.AppRoles) == 0 && len(a.Scopes) == 0 {
			return ""
		}
		return a.DisplayName
	})
}

// roleNames lists the app roles of APIs, as grant takes them. A name may have slashes too, so
// every part of the word before one may be an API.
func roleNames(v *directory.View, tenant directory.TenantID, word string) (names []string) {
	roles := func(app *directory.Application, called string) {
		for _, role := range app.AppRoles {
			if role.Enabled && role.Value != "" {
				names = append(names, called+"/"+role.Value)
			}
		}
	}
	for cut, c := range word {
		if c != '/' {
			continue
		}
		if app, err := v.Applications().FindAPI(tenant, word[:cut]); err == nil {
			roles(app, word[:cut])
		} else if app, err := lookup.FindAPI(v, string(tenant), word[:cut]); err == nil { // by its display name
			roles(app.Application, word[:cut])
		}
	}
	seen := func(name string, a *directory.Application) string {
		if name != "" {
			roles(a, name)
		}
		return name
	}
	eitherName(v.Applications().Objects, tenant, word, func(a *directory.Application) string { return seen(a.Name, a) }, func(a *directory.Application) string { return seen(a.DisplayName, a) })
	return names
}
