package noun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
)

func appCredentialCommand(c *command.Line) *cobra.Command {
	return nounCommand("credential", "Manage the secrets and certificates of an application", "rolecall app credential list orders-client",
		appCredentialListCommand(c), appCredentialAddCommand(c), appCredentialResetCommand(c), appCredentialRotateCommand(c), appCredentialRemoveCommand(c),
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

func appCredentialListCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "list APP", Short: "List the secrets and certificates of an application",
		Example: `  rolecall app credential list orders-client -o name`,
		Args:    command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.credentials(ctx, client, app)
		if err != nil {
			return err
		}
		return m.Print(m.format, credentialListing(all))
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
	_, err := s.add(ctx, cmd, m, client, app)
	return err
}

// add makes a secret, shows it this once, and returns its id.
func (s *newSecret) add(ctx context.Context, cmd *cobra.Command, m *manager, client *graphclient.Client, app lookup.API) (id string, err error) {
	wanted := member{}
	if s.name != "" {
		wanted["displayName"] = s.name
	}
	if s.expires != "" {
		span, err := command.ParseSpan(s.expires)
		if err != nil {
			return "", command.UsageError(cmd, fmt.Errorf("--expires: %w", err))
		}
		wanted["endDateTime"] = m.Now().Add(span).UTC().Format(time.RFC3339)
	}
	var file *os.File
	if s.file != "" && !m.DryRuns() {
		if file, err = os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return "", command.Failed("name a new file, in a folder that is there", "write the secret: %w", err)
		}
	}
	made := member{}
	if err := client.Do(ctx, http.MethodPost, "applications/"+string(app.ID)+"/addPassword", member{"passwordCredential": wanted}, &made); err != nil {
		if file != nil {
			err = errors.Join(err, file.Close(), os.Remove(s.file))
		}
		return "", err
	}
	delete(made, "@odata.context")
	value := memberText(made, "secretText")
	if file != nil {
		_, err := file.WriteString(value + "\n")
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return "", err
		}
		value = ""
		delete(made, "secretText")
	}
	l := output.Listing{
		Columns: []string{"secret", "name", "ends", "id"}, Value: made, Name: 3, Spare: []int{2, 1},
		Rows: [][]string{{value, memberText(made, "displayName"), memberText(made, "endDateTime"), memberText(made, "keyId")}},
	}
	return memberText(made, "keyId"), m.Print(m.format, l)
}

func appCredentialAddCommand(c *command.Line) *cobra.Command {
	var secret newSecret
	var certificate string
	cmd := &cobra.Command{
		Use: "add APP", Short: "Make a client secret, or add a certificate",
		Long: `Makes a client secret beside those there are. It is shown here and kept nowhere. With
--certificate, it adds that certificate instead; a private key in the same file is not read.`,
		Example: `  rolecall app credential add orders-client --display-name ci --expires 90d --file client.secret
  rolecall app credential add orders-client --certificate client.pem`,
		Args: command.Exactly(1, whichApp),
	}
	secret.flags(cmd)
	cmd.Flags().StringVar(&certificate, "certificate", "", "certificate that is to prove the application, in PEM or DER; - for standard input")
	cmd.MarkFlagsMutuallyExclusive("certificate", "file")
	cmd.MarkFlagsMutuallyExclusive("certificate", "expires")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		if certificate != "" {
			return m.addCertificate(ctx, client, app, certificate, secret.name)
		}
		return secret.make(ctx, cmd, m, client, app)
	})
}

