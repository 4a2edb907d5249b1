package guardserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/otlp"
	"github.com/rolecall-auth/rolecall/internal/pki"
)

// Config says which settings a server follows. File is required.
type Config struct {
	File     string // guard.yaml, read again when it changes
	Listen   string // in place of what the file says
	Upstream string // of an API whose settings name none
	CABundle string // in place of the system's roots, where the file names none
	Tenants  string // the app setting WEBSITE_AUTH_AAD_ALLOWED_TENANTS, beside an authsettingsV2 document

	// OwnToken returns what gets the application of an API itself a token to follow revocations,
	// where the settings ask for that. The bundle, if there is one, is of the authority. Nil:
	// such settings are refused.
	OwnToken func(api guardfile.API, bundle string) (func(context.Context) (string, error), error)

	// OnLoad is told what takes memory: how many APIs there are, each of which remembers tokens,
	// and about how many connections of clients are open, in steps of 256. Nil: nobody is.
	OnLoad func(apis, connections int)

	Traces     *otlp.Exporter   // gets a span of each decision; nil: nobody does
	HTTPClient *http.Client     // to fetch keys with; nil: one by CABundle
	Grace      time.Duration    // how long a server that stops goes on taking requests while /readyz says so
	Drain      time.Duration    // how long requests under way may take after that; 0: 30 seconds
	Look       time.Duration    // how often the files are looked at; 0: half a second
	Now        func() time.Time // nil means time.Now
	Log        *slog.Logger     // nil means discard
}

const (
	defaultDrain = 30 * time.Second
	defaultLook  = 500 * time.Millisecond

	readHeaderLimit = 5 * time.Second
	idleLimit       = 2 * time.Minute
	maxHeaders      = 64 << 10
)

// A Server answers by the settings of one file.
type Server struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	load    *load
	keys    *assertionKeys
	current atomic.Pointer[setup] // replaced whole, by load alone
	rooms   sync.Pool             // of *[firstBuffer]byte, for messages that are being read

	listener, opsListener net.Listener
	http, ops             *http.Server
	certificate           *pki.Files

	stopping atomic.Bool
	mu       sync.Mutex
	problem  string            // why the newest settings are not used; guarded by mu
	wrong    map[string][]byte // those settings; likewise
}

// New reads the settings and takes the addresses. Guards fetch their keys until ctx ends.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Drain == 0 {
		cfg.Drain = defaultDrain
	}
	if cfg.Look == 0 {
		cfg.Look = defaultLook
	}
	s := &Server{cfg: cfg, log: cfg.Log, metrics: newMetrics(), load: &load{tell: cfg.OnLoad}}
	first, err := s.read()
	if err != nil {
		return nil, err
	}
	if s.keys, err = openAssertionKeys(first.file, cfg.Now); err != nil {
		return nil, err
	}
	if err := s.apply(ctx, first); err != nil {
		return nil, err
	}
	if err := s.open(ctx, first.file); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open takes the addresses.
func (s *Server) open(ctx context.Context, f *guardfile.File) (err error) {
	if f.TLS != nil {
		if s.certificate, err = pki.OpenFiles(pki.FilesConfig{Certificate: f.TLS.Cert, Key: f.TLS.Key, Now: s.cfg.Now, Log: s.log}); err != nil {
			return err
		}
	}
	if s.listener, err = listen(ctx, f.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.http = s.newHTTP(http.HandlerFunc(s.serve))
	if s.cfg.OnLoad != nil {
		s.http.ConnState = s.load.connection
	}
	if s.certificate != nil {
		s.http.TLSConfig = s.certificate.ServerConfig()
		if f.TLS.AskClients {
			s.http.TLSConfig.ClientAuth = tls.RequestClientCert // tokens say which of them count
		}
	}
	if f.Ops == "" {
		return nil
	}
	if s.opsListener, err = listen(ctx, f.Ops); err != nil {
		return fmt.Errorf("listen for ops: %w", err)
	}
	s.ops = s.newHTTP(s.opsHandler())
	return nil
}

func (s *Server) newHTTP(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: readHeaderLimit, IdleTimeout: idleLimit, MaxHeaderBytes: maxHeaders,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what clients do wrong
	}
}

// A load is what takes memory. Connections that have become something else than HTTP are not in
// it.
type load struct {
	tell func(apis, connections int) // nil: nobody is told

	mu                sync.Mutex
	apis, connections int // guarded by mu, as below
	told              int // the multiple of countStep that was told
}

const countStep = 256

// connection notes what becomes of a connection.
func (l *load) connection(_ net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateNew:
		l.connections++
	case http.StateClosed, http.StateHijacked:
		l.connections--
	default:
		return // between requests, or in one
	}
	if now := (l.connections + countStep - 1) / countStep; now != l.told {
		l.told = now
		l.tell(l.apis, now*countStep)
	}
}

