package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// A member is an element of a list that an application has, as Graph has it.
type member = map[string]any

// members reads a list of an application.
func (m *manager) members(ctx context.Context, client *graphclient.Client, app lookup.API, name string) ([]member, error) {
	var found map[string]json.RawMessage
	if err := client.Get(ctx, "applications/"+string(app.ID)+"?$select="+name, &found); err != nil {
		return nil, err
	}
	all := []member{}
	return all, json.Unmarshal(found[name], &all)
}

// memberText is the text of a member; empty where it has none.
func memberText(of member, name string) string {
	if of[name] == nil {
		return ""
	}
	return fmt.Sprint(of[name])
}

func appRoleCommand(c *cli) *cobra.Command {
	return nounCommand("role", "Manage the app roles that an API offers", "rolecall app role list orders-server",
		appRoleListCommand(c), appRoleAddCommand(c), appRoleUpdateCommand(c), appRoleDisableCommand(c), appRoleRemoveCommand(c),
	)
}

func roleListing(all []member) output.Listing {
	l := output.Listing{Columns: []string{"value", "enabled", "members", "display name", "id"}, Value: all, Spare: []int{4}, Cut: []int{3, 0}, Empty: "the application offers no app roles"}
	for _, r := range all {
		var types []string
		if list, ok := r["allowedMemberTypes"].([]any); ok {
			for _, one := range list {
				types = append(types, fmt.Sprint(one))
			}
		}
		l.Rows = append(l.Rows, []string{memberText(r, "value"), memberText(r, "isEnabled"), strings.Join(types, " "), memberText(r, "displayName"), memberText(r, "id")})
	}
	return l
}

func appRoleListCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "list APP", Short: "List the app roles of an API",
		Example: `  rolecall app role list orders-server`,
		Args:    exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		roles, err := m.members(ctx, client, app, "appRoles")
		if err != nil {
			return err
		}
		return m.print(m.format, roleListing(roles))
	})
}

// changeRoles lets change work on the app roles of an API, and prints them.
func (m *manager) changeRoles(ctx context.Context, ref string, change func(app lookup.API, roles []member) ([]member, error)) error {
	client, app, err := m.application(ctx, ref)
	if err != nil {
		return err
	}
	roles, err := m.members(ctx, client, app, "appRoles")
	if err != nil {
		return err
	}
	if roles, err = change(app, roles); err != nil {
		return err
	}
	if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"appRoles": roles}, nil); err != nil {
		return err
	}
	if roles, err = m.members(ctx, client, app, "appRoles"); err != nil {
		return err
	}
	return m.print(m.format, roleListing(roles))
}

// roleAt finds an app role by its value or id.
func roleAt(app lookup.API, roles []member, ref string) (int, error) {
	i := slices.IndexFunc(roles, func(r member) bool {
		return memberText(r, "value") == ref || strings.EqualFold(memberText(r, "id"), ref)
	})
	if i < 0 {
		return 0, notFound("`rolecall app role list "+app.Label()+"` lists them", "%s has no app role %q", app.Label(), ref)
	}
	return i, nil
}

// roleTexts are the flags that describe an app role.
type roleTexts struct {
	display, description string
	members              []string
}

func (t *roleTexts) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.display, "display-name", "", "what people call it")
	cmd.Flags().StringVar(&t.description, "description", "", "what its holders can do")
	cmd.Flags().StringSliceVar(&t.members, "allowed-member-types", []string{"Application"}, "who can hold it: Application, User")
}

func appRoleAddCommand(c *cli) *cobra.Command {
	var texts roleTexts
	cmd := &cobra.Command{
		Use: "add APP VALUE", Short: "Let an API offer an app role",
		Long:    `Adds an app role to an API. Clients that are granted it have its value in the roles claim of their tokens.`,
		Example: `  rolecall app role add orders-server Orders.Read --display-name "Read orders"`,
		Args:    exactly(2, "the application, and the value of the role"),
	}
	texts.flags(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(_ lookup.API, roles []member) ([]member, error) {
			display := texts.display
			if display == "" {
				display = args[1]
			}
			description := texts.description
			if description == "" {
				description = display
			}
			return append(roles, member{
				"id": guid.New(), "value": args[1], "displayName": display, "description": description, "isEnabled": true, "allowedMemberTypes": texts.members,
			}), nil
		})
	})
}

