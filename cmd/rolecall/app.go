package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

func appCommand(c *cli) *cobra.Command {
	return nounCommand("app", "Manage applications: APIs and clients", "rolecall app list",
		appListCommand(c), appShowCommand(c), appCreateCommand(c), appUpdateCommand(c), appDeleteCommand(c),
		appRoleCommand(c), appPermissionCommand(c), appCredentialCommand(c), appFederatedCommand(c), appOwnerCommand(c),
	)
}

// applicationRow is what people see of an application.
func applicationRow(found json.RawMessage) ([]string, error) {
	var a struct {
		ID             string   `json:"id"`
		AppID          string   `json:"appId"`
		DisplayName    string   `json:"displayName"`
		IdentifierURIs []string `json:"identifierUris"`
	}
	err := json.Unmarshal(found, &a)
	return []string{a.DisplayName, a.AppID, a.ID, strings.Join(a.IdentifierURIs, " ")}, err
}

func applicationColumns() output.Listing {
	return output.Listing{Columns: []string{"name", "app id", "object id", "identifier uris"}, Spare: []int{2}, Cut: []int{0, 3}, Empty: "there are no applications, or none match"}
}

func appListCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List applications",
		Long: `Lists the registrations of a tenant, as Microsoft Graph has them. A filter is an expression
of OData, as Graph takes it.`,
		Example: `  rolecall app list -o tsv
  rolecall app list --display-name orders --query [].appId -o tsv`,
		Args: exactly(0, ""),
	}
	return c.listing(cmd, "applications", applicationColumns(), applicationRow, "id,appId,displayName,identifierUris", "")
}

const whichApp = "one application, by its name or any of its ids"

func appShowCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use:   "show APP",
		Short: "Show an application",
		Long: `Shows a registration, as Microsoft Graph has it. It is named by its name, its app id, its
object id, an identifier URI, or a display name that no other has.`,
		Example: `  rolecall app show orders-server
  rolecall app show api://orders --query appRoles[].value -o tsv`,
		Args: exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		return m.show(ctx, client, "applications/"+string(app.ID), applicationColumns(), applicationRow)
	})
}

// appSettings are the flags that say what an application is.
type appSettings struct {
	uris, web, spa, native []string
	audience               string
	version                int
	public                 bool
}

func (s *appSettings) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&s.uris, "identifier-uris", nil, "URI by which clients ask for tokens for it, such as api://orders; may be given several times")
	flags.StringArrayVar(&s.web, "web-redirect-uris", nil, "where a web application takes the answer to a sign-in")
	flags.StringArrayVar(&s.spa, "spa-redirect-uris", nil, "where a script in a browser takes it")
	flags.StringArrayVar(&s.native, "public-client-redirect-uris", nil, "where a program on the user's machine takes it")
	flags.StringVar(&s.audience, "sign-in-audience", "", "whose users it is meant for, such as AzureADMyOrg")
	flags.IntVar(&s.version, "requested-access-token-version", 2, "version of the access tokens for it: 1 or 2")
	flags.BoolVar(&s.public, "is-fallback-public-client", false, "whether it is a public client, which keeps no secret")
}

// body is what Graph is sent: what was given on the command line, or everything.
func (s *appSettings) body(cmd *cobra.Command, all bool) map[string]any {
	given := func(flag string) bool { return all || cmd.Flags().Changed(flag) }
	body := map[string]any{}
	if cmd.Flags().Changed("identifier-uris") {
		body["identifierUris"] = s.uris
	}
	for flag, member := range map[string]string{"web-redirect-uris": "web", "spa-redirect-uris": "spa", "public-client-redirect-uris": "publicClient"} {
		if cmd.Flags().Changed(flag) {
			body[member] = map[string]any{"redirectUris": map[string][]string{"web": s.web, "spa": s.spa, "publicClient": s.native}[member]}
		}
	}
	if s.audience != "" {
		body["signInAudience"] = s.audience
	}
	if given("requested-access-token-version") {
		body["api"] = map[string]any{"requestedAccessTokenVersion": s.version}
	}
	if given("is-fallback-public-client") {
		body["isFallbackPublicClient"] = s.public
	}
	return body
}

