// Command commands measures what a person at a terminal waits for in a directory of 100,000
// applications, the start of the process included: the first line of a list, a whole export and
// its memory, one press of TAB, and a look-up beside a running server.
//
//	go run ./commands
//	go run ./commands -applications 10000 -rounds 9
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/fill"
	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal("commands: ", err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("commands", flag.ContinueOnError)
	applications := flags.Int("applications", 100_000, "applications of the large directory; each has 10 assignments")
	rounds := flags.Int("rounds", 21, "runs of each short command; the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "commands")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{out: out, rounds: *rounds, small: filepath.Join(dir, "small"), large: filepath.Join(dir, "large")}
	if b.binary, err = measure.Build(ctx, dir); err != nil {
		return err
	}
	few := max(1, *applications/10)
	for folder, clients := range map[string]int{b.small: few, b.large: *applications} {
		if _, err := fill.Folder(ctx, b.binary, folder, clients); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%-6s  %-44s %10s %10s %10s  %s\n", "", fmt.Sprintf("%d applications", *applications), "median", "slowest", "CPU", "budget")
	for _, step := range []func(context.Context) error{b.short, b.exports, b.lookUps} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A bench is one run of the program.
type bench struct {
	out          io.Writer
	binary       string
	rounds       int
	small, large string // data folders
}

// short measures commands that no server runs beside.
func (b *bench) short(ctx context.Context) error {
	for _, c := range []struct {
		what   string
		budget time.Duration
		args   []string
	}{
		{"version", 0, []string{"version"}},
		{"first line of app list", 300 * time.Millisecond, []string{"app", "list", "-o", "tsv", "--data", b.large}},
		{"TAB after app show", 100 * time.Millisecond, []string{"__complete", "app", "show", "--data", b.large, ""}},
		{"TAB after app show orders-client-0500", 100 * time.Millisecond, []string{"__complete", "app", "show", "--data", b.large, "orders-client-0500"}},
		{"TAB after grant orders-client-000500", 100 * time.Millisecond, []string{"__complete", "grant", "--data", b.large, "orders-client-000500", ""}},
		{"TAB after a word that nothing begins with", 100 * time.Millisecond, []string{"__complete", "grant", "--data", b.large, "zzz"}},
	} {
		if err := b.repeat(ctx, c.what, c.budget, c.args...); err != nil {
			return err
		}
	}
	return nil
}

// exports measures a whole export, and whether its memory grows with the directory.
func (b *bench) exports(ctx context.Context) error {
	few, err := measure.Run(ctx, b.binary, "export", "--data", b.small)
	if err != nil {
		return err
	}
	all, err := measure.Run(ctx, b.binary, "export", "--data", b.large)
	if err != nil {
		return err
	}
	b.line("export", []measure.Cost{all}, func(c measure.Cost) time.Duration { return c.Whole }, 30*time.Second)
	const megabyte = 1 << 20
	fmt.Fprintf(b.out, "%-6s  %-44s %9dM %10s %10s  %s\n", verdict(all.Memory <= few.Memory*3/2), "memory of an export", all.Memory/megabyte, "", "",
		fmt.Sprintf("at most 1.5 × the %dM of a tenth as many applications", few.Memory/megabyte))
	return nil
}

// lookUps measures them beside a running server.
func (b *bench) lookUps(ctx context.Context) (err error) {
	server, err := measure.Serve(ctx, b.binary, b.large)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	const budget = 60 * time.Millisecond
	return errors.Join(
		b.repeat(ctx, "app show, by name", budget, "app", "show", "orders-client-000500", "--data", b.large),
		b.repeat(ctx, "app show, by client id", budget, "app", "show", fill.CloneID(500), "--data", b.large, "-o", "json"),
	)
}

// repeat measures a command until its first line, so many times.
func (b *bench) repeat(ctx context.Context, what string, budget time.Duration, args ...string) error {
	costs := make([]measure.Cost, b.rounds)
	for i := range costs {
		var err error
		if costs[i], err = measure.FirstLine(ctx, b.binary, args...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	b.line(what, costs, func(c measure.Cost) time.Duration { return c.First }, budget)
	return nil
}

// line prints what a command took, against its budget; zero: it has none.
func (b *bench) line(what string, costs []measure.Cost, of func(measure.Cost) time.Duration, budget time.Duration) {
	slices.SortFunc(costs, func(x, y measure.Cost) int { return int(of(x) - of(y)) })
	median := costs[len(costs)/2]
	kept, limit := "", ""
	if budget > 0 {
		kept, limit = verdict(of(median) <= budget), "at most "+budget.String()
	}
	round := func(d time.Duration) string { return d.Round(time.Millisecond).String() }
	fmt.Fprintf(b.out, "%-6s  %-44s %10s %10s %10s  %s\n", kept, what, round(of(median)), round(of(costs[len(costs)-1])), round(median.CPU), limit)
}

func verdict(kept bool) string {
	if kept {
		return "kept"
	}
	return "MISSED"
}