func appRoleUpdateCommand(c *cli) *cobra.Command {
	var texts roleTexts
	var enabled bool
	cmd := &cobra.Command{
		Use: "update APP ROLE", Short: "Change an app role of an API",
		Example: `  rolecall app role update orders-server Orders.Read --description "Read every order"`,
		Args:    exactly(2, "the application, and the role by its value or id"),
	}
	texts.flags(cmd)
	cmd.Flags().BoolVar(&enabled, "enabled", true, "whether it is offered")
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			for flag, set := range map[string]func(){
				"display-name":         func() { roles[i]["displayName"] = texts.display },
				"description":          func() { roles[i]["description"] = texts.description },
				"allowed-member-types": func() { roles[i]["allowedMemberTypes"] = texts.members },
				"enabled":              func() { roles[i]["isEnabled"] = enabled },
			} {
				if cmd.Flags().Changed(flag) {
					set()
				}
			}
			if enabled {
				return roles, nil
			}
			return roles, m.roleInUse(ctx, app, memberText(roles[i], "value"), *yes)
		})
	})
}

func appRoleDisableCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "disable APP ROLE", Short: "Take an app role out of use",
		Long: `Disables an app role: those who hold it keep it, and it leaves their tokens. If somebody
holds it, that is said, and --yes is needed.`,
		Example: `  rolecall app role disable orders-server Orders.Read --yes`,
		Args:    exactly(2, "the application, and the role by its value or id"),
	}
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			roles[i]["isEnabled"] = false
			return roles, m.roleInUse(ctx, app, memberText(roles[i], "value"), *yes)
		})
	})
}

// roleInUse refuses to take a role from those who hold it, unless that is confirmed.
func (m *manager) roleInUse(ctx context.Context, app lookup.API, value string, yes bool) error {
	var who []string
	r := &review.Reviewer{Directory: m.data.Directory, Tenants: []*directory.Tenant{app.Tenant}, Now: m.now()}
	err := r.Access(ctx, review.AccessFilter{API: app.Application}, func(a review.Access) error {
		if a.Role == value && a.Idle == "" {
			who = append(who, a.Principal+", which holds it since "+shortTime(a.Since))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return affected(yes, "disabling "+app.Label()+"/"+value, who)
}

func appRoleRemoveCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "remove APP ROLE", Short: "Remove an app role that is disabled",
		Long:    `Removes an app role from an API, with its assignments. It must have been disabled before, as in Entra.`,
		Example: `  rolecall app role remove orders-server Orders.Write`,
		Args:    exactly(2, "the application, and the role by its value or id"),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		return m.changeRoles(ctx, args[0], func(app lookup.API, roles []member) ([]member, error) {
			i, err := roleAt(app, roles, args[1])
			if err != nil {
				return nil, err
			}
			if roles[i]["isEnabled"] == true {
				return nil, failed(fmt.Sprintf("`rolecall app role disable %s %s` first", app.Label(), args[1]), "the app role %s of %s is enabled and cannot be removed", args[1], app.Label())
			}
			return slices.Delete(roles, i, i+1), nil
		})
	})
}

func appCredentialCommand(c *cli) *cobra.Command {
	return nounCommand("credential", "Manage the secrets of an application, and look at its certificates", "rolecall app credential list orders-client",
		appCredentialListCommand(c), appCredentialAddCommand(c), appCredentialResetCommand(c), appCredentialRemoveCommand(c),
	)
}

