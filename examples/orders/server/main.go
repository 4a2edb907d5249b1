// Command server is the Orders API as a program: alone, or as an Azure Functions custom handler.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/examples/orders/functions"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "orders server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, messages io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(messages)
	listen := flags.String("listen", "127.0.0.1:7071", "`address` to listen at, unless the Functions host names one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(messages, nil))
	cfg := orders.ServerFromEnv(getenv)
	cfg.Log = log
	handler, err := orders.NewServer(ctx, cfg)
	if err != nil {
		return err
	}
	return functions.Serve(ctx, functions.Address(getenv, *listen), handler, log)
}
