package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/machine"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func serveCommand(c *cli) *cobra.Command {
	var cfg server.Config
	var file string
	var faults []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the authority",
		Long: `Runs the authority, the endpoints of managed identities and the operations surface
until it is stopped. The first start creates the data folder with its certificate
authority, signing keys and a tenant. When everything is ready, the command says so
and prints the addresses, with -o json as one line of JSON.`,
		Example: `  rolecall serve --config rolecall.yaml
  rolecall serve --config rolecall.yaml --allow-host 172.17.0.1
  rolecall serve --port 0 -o json --log-format json
  rolecall serve --listen 0.0.0.0 --host auth.corp.test --host auth
  rolecall serve --listen 0.0.0.0 --host auth.corp.test --tls-cert tls.crt --tls-key tls.key
  rolecall serve --public-url https://auth.corp.test --trusted-proxy 10.0.0.0/8`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "rolecall.yaml to apply before serving")
	flags.IntVar(&cfg.Port, "port", server.DefaultPort, "base port: that of the authority, which the other surfaces follow; 0 for free ports")
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1", "address that the authority listens on")
	flags.StringSliceVar(&cfg.Hosts, "host", nil, "name by which clients reach the authority (default localhost); several may be given, and the first one issues")
	flags.StringVar(&cfg.PublicURL, "public-url", "", "origin of the proxy at which TLS ends, https://auth.corp.test: the authority issues by it and listens without TLS")
	flags.StringVar(&cfg.TLSCert, "tls-cert", "", "PEM file with a certificate of your own and its chain, read again when it changes")
	flags.StringVar(&cfg.TLSKey, "tls-key", "", "PEM file with the key of --tls-cert")
	flags.StringSliceVar(&cfg.TrustedProxies, "trusted-proxy", nil, "address or network of a proxy that is believed when it tells the client's address: 10.0.0.0/8")
	flags.DurationVar(&cfg.Grace, "grace", 5*time.Second, "how long a server that stops goes on answering while /readyz says so; less when nobody is there")
	flags.StringSliceVar(&cfg.AllowIssuers, "allow-issuer", nil, "private host on which federated issuers may be: 127.0.0.1:9443, 10.0.0.0/8, *.corp.test")
	flags.StringSliceVar(&cfg.AllowHosts, "allow-host", nil, "address or network outside the loopback interface on which hosts may listen: 172.17.0.1, 172.16.0.0/12")
	flags.BoolVar(&cfg.AllowPasswords, "allow-passwords", false, "let public clients collect users' names and passwords themselves (grant type password)")
	flags.BoolVar(&cfg.MutualTLS, "mutual-tls", false, "ask clients of the authority for a certificate, by which they can authenticate and have tokens bound to it")
	flags.StringVar(&cfg.V1Issuer, "v1-issuer", "", "issuer of version 1 tokens, with {tenantid} (default: the authority's own)")
	flags.StringArrayVar(&faults, "fault", nil, "make responses fail on purpose, to test clients: token:429,retry-after=2,times=3, identity:500, keys:drop-key, token:delay=2s")
	flags.BoolVar(&cfg.PlatformCache, "platform-cache", false, "cache tokens of managed identities until they expire, as Azure does, even if their roles change")
	logFormat := &output.Format{Value: "text", Offered: []string{"text", "json"}}
	flags.Var(logFormat, "log-format", "format of the log on stderr")
	format := c.OutputFlag(cmd, "", "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.LogJSON = logFormat.Value == "json"
		if err := c.NeedData(); err != nil {
			return err
		}
		for _, text := range faults {
			rule, err := fault.Parse(text)
			if err != nil {
				return command.UsageError(cmd, err)
			}
			cfg.Faults = append(cfg.Faults, rule)
		}
		cfg.Dir, cfg.Version, cfg.NewKey, cfg.Now = c.Dir, thisBuild().Version, c.NewKey, c.Now
		level := &slog.LevelVar{}
		if c.Screen.Terminal && format.Value == "table" { // where the announcement says it
			level.Set(slog.LevelWarn)
		}
		cfg.Log = c.Log(level)
		if file != "" {
			manifest, err := applier{c}.readManifest(file)
			if err != nil {
				return err
			}
			cfg.Prepare = func(ctx context.Context, data *server.Data) error {
				return applier{c}.applyAtStart(ctx, data, manifest)
			}
		}
		cfg.OnConnections = tuneCollector(c.Lookup)
		running, err := server.Start(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if cfg.Unnamed() {
			c.Say("hint: the server listens on %s and calls itself localhost: with --host NAME other machines can use it", cfg.Listen)
		}
		if host := publicHost(cfg.Hosts); host != "" {
			c.Say("warning: %s is one of Microsoft's own names: the certificate authority of this data folder (%s) can vouch for it, so it must never enter a trust store. "+
				"`rolecall run --public-names` needs no such certificate", host, filepath.Join(cfg.Dir, "ca.pem"))
		}
		for _, text := range faults {
			c.Say("answers go wrong on purpose: %s", text)
		}
		if err := c.announce(format, running, file != ""); err != nil {
			return errors.Join(err, running.Close())
		}
		level.Set(slog.LevelInfo)
		return running.Wait()
	}
	return cmd
}

