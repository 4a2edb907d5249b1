package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// The actor and credential name of `rolecall env`.
const envName = "env"

func (c *cli) environment() *cobra.Command {
	var as, on, tenant, via string
	var expires time.Duration
	var remove bool
	cmd := &cobra.Command{
		Use:   "env {--as NAME|--on HOST}",
		Short: "Print the environment in which a program is that application, or on that host",
		Long: `Prints the variables with which an unmodified Azure library in the program gets
tokens from here as the named application, and trusts this authority's certificate.

For that it gives the application a credential of its own, and says so on stderr. It
expires by itself, and expired ones are removed the next time; --remove removes all
that this command has made for the application now, and prints nothing.

For a shell, what is set now and would contradict is unset. With --via cli the search
path begins with stand-ins for az and azd that are signed in as the application.

Managed identities have no credential. They are assigned to a process, which is what
` + "`rolecall run`" + ` does, or to a host of the directory, such as a container: --on
prints the variables by which programs there find their identities. They are good for
as long as the directory has the host (of the shape service-fabric, as long as the server
runs), and whoever knows them can act as the host.`,
		Example: `  eval "$(rolecall env --as orders-client)"
  rolecall env --as orders-client --via certificate -o dotenv > .env
  rolecall env --on build-agent -o dotenv > agent.env`,
		Args: exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&as, "as", "", "application to act as: its name or app id")
	flags.StringVar(&on, "on", "", "host of the directory on which the program runs")
	flags.StringVar(&tenant, "tenant", "", "tenant of the application or host, where several have one of that name")
	flags.StringVar(&via, "via", viaSecret, "how it proves itself: "+strings.Join(lentVias, ", "))
	flags.DurationVar(&expires, "expires", 24*time.Hour, "life of the credential")
	flags.BoolVar(&remove, "remove", false, "remove the credentials that this command made")
	output := c.outputFlag(cmd, "shell", "shell", "dotenv", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case (as == "") == (on == ""):
			return usageError(cmd, errors.New("say either --as, which application to act as, or --on, on which host the program runs"))
		case on != "" && (remove || cmd.Flags().Changed("via") || cmd.Flags().Changed("expires")):
			return usageError(cmd, errors.New("--on goes with none of --via, --expires and --remove: the directory says how its programs ask, and nothing is lent to them"))
		case livesWithProcess(via):
			return usageError(cmd, fmt.Errorf("--via %s needs a process that the identity lives and ends with: `rolecall run --as %s --via %s -- CMD` runs one", via, as, via))
		case !slices.Contains(lentVias, via):
			return usageError(cmd, fmt.Errorf("unknown way %q for --via; there are %s", via, strings.Join(lentVias, ", ")))
		case expires < time.Minute:
			return usageError(cmd, errors.New("--expires is too short: give at least 1m"))
		}
		ctx := cmd.Context()
		s, err := c.findSite(ctx)
		if err != nil {
			return err
		}
		if s == nil {
			return failed("`rolecall serve` runs one; leave it running and try again in another terminal", "no server runs on %s", c.dir)
		}
		defer func() { err = errors.Join(err, s.close()) }()
		if on != "" {
			variables, err := c.variablesOn(ctx, s, tenant, on)
			if err != nil {
				return err
			}
			return c.printVariables(output.value, variables)
		}
		app, err := c.findRunner(ctx, s.data, tenant, as)
		if err != nil {
			return err
		}
		if app.user != nil {
			return usageError(cmd, fmt.Errorf("%s is a user, who is signed in for as long as a process lives: `rolecall run --as %s -- CMD` runs one", app.name(), as))
		}
		if app.isIdentity() {
			return usageError(cmd, fmt.Errorf("%s is a managed identity: it has no credentials, but is assigned to a process (`rolecall run --as %s -- CMD` runs one) or to a host (`rolecall env --on NAME`)", app.Principal.Name, as))
		}
		if remove {
			return c.takeBackAll(ctx, s, app)
		}
		variables, err := c.variablesFor(ctx, s, app, via, expires)
		if err != nil {
			return err
		}
		return c.printVariables(output.value, variables)
	}
	return cmd
}

