package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	turnLimit = 20 * time.Second       // how long a command waits for its turn to run a server
	turnLook  = 100 * time.Millisecond // how often it looks
)

// A site is a data folder as a command works on it: its directory, and the server that
// serves it, which is the one that runs or one for this command alone.
type site struct {
	data      *server.Data
	endpoints server.Endpoints
	found     *server.Found  // the running server, or
	own       *server.Server // the command's own
}

// site finds the folder's running server, or starts one for this command.
func (c *cli) site(ctx context.Context) (*site, error) { return c.siteWith(ctx, nil) }

// siteWith does so, and has a server of the command's own prepared first.
func (c *cli) siteWith(ctx context.Context, prepare func(context.Context, *server.Data) error) (*site, error) {
	ctx, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	for waited := false; ; waited = true {
		s, err := c.findSite(ctx)
		if s != nil || err != nil {
			return s, err
		}
		s, err = c.startSite(ctx, prepare)
		var inUse *server.InUseError
		if !errors.As(err, &inUse) {
			return s, err
		}
		if !waited {
			c.say("another command runs a server on %s for itself; waiting for it to end", c.dir)
		}
		select { // or a server is just starting
		case <-ctx.Done():
			return nil, failed("`rolecall serve --data "+c.dir+"` in a terminal of its own serves any number of commands at once", "%w", err)
		case <-time.After(turnLook):
		}
	}
}

func (c *cli) findSite(ctx context.Context) (*site, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	found, err := server.Find(ctx, c.dir)
	if found == nil || err != nil {
		return nil, err
	}
	data, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	return &site{data: data, endpoints: found.Endpoints, found: found}, nil
}

// startSite runs a server on the usual port, so that the issuer in tokens is the usual
// one, or on a free port where that is taken. It outlives ctx, which bounds the start.
func (c *cli) startSite(ctx context.Context, prepare func(context.Context, *server.Data) error) (*site, error) {
	cfg := server.Config{Dir: c.dir, Prepare: prepare, Port: server.DefaultPort, Unannounced: true, Now: c.now, Log: c.log(slog.LevelWarn)}
	own, err := server.Start(context.WithoutCancel(ctx), cfg)
	if errors.Is(err, server.ErrListen) {
		cfg.Port = 0
		own, err = server.Start(context.WithoutCancel(ctx), cfg)
	}
	if err != nil {
		return nil, err
	}
	c.say("no server runs on %s; using one of this command's own at %s", c.dir, own.Endpoints().Authority)
	return &site{data: own.Data(), endpoints: own.Endpoints(), own: own}, nil
}

func (s *site) close() error {
	if s.own != nil {
		return s.own.Close()
	}
	return s.data.Close()
}

// change edits the directory and returns once the server acts on it.
func (s *site) change(ctx context.Context, actor string, f func(*directory.Editor) error) error {
	sequence, err := s.data.Directory.Change(ctx, actor, f)
	if err != nil || s.found == nil {
		return err
	}
	return s.found.Sync(ctx, sequence)
}