// The garbage collector of a server: it may let more garbage gather than usual, since the
// live heap is small (what a directory or a guard remembers is bounded) and collecting cost a
// tenth of a token, or of a decision, up to a total that keeps the process small. Connections
// need memory of their own, or the collector would run all the time for what cannot be freed.
const (
	collectorPercent    = 400
	collectorLimit      = 160 << 20
	collectorConnection = 64 << 10
)

// tuneCollector applies the settings unless the operator made others. It returns what follows
// the number of connections.
func tuneCollector(lookup func(string) (string, bool)) func(connections int) {
	if _, set := lookup("GOGC"); !set {
		debug.SetGCPercent(collectorPercent)
	}
	if _, set := lookup("GOMEMLIMIT"); set {
		return nil
	}
	available := machine.Memory()
	adapt := func(connections int) { debug.SetMemoryLimit(memoryLimit(connections, available)) }
	adapt(0)
	return adapt
}

// memoryLimit is how much the process may take with so many connections: no more than three
// quarters of what there is.
func memoryLimit(connections int, available int64) int64 {
	limit := int64(collectorLimit + connections*collectorConnection)
	if available > 0 {
		limit = min(limit, available/4*3)
	}
	return limit
}

// announce says where everything is: one line of JSON for programs, more for people.
func (c *cli) announce(format *output.Format, running *server.Server, configured bool) error {
	at := running.Endpoints()
	if format.Value == "json" {
		return json.NewEncoder(c.Out).Encode(at)
	}
	s := c.Screen
	fmt.Fprintf(c.Out, "%s\n\n", s.Paint(output.Bold, "Rolecall is ready: "+at.Authority))
	for _, tenant := range at.Tenants {
		fmt.Fprintf(c.Out, "  tenant     %s  %s\n", tenant.Name, tenant.ID)
	}
	fmt.Fprintf(c.Out, "  graph      %s\n", at.Graph)
	fmt.Fprintf(c.Out, "  arm        %s\n", at.ResourceManager)
	fmt.Fprintf(c.Out, "  identity   %s\n", at.ManagedIdentity)
	fmt.Fprintf(c.Out, "  ops        %s\n", at.Ops)
	fmt.Fprintf(c.Out, "  CA bundle  %s\n", at.CABundle)
	if why := running.CA().Changed(); why != "" {
		fmt.Fprintf(c.Out, "             %s\n", s.Paint(output.Red, "issued again ("+why+"): clients that have a copy need the new one"))
	}
	for _, host := range running.Hosts() {
		if host.Problem != nil {
			fmt.Fprintf(c.Out, "  host       %s  %s\n", host.Name, s.Paint(output.Red, "not open: "+fix.InOneLine(host.Problem)))
			continue
		}
		fmt.Fprintf(c.Out, "  host       %s  %s  %s\n", host.Name, host.Listen, strings.Join(host.Identities, ", "))
	}
	var steps []step
	if !configured {
		steps = []step{
			{"rolecall init", "write a rolecall.yaml to start from"},
			{"rolecall apply -f rolecall.yaml", "register an API, a client and its role"},
		}
	}
	c.next(c.Out, "Next, in another terminal:", append(steps,
		step{"rolecall run --as NAME -- PROGRAM", "run a program as an application or managed identity"},
		step{"rolecall call --as CLIENT URL", "call your API with a token"},
	)...)
	return nil
}

// A step is a command worth typing next, and what it is for.
type step struct{ command, purpose string }

func (c *cli) next(w io.Writer, title string, steps ...step) {
	width := 0
	for _, s := range steps {
		width = max(width, len(s.command))
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, s := range steps {
		fmt.Fprintf(w, "  %s  %s\n", output.Pad(s.command, width), c.Screen.Paint(output.Dim, s.purpose))
	}
}

// publicHost returns the first host that is one of Microsoft's own names; empty: none is.
func publicHost(hosts []string) string {
	for _, host := range hosts {
		for _, cloud := range origin.Clouds() {
			if slices.Contains(cloud.Hosts(), strings.ToLower(strings.TrimSuffix(host, "."))) {
				return host
			}
		}
	}
	return ""
}
