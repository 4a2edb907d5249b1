// Command management measures what it costs a server to be administered: its CPU time for each
// request to our Microsoft Graph, in a small directory and in a large one, and beside them
// Keycloak's admin API doing the same, where its distribution is found.
//
//	go run ./management
//	go run ./management -applications 10000 -keycloak ~/keycloak-26.0.7
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
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

const (
	few       = 100
	maxGrowth = 1.3 // how much dearer a request may be in a large directory than in a small one
	megabyte  = 1 << 20
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal("management: ", err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("management", flag.ContinueOnError)
	applications := flags.Int("applications", 100_000, "applications of the large directory")
	keycloak := flags.String("keycloak", os.Getenv("KEYCLOAK_HOME"), "folder of a Keycloak distribution; empty: left out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "management")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := measure.Build(ctx, dir)
	if err != nil {
		return err
	}
	small, err := measureGraph(ctx, binary, filepath.Join(dir, "small"), few)
	if err != nil {
		return err
	}
	large, err := measureGraph(ctx, binary, filepath.Join(dir, "large"), *applications)
	if err != nil {
		return err
	}
	peer := costs{}
	if *keycloak == "" {
		fmt.Fprintln(out, "management: no KEYCLOAK_HOME, so Keycloak is left out")
	} else if peer, err = measureKeycloak(ctx, *keycloak, filepath.Join(dir, "keycloak")); err != nil {
		return err
	}
	report(out, small, large, peer, *applications)
	return nil
}

// An operation is one of those that are measured.
type operation struct {
	name   string
	budget time.Duration // of CPU time; zero: none
	count  int           // requests in a round
}

var operations = []operation{
	{"get by id", 300 * time.Microsecond, 2000},
	{"get by app id", 300 * time.Microsecond, 2000},
	{"filter by app id", 500 * time.Microsecond, 2000},
	{"filter by display name", 500 * time.Microsecond, 2000},
	{"filter by identifier URI", 500 * time.Microsecond, 2000},
	{"page of 100", 5 * time.Millisecond, 200},
	{"create, with principal", 3 * time.Millisecond, 300},
	{"grant", 3 * time.Millisecond, 300}, // to what was created, in the same order
}

// costs are the CPU times of one request each, by operation, and the memory at the end.
type costs struct {
	cpu    map[string]time.Duration
	memory int64
}

// of measures operations in a server, each after a round that warms it up. An operation that
// the server has not is left out.
func of(process *measure.Process, do map[string]func(i int) error) (costs, error) {
	found := costs{cpu: map[string]time.Duration{}}
	for _, op := range operations {
		ask := do[op.name]
		if ask == nil {
			continue
		}
		round := func(from, n int) error {
			for i := range n {
				if err := ask(from + i); err != nil {
					return fmt.Errorf("%s: %w", op.name, err)
				}
			}
			return nil
		}
		if err := round(0, op.count/2); err != nil {
			return found, err
		}
		before, err := process.CPU()
		if err != nil {
			return found, err
		}
		if err := round(op.count/2, op.count); err != nil {
			return found, err
		}
		after, err := process.CPU()
		if err != nil {
			return found, err
		}
		found.cpu[op.name] = (after - before) / time.Duration(op.count)
	}
	var err error
	found.memory, err = process.Memory()
	return found, err
}

func report(out io.Writer, small, large, peer costs, applications int) {
	fmt.Fprintf(out, "%-26s %10s %10s %7s %10s %9s\n", "CPU of a request", fmt.Sprint(few), fmt.Sprint(applications), "ratio", "budget", "Keycloak")
	for _, op := range operations {
		here, there := small.cpu[op.name], large.cpu[op.name]
		ratio := float64(there) / float64(here)
		verdict := "kept"
		if there > op.budget || ratio > maxGrowth {
			verdict = "MISSED"
		}
		beside := "–"
		if cost, has := peer.cpu[op.name]; has {
			beside = cost.String()
		}
		fmt.Fprintf(out, "%-26s %10v %10v %7.2f %10v %9s  %s\n", op.name, here, there, ratio, op.budget, beside, verdict)
	}
	fmt.Fprintf(out, "%-26s %9.0fM %9.0fM %7s %9dM", "memory", float64(small.memory)/megabyte, float64(large.memory)/megabyte, "", 200)
	if peer.memory > 0 {
		fmt.Fprintf(out, " %8.0fM", float64(peer.memory)/megabyte)
	}
	fmt.Fprintln(out)
}
