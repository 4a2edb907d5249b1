package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/noun"
)

// A cli is the program in one invocation.
type cli struct{ *command.Line }

func newCLI(s command.Streams) *cli { return &cli{command.New(s)} }

// run carries out one command line and returns the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	var unknown error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if unknown = command.UnknownCommand(cmd, cmd.Flags().Args()); unknown == nil || cmd.HasParent() {
			unknown = nil
			help(cmd, args)
		}
	})
	err := errors.Join(root.ExecuteContext(ctx), unknown)
	if readerIsGone(err) {
		return brokenPipe
	}
	if err != nil && !errors.Is(err, command.ErrSilent) {
		c.SayError(err)
	}
	return command.ExitCode(err)
}

// brokenPipe is the exit code of a program that SIGPIPE ends, as shells tell it.
const brokenPipe = 128 + 13

// readerIsGone reports whether nobody reads what the command prints any more.
func readerIsGone(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Path == os.Stdout.Name() && errors.Is(path, syscall.EPIPE)
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
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          command.UnknownCommand,
		RunE: func(*cobra.Command, []string) error {
			return command.Fail(command.ExitUsage, errors.New("no command"), "start with `rolecall serve`, or see everything at work with `rolecall demo`; `rolecall --help` lists the rest")
		},
		PersistentPreRunE: c.Prepare,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return command.UsageError(cmd, err)
	})
	root.PersistentFlags().StringVar(&c.Dir, "data", "", "data folder (default $XDG_DATA_HOME/rolecall)")
	root.PersistentFlags().BoolVarP(&c.Verbose, "verbose", "v", false, "log to stderr what happens")
	root.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages ", ".FlagUsagesWrapped 80 ",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, `"{{.CommandPath}} COMMAND --help" says more about one.`,
	).Replace(root.UsageTemplate()))
	root.Version = thisBuild().Version
	root.SetVersionTemplate("rolecall {{.Version}}\n")
	for _, group := range commandGroups() {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title + ":"})
		for _, build := range group.commands {
			cmd := build(c)
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	for _, build := range []func(*cli) *cobra.Command{shimCommand, probeCommand} { // which help does not list
		root.AddCommand(build(c))
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
		{"Manage by nouns", []func(*cli) *cobra.Command{onLine(noun.App), onLine(noun.ServicePrincipal), onLine(noun.Identity), onLine(noun.User), onLine(noun.Host), onLine(noun.Tenant)}},
		{"Programs and tokens", []func(*cli) *cobra.Command{runCommand, envCommand, tokenCommand, callCommand, guardCommand}},
		{"Servers on other machines", []func(*cli) *cobra.Command{loginCommand, serversCommand, logoutCommand}},
		{"Find out why", []func(*cli) *cobra.Command{explainCommand, signInsCommand, auditCommand}},
		{"Operation", []func(*cli) *cobra.Command{keysCommand, expiringCommand, backupCommand, restoreCommand, versionCommand}},
	}
}

// streamsOf are what a process has.
func streamsOf(lookup func(string) (string, bool), in io.Reader, out, err io.Writer) command.Streams {
	return command.Streams{Lookup: lookup, In: in, Out: out, Err: err}
}

// onLine is a command of another package.
func onLine(build func(*command.Line) *cobra.Command) func(*cli) *cobra.Command {
	return func(c *cli) *cobra.Command { return build(c.Line) }
}
