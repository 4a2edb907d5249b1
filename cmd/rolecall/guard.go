package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
	"github.com/rolecall-auth/rolecall/internal/otlp"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// guardName is the file of settings that a guard has if no other is named.
const guardName = "guard.yaml"

// apiConnections is how many connections take as much memory as what is remembered of an API's
// tokens.
const apiConnections = 768

func guardCommand(c *cli) *cobra.Command {
	var cfg guardserver.Config
	cmd := &cobra.Command{
		Use:   "guard --config guard.yaml",
		Short: "Let in only those who may call an API",
		Long: `Protects an API written in any language: it lets in callers that hold the right app role.
It runs as a reverse proxy, or as the server that nginx, Traefik, Caddy (forward-auth) or
Envoy (ext_authz) ask about each request, as guard.yaml says. The file is read again when
it changes; while it is wrong, the settings from before count.`,
		Example: `  rolecall guard --config guard.yaml
  rolecall guard --config authsettings.json --upstream http://localhost:7071`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	guardConfigFlag(cmd, &cfg.File)
	flags.StringVar(&cfg.Listen, "listen", "", "address or unix:PATH to listen on, in place of what the settings say")
	flags.StringVar(&cfg.Upstream, "upstream", "", "address of the API, if the settings have none: http://127.0.0.1:7071")
	flags.DurationVar(&cfg.Grace, "grace", 0, "how long a guard that stops goes on taking requests while /readyz answers 503")
	flags.DurationVar(&cfg.Drain, "drain", 30*time.Second, "how long requests that are under way may take after that")
	logFormat := &output.Format{Value: "text", Offered: []string{"text", "json"}}
	flags.Var(logFormat, "log-format", "format of the log on stderr")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.LogJSON = logFormat.Value == "json"
		if cfg.Upstream != "" {
			if err := guardfile.CheckUpstream(cfg.Upstream); err != nil {
				return command.UsageError(cmd, fmt.Errorf("--upstream: %w", err))
			}
		}
		cfg.CABundle, _ = c.Lookup("ROLECALL_CA_BUNDLE")
		cfg.Tenants, _ = c.Lookup(guardfile.TenantsVariable)
		cfg.Now, cfg.Log, cfg.OwnToken = c.Now, c.Log(slog.LevelInfo), c.ownToken
		if adapt := tuneCollector(c.Lookup); adapt != nil {
			cfg.OnLoad = func(apis, connections int) { adapt(connections + apis*apiConnections) }
		}
		if err := c.traceGuard(&cfg); err != nil {
			return err
		}
		server, err := guardserver.New(cmd.Context(), cfg)
		if err != nil {
			return withoutSettings(err)
		}
		for _, warning := range server.File().Warnings {
			c.Say("warning: %s", warning.What)
		}
		c.Say("guards at %s", server.Addr())
		if ops := server.OpsAddr(); ops != nil {
			c.Say("ops at http://%s", ops)
		}
		return server.Run(cmd.Context())
	}
	cmd.AddCommand(guardCheckCommand(c), guardTestCommand(c), guardExplainConfigCommand(c))
	return cmd
}

// traceGuard has the guard send traces, where OpenTelemetry's settings name a collector.
func (c *cli) traceGuard(cfg *guardserver.Config) error {
	traces, on, err := otlp.FromEnvironment(c.Lookup, "rolecall-guard")
	if err != nil || !on {
		return err
	}
	traces.Scope, traces.Log = "github.com/rolecall-auth/rolecall/internal/guardserver", cfg.Log
	cfg.Traces, err = otlp.New(traces)
	return err
}

// withoutSettings adds to an error what to do where there is no file of settings.
func withoutSettings(err error) error {
	if !errors.Is(err, fs.ErrNotExist) || fix.Of(err) != "" {
		return err
	}
	return command.Fail(command.ExitFailed, err, "name the file with --config; docs/guard.md has one to start from")
}

func guardConfigFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", guardName, "settings: guard.yaml, an authsettingsV2 document or a validate-azure-ad-token policy")
	cmd.Flags().Lookup("config").Annotations = map[string][]string{command.OwnFlag: nil} // ROLECALL_CONFIG is a rolecall.yaml
}
