package server

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/pki"
)

// DefaultPort is the port of the first surface unless another is given.
const DefaultPort = 8443

// Config says what to run and where.
type Config struct {
	Dir string // required: the data folder
	// Port is that of the authority; the other surfaces follow at fixed distances. Zero
	// means free ports.
	Port int
	// Listen is the address the authority listens on. Empty means 127.0.0.1. Ops always
	// stays on 127.0.0.1.
	Listen string
	// Hosts are the names by which clients reach the authority. The first one stands in
	// issuers, and the certificate is good for all. None means localhost.
	Hosts []string
	// PublicURL is the origin under which a proxy passes requests on to the authority, which
	// then stands in issuers and in all URLs of the authority. TLS ends at the proxy, so the
	// authority listens without it, unless TLSCert is given. Empty means that there is none.
	PublicURL string
	// TLSCert and TLSKey are PEM files with the certificate, with its chain, and the key of
	// the public surfaces. They are read again when they change. Empty means a certificate
	// of the folder's own authority.
	TLSCert, TLSKey string
	// TrustedProxies are addresses and networks of proxies that tell by X-Forwarded-For or
	// Forwarded whom a request comes from.
	TrustedProxies []string
	// MaxConnections is how many connections the surfaces other than ops have together. Zero
	// means what the system's limits allow.
	MaxConnections int
	// OnConnections is told how many connections there may be soon, whenever that passes a
	// multiple of some hundred: for the memory that they take. It must return at once.
	OnConnections func(open int)
	// Grace is how long a server that was told to stop says so to those who ask whether it
	// is ready, and goes on answering, before it closes its ports. It ends early when there
	// are no connections and nobody asks. Zero means not at all.
	Grace time.Duration
	// AllowIssuers are private hosts on which federated issuers may be: "127.0.0.1:8443",
	// "10.0.0.0/8", "*.corp.test".
	AllowIssuers []string
	// V1Issuer replaces the issuer of version 1 tokens; see authority.Config.
	V1Issuer string
	// AllowPasswords lets public clients take users' names and passwords themselves; see authority.Config.
	AllowPasswords bool
	// MutualTLS lets the authority ask its clients for certificates, so that they can
	// authenticate by one; see authority.Config.
	MutualTLS bool
	// PlatformCache keeps tokens of managed identities as long as Azure does, whatever
	// happens to their roles.
	PlatformCache bool
	// ArcFolder is where Azure Arc's challenge files go; empty means where clients look.
	ArcFolder string
	// AllowHosts are addresses and networks, besides the loopback interface, at which the
	// directory's hosts may listen: "172.17.0.1", "172.16.0.0/12".
	AllowHosts []string
	// Faults are answers that go wrong on purpose. With them the server stays on the
	// loopback interface.
	Faults []fault.Rule
	// Prepare runs once the folder is this server's and before anything listens.
	Prepare func(context.Context, *Data) error
	// Unannounced leaves out server.json and the directory's hosts: a server for one
	// command's own use.
	Unannounced bool
	// NewKey makes the private keys of tenants; see keyring.Config. Nil means fresh ones.
	NewKey  func() (*rsa.PrivateKey, error)
	Version string
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil means discard
}

// A Server serves the surfaces of one data folder.
type Server struct {
	cfg         Config
	log         *slog.Logger
	data        *Data
	ca          *pki.CA
	certificate *pki.Files // nil: the surfaces have one of ca
	proxies     proxies
	connections *connections // of all surfaces but ops
	stopping    atomic.Bool
	asked       atomic.Int64 // when somebody asked last whether the server is ready, in Unix seconds
	authority   *authority.Authority
	identities  *managedidentity.Service
	hosts       *hosts
	graph       *graph.API
	manager     *arm.Manager
	faults      *fault.Injector
	public      publicNames
	adminPath   string       // of the admin socket itself
	removeTemp  func() error // the folder of the admin socket, if that is not in the data folder
	endpoints   Endpoints
	instance    string
	surfaces    []*surface
	unlock      func() error
	stop        context.CancelFunc
	done        chan struct{}
	err         error // read after done
}

var errLocked = errors.New("locked by another process")

// An InUseError says that another process serves the folder, or is about to.
type InUseError struct {
	Dir   string
	Other *Found // nil while the other one starts, or serves one command only
}

func (e *InUseError) Error() string {
	if e.Other == nil {
		return fmt.Sprintf("another rolecall process is using %s", e.Dir)
	}
	return fmt.Sprintf("a server already runs on %s: process %d, authority %s", e.Dir, e.Other.PID, e.Other.Authority)
}

// Fix says what to do in place of starting another server.
func (e *InUseError) Fix() string {
	return "use that one, stop it first, or serve another folder with --data"
}

// Start opens the data folder, makes what a first start needs, and serves until the context
// ends or Close is called. When it returns, the surfaces answer.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log, instance: rand.Text(), done: make(chan struct{})}
	s.public.server = s
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log.InfoContext(ctx, "starting", "version", cfg.Version, "data", cfg.Dir)
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		s.err = errors.Join(s.run(ctx), s.release())
	}()
	return s, nil
}

