// Command backup measures `rolecall backup` beside a server that issues 200 tokens a second
// while 50 changes a second are written: whether every backup is whole, whether a request
// failed, and how much longer the slowest answers take meanwhile.
//
//	go run ./backup
//	go run ./backup -applications 10000 -rounds 5
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/fill"
	"github.com/rolecall-auth/rolecall/bench/internal/measure"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	few       = 100 // applications of the small directory
	slowBy    = 2   // how much slower the slowest answers may be during a backup
	budget    = time.Minute
	quantile  = 0.99
	shortRest = 300 * time.Millisecond
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal("backup: ", err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	applications := flags.Int("applications", 100_000, "applications of the large directory; each has 10 assignments")
	rounds := flags.Int("rounds", 20, "backups of the small directory, each restored")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{out: out, dir: dir}
	if b.binary, err = measure.Build(ctx, dir); err != nil {
		return err
	}
	if err := b.measure(ctx, few, *rounds, 0); err != nil {
		return err
	}
	return b.measure(ctx, *applications, 1, budget)
}

// A bench is one run of the program.
type bench struct {
	out         io.Writer
	dir, binary string
}

// measure backs a directory of so many applications up, again and again.
func (b *bench) measure(ctx context.Context, applications, rounds int, limit time.Duration) (err error) {
	dir := filepath.Join(b.dir, fmt.Sprint("filled", applications))
	secret, err := fill.Folder(ctx, b.binary, dir, applications)
	if err != nil {
		return err
	}
	serving, err := measure.Serve(ctx, b.binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, serving.Stop()) }()
	client, err := serving.Client(tokenWorkers)
	if err != nil {
		return err
	}
	defer client.Close()
	data, err := server.OpenData(ctx, server.DataConfig{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	l := newLoad(client, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {fill.TemplateID}, "client_secret": {secret}, "scope": {"api://orders/.default"},
	}, data, directory.TenantID(serving.Tenants[0].ID))
	stop := l.start(ctx)
	var took []time.Duration
	whole := 0
	for range rounds {
		one, err := b.round(ctx, dir, l, len(took) == 0)
		if err != nil {
			stop()
			return err
		}
		took = append(took, one)
		whole++
	}
	stop()
	b.report(applications, rounds, whole, took, limit, l)
	return nil
}

// round rests as long as a backup takes, makes one, and restores it. It returns how long the
// backup took.
func (b *bench) round(ctx context.Context, dir string, l *load, first bool) (time.Duration, error) {
	file, restored := filepath.Join(b.dir, "backup"), filepath.Join(b.dir, "restored")
	if first { // warm up, and find out how long one takes
		began := time.Now()
		if err := b.command(ctx, "backup", file, "--data", dir); err != nil {
			return 0, err
		}
		l.rest = max(time.Since(began), shortRest)
	}
	rest := l.rest
	l.phase(alone)
	time.Sleep(rest)
	atLeast := l.written.Load()
	l.phase(beside)
	began := time.Now()
	err := b.command(ctx, "backup", file, "--data", dir)
	took := time.Since(began)
	l.phase(unmeasured)
	if err != nil {
		return 0, err
	}
	if err := b.command(ctx, "restore", file, "--data", restored); err != nil {
		return 0, err
	}
	return took, errors.Join(check(ctx, restored, l.tenant, atLeast), os.RemoveAll(restored))
}

func (b *bench) command(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, b.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("rolecall %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// check looks whether a restored folder has the changes that were acknowledged before the
// backup was begun, and an audit log without a gap.
func check(ctx context.Context, dir string, tenant directory.TenantID, atLeast int64) (err error) {
	data, err := server.OpenData(ctx, server.DataConfig{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	for n := range atLeast {
		if _, err := data.Directory.View(ctx).Applications().Find(tenant, written(n+1)); err != nil {
			return fmt.Errorf("change %d of %d is missing: %w", n+1, atLeast, err)
		}
	}
	_, err = data.Directory.VerifyAudit(ctx)
	return err
}

func (b *bench) report(applications, rounds, whole int, took []time.Duration, limit time.Duration, l *load) {
	slices.Sort(took)
	without, with := l.latency(alone), l.latency(beside)
	fmt.Fprintf(b.out, "%d applications, %d tokens/s and %d writes/s: %d of %d backups whole, %d of %d requests failed\n",
		applications, tokensPerSecond, writesPerSecond, whole, rounds, l.failed.Load(), l.asked.Load())
	b.line("backup, slowest", took[len(took)-1], limit)
	b.line(fmt.Sprintf("p99 of %d tokens without a backup", len(without)), at(without, quantile), 0)
	b.line(fmt.Sprintf("p99 of %d tokens beside one", len(with)), at(with, quantile), slowBy*at(without, quantile))
	if failed := l.failure.Load(); failed != nil {
		fmt.Fprintf(b.out, "        a request failed: %v\n", *failed)
	}
}

// line prints one figure against its budget; no budget prints none.
func (b *bench) line(what string, value, budget time.Duration) {
	verdict, limit := "", ""
	if budget > 0 {
		verdict, limit = "kept  ", fmt.Sprintf("at most %.1f ms", milliseconds(budget))
		if value > budget {
			verdict = "MISSED"
		}
	}
	fmt.Fprintf(b.out, "%-6s  %-50s %9.1f ms  %s\n", verdict, what, milliseconds(value), limit)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*q), len(sorted)-1)]
}
