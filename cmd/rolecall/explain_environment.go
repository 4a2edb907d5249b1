package main

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// reachTime is how long an endpoint of this machine may take to accept a connection.
const reachTime = 2 * time.Second

// explainEnvironment explains what a program that is started here would ask with.
func (c explainer) explainEnvironment(ctx context.Context, data *server.Data, format *output.Format) error {
	in := explain.EnvironmentInput{
		Lookup: c.lookup, Directory: data.Directory, CA: filepath.Join(c.dir, "ca.pem"),
		Reach: func(ctx context.Context, address string) error {
			connection, err := (&net.Dialer{Timeout: reachTime}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}
	running, err := server.Find(ctx, c.dir)
	if err != nil {
		return err
	}
	if running != nil {
		in.Authority = running.Authority
	}
	report, err := explain.Environment(ctx, in)
	if err != nil {
		return err
	}
	return c.printExplanation(format, report)
}
