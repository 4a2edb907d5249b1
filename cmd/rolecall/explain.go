package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An explainer says why something was accepted or refused.
type explainer struct{ *cli }

func explainCommand(base *cli) *cobra.Command {
	c := explainer{base}
	var api, correlation, connection string
	var roles []string
	var environment bool
	var guardFile, host string
	cmd := &cobra.Command{
		Use:   "explain [TOKEN | -]",
		Short: "Explain why a token is accepted or refused, and how to fix it",
		Long: `Runs a token through every check that an API makes and through what the directory says
about its client and roles, then names the first check that fails and the command that
fixes it. With --correlation-id it explains the authority's answer to a token request,
with --connection-string what a connection string means, with --environment what a
program would ask with. The exit code is 4 if what is explained is refused.`,
		Example: `  rolecall token --as orders-client --scope api://orders/.default | rolecall explain -
  rolecall explain --api orders-server --role Orders.Read - < token.txt
  rolecall explain --guard guard.yaml - < token.txt
  rolecall explain --connection-string 'RunAs=App'
  rolecall explain --environment`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&api, "api", "", "API that was called: its name, app id or identifier URI (default: the token's)")
	cmd.Flags().StringSliceVar(&roles, "role", nil, "role that the API requires, or any of several (default: any of its roles)")
	cmd.Flags().StringVar(&correlation, "correlation-id", "", "explain the token requests with this correlation id, or the beginning of one")
	cmd.Flags().StringVar(&connection, "connection-string", "", "explain a connection string; - for standard input")
	cmd.Flags().StringVar(&guardFile, "guard", "", "guard.yaml of the API: check with its settings")
	cmd.Flags().StringVar(&host, "host", "", "with --guard: host of the API, if the file has several")
	cmd.Flags().BoolVar(&environment, "environment", false, "explain the variables by which a program started here would find a credential")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if cmd.Flags().Changed("connection-string") {
			if correlation != "" || len(args) > 0 {
				return command.UsageError(cmd, errors.New("give --connection-string alone"))
			}
			return c.explainConnection(format, connection)
		}
		settings, err := c.guardSettings(guardFile, host)
		if err != nil {
			return err
		}
		raw := ""
		switch {
		case !environment:
			raw, err = c.tokenArgument(args, correlation)
		case correlation != "" || len(args) > 0:
			err = errors.New("give --environment alone")
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		data, err := c.OpenExisting(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		if environment {
			return c.explainEnvironment(cmd.Context(), data, format)
		}
		report, err := c.ask(cmd.Context(), data, explain.Question{
			Token: raw, CorrelationID: strings.TrimSuffix(correlation, "…"), // as a narrow table has it
			API: api, Roles: roles, Guard: settings,
		})
		if err != nil {
			return err
		}
		return c.printExplanation(format, report)
	}
	return cmd
}

// tokenArgument returns the token, from the argument or from standard input.
func (c explainer) tokenArgument(args []string, correlation string) (string, error) {
	switch {
	case correlation != "" && len(args) > 0:
		return "", errors.New("give a token or --correlation-id, not both")
	case correlation != "":
		return "", nil
	case len(args) > 1:
		return "", errors.New("give one token; quote it if it contains spaces")
	case len(args) == 0:
		return "", errors.New("give a token, - to read it from standard input, or --correlation-id")
	case args[0] != "-":
		return args[0], nil
	}
	b, err := io.ReadAll(io.LimitReader(c.In, 1<<20))
	return string(b), err
}

// ask explains by the data folder, as its operator.
func (c explainer) ask(ctx context.Context, data *server.Data, q explain.Question) (*explain.Report, error) {
	base, v1Issuer, err := c.authorityOf(ctx, q.Token)
	if err != nil {
		return nil, err
	}
	issuer, err := authority.New(authority.Config{
		BaseURL: base, V1Issuer: v1Issuer, Directory: data.Directory, Keys: data.Keys, Now: c.Now, Log: slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: slog.LevelError})), // --verbose means the checks here
	})
	if err != nil {
		return nil, err
	}
	by := explain.Explainer{
		Directory: data.Directory, Keys: data.Keys, Now: c.Now, Under: issuer.Under,
		SignIns: func(ctx context.Context, f directory.SignInFilter) ([]directory.SignIn, error) {
			return c.NewestSignIns(ctx, data, f)
		},
	}
	if by.Origin, err = origin.New(base, v1Issuer); err != nil {
		return nil, err
	}
	report, err := by.Explain(ctx, q, nil)
	if errors.Is(err, explain.ErrNoSignIn) {
		return nil, command.NotFound("`rolecall signins` lists the latest; requests that had to wait (AADSTS90055) are not kept, but the failures before them are", "no token request has the correlation id %s", q.CorrelationID)
	}
	return report, err
}

