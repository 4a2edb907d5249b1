package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func keysCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and revoke the keys that sign tokens",
		Example: `  rolecall keys list
  rolecall keys rotate --tenant contoso`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(cmd, errors.New("say what to do with the keys: list, rotate or revoke"))
		},
	}
	cmd.AddCommand(keysListCommand(c), keysRotateCommand(c), keysRevokeCommand(c))
	return cmd
}

// A tenantKey is a signing key and the tenant that it belongs to.
type tenantKey struct {
	Tenant string `json:"tenant"`
	keyring.KeyInfo
}

func keysListCommand(c *cli) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the signing keys",
		Long: `Lists the signing keys that are published: the current key, which signs; the next key,
which will sign after it; and retired keys, whose tokens are still valid.`,
		Example: `  rolecall keys list -o tsv`,
		Args:    exactly(0, ""),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		data, err := c.openExisting(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		tenants, err := lookup.FindTenants(data.Directory.View(cmd.Context()), tenant)
		if err != nil {
			return err
		}
		return printKeys(cmd.Context(), c, output, data, tenants...)
	}
	return cmd
}

func printKeys(ctx context.Context, c *cli, output *format, data *server.Data, tenants ...*directory.Tenant) error {
	keys := []tenantKey{}
	for _, t := range tenants {
		infos, err := data.Keys.List(ctx, string(t.ID))
		if err != nil {
			return err
		}
		for _, info := range infos {
			keys = append(keys, tenantKey{t.Name, info})
		}
	}
	return c.print(output, keyListing(keys))
}

func keyListing(keys []tenantKey) listing {
	l := listing{
		columns: []string{"tenant", "key", "state", "created", "until"},
		name:    1, value: keys,
		empty: "there are no signing keys yet: `rolecall serve` creates them",
	}
	for _, k := range keys {
		l.rows = append(l.rows, []string{k.Tenant, k.ID, string(k.State), shortTime(k.Created), shortTime(k.RetainUntil)})
	}
	return l
}

func shortTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func keysRotateCommand(c *cli) *cobra.Command {
	var tenant string
	var options keyring.RotateOptions
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Rotate to the next signing key",
		Long: `Retires the current key, lets the next key sign and publishes a new next key. Tokens
signed before stay valid: their key stays published until the last of them has expired.
APIs may have fetched the keys a day ago, so a key must have been published for two days
before it signs; --force rotates earlier. APIs fetch the keys again when
they meet a token whose key they do not know, but JwtBearer and Microsoft.Identity.Web do
so at most once in five minutes: after two forced rotations within that time they answer
401 until it is over.`,
		Example: `  rolecall keys rotate --tenant contoso --force`,
		Args:    exactly(0, ""),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant whose keys to rotate (required if there are several)")
	cmd.Flags().BoolVar(&options.Force, "force", false, "rotate even if the next key was published too recently")
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		data, err := c.openExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		t, err := lookup.FindTenant(data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		info, err := data.Keys.Rotate(ctx, string(t.ID), "cli:keys rotate", options)
		if err != nil {
			return err
		}
		if err := c.print(output, keyListing([]tenantKey{{t.Name, info}})); err != nil {
			return err
		}
		return c.warnUnreachable(c.awaitServer(ctx, data))
	}
	return cmd
}

func keysRevokeCommand(c *cli) *cobra.Command {
	var tenant, reason string
	cmd := &cobra.Command{
		Use:   "revoke KEY",
		Short: "Revoke a signing key, and with it every token that it signed",
		Long: `Removes a key from the published keys at once: the response to a private key that may be
known to others. A current key is replaced by the next one. APIs refuse the tokens that
the key signed as soon as they fetch the keys again, and clients must get new ones, so
this is no way to rotate. JwtBearer and Microsoft.Identity.Web fetch keys that they do not
know at most once in five minutes, and may answer 401 to the new tokens until then.`,
		Example: `  rolecall keys revoke "$(rolecall keys list -o name | head -n 1)" --reason laptop-lost`,
		Args:    exactly(1, "the key to revoke; `rolecall keys list` names them"),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant that the key belongs to (required if there are several)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail (required)")
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if reason == "" {
			return usageError(cmd, errors.New("say why with --reason: it goes into the audit trail"))
		}
		data, err := c.openExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = closeAfter(err, data) }()
		t, err := lookup.FindTenant(data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		err = data.Keys.Revoke(ctx, string(t.ID), "cli:keys revoke", args[0], reason)
		if errors.Is(err, keyring.ErrUnknownKey) {
			return notFound("`rolecall keys list` names the keys there are", "tenant %s has no key %s", t.Name, args[0])
		}
		if err != nil {
			return err
		}
		if err := printKeys(ctx, c, output, data, t); err != nil {
			return err
		}
		return failUnreachable(c.awaitServer(ctx, data))
	}
	return cmd
}
