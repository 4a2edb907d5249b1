package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/manifest"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An applier brings the directory to what a rolecall.yaml says.
type applier struct{ *cli }

func applyCommand(base *cli) *cobra.Command {
	c := applier{base}
	var work application
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Update the directory to match a rolecall.yaml",
		Long: `Creates and updates what the file describes, and prints the difference; applying the
same file again changes nothing. Whatever the file does not mention stays as it is,
unless --prune is given. Secrets that the file asks to generate are printed once, here,
and cannot be read again.`,
		Example: `  rolecall apply -f rolecall.yaml --dry-run
  rolecall apply -f rolecall.yaml`,
		Args: command.Exactly(0, ""),
	}
	work.flags(cmd)
	cmd.Flags().BoolVar(&work.dryRun, "dry-run", false, "print the difference and change nothing")
	cmd.Flags().BoolVar(&work.exitCode, "exit-code", false, "with --dry-run: exit with 4 if something would change")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if work.exitCode && !work.dryRun {
			return command.UsageError(cmd, errors.New("--exit-code tells what --dry-run finds, and goes with it alone"))
		}
		return c.carryOut(cmd, format, work)
	}
	return cmd
}

func diffCommand(base *cli) *cobra.Command {
	c := applier{base}
	work := application{dryRun: true, exitCode: true}
	cmd := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show what differs between the directory and a rolecall.yaml",
		Long: `Prints what "rolecall apply" would change, and changes nothing. The exit code is 4 if
there is a difference, so that a pipeline can tell; with --prune, what the file does not
mention counts as one.`,
		Example: `  rolecall diff -f rolecall.yaml --prune`,
		Args:    command.Exactly(0, ""),
	}
	work.flags(cmd)
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.carryOut(cmd, format, work) }
	return cmd
}

// An application is one use of a file.
type application struct {
	file     string
	prune    bool
	dryRun   bool
	exitCode bool // tells whether something would change
}

func (a *application) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "the file to apply; - for standard input (required)")
	cmd.Flags().BoolVar(&a.prune, "prune", false, "also remove what the file does not mention, in the tenants it names")
}

func (c applier) carryOut(cmd *cobra.Command, format *output.Format, work application) (err error) {
	if work.file == "" {
		return command.UsageError(cmd, errors.New("-f is missing: which file to apply"))
	}
	wanted, err := c.readManifest(work.file)
	if err != nil {
		return err
	}
	c.warnReadable(work.file, wanted)
	ctx := cmd.Context()
	data, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = command.CloseAfter(err, data) }()
	changes, err := c.applyAndShow(ctx, format, data, wanted, manifest.Options{Prune: work.prune}, work.dryRun)
	if err == nil && work.exitCode && changes > 0 {
		return command.Silently(command.ExitRefused)
	}
	return err
}

// applyAndShow applies the file and prints what that changed and made, before anything
// else can fail: what is committed is known. It returns how many changes there were.
func (c applier) applyAndShow(ctx context.Context, format *output.Format, data *server.Data, wanted *manifest.File, options manifest.Options, dryRun bool) (changes int, err error) {
	result, files, err := c.applyManifest(ctx, data, wanted, options, shownStem, dryRun)
	if err != nil {
		return 0, err
	}
	c.sayReplaced(result)
	if err := c.printApplied(format, result, dryRun); err != nil {
		if len(files) > 0 {
			err = command.Failed("move it to where it is needed", "the secrets made could not be printed: %w; they are in %s", err, strings.Join(files, ", "))
		}
		return 0, err
	}
	changes = len(result.Notes)
	if dryRun {
		return changes, nil
	}
	if err := errors.Join(removeFiles(files), c.sayUnshown(ctx, data)); err != nil {
		return 0, err
	}
	return changes, c.WarnUnreachable(c.AwaitServer(ctx, data))
}

// readManifest reads a rolecall.yaml.
func (c applier) readManifest(name string) (*manifest.File, error) {
	content, err := c.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if name == "-" {
		name = "standard input"
	}
	return manifest.Parse(name, content, c.Lookup, os.ReadFile)
}

