package command

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A Line is one invocation of the program: where it reads and writes, and what all commands have
// in common.
type Line struct {
	Streams
	Screen output.Screen // what out is shown on
	Now    func() time.Time
	NewKey func() (*rsa.PrivateKey, error) // of signing keys; nil: fresh ones. Tests save time by it

	Dir     string // --data
	Server  string // --server: one that was signed in to; empty: the folder is worked on
	Verbose bool   // --verbose
	LogJSON bool   // serve --log-format json

	elsewhere string  // ROLECALL_SERVER, for a command that works on the folder alone
	caution   caution // of the change that the command makes
}

// The Streams are what a process has: its environment, and where it reads and writes.
type Streams struct {
	Lookup func(string) (string, bool)
	In     io.Reader
	Out    io.Writer // data
	Err    io.Writer // messages
}

// New returns an invocation that reads and writes these streams.
func New(s Streams) *Line {
	return &Line{Streams: s, Screen: output.ScreenOf(s.Out, s.Lookup), Now: time.Now}
}

// OwnFlag marks a flag that means something else than another command's of the same name, so
// that no environment variable speaks for it.
const OwnFlag = "own"

// environmentFlags may be given as ROLECALL_<NAME> instead.
var environmentFlags = map[string]bool{
	"data": true, "output": true, "verbose": true, "tenant": true, "config": true, "port": true, "host": true, "allow-issuer": true,
	"allow-host": true, "server": true,
}

func isOwn(f *pflag.Flag) bool {
	_, own := f.Annotations[OwnFlag]
	return own
}

// Prepare completes the flags from the environment and finds the data folder.
func (c *Line) Prepare(cmd *cobra.Command, _ []string) error {
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "ROLECALL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := c.Lookup(name)
		if !ok || value == "" || f.Changed || !environmentFlags[f.Name] || isOwn(f) || bad != nil {
			return
		}
		if format, ok := f.Value.(*output.Format); ok && format.Ignores(value) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			bad = UsageError(cmd, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	if bad != nil {
		return bad
	}
	if c.Dir == "" {
		c.Dir = c.DefaultDir()
	} else if c.Server != "" && cmd.Flags().Changed("data") && cmd.Flags().Changed("server") {
		return UsageError(cmd, errors.New("--data is a folder of this machine, and --server is elsewhere: give one"))
	}
	if name, ok := c.Lookup("ROLECALL_SERVER"); ok && cmd.Flags().Lookup("server") == nil && !isOfMachine(cmd) {
		c.elsewhere = name
	}
	return nil
}

// isOfMachine reports whether a command is about this machine, whichever server is meant
// otherwise.
func isOfMachine(cmd *cobra.Command) bool {
	return slices.Contains([]string{"serve", "demo"}, cmd.Name())
}

// ServerFlag adds --server to a command that can work on a server elsewhere.
func (c *Line) ServerFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.Server, "server", "", "work on this server, which \"rolecall login\" was used for, instead of the data folder")
}

// NeedData refuses to go on without a data folder. Few commands do.
func (c *Line) NeedData() error {
	if c.elsewhere != "" {
		return Fail(ExitUsage, fmt.Errorf("this command works on the data folder of this machine alone, and ROLECALL_SERVER names the server %q", text.Shown(c.elsewhere)),
			"unset ROLECALL_SERVER for it, or run it on the server's machine")
	}
	if c.Dir == "" {
		return Fail(ExitUsage, errors.New("no data folder: neither --data nor XDG_DATA_HOME nor HOME is set"), "name one with --data")
	}
	return nil
}

// DefaultDir is the data folder where none is named; empty where the environment has no home.
func (c *Line) DefaultDir() string {
	if base, ok := c.Lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "rolecall")
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, ok := c.Lookup(name); ok && home != "" {
			return filepath.Join(home, ".local", "share", "rolecall")
		}
	}
	return ""
}

// OutputFlag adds -o to a command, and --query where it prints JSON. Without -o the format is
// the fallback, or, when that is empty, a table on a terminal and JSON otherwise.
func (c *Line) OutputFlag(cmd *cobra.Command, fallback string, offered ...string) *output.Format {
	if fallback == "" {
		fallback = "json"
		if c.Screen.Terminal {
			fallback = "table"
		}
	}
	f := &output.Format{Value: fallback, Offered: offered}
	cmd.Flags().VarP(f, "output", "o", "output format")
	if slices.Contains(offered, "yaml") {
		cmd.Flags().Var(f.Query(), "query", "print only what this JMESPath expression chooses, such as \"[].name\"")
		cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if err := f.Check(); err != nil {
				return UsageError(cmd, err)
			}
			return nil
		}
	}
	return f
}

