package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/demo"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// A presenter shows the demo.
type presenter struct{ *cli }

func demoCommand(base *cli) *cobra.Command {
	c := presenter{base}
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See everything at work in a few seconds",
		Long: `Runs an authority and an Orders API behind the guard in a temporary folder, gets a
token in every way and calls the API with it, then tries everything that must be
refused. Every value shown was measured; no network is needed and nothing is left
behind. The exit code is 0 only if every row is as expected.`,
		Example: `  rolecall demo
  rolecall demo -o json`,
		Args: command.Exactly(0, ""),
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the authority and the API running until Ctrl-C")
	format := c.OutputFlag(cmd, "table", "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		began := c.Now()
		place, remove, err := folder.MakeTemporary("rolecall-demo-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
		program, err := ownProgram(place)
		if err != nil {
			return err
		}
		data := filepath.Join(place, "data")
		running, err := demo.Start(cmd.Context(), demo.Config{
			Dir: data, Program: program, Version: thisBuild().Version, NewKey: c.NewKey, Log: c.Log(slog.LevelError),
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, running.Close()) }()
		report := running.Run(cmd.Context())
		if err := c.printReport(format, report, c.Now().Sub(began), keep); err != nil {
			return err
		}
		if keep {
			c.keepRunning(cmd.Context(), running, data)
		}
		if !report.OK() {
			return command.Failed("`rolecall demo -v` logs what happened", "not every row is as expected")
		}
		return nil
	}
	return cmd
}

// ownProgram makes this program callable from the folder.
func ownProgram(folder string) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return launch.Named(folder, program)
}

// keepRunning says how to use what runs, and waits for the end.
func (c presenter) keepRunning(ctx context.Context, running *demo.Demo, folder string) {
	c.Say("\nStill running, until Ctrl-C:")
	c.Say("  authority   %s", running.Endpoints().Authority)
	c.Say("  orders API  %s", running.OrdersURL())
	c.next(c.Err, "Try in another terminal:",
		step{"rolecall call --data " + folder + " --as orders-client " + running.OrdersURL(), "200 and five orders"},
		step{"rolecall call --data " + folder + " --as reports-client " + running.OrdersURL(), "403, and why"},
		step{"rolecall call --data " + folder + " --as dev@contoso.test " + running.OrdersURL(), "403: it is for applications, not for users"},
		step{"rolecall signins --data " + folder, "what the authority saw"},
	)
	<-ctx.Done()
}

func (c presenter) printReport(format *output.Format, report *demo.Report, took time.Duration, kept bool) error {
	for _, way := range report.Ways {
		if way.Problem != nil {
			c.Say("%s: %v", way.Way, way.Problem)
		}
	}
	for _, refusal := range report.Refusals {
		if refusal.Problem != nil {
			c.Say("%s: %v", refusal.Case, refusal.Problem)
		}
	}
	if format.Value == "json" {
		return output.JSON(c.Out, report)
	}
	c.printWays(report.Ways)
	c.printRefusals(report.Refusals)
	c.printVerdict(report, took, kept)
	return nil
}

// wideEnough is the least width at which a way's line has all that is known of it.
const wideEnough = 168

// printWays prints a line for each way. A narrow screen leaves out the endpoint, the
// credential and the audience, which -o json always has.
func (c presenter) printWays(rows []demo.Way) {
	s := c.Screen
	fmt.Fprintf(c.Out, "%s\n\n", s.Paint(output.Bold, "An application gets a token in every way, and the Orders API lets it in"))
	wide := s.Width >= wideEnough
	columns := func(way, library, endpoint, credential, version, audience, roles, status, orders string) []string {
		if wide {
			return []string{way, library, endpoint, credential, version, audience, roles, status, orders}
		}
		return []string{way, library, version, roles, status, orders}
	}
	widths := []int{22, 18, 3, 11, 6, 6}
	if wide {
		widths = []int{22, 18, 30, 16, 3, 37, 12, 6, 6}
	}
	header := columns("WAY", "LIBRARY", "ENDPOINT", "CREDENTIAL", "VER", "AUD", "ROLES", "STATUS", "ORDERS")
	fmt.Fprintln(c.Out, "  "+s.Paint(output.Dim, output.Line(header, widths)))
	for _, w := range rows {
		fmt.Fprintln(c.Out, s.Mark(w.OK)+" "+output.Line(columns(
			w.Way, w.Library, w.Endpoint, w.Credential, w.Version, w.Audience,
			strings.Join(w.Roles, " "), strconv.Itoa(w.Status), strconv.Itoa(w.Orders),
		), widths))
	}
}

func (c presenter) printRefusals(rows []demo.Refusal) {
	s := c.Screen
	fmt.Fprintf(c.Out, "\n%s\n\n", s.Paint(output.Bold, "Everything else is refused, each for its own reason"))
	for _, r := range rows {
		fmt.Fprintf(c.Out, "%s %s  %d  %s\n", s.Mark(r.OK), output.Pad(r.Case, 31), r.Status, r.Reason)
	}
}

func (c presenter) printVerdict(report *demo.Report, took time.Duration, kept bool) {
	if !report.OK() {
		return
	}
	fmt.Fprintf(c.Out, "\n%s\n", fmt.Sprintf("%d ways in, %d refusals, all as they should be, in %.1f s.", len(report.Ways), len(report.Refusals), took.Seconds()))
	if kept {
		return // what it can be used for comes instead
	}
	c.next(c.Out, "What next:",
		step{"rolecall demo --keep", "leave it running and call it yourself"},
		step{"rolecall init", "write a rolecall.yaml for your own applications"},
		step{"rolecall serve --config rolecall.yaml", "run an authority for them"},
		step{"rolecall --help", "everything else"},
	)
}

// probeCommand is what the demo runs as managed identities. It is not for people.
func probeCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: demo.ProbeCommand + " LIBRARY SCOPE", Short: "Get a token as the environment says", Hidden: true, Args: command.Exactly(2, "a library and a scope"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return demo.Probe(cmd.Context(), args, c.Lookup, c.Out)
		},
	}
}
