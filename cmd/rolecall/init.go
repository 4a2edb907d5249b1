package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/manifest"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// manifestName is the file that `rolecall init` writes.
const manifestName = "rolecall.yaml"

func initCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a rolecall.yaml to start from",
		Long: `Writes a commented rolecall.yaml with an API, a client that holds its role, a managed
identity and a user, and beside it the schema by which editors complete and check the
file. Files that are there already are left alone.`,
		Example: `  rolecall init
  rolecall apply -f rolecall.yaml`,
		Args: command.AtMost(1, "a folder"),
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		folder := "."
		if len(args) == 1 {
			folder = args[0]
		}
		return c.writeStarter(folder)
	}
	return cmd
}

// writeStarter writes both files, or neither when the first is there already.
func (c *cli) writeStarter(folder string) error {
	file := filepath.Join(folder, manifestName)
	if err := writeNew(file, []byte(manifest.Starter)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return command.Fail(command.ExitFailed, fmt.Errorf("%s is there already", file), "edit it, or name another folder: rolecall init FOLDER")
		}
		return err
	}
	schema := filepath.Join(folder, manifest.SchemaName)
	var text bytes.Buffer
	if err := output.JSON(&text, manifest.JSONSchema()); err != nil {
		return err
	}
	if err := writeNew(schema, text.Bytes()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	c.Say("wrote %s and %s", file, schema)
	c.Say("next: rolecall apply -f %s", shellQuote(file))
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // it has no secret, and belongs into a repository
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, errors.Join(err, os.Remove(file)))
	}
	return nil
}

func schemaCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [rolecall.yaml | guard.yaml]",
		Short: "Print the JSON Schema of rolecall.yaml or guard.yaml",
		Long: `Prints the schema (JSON Schema, draft 2020-12) by which editors and other tools complete
and check a rolecall.yaml, or a guard.yaml.`,
		Example: `  rolecall schema rolecall.yaml
  rolecall schema guard.yaml`,
		ValidArgs: []string{manifestName, guardName},
		Args:      command.AtMost(1, "a kind of file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || args[0] == manifestName:
				return output.JSON(c.Out, manifest.JSONSchema())
			case args[0] == guardName:
				return output.JSON(c.Out, guardfile.JSONSchema())
			default:
				return command.UsageError(cmd, fmt.Errorf("there is no schema of %q; there are those of %s and %s", args[0], manifestName, guardName))
			}
		},
	}
}
