package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

// drainTime is how long a surface that stops waits for requests under way.
const drainTime = 30 * time.Second

// A surface is one listener and what answers on it.
type surface struct {
	name     string
	listener net.Listener
	http     *http.Server
	portGone atomic.Bool // closed on purpose, before the surface ends
}

// newSurface serves TLS when its HTTP server has a configuration for it, which is set later,
// as is the handler. Every surface has the limits of the authority.
func newSurface(name string, listener net.Listener, log *slog.Logger) *surface {
	s := &surface{name: name, listener: listener, http: &http.Server{ //nolint:gosec // Limit sets the times
		ErrorLog: newErrorLog(log.With("surface", name)),
	}}
	exchange.Limit(s.http)
	return s
}

// count lets the surface's connections count among others.
func (s *surface) count(among *connections, stopping *atomic.Bool) {
	s.listener = among.bound(s.listener)
	s.http.ConnState = connState
	before := s.http.ConnContext
	s.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, conn)
		}
		return withConnection(ctx, conn)
	}
	s.http.Handler = follow(s.http.Handler, stopping)
}

// run serves until the context ends, then lets requests under way finish.
func (s *surface) run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if s.http.TLSConfig != nil {
			served <- s.http.ServeTLS(s.listener, "", "")
		} else {
			served <- s.http.Serve(s.listener)
		}
	}()
	var end error
	select {
	case end = <-served:
		if !s.portGone.Load() {
			return fmt.Errorf("serve %s: %w", s.name, end)
		}
		<-ctx.Done()
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := s.http.Shutdown(drain)
	if s.portGone.Load() && errors.Is(err, net.ErrClosed) {
		err = nil // all that it says is that the port was closed before, as it was
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("stop %s: %w", s.name, err), s.http.Close())
	}
	if end == nil {
		end = <-served
	}
	if !errors.Is(end, http.ErrServerClosed) && !s.portGone.Load() {
		err = errors.Join(err, end)
	}
	return err
}

// closePort lets nobody connect any more. What is connected is served until the end of run.
func (s *surface) closePort() {
	s.portGone.Store(true)
	_ = s.listener.Close() // there is nothing to do about it, and run closes it again
}

// close frees the socket of a surface that may never have run.
func (s *surface) close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