func credentialListing(all []member) output.Listing {
	l := output.Listing{Columns: []string{"name", "kind", "ends", "id"}, Value: all, Name: 3, Cut: []int{0}, Empty: "the application has no secrets or certificates"}
	for _, one := range all {
		kind := "secret"
		if one["type"] != nil {
			kind = "certificate"
		}
		l.Rows = append(l.Rows, []string{memberText(one, "displayName"), kind, memberText(one, "endDateTime"), memberText(one, "keyId")})
	}
	return l
}

// credentials are the secrets and certificates of an application.
func (m *manager) credentials(ctx context.Context, client *graphclient.Client, app lookup.API) (all []member, err error) {
	all = []member{}
	for _, name := range []string{"passwordCredentials", "keyCredentials"} {
		some, err := m.members(ctx, client, app, name)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func appCredentialListCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "list APP", Short: "List the secrets and certificates of an application",
		Example: `  rolecall app credential list orders-client -o name`,
		Args:    exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.credentials(ctx, client, app)
		if err != nil {
			return err
		}
		return m.print(m.format, credentialListing(all))
	})
}

// newSecret are the flags of a secret that is made.
type newSecret struct {
	name, expires, file string
}

func (s *newSecret) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.name, "display-name", "", "what the secret is called")
	cmd.Flags().StringVar(&s.expires, "expires", "", "how long it lasts, such as 90d (default: two years)")
	cmd.Flags().StringVar(&s.file, "file", "", "write the secret to this new file, which the owner alone can read, instead of printing it")
}

// make makes a secret and shows it this once.
func (s *newSecret) make(ctx context.Context, cmd *cobra.Command, m *manager, client *graphclient.Client, app lookup.API) error {
	wanted := member{}
	if s.name != "" {
		wanted["displayName"] = s.name
	}
	if s.expires != "" {
		span, err := parseSpan(s.expires)
		if err != nil {
			return usageError(cmd, fmt.Errorf("--expires: %w", err))
		}
		wanted["endDateTime"] = m.now().Add(span).UTC().Format(time.RFC3339)
	}
	var file *os.File
	if s.file != "" {
		var err error
		if file, err = os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fmt.Errorf("write the secret: %w", err)
		}
	}
	made := member{}
	if err := client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/addPassword", member{"passwordCredential": wanted}, &made); err != nil {
		if file != nil {
			err = errors.Join(err, file.Close(), os.Remove(s.file))
		}
		return err
	}
	delete(made, "@odata.context")
	value := memberText(made, "secretText")
	if file != nil {
		_, err := file.WriteString(value + "\n")
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
		value = ""
		delete(made, "secretText")
	}
	l := output.Listing{
		Columns: []string{"secret", "name", "ends", "id"}, Value: made, Name: 3, Spare: []int{2, 1},
		Rows: [][]string{{value, memberText(made, "displayName"), memberText(made, "endDateTime"), memberText(made, "keyId")}},
	}
	return m.print(m.format, l)
}

func appCredentialAddCommand(c *cli) *cobra.Command {
	var secret newSecret
	cmd := &cobra.Command{
		Use: "add APP", Short: "Make a client secret, and show it this once",
		Long:    `Makes a client secret beside those there are. It is shown here and kept nowhere.`,
		Example: `  rolecall app credential add orders-client --display-name ci --expires 90d --file client.secret`,
		Args:    exactly(1, whichApp),
	}
	secret.flags(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		return secret.make(ctx, cmd, m, client, app)
	})
}