// authorityOf returns where the tokens of this data folder come from: the running server,
// or, when none runs, the one on this machine that the token names, or the usual one; and the
// issuer of version 1 tokens, if it has one of its own.
func (c explainer) authorityOf(ctx context.Context, raw string) (base, v1Issuer string, err error) {
	found, err := server.Find(ctx, c.Dir)
	if err != nil {
		return "", "", err
	}
	if found != nil {
		return found.Authority, found.V1Issuer, nil
	}
	issuer, _ := explain.Named(raw)
	if u, err := url.Parse(issuer); err == nil && u.Scheme == "https" && loopback.Is(u.Hostname()) {
		return "https://" + u.Host, "", nil
	}
	return fmt.Sprintf("https://localhost:%d", server.DefaultPort), "", nil
}

// explainRefusal explains why an API answered a request with this token as it did.
func (c explainer) explainRefusal(ctx context.Context, t target, answer explain.Answer, raw string) (err error) {
	if c.Server != "" {
		return c.explainElsewhere(ctx, t, answer, raw)
	}
	running, err := server.Find(ctx, c.Dir)
	if err != nil {
		return err
	}
	if running == nil && answer.FitsStranger() {
		fmt.Fprintf(c.Err, "\n%s\n", c.wrapped(c.Screen.Paint(output.Red, "refused:")+" the API cannot accept this token. No server runs on the data folder, so this command started one of its own for the token, which no API trusts.", ""))
		c.showFix(c.Err, &explain.Fix{What: "Start the server that the API trusts, and call again.", Command: "rolecall serve"})
		return command.Silently(command.ExitRefused)
	}
	api, err := caller(c).apiAt(ctx, t.url)
	if err != nil {
		return err
	}
	answer.API = orElse(answer.API, api)
	data, err := c.OpenExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = command.CloseAfter(err, data) }()
	refusal := &explain.Refusal{Answer: answer, Method: t.method, Path: t.url.EscapedPath(), CABundle: filepath.Join(c.Dir, server.BundleFile)}
	if running != nil {
		refusal.CABundle = running.CABundle
	}
	report, err := c.ask(ctx, data, explain.Question{Token: raw, API: api, Refusal: refusal})
	if err != nil {
		return err
	}
	return c.showRefusal(report)
}

// explainElsewhere has a refusal explained by the server that the token is from, if the caller may
// ask for that. Otherwise it says what the API said.
func (c explainer) explainElsewhere(ctx context.Context, t target, answer explain.Answer, raw string) error {
	api, err := caller(c).apiAt(ctx, t.url)
	if err != nil {
		return err
	}
	answer.API = orElse(answer.API, api)
	s, err := c.openElsewhere(ctx)
	if err != nil {
		return err
	}
	defer s.signedIn.Close()
	refusal := &explain.Refusal{Answer: answer, Method: t.method, Path: t.url.EscapedPath(), CABundle: s.Endpoints().CABundle}
	report, err := s.Graph().Explain(ctx, explain.Question{Token: raw, API: api, Refusal: refusal})
	if err == nil {
		return c.showRefusal(report)
	}
	said := orElse(text.Clean(answer.Says), string(answer.Reason))
	if said != "" {
		fmt.Fprintf(c.Err, "\n%s\n", c.wrapped(c.Screen.Paint(output.Red, "refused:")+" the API says: "+said, ""))
	}
	return command.Fail(command.ExitRefused, fmt.Errorf("the server %s did not explain it: %w", c.Server, err), "")
}

// showRefusal says why an API refused.
func (c explainer) showRefusal(report *explain.Report) error {
	if report.Disagreement != nil {
		c.showDisagreement(report, report.Disagreement)
	}
	if !report.Accepted && (report.Disagreement == nil || report.Disagreement.Besides) {
		c.showExplanation(c.Err, report)
	}
	return command.Silently(command.ExitRefused)
}

// showDisagreement says what an API's refusal means that the directory does not explain.
func (c explainer) showDisagreement(report *explain.Report, d *explain.Disagreement) {
	fmt.Fprintf(c.Err, "\n%s\n", c.wrapped(c.Screen.Paint(output.Red, "refused:")+" "+text.Clean(d.What), ""))
	fmt.Fprintf(c.Err, "%s\n", c.wrapped("client "+orElse(report.Client, "unknown")+", API "+orElse(report.API, "unknown"), ""))
	c.showFix(c.Err, d.Fix)
	if d.Besides {
		fmt.Fprintln(c.Err)
	}
}

func (c explainer) printExplanation(format *output.Format, report *explain.Report) error {
	if format.ForPeople() {
		c.showExplanation(c.Out, report)
	} else if err := c.Print(format, explanationListing(report)); err != nil {
		return err
	}
	if !report.Accepted {
		return command.Silently(command.ExitRefused)
	}
	return nil
}

// explanationListing is a report in rows, one for each step. Its name is the reason.
func explanationListing(report *explain.Report) output.Listing {
	l := output.Listing{Columns: []string{"reason", "step", "outcome", "detail"}, Value: report, Cut: []int{3}}
	for _, s := range report.Steps {
		l.Rows = append(l.Rows, []string{s.Reason, s.Name, string(s.Outcome), s.Detail})
	}
	return l
}

func orElse(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return text.Clean(name)
}
