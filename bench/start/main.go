// Command start measures what a server costs before it has done much: the time from its
// start to the first token, the size of the binary, and the memory it takes, empty and
// with a directory of 100,000 applications and 1,000,000 assignments.
//
//	go run ./start
//	go run ./start -applications 10000
package main

import (
	"context"
	"crypto/rand"
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
		log.Fatal("start: ", err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	applications := flags.Int("applications", 100_000, "applications of the large directory; each has 10 assignments")
	starts := flags.Int("starts", 7, "starts of each kind; the median counts")
	tokens := flags.Int("tokens", 2000, "tokens to issue where the cost of one is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "start")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{out: out, dir: dir, starts: *starts, tokens: *tokens}
	if b.binary, err = measure.Build(ctx, dir); err != nil {
		return err
	}
	if err := b.size(); err != nil {
		return err
	}
	if err := b.small(ctx); err != nil {
		return err
	}
	return b.large(ctx, *applications)
}

// A bench is one run of the program.
type bench struct {
	out    io.Writer
	dir    string
	binary string
	starts int
	tokens int
	// cpu is what a token costs with a hundred applications.
	cpu time.Duration
}

const megabyte = 1 << 20

// line prints one figure against its budget; no budget prints none.
func (b *bench) line(what string, value, budget float64, unit string) {
	verdict, limit := "", ""
	if budget > 0 {
		verdict, limit = "kept  ", fmt.Sprintf("at most %.0f %s", budget, unit)
		if value > budget {
			verdict = "MISSED"
		}
	}
	fmt.Fprintf(b.out, "%-6s  %-50s %7.1f %-2s  %s\n", verdict, what, value, unit, limit)
}

func (b *bench) size() error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.line("binary", float64(info.Size())/megabyte, 30, "MB")
	return nil
}

// small measures the directory of a beginner.
func (b *bench) small(ctx context.Context) error {
	file, secret := filepath.Join(b.dir, "rolecall.yaml"), rand.Text()
	if err := os.WriteFile(file, []byte(fill.Manifest("value: "+secret)), 0o600); err != nil {
		return err
	}
	first, err := b.medianStart(ctx, func(i int) (folder, []string) {
		return folder{filepath.Join(b.dir, fmt.Sprint("empty", i)), secret}, []string{"--config", file}
	})
	if err != nil {
		return fmt.Errorf("start on an empty folder: %w", err)
	}
	b.line("start to first token, empty folder", milliseconds(first), 1000, "ms")
	few, err := b.fill(ctx, 10)
	if err != nil {
		return err
	}
	again, err := b.medianStart(ctx, func(int) (folder, []string) { return few, nil })
	if err != nil {
		return fmt.Errorf("start with data: %w", err)
	}
	b.line("start to first token, with data", milliseconds(again), 60, "ms")
	return b.idle(ctx, few)
}

// idle measures a server that has issued one token, after it has come to rest.
func (b *bench) idle(ctx context.Context, few folder) error {
	server, client, err := b.serve(ctx, few.dir)
	if err != nil {
		return err
	}
	defer b.stop(server, client)
	if err := client.Token(ctx, few.form(fill.TemplateID)); err != nil {
		return err
	}
	rest := time.NewTimer(2 * time.Second)
	defer rest.Stop()
	<-rest.C
	resident, err := server.Memory()
	b.line("memory, idle", float64(resident)/megabyte, 40, "MB")
	return err
}

// medianStart returns the time from the start of a server to its first token.
func (b *bench) medianStart(ctx context.Context, choose func(i int) (folder, []string)) (time.Duration, error) {
	times := make([]time.Duration, b.starts)
	for i := range times {
		chosen, args := choose(i)
		server, client, err := b.serve(ctx, chosen.dir, args...)
		if err != nil {
			return 0, err
		}
		err = client.Token(ctx, chosen.form(fill.TemplateID))
		times[i] = time.Since(server.Began)
		b.stop(server, client)
		if err != nil {
			return 0, err
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func (b *bench) serve(ctx context.Context, dir string, args ...string) (*measure.Rolecall, *measure.Client, error) {
	server, err := measure.Serve(ctx, b.binary, dir, args...)
	if err != nil {
		return nil, nil, err
	}
	client, err := server.Client(4)
	if err != nil {
		b.stop(server, nil)
	}
	return server, client, err
}

func (b *bench) stop(server *measure.Rolecall, client *measure.Client) {
	if client != nil {
		client.Close()
	}
	if err := server.Stop(); err != nil {
		log.Print("stop the server: ", err)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func micros(d time.Duration) float64 { return float64(d.Microseconds()) }