// Wait blocks until the server has stopped and returns why, nil when it was asked to.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Close stops the server, letting requests under way finish, and waits for it.
func (s *Server) Close() error {
	s.stop()
	return s.Wait()
}

// Endpoints says where the server's surfaces are.
func (s *Server) Endpoints() Endpoints { return s.endpoints }

// Data is the folder that the server serves; it is closed with the server.
func (s *Server) Data() *Data { return s.data }

// CA is the certificate authority of the folder.
func (s *Server) CA() *pki.CA { return s.ca }

// open takes the folder and everything in it, up to bound sockets.
func (s *Server) open(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	if err := sweepNames(s.cfg); err != nil {
		return err
	}
	if err := s.bindAll(ctx); err != nil {
		return err
	}
	var err error
	s.data, err = OpenData(ctx, DataConfig{Dir: s.cfg.Dir, NewKey: s.cfg.NewKey, Now: s.cfg.Now, Log: s.log})
	if err != nil {
		return err
	}
	if s.cfg.Prepare != nil {
		if err := s.cfg.Prepare(ctx, s.data); err != nil {
			return err
		}
	}
	tenants, err := s.data.ensureTenant(ctx)
	if err != nil {
		return err
	}
	var making errgroup.Group
	making.Go(func() error { return s.data.ensureKeys(ctx, tenants) })
	making.Go(func() error { return s.build(ctx) })
	if err := making.Wait(); err != nil {
		return err
	}
	s.endpoints.Tenants = tenants
	s.noteCA(ctx)
	if s.cfg.Unannounced {
		return nil
	}
	if err := s.hosts.reconcile(ctx); err != nil {
		return err
	}
	return writeState(s.cfg.Dir, state{Endpoints: s.endpoints, PID: os.Getpid(), Store: s.data.store.mark(), Instance: s.instance})
}

// take makes this process the folder's only server.
func (s *Server) take(ctx context.Context) error {
	if s.cfg.Dir == "" {
		return errNoFolder
	}
	if err := makeFolder(s.cfg.Dir); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(s.cfg.Dir, lockFile))
	if errors.Is(err, errLocked) {
		other, err := Find(ctx, s.cfg.Dir)
		if err != nil {
			return err
		}
		return &InUseError{Dir: s.cfg.Dir, Other: other}
	}
	if err != nil {
		return err
	}
	s.unlock = unlock
	return nil
}

// ensureTenant gives an empty directory its first tenant and returns all there are.
func (d *Data) ensureTenant(ctx context.Context) ([]Tenant, error) {
	tenants, err := d.Directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if len(tenants) == 0 {
		_, err := d.Directory.Change(ctx, directory.Operator("system:first-start"), func(e *directory.Editor) error {
			tenant, err := e.Tenants().Create(directory.Tenant{Name: "default", Enabled: true})
			tenants = []*directory.Tenant{tenant}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("make the first tenant: %w", err)
		}
	}
	list := make([]Tenant, len(tenants))
	for i, tenant := range tenants {
		list[i] = Tenant{Name: tenant.Name, ID: string(tenant.ID)}
	}
	return list, nil
}

// ensureKeys makes the signing keys that tenants lack. They are what a first start takes
// time for, so the tenants' keys are made side by side.
func (d *Data) ensureKeys(ctx context.Context, tenants []Tenant) error {
	making, ctx := errgroup.WithContext(ctx)
	making.SetLimit(runtime.GOMAXPROCS(0))
	for _, tenant := range tenants {
		making.Go(func() error { return d.Keys.Ensure(ctx, tenant.ID) })
	}
	return making.Wait()
}

// run serves until the context ends, then stops the surfaces first and the parts behind
// them last, so that what a request left behind is still written.
func (s *Server) run(ctx context.Context) error {
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	background, parts := errgroup.WithContext(parts)
	background.Go(func() error { return s.data.Directory.Run(parts) })
	background.Go(func() error { return s.data.Keys.Run(parts) })
	background.Go(func() error { return s.authority.Run(parts) })
	background.Go(func() error { s.data.store.watch(parts); return nil })
	background.Go(func() error { s.data.checkAudit(parts); return nil })
	if !s.cfg.Unannounced {
		background.Go(func() error { return s.hosts.run(parts, s.data.hosts) })
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopWatching := context.AfterFunc(parts, func() { cancel(context.Cause(parts)) })
	defer stopWatching()

	err := s.serve(ctx, cancel)
	stopParts()
	return errors.Join(err, ignoreCanceled(background.Wait()))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// release gives back everything that open took.
func (s *Server) release() error {
	var errs []error
	for _, surface := range s.surfaces {
		errs = append(errs, surface.close())
	}
	if s.hosts != nil {
		s.hosts.closeAllNames(context.Background())
	}
	if s.identities != nil {
		errs = append(errs, s.identities.Close())
	}
	if s.graph != nil {
		s.graph.Close()
	}
	if s.manager != nil {
		s.manager.Close()
	}
	s.public.close()
	errs = append(errs, s.removeAdmin())
	if s.unlock != nil && !s.cfg.Unannounced {
		if err := os.Remove(filepath.Join(s.cfg.Dir, stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if s.data != nil {
		errs = append(errs, s.data.Close())
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
	}
	return errors.Join(errs...)
}
