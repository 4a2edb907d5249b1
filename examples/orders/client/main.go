// Command client is the daemon that fetches the orders, as a program: alone, or as an Azure
// Functions custom handler.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/examples/orders/functions"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "orders client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, data, messages io.Writer) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(messages)
	listen := flags.String("listen", "127.0.0.1:7072", "`address` to listen at, unless the Functions host names one")
	every := flags.Duration("every", 10*time.Minute, "how often to process the orders, unless the Functions host does")
	once := flags.Bool("once", false, "process the orders once, print what came of each way, and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *every <= 0 {
		return fmt.Errorf("-every %s: use a positive duration, such as 10m", *every)
	}
	log := slog.New(slog.NewTextHandler(messages, nil))
	cfg, err := orders.ClientFromEnv(getenv)
	if err != nil {
		return err
	}
	cfg.Log = log
	client, err := orders.NewClient(cfg)
	if err != nil {
		return err
	}
	if *once {
		return printOnce(ctx, client, data)
	}
	return serve(ctx, client, functions.Address(getenv, *listen), functions.Hosted(getenv), *every, log)
}

// printOnce fails if any way was refused.
func printOnce(ctx context.Context, client *orders.Client, data io.Writer) error {
	results := client.ProcessOrders(ctx)
	encoder := json.NewEncoder(data)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(results); err != nil {
		return err
	}
	for _, result := range results {
		if result.Error != "" {
			return errors.New("not every way led to the orders; see the errors above")
		}
	}
	return nil
}

// serve answers end users and, where no host has a timer, processes the orders on its own.
func serve(ctx context.Context, client *orders.Client, address string, hosted bool, every time.Duration, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	ticking := make(chan error, 1)
	if hosted {
		ticking <- nil
	} else {
		go func() { ticking <- client.Run(ctx, every) }()
	}
	err := functions.Serve(ctx, address, client.Handler(), log)
	stop()
	return errors.Join(err, <-ticking)
}