// Print prints a listing. After a dry run there is nothing to print but its report.
func (c *Line) Print(f *output.Format, l output.Listing) error {
	if c.caution.dryRun { // what it made is not there
		return nil
	}
	return c.Printer().Print(f, l)
}

// PrintValue prints what is no list.
func (c *Line) PrintValue(f *output.Format, value any) error {
	return c.Printer().PrintValue(f, value)
}

// Printer prints what a command found.
func (c *Line) Printer() output.Printer {
	return output.Printer{Out: c.Out, Screen: c.Screen, Say: c.Say}
}

// OpenExisting opens the data folder for a command that only reads. Where there is none, it
// makes none.
func (c *Line) OpenExisting(ctx context.Context) (*server.Data, error) {
	if err := c.NeedData(); err != nil {
		return nil, err
	}
	if !server.HasData(c.Dir) {
		return nil, NotFound("name another folder with --data; `rolecall serve` makes one", "there is no data in %s", c.Dir)
	}
	return c.Open(ctx)
}

// Open opens the data folder for one command.
func (c *Line) Open(ctx context.Context) (*server.Data, error) {
	if err := c.NeedData(); err != nil {
		return nil, err
	}
	return server.OpenData(ctx, server.DataConfig{Dir: c.Dir, NewKey: c.NewKey, Log: c.Log(slog.LevelWarn), Now: c.Now})
}

// Connect begins a session with the folder's running server, or with one for this command.
// Prepare, which may be nil, runs before the latter listens.
func (c *Line) Connect(ctx context.Context, prepare func(context.Context, *server.Data) error) (*server.Session, error) {
	if err := c.NeedData(); err != nil {
		return nil, err
	}
	cfg := c.sessionConfig()
	cfg.Prepare = prepare
	return server.Connect(ctx, cfg)
}

// ConnectRunning begins a session with the folder's running server, or returns nil.
func (c *Line) ConnectRunning(ctx context.Context) (*server.Session, error) {
	if err := c.NeedData(); err != nil {
		return nil, err
	}
	return server.ConnectRunning(ctx, c.sessionConfig())
}

func (c *Line) sessionConfig() server.SessionConfig {
	return server.SessionConfig{Dir: c.Dir, NewKey: c.NewKey, Say: func(text string) { c.Say("%s", text) }, Now: c.Now, Log: c.Log(slog.LevelWarn)}
}

// AwaitServer returns once the folder's server, if one runs, acts on what the command changed.
func (c *Line) AwaitServer(ctx context.Context, data *server.Data) error {
	found, err := server.FindReachable(ctx, c.Dir)
	if found == nil || err != nil {
		return err
	}
	sequence, err := data.Sequence(ctx)
	if err != nil {
		return err
	}
	return found.Sync(ctx, sequence)
}

// WarnUnreachable makes a warning of it when a server could not be told of a change: the
// change is made, and it counts as soon as the server looks.
func (c *Line) WarnUnreachable(err error) error {
	if !errors.Is(err, server.ErrUnreachable) {
		return err
	}
	c.Say("warning: the change is made, but %s", fix.InOneLine(err))
	return nil
}

// FailUnreachable makes a failure of it, for changes that somebody relies on at once: what
// was taken away may still be given.
func FailUnreachable(err error) error {
	if !errors.Is(err, server.ErrUnreachable) {
		return err
	}
	return fmt.Errorf("the change is made, but %w", err)
}

// Log returns a logger to stderr for what is at least as severe as the level, and for
// everything with --verbose.
func (c *Line) Log(level slog.Leveler) *slog.Logger {
	if c.Verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(c.Err, options))
	}
	return slog.New(slog.NewTextHandler(c.Err, options))
}

// Say writes a message for people, which is a line of the log where that is JSON.
func (c *Line) Say(format string, args ...any) {
	if c.LogJSON {
		c.Log(slog.LevelInfo).Info(fmt.Sprintf(format, args...))
		return
	}
	fmt.Fprintf(c.Err, format+"\n", args...)
}

// SayError writes why a command failed, and what to do about it.
func (c *Line) SayError(err error) {
	step := fix.Of(err)
	switch {
	case c.LogJSON && step != "":
		c.Log(slog.LevelInfo).Error(fix.What(err), "hint", step)
	case c.LogJSON:
		c.Log(slog.LevelInfo).Error(fix.What(err))
	case step != "":
		c.Say("rolecall: %s\nhint: %s", fix.What(err), step)
	default:
		c.Say("rolecall: %s", fix.What(err))
	}
}

// ReadFile reads a file, or standard input when its name is "-".
func (c *Line) ReadFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.In)
	}
	return os.ReadFile(name)
}
