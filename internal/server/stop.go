package server

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// graceLook is how often a server that stops looks whether anybody is still there.
	graceLook = 20 * time.Millisecond
	// askedLately is for how long somebody who asked whether the server is ready will ask again.
	askedLately = 30 * time.Second
	// unreadLimit is how long requests that have begun have to come whole once the ports
	// are closed.
	unreadLimit = time.Second
)

// serve runs the surfaces until the context ends. Then readiness goes first and ops last:
// whoever sends requests here sees that no more are wanted while they are still answered.
func (s *Server) serve(ctx context.Context, fail context.CancelCauseFunc) error {
	front, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stopServing := context.WithCancel(failed)
	defer stopServing()
	last, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOps()
	s.log.InfoContext(ctx, "listening", "authority", s.endpoints.Authority,
		"address", s.address(authoritySurface).String(), "ops", s.endpoints.Ops, "connections", s.connections.limit)
	var ops errgroup.Group
	for _, surface := range s.surfaces {
		if surface.name != opsSurface {
			front.Go(func() error { return surface.run(serving) })
			continue
		}
		ops.Go(func() error {
			err := surface.run(last)
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	var stopping sync.WaitGroup
	stopping.Go(func() {
		select {
		case <-ctx.Done():
		case <-failed.Done():
			return
		}
		s.stopping.Store(true)
		s.authority.Release()
		s.log.InfoContext(ctx, "stopping", "grace", s.cfg.Grace)
		s.grace(failed)
		s.closePorts()
		cut := time.AfterFunc(unreadLimit, s.connections.cutUnread)
		s.answerConnected(failed)
		stopServing()
		<-failed.Done() // all have stopped, or one could not
		cut.Stop()
	})
	err := front.Wait()
	stopping.Wait()
	stopOps()
	err = errors.Join(err, ops.Wait())
	s.log.InfoContext(ctx, "stopped")
	return err
}

// grace waits until those who send requests here have noticed that the server stops. While
// it lasts, each answer asks its client to leave.
func (s *Server) grace(ctx context.Context) {
	if s.cfg.Grace <= 0 {
		return
	}
	end := time.After(s.cfg.Grace)
	look := time.NewTicker(graceLook)
	defer look.Stop()
	for {
		watched := time.Since(time.Unix(s.asked.Load(), 0)) < askedLately
		if !watched && s.connections.count() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-look.C:
		}
	}
}

// closePorts lets nobody connect any more. Connections that there are go on.
func (s *Server) closePorts() {
	for _, surface := range s.surfaces {
		if surface.name != opsSurface {
			surface.closePort()
		}
	}
}

// answerConnected waits for the answers of those who connected while the server was stopping:
// each gets one and then leaves. (net/http reads a request that comes later than its Shutdown,
// and closes the connection without an answer.)
func (s *Server) answerConnected(ctx context.Context) {
	if s.cfg.Grace <= 0 {
		return
	}
	end := time.After(unreadLimit)
	look := time.NewTicker(graceLook)
	defer look.Stop()
	for s.connections.busy() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-look.C:
		}
	}
}

// An errorLog takes what net/http has to say of connections: other people's doing, which is
// worth a line for those who debug. That clients do not trust the certificate is worth a
// warning, for nothing else on this side tells of it.
type errorLog struct {
	log    *slog.Logger
	warned atomic.Int64 // when, in Unix seconds
}

// warnAgain is how long one warning is enough.
const warnAgain = 10 * time.Minute

func newErrorLog(to *slog.Logger) *log.Logger { return log.New(&errorLog{log: to}, "", 0) }

func (l *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	now, last := time.Now(), l.warned.Load()
	if !distrusted(line) || now.Sub(time.Unix(last, 0)) < warnAgain || !l.warned.CompareAndSwap(last, now.Unix()) {
		l.log.Debug(text)
		return len(line), nil
	}
	l.log.Warn("a client broke off the TLS handshake, because it does not trust the certificate: give it the CA bundle, "+
		"by `rolecall run`, or by the variables of `rolecall env`", "detail", text)
	return len(line), nil
}

// distrusted reports whether a client said by an alert that it does not like the certificate, as
// far as can be told.
func distrusted(line []byte) bool {
	for _, alert := range []string{"unknown certificate authority", "bad certificate", "unknown certificate", "unsupported certificate", "expired certificate"} {
		if bytes.Contains(line, []byte("remote error: tls: "+alert)) {
			return true
		}
	}
	// The alert of OpenSSL's clients (curl, Python, Ruby) comes under a key that Go has done with
	// by then, so that it cannot be read.
	return bytes.Contains(line, []byte("TLS handshake error")) && bytes.Contains(line, []byte("local error: tls: bad record MAC"))
}
