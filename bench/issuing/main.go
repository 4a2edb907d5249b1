// Command issuing measures what a token costs: ours and that of peers, over HTTPS with
// connections that stay open, in turns within one run, next to what the machine needs for
// the signature alone.
//
//	go run ./issuing -tokens 2000 -concurrency 4
//
// The peers are Node programs; without node or their packages they are left out. To have
// them: npm ci --prefix issuing/peers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("issuing: ", err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 3 && args[0] == bareCommand {
		return serveBare(ctx, args[1], args[2])
	}
	flags := flag.NewFlagSet("issuing", flag.ContinueOnError)
	tokens := flags.Int("tokens", 2000, "tokens to ask of each server")
	concurrency := flags.Int("concurrency", 4, "requests at a time")
	peers := flags.String("peers", filepath.Join("issuing", "peers"), "folder of the Node programs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "issuing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	contestants, err := start(ctx, dir, *peers, *concurrency)
	defer func() {
		for _, c := range contestants {
			c.stop()
		}
	}()
	if err != nil {
		return err
	}
	raw, err := newSigning()
	if err != nil {
		return err
	}
	if err := measureAll(ctx, raw, contestants, *tokens, *concurrency); err != nil {
		return err
	}
	return report(os.Stdout, raw, contestants)
}

// rounds is how often the servers take turns, so that what else happens on the machine
// meets all of them alike.
const rounds = 4

func measureAll(ctx context.Context, raw *signing, contestants []*contestant, tokens, concurrency int) error {
	for _, c := range contestants { // warm up: connections, caches, compilers
		if _, err := c.client.Tokens(ctx, tokens/10+concurrency, concurrency, c.form); err != nil {
			return fmt.Errorf("warm up %s: %w", c.name, err)
		}
	}
	for range rounds {
		if err := raw.measure(tokens / rounds / 2); err != nil {
			return fmt.Errorf("measure signing: %w", err)
		}
		for _, c := range contestants {
			if err := c.measure(ctx, tokens/rounds, concurrency); err != nil {
				return fmt.Errorf("measure %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// measure adds one round to what a server was measured at.
func (c *contestant) measure(ctx context.Context, tokens, concurrency int) error {
	before, err := c.process.CPU()
	if err != nil {
		return err
	}
	elapsed, err := c.client.Tokens(ctx, tokens, concurrency, c.form)
	if err != nil {
		return err
	}
	after, err := c.process.CPU()
	if err != nil {
		return err
	}
	c.tokens += tokens
	c.elapsed += elapsed
	c.cpu += after - before
	return nil
}

func (c *contestant) form(int) url.Values { return c.fields }

func (c *contestant) perToken() time.Duration { return c.cpu / time.Duration(c.tokens) }
