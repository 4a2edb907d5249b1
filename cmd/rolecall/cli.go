package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A cli is one invocation: where it reads and writes, and what all commands have in common.
type cli struct {
	streams
	screen output.Screen // what out is shown on
	now    func() time.Time
	newKey func() (*rsa.PrivateKey, error) // of signing keys; nil: fresh ones. Tests save time by it

	dir     string // --data
	verbose bool   // --verbose
	logJSON bool   // serve --log-format json
}

// The streams are what a process has: its environment, and where it reads and writes.
type streams struct {
	lookup func(string) (string, bool)
	in     io.Reader
	out    io.Writer // data
	err    io.Writer // messages
}

func newCLI(s streams) *cli {
	return &cli{streams: s, screen: output.ScreenOf(s.out, s.lookup), now: time.Now}
}

// run carries out one command line and returns the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	var unknown error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if unknown = unknownCommand(cmd, cmd.Flags().Args()); unknown == nil || cmd.HasParent() {
			unknown = nil
			help(cmd, args)
		}
	})
	err := errors.Join(root.ExecuteContext(ctx), unknown)
	if err != nil && !errors.Is(err, errSilent) {
		c.sayError(err)
	}
	return exitCode(err)
}

// root returns the command that all others hang on.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rolecall",
		Short: "Application-to-application authentication that you run yourself",
		Long: `Rolecall issues tokens to applications for other applications, as Microsoft Entra ID
does: register an API and its app roles, grant a role to a client, and any unmodified
Microsoft library gets a signed token that carries it. Not Microsoft's, and not
for signing in to Microsoft's cloud.`,
		Example: `  rolecall demo
  rolecall serve --config rolecall.yaml`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              unknownCommand,
		RunE:              func(*cobra.Command, []string) error { return errNoCommand },
		PersistentPreRunE: c.prepare,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(cmd, err)
	})
	root.PersistentFlags().StringVar(&c.dir, "data", "", "data folder (default $XDG_DATA_HOME/rolecall)")
	root.PersistentFlags().BoolVarP(&c.verbose, "verbose", "v", false, "log to stderr what happens")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	root.Version = thisBuild().Version
	root.SetVersionTemplate("rolecall {{.Version}}\n")
	for _, group := range commandGroups() {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title + ":"})
		for _, command := range group.commands {
			cmd := command(c)
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	for _, command := range []func(*cli) *cobra.Command{shimCommand, probeCommand} { // which help does not list
		root.AddCommand(command(c))
	}
	last := commandGroups()[len(commandGroups())-1].title
	root.SetHelpCommandGroupID(last)
	root.SetCompletionCommandGroupID(last)
	c.completeNames(root)
	wrapHelp(root)
	return root
}

// helpWidth is that of help, in columns.
const helpWidth = 80

// wrapHelp breaks the paragraphs of help anew, however the source has them.
func wrapHelp(cmd *cobra.Command) {
	var lines []string
	column := helpWidth
	for _, word := range strings.Fields(cmd.Long) {
		if column+1+len(word) > helpWidth {
			lines = append(lines, word)
			column = len(word)
			continue
		}
		lines[len(lines)-1] += " " + word
		column += 1 + len(word)
	}
	cmd.Long = strings.Join(lines, "\n")
	for _, child := range cmd.Commands() {
		wrapHelp(child)
	}
}

// A commandGroup is a heading of the help and the commands below it.
type commandGroup struct {
	title    string
	commands []func(*cli) *cobra.Command
}

// commandGroups is the table of commands, in the order in which people come to need them.
func commandGroups() []commandGroup {
	return []commandGroup{
		{"Start here", []func(*cli) *cobra.Command{demoCommand, initCommand, serveCommand}},
		{"Who may call what", []func(*cli) *cobra.Command{applyCommand, diffCommand, exportCommand, grantCommand, revokeCommand, assignmentCommand, adminCommand, reportCommand, schemaCommand}},
		{"Manage by nouns", []func(*cli) *cobra.Command{appCommand, spCommand, identityCommand, userCommand, hostCommand, tenantCommand}},
		{"Programs and tokens", []func(*cli) *cobra.Command{runCommand, envCommand, tokenCommand, callCommand, guardCommand}},
		{"Find out why", []func(*cli) *cobra.Command{explainCommand, signInsCommand, auditCommand}},
		{"Operation", []func(*cli) *cobra.Command{keysCommand, expiringCommand, backupCommand, restoreCommand, versionCommand}},
	}
}

// ownFlag marks a flag that means something else than another command's of the same name, so
// that no environment variable speaks for it.
const ownFlag = "own"

// environmentFlags may be given as ROLECALL_<NAME> instead.
var environmentFlags = map[string]bool{
	"data": true, "output": true, "verbose": true, "tenant": true, "config": true, "port": true, "host": true, "allow-issuer": true,
	"allow-host": true,
}

func isOwn(f *pflag.Flag) bool {
	_, own := f.Annotations[ownFlag]
	return own
}

