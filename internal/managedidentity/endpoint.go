package managedidentity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// anyUser is the owner of an endpoint that every process which reaches it may use.
const anyUser = -1

// EndpointConfig describes an endpoint.
type EndpointConfig struct {
	Tenant     directory.TenantID
	Identities []Identity // see Endpoint.Assign
	// User is on whose behalf the one identity, a public client, acts on the platform CLI.
	// Empty means that it acts for itself.
	User     directory.ObjectID
	Platform directory.Platform
	// DefaultIdentity gives requests that name no identity the first one, also where Azure
	// would refuse them or take another.
	DefaultIdentity bool
	// Owner is the user whose processes may request tokens; a negative number means any. It
	// is enforced where the system tells which user owns a connection.
	Owner int
	// Listen is an address and port; empty means a free port on the loopback. Answers from
	// another address do not pass a router, so that only neighbors get them.
	Listen string
	// Names are host names, besides localhost and the address of the listener, that requests
	// may have in their Host header. The URL contains the first.
	Names []string
	// From are the networks from which requests are admitted. None means every network that
	// reaches the listener.
	From []netip.Prefix
	// Secret replaces a new one, for programs that outlive the listener.
	Secret string
	// ArcFolder replaces the service's.
	ArcFolder string
	// Origin is under which tokens are issued. Zero means the authority's own.
	Origin origin.Origin
	// Proxy answers requests that are for a proxy, of the processes and networks that the endpoint
	// is for. Nil means that there is none.
	Proxy http.Handler
}

// An Endpoint is where the processes to which identities are assigned get tokens; usually it
// serves one process. It has a listener of its own until it is closed.
type Endpoint struct {
	service    *Service
	origin     origin.Origin
	tenant     directory.TenantID
	identities atomic.Pointer[[]Identity]
	user       issuance.UserSignIn // without a scope; zero: the identities act for themselves
	kind       directory.Platform
	platform   platform
	names      []string
	from       []netip.Prefix
	secret     string
	owner      int
	address    string // of the listener
	thumbprint string
	challenges *challenges  // of Azure Arc
	proxy      http.Handler // nil: the endpoint is no proxy

	defaultIdentity bool // see EndpointConfig

	http   *http.Server
	served chan struct{}
	close  func() error
}

// Open assigns identities to a new endpoint and serves it until it is closed.
func (s *Service) Open(ctx context.Context, cfg EndpointConfig) (*Endpoint, error) {
	e := &Endpoint{
		service: s, origin: cfg.Origin, tenant: cfg.Tenant, kind: cfg.Platform, names: cfg.Names, from: cfg.From,
		secret: cmp.Or(cfg.Secret, newSecret()), owner: cfg.Owner, defaultIdentity: cfg.DefaultIdentity, served: make(chan struct{}), proxy: cfg.Proxy,
	}
	e.Assign(cfg.Identities)
	if cfg.User != "" {
		if cfg.Platform != directory.PlatformCLI || len(cfg.Identities) != 1 {
			return nil, fmt.Errorf("managed identities: a user needs one client and the platform %s", directory.PlatformCLI)
		}
		e.user = issuance.UserSignIn{User: cfg.User, Session: guid.New()}
	}
	var err error
	if e.platform, err = platformOf(cfg.Platform); err != nil {
		return nil, err
	}
	if cfg.Proxy != nil && cfg.Platform == directory.PlatformServiceFabric {
		return nil, fmt.Errorf("managed identities: an endpoint of the platform %s speaks TLS, and programs speak plainly to a proxy", cfg.Platform)
	}
	if cfg.Platform == directory.PlatformArc {
		if e.challenges, err = newChallenges(cmp.Or(cfg.ArcFolder, s.cfg.ArcFolder), s.log); err != nil {
			return nil, err
		}
	}
	listener, err := listen(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e.address = e.known(listener.Addr().String())
	if listener, err = e.secure(listener); err != nil {
		return nil, err
	}
	e.close = sync.OnceValue(e.stop)
	e.run(listener) // before anybody can close it
	if err := s.add(e); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// known is the address by which programs know the endpoint.
func (e *Endpoint) known(address string) string {
	if len(e.names) == 0 {
		return address
	}
	_, port, _ := net.SplitHostPort(address) // of a listener
	return net.JoinHostPort(e.names[0], port)
}

// Assign replaces the identities of the endpoint.
func (e *Endpoint) Assign(identities []Identity) { e.identities.Store(&identities) }

func (e *Endpoint) assigned() []Identity {
	if identities := e.identities.Load(); identities != nil {
		return *identities
	}
	return nil
}

// Close takes the identities away: from now on the endpoint gives no tokens.
func (e *Endpoint) Close() error { return e.close() }

func (e *Endpoint) stop() error {
	e.service.remove(e)
	err := e.http.Close()
	<-e.served
	if e.challenges != nil {
		err = errors.Join(err, e.challenges.close())
	}
	return err
}

// URL is where clients find the endpoint: the URL that they request, or the root to which they
// add a path.
func (e *Endpoint) URL() string { return e.platform.url(e) }

// Address is where programs reach the endpoint: a name or an address, and the port.
func (e *Endpoint) Address() string { return e.address }

// Secret is what a caller has to send, in the header that the platform defines. It is empty for
// platforms without one.
func (e *Endpoint) Secret() string {
	if !e.kind.HasSecret() {
		return ""
	}
	return e.secret
}

// Thumbprint is the SHA-1 of the certificate of a Service Fabric endpoint, in hexadecimal.
func (e *Endpoint) Thumbprint() string { return e.thumbprint }

// Environment returns the variables by which client libraries find the endpoint. Variables that
// lead to another endpoint must not be set along with them.
func (e *Endpoint) Environment() map[string]string { return e.platform.environment(e) }