func appCredentialResetCommand(c *cli) *cobra.Command {
	var secret newSecret
	cmd := &cobra.Command{
		Use: "reset APP", Short: "Make a client secret in the place of all others",
		Long: `Makes a client secret, shows it this once, and removes the secrets there were. If one of
them was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app credential reset orders-client --yes --query secretText -o tsv`,
		Args:    exactly(1, whichApp),
	}
	secret.flags(cmd)
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		before, err := m.members(ctx, client, app, "passwordCredentials")
		if err != nil {
			return err
		}
		if err := m.inUse(ctx, app, before, *yes); err != nil {
			return err
		}
		if err := secret.make(ctx, cmd, m, client, app); err != nil {
			return err
		}
		for _, old := range before {
			if err := client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/removePassword", member{"keyId": memberText(old, "keyId")}, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// inUse refuses to remove credentials that were used within the last week, unless that is
// confirmed.
func (m *manager) inUse(ctx context.Context, app lookup.API, credentials []member, yes bool) error {
	used, err := m.lastUses(ctx, app)
	if err != nil {
		return err
	}
	var who []string
	for _, one := range credentials {
		if last := used[memberText(one, "keyId")]; m.now().Sub(last) < recently {
			who = append(who, fmt.Sprintf("%s, which signed in with %q at %s", app.Label(), memberText(one, "displayName"), shortTime(last)))
		}
	}
	return affected(yes, "removing this", who)
}

func appCredentialRemoveCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove APP CREDENTIAL", Short: "Remove a secret or a certificate",
		Long: `Removes a credential, named by its id, or by its name where that is the only one of the
name. If it was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app credential remove orders-client ci`,
		Args:    exactly(2, "the application, and the credential by its id or name"),
	}
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.credentials(ctx, client, app)
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(all, func(one member) bool {
			return memberText(one, "keyId") != args[1] && memberText(one, "displayName") != args[1]
		})
		switch len(found) {
		case 0:
			return notFound("`rolecall app credential list "+app.Label()+"` lists them", "%s has no credential %q", app.Label(), args[1])
		case 1:
		default:
			return &failure{exitUsage, fmt.Errorf("%s has %d credentials named %q", app.Label(), len(found), args[1]), "give the id of the one that you mean"}
		}
		if err := m.inUse(ctx, app, found, *yes); err != nil {
			return err
		}
		if found[0]["type"] == nil {
			err = client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/removePassword", member{"keyId": memberText(found[0], "keyId")}, nil)
		} else { // Graph removes one against a proof, or by the list without it
			var keys []member
			if keys, err = m.members(ctx, client, app, "keyCredentials"); err == nil {
				keys = slices.DeleteFunc(keys, func(one member) bool { return memberText(one, "keyId") == memberText(found[0], "keyId") })
				err = client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"keyCredentials": keys}, nil)
			}
		}
		if err != nil {
			return err
		}
		m.say("removed %q of %s; tokens that it was used for last until they expire (if it was stolen: rolecall revoke %s --tokens)", memberText(found[0], "displayName"), app.Label(), app.Label())
		return nil
	})
}

func appFederatedCommand(c *cli) *cobra.Command {
	return nounCommand("federated-credential", "Manage the federated credentials of an application", "rolecall app federated-credential list orders-client",
		appFederatedListCommand(c), appFederatedCreateCommand(c), appFederatedDeleteCommand(c),
	)
}

func federatedListing(all []member) output.Listing {
	l := output.Listing{Columns: []string{"name", "issuer", "subject", "id"}, Value: all, Spare: []int{3}, Cut: []int{2, 1}, Empty: "the application trusts no other issuer"}
	for _, one := range all {
		l.Rows = append(l.Rows, []string{memberText(one, "name"), memberText(one, "issuer"), memberText(one, "subject"), memberText(one, "id")})
	}
	return l
}

func federatedPath(app lookup.API) string {
	return "applications/" + string(app.ID) + "/federatedIdentityCredentials"
}

func appFederatedListCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "list APP", Short: "List the federated credentials of an application",
		Example: `  rolecall app federated-credential list orders-client`,
		Args:    exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := collected(ctx, client, federatedPath(app))
		if err != nil {
			return err
		}
		return m.print(m.format, federatedListing(all))
	})
}

