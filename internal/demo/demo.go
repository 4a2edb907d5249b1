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
	keyLife      = 24 * time.Hour // of every key and secret here
	clockDelay   = 3 * time.Hour  // of the authority that issues expired tokens
	requestLimit = 10 * time.Second
)

// Config says where the demo may write and log.
type Config struct {
	Dir     string // required: an empty folder that nobody needs afterwards
	Program string // required: rolecall, which runs processes as managed identities
	Version string
	Log     *slog.Logger // nil means discard
	// NewKey makes the signing keys of the tenant and of the other issuer; see server.Config.
	NewKey func() (*rsa.PrivateKey, error)
}

// A Demo is an authority, an API, and everything the client needs, all of it running.
type Demo struct {
	cfg      Config
	server   *server.Server
	fixtures fixtures
	http     *http.Client
	api      *listening
	issuer   *issuer
	late     *listening // an authority whose clock is behind
	foreign  *rsa.PrivateKey
}

// Start starts the authority and the API.
func Start(ctx context.Context, cfg Config) (*Demo, error) {
	d := &Demo{cfg: cfg}
	if err := d.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Run makes every call that must succeed and every call that must not, and reports what was
// seen.
func (d *Demo) Run(ctx context.Context) *Report {
	return &Report{Ways: d.tryWays(ctx), Refusals: d.tryRefusals(ctx)}
}

// Endpoints returns the addresses of the authority and its other surfaces.
func (d *Demo) Endpoints() server.Endpoints { return d.server.Endpoints() }

// OrdersURL is the URL of the API.
func (d *Demo) OrdersURL() string { return d.api.url("http") + ordersPath }

// Close stops everything.
func (d *Demo) Close() error {
	var errs []error
	if d.http != nil { // else the servers would wait for its connections
		d.http.CloseIdleConnections()
	}
	for _, l := range []*listening{d.api, d.late} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	if d.issuer != nil {
		errs = append(errs, d.issuer.close())
	}
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	return errors.Join(errs...)
}

// start makes the keys in parallel, because they take the most time.
func (d *Demo) start(ctx context.Context, cfg Config) error {
	var certificate credential.Certificate
	var err error
	if d.issuer, err = newIssuer(ctx); err != nil {
		return err
	}
	var making errgroup.Group
	making.Go(func() (err error) {
		certificate, err = library.NewCertificate(clientName, time.Now(), keyLife)
		return err
	})
	making.Go(func() (err error) {
		d.foreign, err = rsa.GenerateKey(rand.Reader, 2048)
		return err
	})
	making.Go(func() error { return d.issuer.makeKey(cfg.NewKey) })
	if err := making.Wait(); err != nil {
		return err
	}
	d.server, err = server.Start(ctx, server.Config{
		Dir: cfg.Dir, Version: cfg.Version, NewKey: cfg.NewKey, Log: cfg.Log,
		AllowIssuers: []string{d.issuer.at.address()},
		Prepare: func(ctx context.Context, data *server.Data) (err error) {
			d.fixtures, err = register(ctx, data.Directory, certificate, d.issuer.url())
			return err
		},
	})
	if err != nil {
		return err
	}
	d.http = &http.Client{Timeout: requestLimit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: d.server.CA().Pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}
	d.issuer.serve(d.server.CA().TLSConfig())
	if err := d.serveLate(ctx); err != nil {
		return err
	}
	return d.serveOrders(ctx, cfg)
}

// serveOrders runs the sample API, which is behind the guard.
func (d *Demo) serveOrders(ctx context.Context, cfg Config) error {
	api, err := orders.NewServer(ctx, orders.ServerConfig{
		AuthorityHost: d.server.Endpoints().Authority,
		TenantID:      string(d.fixtures.tenant),
		AppID:         string(d.fixtures.orders),
		Audience:      []string{ordersURI, classicURI},
		CABundle:      d.server.Endpoints().CABundle,
		Log:           cfg.Log,
	})
	if err != nil {
		return err
	}
	d.api, err = listen(ctx)
	if err != nil {
		return err
	}
	d.api.serve(api, nil)
	return nil
}

// serveLate runs a second authority on the same directory and keys, with a clock that is
// behind. It issues tokens that are genuine in everything and have expired.
func (d *Demo) serveLate(ctx context.Context) error {
	late, err := authority.New(authority.Config{
		BaseURL: d.server.Endpoints().Authority, Directory: d.server.Data().Directory, Keys: d.server.Data().Keys,
		Now: func() time.Time { return time.Now().Add(-clockDelay) },
	})
	if err != nil {
		return err
	}
	d.late, err = listen(ctx)
	if err != nil {
		return err
	}
	d.late.serve(late.Handler(), d.server.CA().TLSConfig())
	return nil
}

// listening is a server on a free port of the loopback.
type listening struct {
	listener net.Listener
	http     *http.Server
	done     chan error
}

// listen opens a port; serve answers on it.
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