// guards notes how many APIs there are.
func (l *load) guards(apis int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.apis = apis; l.tell != nil {
		l.tell(apis, l.told*countStep)
	}
}

// listen takes an address: host:port, or unix:PATH. A socket that nobody listens on any more is
// taken over.
func listen(ctx context.Context, address string) (net.Listener, error) {
	path, socket := strings.CutPrefix(address, "unix:")
	if !socket {
		return new(net.ListenConfig).Listen(ctx, "tcp", address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err == nil || !isSocket(path) {
		return secured(l, path, err)
	}
	if conn, dialErr := new(net.Dialer).DialContext(ctx, "unix", path); dialErr == nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	l, err = new(net.ListenConfig).Listen(ctx, "unix", path)
	return secured(l, path, err)
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// secured leaves a socket to its owner and group.
func secured(l net.Listener, path string, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil { //nolint:gosec // the proxy that asks is of the same group
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// OpsAddr is where operators ask; nil if nowhere.
func (s *Server) OpsAddr() net.Addr {
	if s.opsListener == nil {
		return nil
	}
	return s.opsListener.Addr()
}

// File is what the settings say that are in use.
func (s *Server) File() *guardfile.File { return s.current.Load().file }

// Close gives up the addresses of a server that does not run.
func (s *Server) Close() {
	for _, l := range []net.Listener{s.listener, s.opsListener} {
		if l != nil {
			_ = l.Close() // nobody was answered
		}
	}
	if now := s.current.Load(); now != nil {
		now.end()
	}
}

// Run serves until ctx ends, and then ends in order: it says that it stops, goes on for a while
// for those who have not noticed, and lets requests under way finish.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	var wait sync.WaitGroup
	start := func(server *http.Server, l net.Listener) {
		wait.Go(func() {
			serve := func() error { return server.Serve(l) }
			if server.TLSConfig != nil {
				serve = func() error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	listener := s.listener
	if s.certificate == nil { // TLS reads ahead itself, and sets deadlines for what it has written
		listener = batchListener{listener, s}
	}
	start(s.http, listener)
	if s.ops != nil {
		start(s.ops, s.opsListener)
	}
	traced, endTraces := context.WithCancel(context.WithoutCancel(ctx))
	if s.cfg.Traces != nil {
		wait.Go(func() { _ = s.cfg.Traces.Run(traced) }) // counts and logs what it could not send
	}
	work, stopWork := context.WithCancel(ctx)
	wait.Go(func() { s.follow(work) })
	wait.Go(func() { s.current.Load().fetchKeys(work, s.log) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopWork()
	err = errors.Join(err, s.stop())
	endTraces() // the spans of the last requests are sent
	wait.Wait()
	s.current.Load().end()
	return err
}

// stop ends the servers, operators' last.
func (s *Server) stop() error {
	s.stopping.Store(true)
	s.log.Info("stopping")
	time.Sleep(s.cfg.Grace) // in which serve ends connections, each with an answer
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off that took longer than the drain", "drain", s.cfg.Drain)
		err = s.http.Close()
	}
	if s.ops != nil {
		err = errors.Join(err, s.ops.Close())
	}
	s.log.Info("stopped")
	return err
}

// serve answers a request in the form that the settings say.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		growStack(false)
	}
	now := s.current.Load()
	if s.stopping.Load() && r.ProtoMajor == 1 && len(r.Header["Upgrade"]) == 0 {
		w.Header().Set("Connection", "close") // one that was closed without a word could have a request on its way
	}
	switch {
	case now.file.Mode == guardfile.ModeForwardAuth:
		s.forwardAuth(w, r, now)
	case now.file.Mode == guardfile.ModeExtAuthz && now.file.Dialect == guardfile.DialectGRPC:
		s.extAuthzGRPC(w, r, now)
	case now.file.Mode == guardfile.ModeExtAuthz:
		s.extAuthz(w, r, now)
	default:
		s.proxy(w, r, now)
	}
}

// growStack makes room on the stack for what a decision takes. Over HTTP/2 each request has a new
// goroutine, with a small stack that would be copied three times on the way to the log, deeper each
// time; at the beginning there is next to nothing to copy. It is the size of the frame that counts:
// nothing is written to the room.
//
//go:noinline
func growStack(use bool) byte {
	if !use {
		return 0
	}
	var room [10 << 10]byte
	return useStack(&room)
}

// useStack keeps the compiler from leaving the room out.
//
//go:noinline
func useStack(room *[10 << 10]byte) byte { return room[len(room)-1] }
