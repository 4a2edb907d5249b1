package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

func keysCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and revoke the keys that sign tokens",
		Example: `  rolecall keys list
  rolecall keys rotate --tenant contoso`,
		Args: command.UnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("say what to do with the keys: list, show, rotate or revoke"))
		},
	}
	cmd.AddCommand(keysListCommand(c), keysShowCommand(c), keysRotateCommand(c), keysRevokeCommand(c))
	return cmd
}

// A tenantKey is a signing key and the tenant that it belongs to.
type tenantKey struct {
	Tenant string `json:"tenant"`
	Cloud  string `json:"cloud,omitempty"` // whose names it signs for; empty: the authority's own
	keyring.KeyInfo
}

// keysIn are the signing keys of the tenant that is named, or of all.
func (c *cli) keysIn(ctx context.Context, data *server.Data, words, tenant string) ([]tenantKey, error) {
	tenants, err := lookup.FindTenants(data.Directory.View(ctx), tenant)
	if err != nil {
		return nil, err
	}
	management, err := c.Manage(data, words)
	if err != nil {
		return nil, err
	}
	defer management.Close()
	return keysOf(ctx, management, tenants...)
}

// keysOf are the signing keys of tenants.
func keysOf(ctx context.Context, management *command.Management, tenants ...*directory.Tenant) ([]tenantKey, error) {
	keys := []tenantKey{}
	for _, t := range tenants {
		all, err := management.Local.Keys(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		for _, key := range all {
			keys = append(keys, tenantKey{t.Name, string(key.Cloud), key.KeyInfo})
		}
	}
	return keys, nil
}

func keysListCommand(c *cli) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the signing keys",
		Long: `Lists the signing keys that are published: the current key, which signs; the next key,
which will sign after it; and retired keys, whose tokens are still valid.`,
		Example: `  rolecall keys list -o tsv
  rolecall keys list --query "[?state=='current'].id | [0]" -o tsv`,
		Args: command.Exactly(0, ""),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only those of this tenant: its name, id or domain")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		data, err := c.OpenExisting(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		keys, err := c.keysIn(cmd.Context(), data, "keys list", tenant)
		if err != nil {
			return err
		}
		return c.Print(format, keyListing(keys))
	}
	return cmd
}

const whichKey = "one key; `rolecall keys list` names them"

func keysShowCommand(c *cli) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "show KEY",
		Short:   "Show a signing key",
		Example: `  rolecall keys show "$(rolecall keys list -o name | head -n 1)"`,
		Args:    command.Exactly(1, whichKey),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant that the key belongs to: its name, id or domain")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		data, err := c.OpenExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		keys, err := c.keysIn(cmd.Context(), data, "keys show", tenant)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k tenantKey) bool { return k.ID == args[0] })
		if i < 0 {
			return command.NotFound("`rolecall keys list` names the keys there are", "there is no key %s", text.Clean(args[0]))
		}
		l := keyListing(keys[i : i+1])
		l.Value = keys[i]
		return c.Print(format, l)
	}
	return cmd
}

func keyListing(keys []tenantKey) output.Listing {
	l := output.Listing{
		Columns: []string{"tenant", "key", "state", "created", "until", "cloud"},
		Name:    1, Value: keys, Spare: []int{3}, Cut: []int{0},
		Empty: "there are no signing keys yet: `rolecall serve` creates them",
	}
	for _, k := range keys {
		l.Rows = append(l.Rows, []string{k.Tenant, k.ID, string(k.State), command.ShortTime(k.Created), command.ShortTime(k.RetainUntil), k.Cloud})
	}
	return l
}

func keysRotateCommand(c *cli) *cobra.Command {
	var tenant, cloud string
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
		Args:    command.Exactly(0, ""),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant whose keys to rotate (required if there are several)")
	cmd.Flags().StringVar(&cloud, "cloud", "", "rotate the keys for Microsoft's names of this cloud, as run --public-names uses them: "+strings.Join(cloudNames(), ", "))
	cmd.Flags().BoolVar(&options.Force, "force", false, "rotate even if the next key was published too recently")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		var names origin.Cloud
		if cloud != "" {
			if names, err = origin.ParseCloud(cloud); err != nil {
				return command.UsageError(cmd, err)
			}
		}
		data, err := c.OpenExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		t, err := lookup.FindTenant(data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		management, err := c.Manage(data, "keys rotate")
		if err != nil {
			return err
		}
		defer management.Close()
		key, err := management.Local.RotateKeys(ctx, t.ID, names, options)
		if err != nil {
			return err
		}
		if err := c.Print(format, keyListing([]tenantKey{{t.Name, string(key.Cloud), key.KeyInfo}})); err != nil {
			return err
		}
		return c.WarnUnreachable(c.AwaitServer(ctx, data))
	}
	c.Changing(cmd, format)
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
know at most once in five minutes, and may answer 401 to the new tokens until then. If the
key signs, and clients got tokens within the last day, that is said, and --yes is needed.`,
		Example: `  rolecall keys revoke "$(rolecall keys list -o name | head -n 1)" --reason laptop-lost --yes`,
		Args:    command.Exactly(1, "the key to revoke; `rolecall keys list` names them"),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant that the key belongs to (required if there are several)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail (required)")
	command.YesFlag(cmd)
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		if reason == "" {
			return command.UsageError(cmd, errors.New("say why with --reason: it goes into the audit trail"))
		}
		data, err := c.OpenExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		t, err := lookup.FindTenant(data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		management, err := c.Manage(data, "keys revoke")
		if err != nil {
			return err
		}
		defer management.Close()
		if err := c.keyInUse(ctx, data, management, t, args[0]); err != nil {
			return err
		}
		err = management.Local.RevokeKey(ctx, t.ID, args[0], reason)
		if errors.Is(err, keyring.ErrUnknownKey) {
			return command.NotFound("`rolecall keys list` names the keys there are", "tenant %s has no key %s", t.Name, args[0])
		}
		if err != nil {
			return err
		}
		keys, err := keysOf(ctx, management, t)
		if err != nil {
			return err
		}
		if err := c.Print(format, keyListing(keys)); err != nil {
			return err
		}
		return command.FailUnreachable(c.AwaitServer(ctx, data))
	}
	c.Changing(cmd, format)
	return cmd
}

// keyInUse refuses to revoke the key that signs while there are clients whose tokens end with it,
// unless that is confirmed. No token lives longer than a day.
func (c *cli) keyInUse(ctx context.Context, data *server.Data, management *command.Management, tenant *directory.Tenant, id string) error {
	keys, err := keysOf(ctx, management, tenant)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k tenantKey) bool { return k.ID == id })
	if i < 0 || keys[i].State != keyring.Current {
		return nil
	}
	rows, err := c.NewestSignIns(ctx, data, directory.SignInFilter{Tenant: tenant.ID, Since: c.Now().AddDate(0, 0, -1), Limit: math.MaxInt32})
	if err != nil {
		return err
	}
	var who []string
	told := map[directory.AppID]bool{}
	for _, row := range rows { // newest first
		if !row.Refused() && row.Cloud == keys[i].Cloud && !told[row.AppID] {
			told[row.AppID] = true
			who = append(who, cmp.Or(row.Name, string(row.AppID))+", which got a token at "+command.ShortTime(row.Time))
		}
	}
	return c.Affects("revoking the key that signs", who)
}