// prepare completes the flags from the environment and finds the data folder.
func (c *cli) prepare(cmd *cobra.Command, _ []string) error {
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "ROLECALL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := c.lookup(name)
		if !ok || value == "" || f.Changed || !environmentFlags[f.Name] || isOwn(f) || bad != nil {
			return
		}
		if format, ok := f.Value.(*output.Format); ok && format.Ignores(value) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			bad = usageError(cmd, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	if bad != nil {
		return bad
	}
	if c.dir == "" {
		c.dir = c.defaultDir()
	}
	return nil
}

// needData refuses to go on without a data folder. Few commands do.
func (c *cli) needData() error {
	if c.dir == "" {
		return &failure{exitUsage, errors.New("no data folder: neither --data nor XDG_DATA_HOME nor HOME is set"), "name one with --data"}
	}
	return nil
}

func (c *cli) defaultDir() string {
	if base, ok := c.lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "rolecall")
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, ok := c.lookup(name); ok && home != "" {
			return filepath.Join(home, ".local", "share", "rolecall")
		}
	}
	return ""
}

// outputFlag adds -o to a command, and --query where it prints JSON. Without -o the format is
// the fallback, or, when that is empty, a table on a terminal and JSON otherwise.
func (c *cli) outputFlag(cmd *cobra.Command, fallback string, offered ...string) *output.Format {
	if fallback == "" {
		fallback = "json"
		if c.screen.Terminal {
			fallback = "table"
		}
	}
	f := &output.Format{Value: fallback, Offered: offered}
	cmd.Flags().VarP(f, "output", "o", "output format")
	if slices.Contains(offered, "yaml") {
		cmd.Flags().Var(f.Query(), "query", "print only what this JMESPath expression chooses, such as \"[].name\"")
		cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if err := f.Check(); err != nil {
				return usageError(cmd, err)
			}
			return nil
		}
	}
	return f
}

func (c *cli) print(f *output.Format, l output.Listing) error {
	return c.printer().Print(f, l)
}

// printValue prints what is no list.
func (c *cli) printValue(f *output.Format, value any) error {
	return c.printer().PrintValue(f, value)
}

func (c *cli) printer() output.Printer {
	return output.Printer{Out: c.out, Screen: c.screen, Say: c.say}
}

// openExisting opens the data folder for a command that only reads. Where there is none, it
// makes none.
func (c *cli) openExisting(ctx context.Context) (*server.Data, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	if !server.HasData(c.dir) {
		return nil, notFound("name another folder with --data; `rolecall serve` makes one", "there is no data in %s", c.dir)
	}
	return c.open(ctx)
}

// open opens the data folder for one command.
func (c *cli) open(ctx context.Context) (*server.Data, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	return server.OpenData(ctx, server.DataConfig{Dir: c.dir, NewKey: c.newKey, Log: c.log(slog.LevelWarn), Now: c.now})
}

// connect begins a session with the folder's running server, or with one for this command.
// Prepare, which may be nil, runs before the latter listens.
func (c *cli) connect(ctx context.Context, prepare func(context.Context, *server.Data) error) (*server.Session, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	cfg := c.sessionConfig()
	cfg.Prepare = prepare
	return server.Connect(ctx, cfg)
}

// connectRunning begins a session with the folder's running server, or returns nil.
func (c *cli) connectRunning(ctx context.Context) (*server.Session, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	return server.ConnectRunning(ctx, c.sessionConfig())
}

func (c *cli) sessionConfig() server.SessionConfig {
	return server.SessionConfig{Dir: c.dir, NewKey: c.newKey, Say: func(text string) { c.say("%s", text) }, Now: c.now, Log: c.log(slog.LevelWarn)}
}

// awaitServer returns once the folder's server, if one runs, acts on what the command changed.
func (c *cli) awaitServer(ctx context.Context, data *server.Data) error {
	found, err := server.FindReachable(ctx, c.dir)
	if found == nil || err != nil {
		return err
	}
	sequence, err := data.Sequence(ctx)
	if err != nil {
		return err
	}
	return found.Sync(ctx, sequence)
}

// warnUnreachable makes a warning of it when a server could not be told of a change: the
// change is made, and it counts as soon as the server looks.
func (c *cli) warnUnreachable(err error) error {
	if !errors.Is(err, server.ErrUnreachable) {
		return err
	}
	c.say("warning: the change is made, but %s", fix.InOneLine(err))
	return nil
}

// failUnreachable makes a failure of it, for changes that somebody relies on at once: what
// was taken away may still be given.
func failUnreachable(err error) error {
	if !errors.Is(err, server.ErrUnreachable) {
		return err
	}
	return fmt.Errorf("the change is made, but %w", err)
}

// log returns a logger to stderr for what is at least as severe as the level, and for
// everything with --verbose.
func (c *cli) log(level slog.Leveler) *slog.Logger {
	if c.verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if c.logJSON {
		return slog.New(slog.NewJSONHandler(c.err, options))
	}
	return slog.New(slog.NewTextHandler(c.err, options))
}

// say writes a message for people, which is a line of the log where that is JSON.
func (c *cli) say(format string, args ...any) {
	if c.logJSON {
		c.log(slog.LevelInfo).Info(fmt.Sprintf(format, args...))
		return
	}
	fmt.Fprintf(c.err, format+"\n", args...)
}

// sayError writes why a command failed, and what to do about it.
func (c *cli) sayError(err error) {
	step := fix.Of(err)
	switch {
	case c.logJSON && step != "":
		c.log(slog.LevelInfo).Error(fix.What(err), "hint", step)
	case c.logJSON:
		c.log(slog.LevelInfo).Error(fix.What(err))
	case step != "":
		c.say("rolecall: %s\nhint: %s", fix.What(err), step)
	default:
		c.say("rolecall: %s", fix.What(err))
	}
}
