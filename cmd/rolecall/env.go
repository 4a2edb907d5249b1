package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// envName is the purpose of the credentials that `rolecall env` makes.
const envName = "env"

// An envRequest is what `rolecall env` was asked for.
type envRequest struct {
	as, on, tenant, via string
	bundle              string
	expires             time.Duration
	remove, renew       bool
	public              bool
	cloud               string
	set                 []string
	settings            []runas.Setting
}

// An environment prints the variables of programs that are run elsewhere.
type environment struct{ *cli }

func envCommand(base *cli) *cobra.Command {
	c := environment{base}
	var r envRequest
	cmd := &cobra.Command{
		Use:   "env {--as NAME|--on HOST}",
		Short: "Print the environment of a program that runs as an application, or on a host",
		Long: `Prints the variables with which an unmodified Azure library gets tokens from here as the
named application and trusts this authority's certificate. The application is given a
temporary credential, which the command reports on stderr; it expires, and --remove
removes it now. With --via none it gets none, which is all that an API needs that only
checks tokens. With --on, prints the variables for programs on a host of the directory;
with --public-names too, also those that lead them here by Microsoft's own host names.`,
		Example: `  eval "$(rolecall env --as orders-client)"
  rolecall env --as orders-client --via certificate -o dotenv > .env
  rolecall env --as orders-server --via none --ca-bundle /run/ca-bundle.pem -o docker
  rolecall env --on build-agent -o docker > agent.env
  rolecall env --on build-agent --public-names --ca-bundle /run/ca-bundle.pem -o docker > agent.env
  rolecall env --as orders-client --set AppSettings__ClientSecret=secret -o local-settings`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&r.as, "as", "", "application to act as: its name or app id")
	c.ServerFlag(cmd)
	flags.StringVar(&r.on, "on", "", "host of the directory that the program runs on")
	flags.StringVar(&r.tenant, "tenant", "", "tenant of the application or host, if several tenants have that name")
	flags.StringVar(&r.via, "via", runas.Secret, "how it proves who it is: "+strings.Join(runas.LastingVias(), ", "))
	flags.DurationVar(&r.expires, "expires", 24*time.Hour, "lifetime of the credential")
	flags.BoolVar(&r.remove, "remove", false, "remove all credentials that this command has made for the application")
	flags.BoolVar(&r.renew, "renew", false, "replace the secret of the host first: the variables that were printed so far end")
	flags.StringVar(&r.bundle, "ca-bundle", "", "path at which the program will have the CA bundle, such as one in a container")
	flags.BoolVar(&r.public, "public-names", false, "with --on: lead the programs here by Microsoft's own host names, such as login.microsoftonline.com, through a proxy at the host's address")
	flags.StringVar(&r.cloud, "cloud", "", "with --public-names: whose names: "+strings.Join(cloudNames(), ", ")+" (default "+cloudNames()[0]+")")
	flags.StringArrayVar(&r.set, "set", nil, "NAME=WHAT: a variable of the program's own, where WHAT is "+strings.Join(runas.Values(), ", "))
	format := c.OutputFlag(cmd, "shell", "shell", "fish", "powershell", "dotenv", "docker", "local-settings", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lends := cmd.Flags().Changed("via") || cmd.Flags().Changed("expires")
		err := r.check(lends)
		if err == nil && c.Server != "" {
			err = r.checkElsewhere()
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		if r.settings, err = runas.ParseSettings(r.set); err != nil {
			return command.UsageError(cmd, err)
		}
		if format.Value == "shell" || format.Value == "fish" {
			err = checkShellNames(r.settings)
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		return c.printEnvironment(cmd, r, format.Value)
	}
	return cmd
}

// check refuses flags that contradict each other; lends tells whether some were given that
// are about a credential.
func (r envRequest) check(lends bool) error {
	switch {
	case r.renew && r.on == "":
		return errors.New("--renew is for hosts: say which one with --on")
	case (r.as == "") == (r.on == ""):
		return errors.New("say either --as, which application to act as, or --on, on which host the program runs")
	case r.on != "" && (r.remove || lends || len(r.set) > 0):
		return errors.New("--on goes with none of --via, --expires, --set and --remove: the directory says how its programs ask, and they are given no credential")
	case runas.EndsWithProcess(r.via):
		return fmt.Errorf("--via %s needs a process that the identity lives and ends with: `rolecall run --as %s --via %s -- CMD` runs one", r.via, r.as, r.via)
	case !slices.Contains(runas.LastingVias(), r.via):
		return runas.UnknownVia(r.via, runas.LastingVias())
	case r.public && r.on == "":
		return fmt.Errorf("--public-names requires --on: programs come to Microsoft's names by a proxy, which stands at a host's address or belongs to a run: `rolecall run --public-names --as %s -- CMD`", r.as)
	case r.cloud != "" && !r.public:
		return errors.New("--cloud requires --public-names: it says whose names are answered")
	case !knownCloud(r.cloud):
		return fmt.Errorf("--cloud %s: there is no such cloud: say one of %s", r.cloud, strings.Join(cloudNames(), ", "))
	case r.expires < time.Minute:
		return errors.New("--expires is too short: give at least 1m")
	}
	return nil
}

// knownCloud reports whether there is a cloud of that name; none means the first.
func knownCloud(name string) bool {
	_, err := origin.ParseCloud(name)
	return err == nil
}

// renewHost replaces the secret of a host, and returns once the server demands the new one.
func (c environment) renewHost(ctx context.Context, s *server.Session, r envRequest) error {
	state, err := server.Host(ctx, s.Dir(), r.tenant, r.on) // which words what is wrong with the name
	if err != nil {
		return err
	}
	host, err := s.Data.Directory.View(ctx).Hosts().Find(state.Tenant, r.on)
	if err != nil {
		return err
	}
	management, err := c.Manage(s.Data, envName)
	if err != nil {
		return err
	}
	defer management.Close()
	if err := management.Local.RenewHost(ctx, state.Tenant, host.ID); err != nil {
		return err
	}
	return c.AwaitServer(ctx, s.Data)
}

// checkElsewhere refuses what only a server on this machine can do.
func (r envRequest) checkElsewhere() error {
	switch {
	case r.on != "":
		return errors.New("--on is for hosts of the server's own machine, and --server is elsewhere: run it there")
	case r.public:
		return errors.New("--public-names is for a server on this machine, which answers under Microsoft's names, and --server is elsewhere: leave out one of them")
	}
	return nil
}

// printEnvironment finds the server and does what was asked for.
func (c environment) printEnvironment(cmd *cobra.Command, r envRequest, format string) (err error) {
	ctx := cmd.Context()
	if c.Server != "" {
		from, end, err := c.source(ctx)
		if err != nil {
			return err
		}
		return command.CloseAfter(c.printApplication(cmd, from, r, format), end)
	}
	s, err := c.ConnectRunning(ctx)
	if err != nil {
		return err
	}
	if s == nil {
		return command.Failed("`rolecall serve` runs one; leave it running and try again in another terminal", "no server runs on %s", c.Dir)
	}
	defer func() { err = command.CloseAfter(err, s) }()
	if r.renew {
		if err := c.renewHost(ctx, s, r); err != nil {
			return err
		}
	}
	if r.on != "" {
		variables, err := runas.Host{
			Session: s, Tenant: r.tenant, Name: r.on, Public: r.public, Cloud: r.cloud, Bundle: r.bundle, Say: c.Say,
		}.Variables(ctx)
		if err != nil {
			return err
		}
		return c.printVariables(format, variables)
	}
	return c.printApplication(cmd, runas.Folder{Session: s, Now: c.Now}, r, format)
}

// printApplication gives an application a credential and prints its variables, or removes what it
// was given.
func (c environment) printApplication(cmd *cobra.Command, from runas.Source, r envRequest, format string) error {
	ctx := cmd.Context()
	app, err := from.FindActor(ctx, r.tenant, r.as)
	if err != nil {
		return err
	}
	if err := checkLasting(app, r.as); err != nil {
		return command.UsageError(cmd, err)
	}
	issuer := from.Credentials(envName, nil)
	if r.remove {
		removed, err := issuer.RemoveAll(ctx, app.Application)
		if err != nil {
			return err
		}
		c.Say("removed %d credentials of %s", removed, app.Application.Called())
		return nil
	}
	path, _ := c.Lookup("PATH")
	variables, err := runas.Lasting{
		Source: from, App: app, Via: r.via, Life: r.expires, Issuer: issuer, Path: path,
		Set: r.settings, Say: c.Say, Bundle: r.bundle,
		Gave: func(kind, id string, expires time.Time) {
			c.Say("gave %s a %s (id %s) that expires %s; `rolecall env --as %[1]s --remove%[5]s` removes it", app.Application.Called(), kind, id, command.ShortTime(expires), c.withServer())
		},
	}.Variables(ctx)
	if runas.IsUsage(err) {
		return command.UsageError(cmd, err)
	}
	if err != nil {
		return err
	}
	return c.printVariables(format, variables)
}

// checkLasting refuses those that act only for as long as a process lives.
func checkLasting(actor lookup.Actor, as string) error {
	switch {
	case actor.User != nil:
		return fmt.Errorf("%s is a user, who is signed in for as long as a process lives: `rolecall run --as %s -- CMD` runs one", actor.Name(), as)
	case actor.IsIdentity():
		return fmt.Errorf("%s is a managed identity: it has no credentials, but is assigned to a process (`rolecall run --as %s -- CMD` runs one) or to a host (`rolecall env --on NAME`)", actor.Name(), as)
	}
	return nil
}

func (c environment) printVariables(format string, variables []launch.Variable) error {
	switch format {
	case "json":
		return output.JSON(c.Out, object(variables))
	case "local-settings": // of Azure Functions
		return output.JSON(c.Out, map[string]any{"IsEncrypted": false, "Values": object(variables)})
	case "docker": // which takes everything after the equals sign as it is
		for _, v := range variables {
			if strings.ContainsAny(v.Value, "\r\n") {
				return fmt.Errorf("the value of %s has a line break, which Docker's --env-file cannot have: use -o json", v.Name)
			}
			fmt.Fprintf(c.Out, "%s=%s\n", v.Name, v.Value)
		}
	case "dotenv":
		for _, v := range variables {
			fmt.Fprintf(c.Out, "%s=%s\n", v.Name, dotenvQuote(v.Value))
		}
	default:
		c.printScript(shells[format], variables)
	}
	return nil
}

// A shell is how a variable is set and removed there.
type shell struct {
	set, unset, and string
	quote           func(string) string
}

// shells are the formats that a shell evaluates. It is never written to.
var shells = map[string]shell{
	"shell":      {"export %s=%s\n", "unset %s\n", " ", shellQuote},
	"fish":       {"set -gx %s %s\n", "set -e %s\n", " ", fishQuote},
	"powershell": {"${env:%s} = %s\n", "Remove-Item Env:%s\n", ", Env:", powershellQuote},
}

// printScript prints what sets the variables, and removes those that contradict them.
func (c environment) printScript(s shell, variables []launch.Variable) {
	if names := launch.Contradicting(os.Environ(), variables); len(names) > 0 {
		fmt.Fprintf(c.Out, s.unset, strings.Join(names, s.and))
	}
	for _, v := range variables {
		fmt.Fprintf(c.Out, s.set, v.Name, s.quote(v.Value))
	}
}

// fishQuote quotes for fish, where a backslash in single quotes escapes itself and the quote.
func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// powershellQuote quotes for PowerShell, which also takes typographic quotes for single quotes.
func powershellQuote(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	return "'" + b.String() + "'"
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// dotenvQuote quotes what programs that read .env files would take for a comment or an
// expansion, or a shell that reads one for anything but a word. They take what is in single
// quotes as it is, and know no escape for those.
func dotenvQuote(s string) string {
	switch {
	case !strings.ContainsAny(s, " #'\"$`\\\t\r\n;&|<>()*?[]{}~!"):
		return s
	case !strings.Contains(s, "'"):
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`", "\n", `\n`, "\r", `\r`).Replace(s) + `"`
}

// checkShellNames refuses names that a shell cannot export.
func checkShellNames(settings []runas.Setting) error {
	for _, s := range settings {
		if !shellName.MatchString(s.Name) {
			return fmt.Errorf("--set %s: a shell cannot export a variable of that name: use -o dotenv, docker, local-settings or json", s.Name)
		}
	}
	return nil
}

// shellName matches the names that shells can export. It is never written to.
var shellName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func object(variables []launch.Variable) map[string]string {
	m := make(map[string]string, len(variables))
	for _, v := range variables {
		m[v.Name] = v.Value
	}
	return m
}
