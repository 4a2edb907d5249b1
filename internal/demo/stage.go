package demo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/library"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	ordersPath   = "/api/GetOrders"
	keyLife      = 24 * time.Hour // of everything the demo makes
	clockDelay   = 3 * time.Hour  // of the authority whose tokens have expired when they come
	requestLimit = 10 * time.Second
)

// Config says where the demo may write and log.
type Config struct {
	Dir     string // required: an empty folder that nobody needs afterwards
	Program string // required: rolecall, which runs processes as managed identities
	Version string
	Log     *slog.Logger // nil means discard
}

// A Stage is the running demo: an authority, an API, and everything the client needs.
type Stage struct {
	cfg     Config
	server  *server.Server
	cast    cast
	http    *http.Client
	api     *listening
	issuer  *issuer
	late    *listening // an authority whose clock is behind
	foreign *rsa.PrivateKey
}

// Start builds the stage.
func Start(ctx context.Context, cfg Config) (*Stage, error) {
	s := &Stage{cfg: cfg}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Endpoints says where the authority is.
func (s *Stage) Endpoints() server.Endpoints { return s.server.Endpoints() }

// OrdersURL is the API's function.
func (s *Stage) OrdersURL() string { return s.api.url("http") + ordersPath }

// Close stops everything.
func (s *Stage) Close() error {
	var errs []error
	if s.http != nil { // else the servers would wait for its connections
		s.http.CloseIdleConnections()
	}
	for _, l := range []*listening{s.api, s.late} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	if s.issuer != nil {
		errs = append(errs, s.issuer.close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	return errors.Join(errs...)
}

// start makes the keys side by side, since they are what takes time.
func (s *Stage) start(ctx context.Context, cfg Config) error {
	var certificate credential.Certificate
	var err error
	if s.issuer, err = newIssuer(ctx); err != nil {
		return err
	}
	var making errgroup.Group
	making.Go(func() (err error) {
		certificate, err = library.NewCertificate("orders-client", time.Now(), keyLife)
		return err
	})
	making.Go(func() (err error) {
		s.foreign, err = rsa.GenerateKey(rand.Reader, 2048)
		return err
	})
	making.Go(s.issuer.makeKey)
	if err := making.Wait(); err != nil {
		return err
	}
	s.server, err = server.Start(ctx, server.Config{
		Dir: cfg.Dir, Version: cfg.Version, Log: cfg.Log,
		AllowIssuers: []string{s.issuer.at.address()},
		Prepare: func(ctx context.Context, data *server.Data) (err error) {
			s.cast, err = register(ctx, data.Directory, certificate, s.issuer.url())
			return err
		},
	})
	if err != nil {
		return err
	}
	s.http = &http.Client{Timeout: requestLimit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.server.CA().Pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}
	s.issuer.serve(s.server.CA().TLSConfig())
	if err := s.serveLate(ctx); err != nil {
		return err
	}
	return s.serveOrders(ctx, cfg)
}

// serveOrders runs the sample API, which has the guard in front.
func (s *Stage) serveOrders(ctx context.Context, cfg Config) error {
	api, err := orders.NewServer(ctx, orders.ServerConfig{
		AuthorityHost: s.server.Endpoints().Authority,
		TenantID:      string(s.cast.tenant),
		AppID:         string(s.cast.orders.AppID),
		Audience:      []string{ordersURI, classicURI},
		CABundle:      s.server.Endpoints().CABundle,
		Log:           cfg.Log,
	})
	if err != nil {
		return err
	}
	s.api, err = listen(ctx)
	if err != nil {
		return err
	}
	s.api.serve(api, nil)
	return nil
}

// serveLate runs a second authority on the same directory and keys whose clock is behind.
// It is how one comes by a token that is genuine in everything and has expired.
func (s *Stage) serveLate(ctx context.Context) error {
	late, err := authority.New(authority.Config{
		BaseURL: s.server.Endpoints().Authority, Directory: s.server.Data().Directory, Keys: s.server.Data().Keys,
		Now: func() time.Time { return time.Now().Add(-clockDelay) },
	})
	if err != nil {
		return err
	}
	s.late, err = listen(ctx)
	if err != nil {
		return err
	}
	s.late.serve(late.Handler(), s.server.CA().TLSConfig())
	return nil
}

// listening is a server on a free port of this machine.
type listening struct {
	listener net.Listener
	http     *http.Server
	done     chan error
}

// listen takes a port; serve answers on it.
func listen(ctx context.Context) (*listening, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on this machine: %w", err)
	}
	return &listening{listener: listener}, nil
}

func (l *listening) serve(handler http.Handler, secure *tls.Config) {
	l.http = &http.Server{
		Handler: handler, TLSConfig: secure, ReadHeaderTimeout: requestLimit,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	l.done = make(chan error, 1)
	go func() {
		if secure != nil {
			l.done <- l.http.ServeTLS(l.listener, "", "")
		} else {
			l.done <- l.http.Serve(l.listener)
		}
	}()
}

func (l *listening) address() string {
	_, port, _ := net.SplitHostPort(l.listener.Addr().String()) // an address that net made
	return net.JoinHostPort("localhost", port)
}

func (l *listening) url(scheme string) string { return scheme + "://" + l.address() }

func (l *listening) close() error {
	if l.http == nil {
		return l.listener.Close()
	}
	err := l.http.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