// collected reads a list whole.
func collected(ctx context.Context, client *graphclient.Client, path string) ([]member, error) {
	all := []member{}
	err := client.Each(ctx, path, nil, func(found json.RawMessage) error {
		one := member{}
		err := json.Unmarshal(found, &one)
		all = append(all, one)
		return err
	})
	return all, err
}

func appFederatedCreateCommand(c *cli) *cobra.Command {
	var name, issuer, subject, audience, description string
	cmd := &cobra.Command{
		Use: "create APP", Short: "Trust tokens of another issuer in place of a secret",
		Long:    `Lets tokens of another issuer, such as those of a CI system, prove the application.`,
		Example: `  rolecall app federated-credential create orders-client --name ci --issuer https://issuer.test --subject repo:orders`,
		Args:    exactly(1, whichApp),
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "name of the credential (required)")
	flags.StringVar(&issuer, "issuer", "", "the iss of the tokens (required)")
	flags.StringVar(&subject, "subject", "", "the sub of the tokens (required)")
	flags.StringVar(&audience, "audience", directory.ExchangeAudience, "the aud of the tokens")
	flags.StringVar(&description, "description", "", "for people")
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		body := member{"name": name, "issuer": issuer, "subject": subject, "audiences": []string{audience}}
		if description != "" {
			body["description"] = description
		}
		made := member{}
		if err := client.Do(ctx, http.MethodPost, federatedPath(app), body, &made); err != nil {
			return err
		}
		delete(made, "@odata.context")
		l := federatedListing([]member{made})
		l.Value = made
		return m.print(m.format, l)
	})
}

func appFederatedDeleteCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete APP CREDENTIAL", Short: "Trust an issuer no longer",
		Long:    `Removes a federated credential, named by its name or id. If it was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app federated-credential delete orders-client ci`,
		Args:    exactly(2, "the application, and the credential by its name or id"),
	}
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := collected(ctx, client, federatedPath(app))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(one member) bool {
			return strings.EqualFold(memberText(one, "name"), args[1]) || memberText(one, "id") == args[1]
		})
		if i < 0 {
			return notFound("`rolecall app federated-credential list "+app.Label()+"` lists them", "%s has no federated credential %q", app.Label(), args[1])
		}
		if err := m.inUse(ctx, app, []member{{"keyId": all[i]["id"], "displayName": all[i]["name"]}}, *yes); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, federatedPath(app)+"/"+memberText(all[i], "id"), nil, nil); err != nil {
			return err
		}
		m.say("removed %q of %s", memberText(all[i], "name"), app.Label())
		return nil
	})
}

func appOwnerCommand(c *cli) *cobra.Command {
	return nounCommand("owner", "Manage who owns an application", "rolecall app owner list orders-server",
		appOwnerListCommand(c), appOwnerAddCommand(c), appOwnerRemoveCommand(c),
	)
}

func appOwnerListCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "list APP", Short: "List the owners of an application",
		Example: `  rolecall app owner list orders-server`,
		Args:    exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}

func (m *manager) printOwners(ctx context.Context, client *graphclient.Client, app lookup.API) error {
	all, err := collected(ctx, client, "applications/"+string(app.ID)+"/owners")
	if err != nil {
		return err
	}
	l := output.Listing{Columns: []string{"name", "kind", "id"}, Value: all, Cut: []int{0}, Empty: "nobody owns the application: administrators manage it"}
	for _, one := range all {
		l.Rows = append(l.Rows, []string{memberText(one, "displayName"), strings.TrimPrefix(memberText(one, "@odata.type"), "#microsoft.graph."), memberText(one, "id")})
	}
	return m.print(m.format, l)
}

func appOwnerAddCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "add APP PRINCIPAL", Short: "Let a user or an application own an application",
		Example: `  rolecall app owner add orders-server dev@contoso.test`,
		Args:    exactly(2, "the application, and who is to own it"),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := lookup.FindPrincipal(m.data.Directory.View(ctx), string(app.Tenant.ID), args[1])
		if err != nil {
			return err
		}
		link := member{"@odata.id": client.Base + "/directoryObjects/" + string(who.ID())}
		if err := client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/owners/$ref", link, nil); err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}

func appOwnerRemoveCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove APP PRINCIPAL", Short: "Let a user or an application own an application no longer",
		Long:    `Removes an owner. If it is the last one, that is said, and --yes is needed: administrators alone can manage the application then.`,
		Example: `  rolecall app owner remove orders-server dev@contoso.test --yes`,
		Args:    exactly(2, "the application, and who is to own it no longer"),
	}
	yes := yesFlag(cmd)
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		who, err := lookup.FindPrincipal(m.data.Directory.View(ctx), string(app.Tenant.ID), args[1])
		if err != nil {
			return err
		}
		if len(app.Owners) == 1 && app.Owners[0] == who.ID() {
			if err := affected(*yes, "removing the last owner", []string{app.Label() + ", which administrators alone can manage then"}); err != nil {
				return err
			}
		}
		if err := client.Do(ctx, http.MethodDelete, "applications/"+string(app.ID)+"/owners/"+string(who.ID())+"/$ref", nil, nil); err != nil {
			return err
		}
		return m.printOwners(ctx, client, app)
	})
}

func appPermissionCommand(c *cli) *cobra.Command {
	return nounCommand("permission", "Manage what an application asks of APIs", "rolecall app permission list orders-client",
		appPermissionListCommand(c), appPermissionAddCommand(c), appPermissionConsentCommand(c), appPermissionRemoveCommand(c),
	)
}

// A requested permission is one that an application asks for.
type requested struct {
	API     string             `json:"api"`
	AppID   directory.AppID    `json:"apiAppId"`
	Value   string             `json:"permission"`
	ID      string             `json:"id"`
	Kind    string             `json:"type"` // "Role" or "Scope", as in Graph
	Granted bool               `json:"granted"`
	api     directory.ObjectID // its service principal; empty: it has none
}

