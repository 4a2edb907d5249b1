package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/directory"
	"github.com/rolecall-auth/rolecall/internal/ways"
)

// The actor and credential name of `rolecall env`.
const envName = "env"

func (c *cli) environment() *cobra.Command {
	var as, tenant, via string
	var expires time.Duration
	var remove bool
	cmd := &cobra.Command{
		Use:   "env --as NAME",
		Short: "Print the environment in which a program is that application",
		Long: `Prints the variables with which an unmodified Azure library in the program gets
tokens from here as the named application, and trusts this authority's certificate.

For that it gives the application a credential of its own, and says so on stderr. It
expires by itself, and expired ones are removed the next time; --remove removes all
that this command has made for the application now, and prints nothing.`,
		Example: `  eval "$(rolecall env --as orders-client)"
  rolecall env --as orders-client --via certificate -o dotenv > .env`,
		Args: exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&as, "as", "", "application to act as: its name or app id (required)")
	flags.StringVar(&tenant, "tenant", "", "tenant of the application, where several have one of that name")
	flags.StringVar(&via, "via", "secret", "credential: secret or certificate")
	flags.DurationVar(&expires, "expires", 24*time.Hour, "life of the credential")
	flags.BoolVar(&remove, "remove", false, "remove the credentials that this command made")
	output := c.outputFlag(cmd, "shell", "shell", "dotenv", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case as == "":
			return usageError(cmd, errors.New("--as is missing: which application to act as"))
		case via != "secret" && via != "certificate":
			return usageError(cmd, fmt.Errorf("unknown credential %q for --via; there are secret and certificate", via))
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
		app, err := c.findApplication(ctx, s.data, tenant, as)
		if err != nil {
			return err
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

// A variable is one of the environment.
type variable struct{ name, value string }

// variablesFor makes the credential and returns all that a program needs to use it.
func (c *cli) variablesFor(ctx context.Context, s *site, app application, via string, life time.Duration) ([]variable, error) {
	trust, err := c.trust(s.endpoints.CABundle) // what can fail comes before the credential
	if err != nil {
		return nil, err
	}
	variables := []variable{
		{"AZURE_TENANT_ID", string(app.tenant.ID)},
		{"AZURE_CLIENT_ID", string(app.Application.AppID)},
		{"AZURE_AUTHORITY_HOST", s.endpoints.Authority},
	}
	if via == "certificate" {
		file, err := c.lendCertificate(ctx, s, app, life)
		if err != nil {
			return nil, err
		}
		variables = append(variables, variable{"AZURE_CLIENT_CERTIFICATE_PATH", file})
	} else {
		secret, value, err := s.lend(ctx, app, envName, life, c.now())
		if err != nil {
			return nil, err
		}
		c.sayLent(app, "secret", secret.ID, secret.Expires)
		variables = append(variables, variable{"AZURE_CLIENT_SECRET", value})
	}
	variables = append(variables, trust...)
	return append(variables, variable{"ROLECALL_AUTHORITY", s.endpoints.Authority}), nil
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
	files, err := credentialFiles(c.dir, string(app.Application.AppID))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove the key of a certificate: %w", err)
		}
	}
	c.say("removed %d credentials of %s", removed, app.Application.Name)
	return nil
}

// lendCertificate gives the application a certificate whose key lies in the data folder.
func (c *cli) lendCertificate(ctx context.Context, s *site, app application, life time.Duration) (string, error) {
	certificate, err := ways.NewCertificate(app.Application.Name, c.now(), life)
	if err != nil {
		return "", err
	}
	content, err := encodeCertificate(certificate)
	if err != nil {
		return "", err
	}
	file, err := writeCredential(c.dir, app.Application, content, c.now())
	if err != nil {
		return "", err
	}
	var kept directory.Certificate
	err = s.change(ctx, "cli:"+envName, func(e *directory.Editor) error {
		err := removeLent(e, app, expiredAt(c.now()))
		if err != nil {
			return err
		}
		kept, err = e.AddCertificate(app.tenant.ID, app.Application.ID, lentPrefix+envName, certificate.Chain[0].Raw)
		return err
	})
	if err != nil {
		return "", errors.Join(err, os.Remove(file))
	}
	c.sayLent(app, "certificate", kept.ID, kept.ValidUntil)
	return file, nil
}

func (c *cli) printVariables(format string, variables []variable) error {
	switch format {
	case "json":
		return printJSON(c.out, object(variables))
	case "dotenv":
		for _, v := range variables {
			fmt.Fprintf(c.out, "%s=%s\n", v.name, dotenvQuote(v.value))
		}
	default:
		for _, v := range variables {
			fmt.Fprintf(c.out, "export %s=%s\n", v.name, shellQuote(v.value))
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

func object(variables []variable) map[string]string {
	m := make(map[string]string, len(variables))
	for _, v := range variables {
		m[v.name] = v.value
	}
	return m
}