func appCredentialResetCommand(c *command.Line) *cobra.Command {
	var secret newSecret
	cmd := &cobra.Command{
		Use: "reset APP", Short: "Make a client secret in the place of all others",
		Long: `Makes a client secret, shows it this once, and removes the secrets there were. If one of
them was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app credential reset orders-client --yes --query secretText -o tsv`,
		Args:    command.Exactly(1, whichApp),
	}
	secret.flags(cmd)
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		before, err := m.members(ctx, client, app, "passwordCredentials")
		if err != nil {
			return err
		}
		if err := m.inUse(ctx, app, before); err != nil {
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
func (m *manager) inUse(ctx context.Context, app lookup.API, credentials []member) error {
	used, err := m.place.LastUses(ctx, app, recently)
	if err != nil {
		return err
	}
	var who []string
	for _, one := range credentials {
		if last := used[memberText(one, "keyId")]; m.Now().Sub(last) < recently {
			who = append(who, fmt.Sprintf("%s, which signed in with %q at %s", app.Label(), memberText(one, "displayName"), command.ShortTime(last)))
		}
	}
	return m.Affects("removing this", who)
}

func appCredentialRemoveCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove APP CREDENTIAL", Short: "Remove a secret or a certificate",
		Long: `Removes a credential, named by its id, or by its name where that is the only one of the
name. If it was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app credential remove orders-client ci`,
		Args:    command.Exactly(2, "the application, and the credential by its id or name"),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.credentials(ctx, client, app)
		if err != nil {
			return err
		}
		var there []string
		for _, one := range all {
			there = append(there, memberText(one, "displayName"))
		}
		found := slices.DeleteFunc(all, func(one member) bool {
			return memberText(one, "keyId") != args[1] && memberText(one, "displayName") != args[1]
		})
		switch len(found) {
		case 0:
			return lacks(app.Called(), "credential", args[1], there, "app credential list "+lookup.Word(app.Called()))
		case 1:
		default:
			return command.Fail(command.ExitUsage, fmt.Errorf("%s has %d credentials named %q", app.Label(), len(found), args[1]), "give the id of the one that you mean")
		}
		if err := m.inUse(ctx, app, found); err != nil {
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
		m.done("removed %q of %s; tokens that it was used for last until they expire (if it was stolen: rolecall revoke %s --tokens)", memberText(found[0], "displayName"), app.Label(), app.Label())
		return nil
	})
}

func appFederatedCommand(c *command.Line) *cobra.Command {
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

func appFederatedListCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "list APP", Short: "List the federated credentials of an application",
		Example: `  rolecall app federated-credential list orders-client`,
		Args:    command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := collected(ctx, client, federatedPath(app))
		if err != nil {
			return err
		}
		return m.Print(m.format, federatedListing(all))
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

func appFederatedCreateCommand(c *command.Line) *cobra.Command {
	var name, issuer, subject, audience, description string
	cmd := &cobra.Command{
		Use: "create APP", Short: "Trust tokens of another issuer in place of a secret",
		Long:    `Lets tokens of another issuer, such as those of a CI system, prove the application.`,
		Example: `  rolecall app federated-credential create orders-client --name ci --issuer https://issuer.test --subject repo:orders`,
		Args:    command.Exactly(1, whichApp),
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "name of the credential (required)")
	flags.StringVar(&issuer, "issuer", "", "the iss of the tokens (required)")
	flags.StringVar(&subject, "subject", "", "the sub of the tokens (required)")
	flags.StringVar(&audience, "audience", directory.ExchangeAudience, "the aud of the tokens")
	flags.StringVar(&description, "description", "", "for people")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		if name == "" || issuer == "" || subject == "" {
			return command.UsageError(cmd, errors.New("give --name, --issuer and --subject"))
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
		return m.Print(m.format, l)
	})
}

func appFederatedDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete APP CREDENTIAL", Short: "Trust an issuer no longer",
		Long:    `Removes a federated credential, named by its name or id. If it was used within the last week, that is said, and --yes is needed.`,
		Example: `  rolecall app federated-credential delete orders-client ci`,
		Args:    command.Exactly(2, "the application, and the credential by its name or id"),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
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
			var there []string
			for _, one := range all {
				there = append(there, memberText(one, "name"))
			}
			return lacks(app.Called(), "federated credential", args[1], there, "app federated-credential list "+lookup.Word(app.Called()))
		}
		if err := m.inUse(ctx, app, []member{{"keyId": all[i]["id"], "displayName": all[i]["name"]}}); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, federatedPath(app)+"/"+memberText(all[i], "id"), nil, nil); err != nil {
			return err
		}
		m.done("removed %q of %s", memberText(all[i], "name"), app.Label())
		return nil
	})
}