// asks lists what an application asks for, and whether it was granted.
func (m *manager) asks(ctx context.Context, app lookup.API) ([]requested, error) {
	v := m.data.Directory.View(ctx)
	held := map[string]bool{}
	if p, err := v.ServicePrincipals().ByAppID(app.Tenant.ID, app.AppID); err == nil {
		r := &review.Reviewer{Directory: m.data.Directory, Tenants: []*directory.Tenant{app.Tenant}, Now: m.now()}
		if err := r.Access(ctx, review.AccessFilter{Client: p}, func(a review.Access) error {
			if a.Kind != review.ByUser { // one user's consent is not everybody's
				held[string(a.APIAppID)+"/"+a.Role+"/"+a.Scope] = true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	all := []requested{}
	for _, permission := range app.Permissions {
		api, err := v.Applications().FindAPI(app.Tenant.ID, string(permission.API))
		if errors.Is(err, directory.ErrNotFound) {
			api, err = &directory.Application{AppID: permission.API, DisplayName: string(permission.API)}, nil
		}
		if err != nil {
			return nil, err
		}
		one := requested{API: api.Label(), AppID: api.AppID}
		if p, err := v.ServicePrincipals().FindAPI(app.Tenant.ID, api.AppID); err == nil {
			one.api = p.ID
		} else if !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		for _, id := range permission.Roles {
			role, _ := api.Role(string(id)) // none: the API does not have it any more
			one.Value, one.ID, one.Kind, one.Granted = role.Value, string(id), "Role", held[string(api.AppID)+"/"+role.Value+"/"]
			all = append(all, one)
		}
		for _, id := range permission.Scopes {
			scope, _ := api.Scope(string(id))
			one.Value, one.ID, one.Kind, one.Granted = scope.Value, string(id), "Scope", held[string(api.AppID)+"//"+scope.Value]
			all = append(all, one)
		}
	}
	return all, nil
}

// printAsks prints what an application asks for by now.
func (m *manager) printAsks(ctx context.Context, ref string) error {
	_, app, err := m.application(ctx, ref)
	if err != nil {
		return err
	}
	all, err := m.asks(ctx, app)
	if err != nil {
		return err
	}
	l := output.Listing{Columns: []string{"api", "permission", "type", "granted", "id"}, Value: all, Name: 1, Spare: []int{4}, Cut: []int{0, 1}, Empty: "the application asks for nothing"}
	for _, a := range all {
		l.Rows = append(l.Rows, []string{a.API, a.Value, a.Kind, fmt.Sprint(a.Granted), a.ID})
	}
	return m.print(m.format, l)
}

func appPermissionListCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "list APP", Short: "List what an application asks of APIs, and what of it was granted",
		Example: `  rolecall app permission list orders-client`,
		Args:    exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error { return m.printAsks(ctx, args[0]) })
}

// A wanted permission is one that the command line names, by the ids that Graph takes.
type wanted struct {
	api  directory.AppID
	id   string
	kind string
}

// permission finds what API/VALUE means: a scope with --delegated, otherwise an app role.
func (m *manager) permission(ctx context.Context, app lookup.API, arg string, delegated bool) (wanted, error) {
	v := m.data.Directory.View(ctx)
	if !delegated {
		who := lookup.Principal{Tenant: app.Tenant, Service: &directory.ServicePrincipal{Name: app.Name, DisplayName: app.DisplayName}}
		role, err := lookup.FindRole("rolecall app permission add", v, who, arg)
		if err != nil {
			return wanted{}, err
		}
		return wanted{role.API.AppID, string(role.ID), "Role"}, nil
	}
	cut := strings.LastIndexByte(arg, '/')
	if cut <= 0 {
		return wanted{}, &failure{exitUsage, fmt.Errorf("%q names no API and scope", arg), "write orders-server/Orders.List or api://orders/Orders.List"}
	}
	api, err := lookup.FindAPI(v, string(app.Tenant.ID), arg[:cut])
	if err != nil {
		return wanted{}, err
	}
	scope, ok := api.Scope(arg[cut+1:])
	if !ok {
		var values []string
		for _, s := range api.Scopes {
			values = append(values, s.Value)
		}
		return wanted{}, notFound("it has "+strings.Join(values, ", "), "%s has no scope %q", api.Label(), arg[cut+1:])
	}
	return wanted{api.AppID, string(scope.ID), "Scope"}, nil
}

// changeAsks lets change work on each of the permissions that a command line names, and prints
// what the application asks for then.
func (c *cli) changeAsks(cmd *cobra.Command, change func(all []member, one wanted) []member) *cobra.Command {
	var delegated bool
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return usageError(cmd, errors.New("say which application, and which permissions: APP API/PERMISSION"))
		}
		return nil
	}
	cmd.Flags().BoolVar(&delegated, "delegated", false, "scopes, which the application uses on behalf of users, instead of app roles")
	return c.managing(cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.members(ctx, client, app, "requiredResourceAccess")
		if err != nil {
			return err
		}
		for _, arg := range args[1:] {
			one, err := m.permission(ctx, app, arg, delegated)
			if err != nil {
				return err
			}
			all = change(all, one)
		}
		if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"requiredResourceAccess": all}, nil); err != nil {
			return err
		}
		return m.printAsks(ctx, args[0])
	})
}

// without is what an application asks for, but for one permission.
func without(all []member, one wanted) (rest []member) {
	rest = []member{}
	for _, api := range all {
		if !strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
			rest = append(rest, api)
			continue
		}
		var kept []any
		list, _ := api["resourceAccess"].([]any)
		for _, each := range list {
			if access, ok := each.(map[string]any); ok && strings.EqualFold(memberText(access, "id"), one.id) {
				continue
			}
			kept = append(kept, each)
		}
		if len(kept) > 0 {
			rest = append(rest, member{"resourceAppId": api["resourceAppId"], "resourceAccess": kept})
		}
	}
	return rest
}