// variablesFor makes the credential and returns all that a program needs to use it.
func (c *cli) variablesFor(ctx context.Context, s *site, app application, via string, life time.Duration) ([]launch.Variable, error) {
	trust, err := launch.Trust(c.dir, s.endpoints.CABundle) // what can fail comes before the credential
	if err != nil {
		return nil, err
	}
	variables := namesOf(s, app)
	switch via {
	case viaCertificate:
		variables, err = c.withCertificate(ctx, s, app, life, variables)
	case viaCLI:
		variables, err = c.withTools(ctx, s, app, life, variables)
	default:
		var value string
		value, err = c.lendSecret(ctx, s, app, life)
		variables = append(variables, launch.Variable{Name: "AZURE_CLIENT_SECRET", Value: value}, onlyEnvironment())
	}
	if err != nil {
		return nil, err
	}
	variables = append(append(variables, trust...), launch.NoProxy(os.Environ())...)
	return append(variables, launch.Variable{Name: "ROLECALL_AUTHORITY", Value: s.endpoints.Authority}), nil
}

// variablesOn returns what the programs of a host need. They may be on another machine or
// in a container, so nothing names a file of this one.
func (c *cli) variablesOn(ctx context.Context, s *site, tenant, host string) ([]launch.Variable, error) {
	line, err := server.Host(ctx, c.dir, tenant, host)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, &failure{code: exitNotFound, err: err}
	}
	if err != nil {
		return nil, err
	}
	variables := []launch.Variable{{Name: "AZURE_TENANT_ID", Value: string(line.Tenant)}}
	identity, err := s.data.Directory.Client(ctx, line.Tenant, line.ClientID)
	if err != nil {
		return nil, err
	}
	if identity.Principal.IdentityKind == directory.IdentityUser { // as for `rolecall run`
		variables = append(variables, launch.Variable{Name: "AZURE_CLIENT_ID", Value: string(line.ClientID)})
	}
	for _, name := range slices.Sorted(maps.Keys(line.Environment)) {
		variables = append(variables, launch.Variable{Name: name, Value: line.Environment[name]})
	}
	return variables, nil
}

// namesOf returns the variables that say who somebody is, and where.
func namesOf(s *site, app application) []launch.Variable {
	names := []launch.Variable{{Name: "AZURE_TENANT_ID", Value: string(app.tenant.ID)}}
	if app.user == nil { // who is no client
		names = append(names, launch.Variable{Name: "AZURE_CLIENT_ID", Value: string(app.Principal.AppID)})
	}
	return append(names, launch.Variable{Name: "AZURE_AUTHORITY_HOST", Value: s.endpoints.Authority})
}

// onlyEnvironment spares DefaultAzureCredential what it would try besides the environment.
func onlyEnvironment() launch.Variable { return only("EnvironmentCredential") }

func only(credential string) launch.Variable {
	return launch.Variable{Name: launch.OnlyCredential, Value: credential}
}

func (c *cli) lendSecret(ctx context.Context, s *site, app application, life time.Duration) (string, error) {
	secret, value, err := s.lend(ctx, app, envName, life, c.now())
	if err == nil {
		c.sayLent(app, "secret", secret.ID, secret.Expires)
	}
	return value, err
}

func (c *cli) withCertificate(ctx context.Context, s *site, app application, life time.Duration, variables []launch.Variable) ([]launch.Variable, error) {
	file, kept, err := c.lendCertificate(ctx, s, app, envName, life)
	if err != nil {
		return nil, err
	}
	c.sayLent(app, "certificate", kept.ID, kept.ValidUntil)
	return append(variables, launch.Variable{Name: "AZURE_CLIENT_CERTIFICATE_PATH", Value: file}, onlyEnvironment()), nil
}

