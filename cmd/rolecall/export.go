package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/manifest"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
	"github.com/rolecall-auth/rolecall/internal/text"
)

func exportCommand(c *cli) *cobra.Command {
	var file, tenant string
	cmd := &cobra.Command{
		Use:   "export [-f FILE]",
		Short: "Print the directory as a rolecall.yaml",
		Long: `Prints a rolecall.yaml that makes the same directory when it is applied to an empty data
folder, ids included. Texts of secrets and passwords are kept nowhere, so they are not in
it: the file asks to generate each secret, and what is left out is listed on stderr.
Signing keys are not in it either; they are part of a backup.`,
		Example: `  rolecall export -f rolecall.yaml
  rolecall export --tenant contoso > contoso.yaml`,
		Args: command.Exactly(0, ""),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this file instead of to standard output")
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant: its name, id or domain")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		data, err := c.OpenExisting(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		write := func(w io.Writer) error { return c.export(cmd.Context(), data, w, tenant) }
		if file == "" {
			return write(c.Out)
		}
		return replaceFile(file, write)
	}
	return cmd
}

// mentioned is how much of what is left out is listed.
const mentioned = 20

// export writes the tenants, or the one, as a rolecall.yaml.
func (c *cli) export(ctx context.Context, data *server.Data, w io.Writer, tenant string) error {
	view := data.Directory.View(ctx)
	tenants, err := lookup.FindTenants(view, tenant)
	if err != nil {
		return err
	}
	omitted := 0
	err = manifest.Export(w, manifest.ExportConfig{
		View: view, Tenants: tenants, Now: c.Now(), Passing: tempcred.IsTemporary,
		Omit: func(o manifest.Omission) {
			if omitted++; omitted <= mentioned {
				whose := ""
				if o.Owner != "" {
					whose = " of " + text.Clean(o.Owner)
				}
				c.Say("not in the file: %s%s in %s; %s", text.Clean(o.What), whose, text.Clean(o.Tenant), text.Clean(o.Why))
			}
		},
	})
	if err == nil && omitted > mentioned {
		c.Say("not in the file: %d more of that kind", omitted-mentioned)
	}
	return err
}

// replaceFile writes a file whole, or leaves the one that is there.
func replaceFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".rolecall-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", text.Shown(name), err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