func appPermissionAddCommand(c *cli) *cobra.Command {
	return c.changeAsks(&cobra.Command{
		Use: "add APP API/PERMISSION...", Short: "Let an application ask for app roles or scopes of an API",
		Long: `Adds permissions to what an application asks for. Asking grants nothing: an administrator's
consent does, or "rolecall grant".`,
		Example: `  rolecall app permission add reports-client orders-server/Orders.Read
  rolecall app permission add reports-client api://orders/Orders.List --delegated`,
	}, func(all []member, one wanted) []member {
		access := map[string]any{"id": one.id, "type": one.kind}
		for _, api := range all {
			if strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
				all = without(all, one)
				break
			}
		}
		for i, api := range all {
			if strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
				list, _ := api["resourceAccess"].([]any)
				all[i] = member{"resourceAppId": api["resourceAppId"], "resourceAccess": append(slices.Clone(list), any(access))}
				return all
			}
		}
		return append(all, member{"resourceAppId": one.api, "resourceAccess": []any{access}})
	})
}

func appPermissionRemoveCommand(c *cli) *cobra.Command {
	return c.changeAsks(&cobra.Command{
		Use: "remove APP API/PERMISSION...", Short: "Let an application ask for app roles or scopes no longer",
		Long:    `Removes permissions from what an application asks for. What was granted stays: "rolecall revoke" takes roles away.`,
		Example: `  rolecall app permission remove orders-client orders-server/Orders.Read`,
	}, without)
}

func appPermissionConsentCommand(c *cli) *cobra.Command {
	return c.managing(&cobra.Command{
		Use: "consent APP", Short: "Grant an application everything that it asks for",
		Long: `Grants what an application asks for and does not have yet, as an administrator's consent
does: app roles to itself, and scopes for every user. What the API has disabled, or does
not have any more, stays as it is.`,
		Example: `  rolecall app permission consent orders-client`,
		Args:    exactly(1, whichApp),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		holder, err := m.data.Directory.View(ctx).ServicePrincipals().ByAppID(app.Tenant.ID, app.AppID)
		if errors.Is(err, directory.ErrNotFound) {
			return failed("`rolecall sp create "+app.Label()+"` makes one", "%s has no service principal, so it can be granted nothing", app.Label())
		}
		if err != nil {
			return err
		}
		all, err := m.asks(ctx, app)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.Granted || a.Value == "" || a.api == "" {
				continue
			}
			if err := m.consentTo(ctx, client, holder, a); err != nil {
				return err
			}
		}
		return m.printAsks(ctx, args[0])
	})
}

// consentTo grants one permission: a role to the application, or a scope beside those that every
// user has granted it.
func (m *manager) consentTo(ctx context.Context, client *graphclient.Client, holder *directory.ServicePrincipal, a requested) error {
	if a.Kind == "Role" {
		return client.Do(ctx, http.MethodPost, "servicePrincipals/"+string(holder.ID)+"/appRoleAssignments", member{"principalId": holder.ID, "resourceId": a.api, "appRoleId": a.ID}, nil)
	}
	var present member
	filter := url.Values{"$filter": {"clientId eq " + odataText(string(holder.ID)) + " and resourceId eq " + odataText(string(a.api))}}
	err := client.Each(ctx, "oauth2PermissionGrants", filter, func(found json.RawMessage) error {
		one := member{}
		err := json.Unmarshal(found, &one)
		if one["consentType"] == "AllPrincipals" {
			present = one
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case present != nil:
		return client.Do(ctx, http.MethodPatch, "oauth2PermissionGrants/"+memberText(present, "id"), member{"scope": memberText(present, "scope") + " " + a.Value}, nil)
	}
	return client.Do(ctx, http.MethodPost, "oauth2PermissionGrants", member{"clientId": holder.ID, "consentType": "AllPrincipals", "resourceId": a.api, "scope": a.Value}, nil)
}