func appCreateCommand(c *cli) *cobra.Command {
	var settings appSettings
	var registered bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Register an application",
		Long: `Registers an application under a display name, and makes its service principal, so that it
can get tokens and tokens are issued for it.`,
		Example: `  rolecall app create orders-server --identifier-uris api://orders
  rolecall app create orders-client --query appId -o tsv`,
		Args: exactly(1, "one display name"),
	}
	settings.flags(cmd)
	cmd.Flags().BoolVar(&registered, "registered-only", false, "make no service principal: it takes no part in the tenant yet")
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, tenant, err := m.whole(ctx)
		if err != nil {
			return err
		}
		if found, err := lookup.FindApplication(m.data.Directory.View(ctx), string(tenant.ID), args[0]); err == nil {
			return failed("choose another name, or change that one with `rolecall app update`", "there is an application %q already, with the app id %s", args[0], found.AppID)
		} else if !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, lookup.ErrAmbiguous) {
			return err
		}
		body := settings.body(cmd, true)
		body["displayName"] = args[0]
		var made json.RawMessage
		if err := client.Do(ctx, http.MethodPost, "applications", body, &made); err != nil {
			return err
		}
		row, err := applicationRow(made)
		if err == nil && !registered {
			err = client.Do(ctx, http.MethodPost, "servicePrincipals", map[string]any{"appId": row[1]}, nil)
		}
		if err != nil {
			return err
		}
		return m.printOne(made, applicationColumns(), applicationRow)
	})
}

func appUpdateCommand(c *cli) *cobra.Command {
	var settings appSettings
	var name string
	cmd := &cobra.Command{
		Use:   "update APP",
		Short: "Change an application",
		Long: `Changes what is given and leaves the rest. A list of URIs takes the place of the one there
is.`,
		Example: `  rolecall app update orders-server --identifier-uris api://orders --identifier-uris api://orders.test
  rolecall app update orders-server --display-name "Orders API"`,
		Args: exactly(1, whichApp),
	}
	settings.flags(cmd)
	cmd.Flags().StringVar(&name, "display-name", "", "what people call it")
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		body := settings.body(cmd, false)
		if name != "" {
			body["displayName"] = name
		}
		if len(body) == 0 {
			return usageError(cmd, errors.New("say what to change"))
		}
		if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), body, nil); err != nil {
			return err
		}
		return m.show(ctx, client, "applications/"+string(app.ID), applicationColumns(), applicationRow)
	})
}

func appDeleteCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete APP",
		Short: "Delete an application, with its service principal and all assignments",
		Long: `Deletes a registration, its service principal, its credentials, and the assignments to and
of it. If others hold roles or scopes of it, or it got a token within the last week, that
is said, and --yes is needed.`,
		Example: `  rolecall app delete reports-client
  rolecall app delete orders-server --yes`,
		Args: exactly(1, whichApp),
	}
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := m.holders(ctx, app)
		if err != nil {
			return err
		}
		used, err := m.lastUses(ctx, app)
		if err != nil {
			return err
		}
		if last := used[""]; m.now().Sub(last) < recently {
			who = append([]string{fmt.Sprintf("%s itself, which got a token at %s", app.Label(), shortTime(last))}, who...)
		}
		if err := affected(*yes, "deleting "+app.Label(), who); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, "applications/"+string(app.ID), nil, nil); err != nil {
			return err
		}
		m.say("deleted %s, app id %s", app.Label(), app.AppID)
		return nil
	})
}

// holders are those who hold something of an application, with what, but for itself.
func (m *manager) holders(ctx context.Context, app lookup.API) (who []string, err error) {
	r := &review.Reviewer{Directory: m.data.Directory, Tenants: []*directory.Tenant{app.Tenant}, Now: m.now()}
	err = r.Access(ctx, review.AccessFilter{API: app.Application}, func(a review.Access) error {
		name := a.Principal
		if a.Client != "" {
			name = a.Client + " for " + name
		}
		who = append(who, fmt.Sprintf("%s, which holds %s", name, a.Permission()))
		return nil
	})
	return who, err
}