// warnReadable tells of a file with secrets in it that every user of the machine can read.
func (c applier) warnReadable(name string, wanted *manifest.File) {
	info, err := os.Stat(name)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o004 == 0 || !wanted.HoldsSecrets() {
		return
	}
	c.Say("warning: %s holds secrets, and every user of this machine can read it; run chmod go-rwx, or keep them elsewhere with env or file", text.Clean(name))
}

var errDryRun = errors.New("dry run")

// applyManifest works the file into the directory, or only finds out what that would change.
// The secrets that it makes are also in files, whose names begin with the stem.
func (c applier) applyManifest(ctx context.Context, data *server.Data, wanted *manifest.File, options manifest.Options, stem string, dryRun bool) (result *manifest.Result, files []string, err error) {
	result, err = wanted.ApplyTo(ctx, data.Directory, directory.Operator("cli:apply"), options, func(result *manifest.Result) error {
		if err := removeFiles(files); err != nil { // of an attempt before this one
			return err
		}
		files = nil
		if dryRun {
			return errDryRun
		}
		files, err = keepGenerated(c.Dir, stem, result.Secrets)
		return err
	})
	if errors.Is(err, errDryRun) {
		return result, nil, nil
	}
	if err != nil {
		return nil, nil, errors.Join(err, removeFiles(files))
	}
	return result, files, nil
}

// applyAtStart is what `rolecall serve --config` does before it serves. Generated secrets
// go to files, because what a server prints ends up in logs.
func (c applier) applyAtStart(ctx context.Context, data *server.Data, wanted *manifest.File) error {
	result, files, err := c.applyManifest(ctx, data, wanted, manifest.Options{}, "", false)
	if err != nil {
		return err
	}
	c.sayReplaced(result)
	for i, s := range result.Secrets {
		c.Say("made the secret %q of %s: move it from %s to where it is needed", s.Name, s.Application, files[i])
	}
	if len(result.Notes) > 0 {
		c.Say("applied the configuration: %d changes", len(result.Notes))
	}
	return nil
}

// sayReplaced tells of applications that stand in the place of built-in resources from now on.
func (c applier) sayReplaced(result *manifest.Result) {
	for _, r := range result.Replaced {
		c.Say("%s in %s takes the place of the built-in resource %s: tokens for it are those of the registration", text.Clean(r.Application), text.Clean(r.Tenant), r.Builtin)
	}
}

// applied is what `rolecall apply` tells programs.
type applied struct {
	DryRun  bool                       `json:"dryRun"`
	Changes []directory.ChangeNote     `json:"changes"`
	Secrets []manifest.GeneratedSecret `json:"secrets,omitempty"`
}

func (c applier) printApplied(format *output.Format, result *manifest.Result, dryRun bool) error {
	if dryRun { // what it generated is gone again
		result.Secrets = nil
	}
	all := applied{DryRun: dryRun, Changes: result.Notes, Secrets: result.Secrets}
	if all.Changes == nil {
		all.Changes = []directory.ChangeNote{}
	}
	if format.ForPeople() {
		c.printDifference(all)
		return nil
	}
	l := output.Listing{Name: 3, Value: all}
	for _, note := range all.Changes {
		l.Rows = append(l.Rows, []string{note.Action, note.Kind, note.Tenant, note.Name, note.Detail})
	}
	return c.Print(format, l)
}

// printDifference shows one change a line, as a difference, and the new secrets below.
func (c applier) printDifference(all applied) {
	if len(all.Changes) == 0 {
		c.Say("nothing to change: the directory matches the file")
	}
	signs := map[string]string{"create": c.Screen.Paint(output.Green, "+"), "delete": c.Screen.Paint(output.Red, "-")}
	for _, note := range all.Changes {
		sign, ok := signs[note.Action]
		if !ok {
			sign = "~"
		}
		line := fmt.Sprintf("%s %s %s", sign, note.Kind, text.Clean(note.Name))
		if note.Detail != "" {
			line += "  " + c.Screen.Paint(output.Dim, text.Clean(note.Detail))
		}
		fmt.Fprintln(c.Out, line)
	}
	for _, s := range all.Secrets {
		fmt.Fprintf(c.Out, "\nsecret %q of %s, shown this once:\n  %s\n", s.Name, text.Clean(s.Application), s.Value)
	}
	if all.DryRun && len(all.Changes) > 0 {
		c.Say("dry run: nothing was changed")
	}
}
