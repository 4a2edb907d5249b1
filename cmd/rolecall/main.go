// Command rolecall is application-to-application authentication that you run yourself: an
// authority that Microsoft's unmodified libraries get tokens from, the directory of
// applications and roles behind it, and the tools to see why a call is let in or refused.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rolecall-auth/rolecall/internal/namespace"
)

func main() {
	os.Exit(start(newCLI(streamsOf(os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))))
}

// start runs the program's command line until it ends or a signal comes.
func start(c *cli) int {
	if len(os.Args) > 1 && os.Args[1] == namespace.Command { // before anything is set up: it becomes another program
		return namespace.Enter(os.Args[1:], c.Err)
	}
	// A write to a reader that has gone fails then, instead of ending the process at once: the
	// command closes what it works on. Nobody needs the signal itself.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	return c.run(ctx, os.Args[1:])
}
