package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/manifest"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A runRequest is what `rolecall run` was asked for.
type runRequest struct {
	as, tenant, via, config string
	also                    []string
	defaultIdentity         bool
	set                     []string
	namespace               bool
	network                 runas.Network
	public                  bool
	names                   runas.Public
	temporary               bool // no data folder was named, and a configuration was
}

// A runner runs programs as somebody.
type runner struct{ *cli }

func runCommand(base *cli) *cobra.Command {
	c := runner{base}
	var r runRequest
	var forward, publish []uint
	cmd := &cobra.Command{
		Use:   "run --as NAME [flags] -- COMMAND [ARGUMENT…]",
		Short: "Run a program as an application, managed identity or user",
		Long: `Runs a program in an environment in which unmodified Azure libraries get tokens from
here as the named application, managed identity or user, and trust this authority.
Inherited variables that conflict are removed. Everything that the program is given ends
with it. Signals are passed on, and its exit code is this command's.`,
		Example: `  rolecall run --as orders-client -- printenv AZURE_CLIENT_ID
  rolecall run --config rolecall.yaml --as orders-client-mi -- printenv IDENTITY_ENDPOINT
  rolecall run --as orders-client --via cli -- az account show
  rolecall run --as orders-client --set AppSettings__ClientSecret=secret -- printenv AppSettings__ClientSecret
  rolecall run --as orders-client --via identity --also orders-client-mi -- printenv AZURE_CLIENT_ID
  rolecall run --public-names --as orders-client -- printenv HTTPS_PROXY
  rolecall run --netns --public-names --as orders-client -- grep microsoft /etc/hosts
  rolecall run --as dev@contoso.test -- az account get-access-token --resource api://orders`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.UsageError(cmd, errors.New("the program to run is missing: give it after --"))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags behind the program are the program's
	flags.StringVar(&r.as, "as", "", "application, managed identity or user to act as: its name or id (required)")
	c.ServerFlag(cmd)
	flags.StringVar(&r.tenant, "tenant", "", "its tenant, if several tenants have that name")
	flags.StringVar(&r.via, "via", "", "how it proves who it is: "+strings.Join(runas.Vias(), ", ")+" (default app-service for managed identities, secret for applications, cli for users)")
	flags.StringArrayVar(&r.also, "also", nil, "another managed identity that the program can choose by its id; with a managed identity, also an application whose secret it gets, and the other way round")
	flags.BoolVar(&r.defaultIdentity, "default-identity", false, "give requests that name no managed identity a token of the first one, also where Azure would refuse them")
	flags.StringArrayVar(&r.set, "set", nil, "NAME=WHAT: a variable of the program's own, where WHAT is "+strings.Join(runas.Values(), ", "))
	flags.StringVar(&r.config, "config", "", "rolecall.yaml to apply first")
	flags.BoolVar(&r.namespace, "netns", false, "run it in a network of its own, without any way outside, with the metadata service at its usual address (Linux)")
	flags.UintSliceVar(&forward, "forward", nil, "with --netns: a port of this machine's loopback interface that the program can reach")
	flags.UintSliceVar(&publish, "publish", nil, "with --netns: a port of the program that can be reached on this machine's loopback interface")
	flags.BoolVar(&r.public, "public-names", false, "lead it here by Microsoft's own host names, such as login.microsoftonline.com, through a proxy for it alone; with --netns, without a proxy")
	flags.StringVar(&r.names.Cloud, "cloud", "", "with --public-names: whose names: "+strings.Join(cloudNames(), ", ")+" (default "+cloudNames()[0]+")")
	flags.StringArrayVar(&r.names.Allow, "allow", nil, "with --public-names: another host that it can reach, as a name, address or *.NAME; none means all")
	flags.BoolVar(&r.names.Offline, "offline", false, "with --public-names: it can reach no other host")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := r.complete(forward, publish)
		if err == nil && c.Server != "" {
			err = r.checkElsewhere()
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		r.temporary = r.config != "" && !cmd.Flags().Changed("data")
		code, err := c.carryOutAs(cmd, r, args)
		switch {
		case err == nil && code != command.ExitOK:
			return command.Silently(code)
		case err != nil && code > command.ExitFailed: // the program's own, although the cleanup failed
			return command.Fail(code, err, "")
		}
		return err
	}
	return cmd
}

func (r *runRequest) complete(forward, publish []uint) (err error) {
	switch {
	case r.as == "":
		return errors.New("--as is missing: which application, managed identity or user to act as")
	case r.config == "-":
		return errors.New("--config cannot be standard input, because the program reads that: name a file")
	case !r.public && (r.names.Cloud != "" || len(r.names.Allow) > 0 || r.names.Offline):
		return errors.New("--cloud, --allow and --offline require --public-names: without it, the program has no proxy")
	case r.names.Offline && len(r.names.Allow) > 0:
		return errors.New("--offline means that no other host can be reached: leave out --allow, or --offline")
	case r.namespace && len(r.names.Allow) > 0:
		return errors.New("the network that --netns makes has no way outside, also to the hosts of --allow: leave out one of them")
	case len(forward) > 0 && !r.namespace:
		return errors.New("--forward requires --netns: without it, the program can reach every port")
	case len(publish) > 0 && !r.namespace:
		return errors.New("--publish requires --netns: without it, every port of the program can be reached")
	}
	if r.network.Forward, err = toPorts("--forward", forward); err != nil {
		return err
	}
	if r.network.Publish, err = toPorts("--publish", publish); err != nil {
		return err
	}
	for _, port := range r.network.Publish {
		if slices.Contains(r.network.Forward, port) {
			return fmt.Errorf("port %d is given with both --forward and --publish: in the program's network, either this machine or the program listens there", port)
		}
	}
	return nil
}

// checkElsewhere refuses what only a server on this machine can do.
func (r *runRequest) checkElsewhere() error {
	switch {
	case r.config != "":
		return errors.New("--config is for a server that this command starts, and --server is elsewhere: apply the file there first, with its rights")
	case r.public:
		return errors.New("--public-names is for a server on this machine, which answers under Microsoft's names, and --server is elsewhere: leave out one of them")
	case r.via == runas.Workload:
		return errors.New("--via workload is for a server on this machine, which signs the assertions, and --server is elsewhere: leave out one of them")
	}
	return nil
}

// cloudNames are the values of --cloud.
func cloudNames() (names []string) {
	for _, cloud := range origin.Clouds() {
		names = append(names, string(cloud))
	}
	return names
}

// toPorts checks the values of a flag, and has each once.
func toPorts(flag string, values []uint) (ports []uint16, err error) {
	for _, port := range values {
		if port == 0 || port > 65535 {
			return nil, fmt.Errorf("%s %d is not a port: give 1 to 65535", flag, port)
		}
		if !slices.Contains(ports, uint16(port)) {
			ports = append(ports, uint16(port))
		}
	}
	return ports, nil
}

// carryOutAs runs the program and returns its exit code.
func (c runner) carryOutAs(cmd *cobra.Command, r runRequest, args []string) (code int, err error) {
	ctx := cmd.Context()
	signals, stop := launch.CatchSignals()
	defer stop()
	if r.temporary {
		var remove func() error
		if c.Dir, remove, err = folder.MakeTemporary(runas.TemporaryPrefix); err != nil {
			return command.ExitFailed, err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	from, end, err := c.sourceFor(ctx, r)
	if ctx.Err() != nil && err != nil {
		return signalBefore(signals), nil
	}
	if err != nil {
		return command.ExitFailed, err
	}
	defer func() { err = command.CloseAfter(err, end) }()
	actor, err := from.FindActor(ctx, r.tenant, r.as)
	if ctx.Err() != nil {
		return signalBefore(signals), nil
	}
	if err != nil {
		return command.ExitFailed, err
	}
	if r.via, err = runas.ChooseVia(actor, r.via, r.namespace && !r.public); err != nil {
		return command.ExitFailed, command.UsageError(cmd, err)
	}
	settings, err := runas.ParseSettings(r.set)
	if err != nil {
		return command.ExitFailed, command.UsageError(cmd, err)
	}
	// From here on a signal is for the program: what it needs stays until it has ended.
	var public *runas.Public
	if r.public {
		public = &r.names
	}
	var network *runas.Network
	if r.namespace {
		network = &r.network
	}
	environment, err := runas.Prepare(context.WithoutCancel(ctx), runas.Config{
		Source: from, Actor: actor, Via: r.via, Also: r.also, DefaultIdentity: r.defaultIdentity, Settings: settings, Network: network, Public: public,
		Say: func(text string) { c.Say("%s", text) }, Now: c.Now,
	})
	if runas.IsUsage(err) {
		return command.ExitFailed, command.UsageError(cmd, err)
	}
	if err != nil {
		return command.ExitFailed, err
	}
	defer func() { err = errors.Join(err, environment.Cleanup()) }()
	if ctx.Err() != nil {
		return signalBefore(signals), nil
	}
	code, err = environment.Run(signals, args, c.In, c.Out, c.Err)
	if err != nil {
		return code, command.Fail(code, fmt.Errorf("run %s: %w", args[0], err), "")
	}
	return code, nil
}

// signalBefore is the exit code after a signal that came before there was a program.
func signalBefore(signals <-chan os.Signal) int {
	select {
	case early := <-signals:
		return launch.SignalCode(early)
	default:
		return launch.SignalCode(syscall.SIGINT)
	}
}

// sourceFor is where the program gets its tokens from.
func (c runner) sourceFor(ctx context.Context, r runRequest) (runas.Source, io.Closer, error) {
	if c.Server != "" {
		return c.source(ctx)
	}
	s, err := c.connectFor(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	return runas.Folder{Session: s, Now: c.Now}, s, nil
}

// connectFor finds or starts the server, with the configuration applied.
func (c runner) connectFor(ctx context.Context, r runRequest) (*server.Session, error) {
	var wanted *manifest.File
	var prepare func(context.Context, *server.Data) error
	apply := applier(c)
	if r.config != "" {
		var err error
		if wanted, err = apply.readManifest(r.config); err != nil {
			return nil, err
		}
		prepare = func(ctx context.Context, data *server.Data) error { return apply.applyAtStart(ctx, data, wanted) }
	}
	s, err := c.Connect(ctx, prepare)
	if err != nil || wanted == nil || s.Own() {
		return s, err
	}
	if err = apply.applyAtStart(ctx, s.Data, wanted); err == nil {
		err = c.WarnUnreachable(c.AwaitServer(ctx, s.Data))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// shimCommand is what the shims for az and azd call. It is not for people.
func shimCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: launch.ShimCommand + " FILE TOOL [ARGUMENT…]", Short: "Respond in place of az or azd", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := launch.RunShim(cmd.Context(), args, c.Out, c.Err); code != command.ExitOK {
				return command.Silently(code)
			}
			return nil
		},
	}
}