// withTools keeps stand-ins for az and azd in the data folder, which sign in with a secret,
// and puts them first in the search path.
func (c *cli) withTools(ctx context.Context, s *site, app application, life time.Duration, variables []launch.Variable) ([]launch.Variable, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	folder, err := makeCredentialFolder(c.dir, lentStem(app.Application.AppID, envName)+toolsEnding)
	if err != nil {
		return nil, err
	}
	value, err := c.lendSecret(ctx, s, app, life)
	if err != nil {
		return nil, err
	}
	account := accountOf(app)
	account.Authority, account.Secret, account.CABundle = s.endpoints.Authority, value, s.endpoints.CABundle
	if err := launch.WriteShims(folder, program, account); err != nil {
		return nil, err
	}
	path, _ := c.lookup("PATH")
	return append(variables, launch.FirstInPath([]string{"PATH=" + path}, folder), launch.Variable{Name: launch.CLIPath, Value: folder}, only("AzureCLICredential")), nil
}

// accountOf is whom the stand-ins for az and azd are signed in as.
func accountOf(app application) launch.Account {
	account := launch.Account{
		Tenant: string(app.tenant.ID), TenantNames: append([]string{app.tenant.Name}, app.tenant.Domains...), ClientID: string(app.Principal.AppID), ManagedIdentity: app.isIdentity(),
	}
	if app.user != nil {
		account.User = app.user.PrincipalName
	}
	return account
}

func (c *cli) sayLent(app application, kind, id string, expires time.Time) {
	c.say("gave %s a %s (id %s) that expires %s; `rolecall env --as %[1]s --remove` removes it", app.Application.Name, kind, id, shortTime(expires))
}

// takeBackAll removes every credential that this command made for the application.
func (c *cli) takeBackAll(ctx context.Context, s *site, app application) error {
	var removed int
	err := s.change(ctx, "cli:"+envName, func(e *directory.Editor) error {
		removed = 0
		return removeLent(e, app, func(l lent) bool {
			if l.name != lentPrefix+envName {
				return false
			}
			removed++
			return true
		})
	})
	if err != nil {
		return err
	}
	files, err := credentialFiles(c.dir, lentStem(app.Application.AppID, envName))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.RemoveAll(file); err != nil {
			return fmt.Errorf("remove what a credential was kept in: %w", err)
		}
	}
	c.say("removed %d credentials of %s", removed, app.Application.Name)
	return nil
}

// lendCertificate gives the application a certificate whose key lies in the data folder.
func (c *cli) lendCertificate(ctx context.Context, s *site, app application, name string, life time.Duration) (file string, kept directory.Certificate, err error) {
	certificate, err := library.NewCertificate(app.Application.Name, c.now(), life)
	if err != nil {
		return "", kept, err
	}
	content, err := encodeCertificate(certificate)
	if err != nil {
		return "", kept, err
	}
	file, err = writeCredential(c.dir, app.Application, name, content, c.now())
	if err != nil {
		return "", kept, err
	}
	err = s.change(ctx, "cli:"+name, func(e *directory.Editor) error {
		err := removeLent(e, app, expiredAt(c.now()))
		if err != nil {
			return err
		}
		kept, err = e.AddCertificate(app.tenant.ID, app.Application.ID, lentPrefix+name, certificate.Chain[0].Raw)
		return err
	})
	if err != nil {
		return "", kept, errors.Join(err, os.Remove(file))
	}
	return file, kept, nil
}

func (c *cli) printVariables(format string, variables []launch.Variable) error {
	switch format {
	case "json":
		return printJSON(c.out, object(variables))
	case "dotenv":
		for _, v := range variables {
			fmt.Fprintf(c.out, "%s=%s\n", v.Name, dotenvQuote(v.Value))
		}
	default:
		if names := launch.Contradicting(os.Environ(), variables); len(names) > 0 {
			fmt.Fprintf(c.out, "unset %s\n", strings.Join(names, " "))
		}
		for _, v := range variables {
			fmt.Fprintf(c.out, "export %s=%s\n", v.Name, shellQuote(v.Value))
		}
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// dotenvQuote quotes what readers of .env files would take for a comment or an expansion.
func dotenvQuote(s string) string {
	if strings.ContainsAny(s, " #'\"$`\\") {
		return shellQuote(s)
	}
	return s
}

func object(variables []launch.Variable) map[string]string {
	m := make(map[string]string, len(variables))
	for _, v := range variables {
		m[v.Name] = v.Value
	}
	return m
}
