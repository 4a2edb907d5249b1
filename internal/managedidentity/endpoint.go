package managedidentity

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // the thumbprint that Service Fabric's clients compare
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A platform is how a shape is spoken.
type platform interface {
	// answer gives the body of a good answer to a call that was let in.
	answer(c *call) (any, *refusal)
	// body words a refusal.
	body(p *refusal, correlation string) any
}

// An Identity is what is assigned to a host: one service principal. What is made anew under
// the ids of one that is gone is another.
type Identity struct {
	App       directory.AppID
	Principal directory.ObjectID
	Created   time.Time
}

// IdentityOf names a managed identity, or an application in the shape CLI.
func IdentityOf(p *directory.ServicePrincipal) Identity {
	return Identity{p.AppID, p.ID, p.Created}
}

// is reports whether a service principal is the one that was assigned.
func (i Identity) is(p *directory.ServicePrincipal) bool {
	return i.Principal == p.ID && i.Created.Equal(p.Created)
}

// anyUser stands for the owner of a host that whoever reaches it may use.
const anyUser = -1

// EndpointConfig says what a host is.
type EndpointConfig struct {
	Tenant     directory.TenantID
	Identities []Identity // see Host.Assign
	// User is whom the one identity, a public client, acts for, in the shape CLI. Empty
	// means that it acts for itself.
	User     directory.ObjectID
	Platform directory.Platform
	// Owner is the user whose processes may ask; a negative number means any. It is
	// enforced where the system tells whose a connection is.
	Owner int
	// Listen is an address and port; empty means a free port of the loopback interface.
	// Answers from another address die at the first router, so that only neighbours get them.
	Listen string
	// Names are names besides localhost and the address of the listener by which requests
	// may know the host. Endpoint has the first.
	Names []string
	// From are the networks that may ask. None means all that reach the listener.
	From []netip.Prefix
	// Secret takes the place of a new one, for hosts whose programs outlive the listener.
	Secret string
	// ArcFolder takes the place of the service's.
	ArcFolder string
}

// A Endpoint is something that identities are assigned to: a process, as a rule. It has a
// listener of its own until it is closed.
type Endpoint struct {
	service    *Service
	tenant     directory.TenantID
	identities atomic.Pointer[[]Identity]
	user       authority.UserSignIn // without a scope; zero: the identities act for themselves
	kind       directory.Platform
	names      []string
	from       []netip.Prefix
	platform   platform
	secret     string
	owner      int
	address    string // of the listener
	thumbprint string
	challenges *challenges // of Azure Arc

	http   *http.Server
	served chan struct{}
	close  func() error
}

// Open assigns identities to a new host and serves it until it is closed.
func (s *Service) Open(ctx context.Context, cfg EndpointConfig) (*Endpoint, error) {
	h := &Endpoint{
		service: s, tenant: cfg.Tenant, kind: cfg.Platform, names: cfg.Names, from: cfg.From,
		secret: cmp.Or(cfg.Secret, newSecret()), owner: cfg.Owner, served: make(chan struct{}),
	}
	h.Assign(cfg.Identities)
	if cfg.User != "" {
		if cfg.Platform != directory.PlatformCLI || len(cfg.Identities) != 1 {
			return nil, fmt.Errorf("managed identities: a user needs one client and the shape %s", directory.PlatformCLI)
		}
		h.user = authority.UserSignIn{User: cfg.User, Session: guid.New()}
	}
	if err := h.speak(cfg); err != nil {
		return nil, err
	}
	listener, err := listen(ctx, cfg)
	if err != nil {
		return nil, err
	}
	h.address = h.known(listener.Addr().String())
	if listener, err = h.secure(listener); err != nil {
		return nil, err
	}
	h.close = sync.OnceValue(h.stop)
	h.run(listener) // before anybody can close it
	if err := s.add(h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// speak chooses the protocol.
func (h *Endpoint) speak(cfg EndpointConfig) error {
	switch cfg.Platform {
	case directory.PlatformAppService, directory.PlatformAzureML:
		h.platform = appService{}
	case directory.PlatformIMDS:
		h.platform = imds{}
	case directory.PlatformArc:
		folder := cfg.ArcFolder
		if folder == "" {
			folder = h.service.cfg.ArcFolder
		}
		var err error
		h.challenges, err = newChallenges(folder, h.service.log)
		h.platform = arc{}
		return err
	case directory.PlatformServiceFabric:
		h.platform = serviceFabric{}
	case directory.PlatformCloudShell:
		h.platform = cloudShell{}
	case directory.PlatformCLI:
		h.platform = azd{}
	default:
		return fmt.Errorf("managed identities: there is no shape %q: use one of %q", cfg.Platform, directory.Platforms())
	}
	return nil
}

// listen binds the host's socket.
func listen(ctx context.Context, cfg EndpointConfig) (net.Listener, error) {
	at := cmp.Or(cfg.Listen, "127.0.0.1:0")
	address, err := netip.ParseAddrPort(at)
	if err != nil {
		return nil, fmt.Errorf("managed identities: %q is no address to listen at: write it as 172.17.0.1:8450", at)
	}
	if !address.Addr().IsLoopback() && !cfg.Platform.HasSecret() && len(cfg.From) == 0 {
		return nil, fmt.Errorf("managed identities: programs of the shape %s show no secret, and everybody reaches %s: say from which networks may ask", cfg.Platform, at)
	}
	config := net.ListenConfig{}
	if !address.Addr().IsLoopback() {
		config.Control = oneHop
	}
	network := "tcp6"
	if address.Addr().Is4() { // or else 0.0.0.0 would have IPv6 come in as well
		network = "tcp4"
	}
	listener, err := config.Listen(ctx, network, at)
	if err != nil {
		return nil, fmt.Errorf("listen for a host's requests: %w", err)
	}
	return listener, nil
}

// known is the address by which the host's programs know it.
func (h *Endpoint) known(address string) string {
	if len(h.names) == 0 {
		return address
	}
	_, port, _ := net.SplitHostPort(address) // of a listener
	return net.JoinHostPort(h.names[0], port)
}

// secure puts TLS on the listener of a Service Fabric host. Its clients pin the
// certificate, so it stays the same for the life of the host.
func (h *Endpoint) secure(listener net.Listener) (net.Listener, error) {
	if h.kind != directory.PlatformServiceFabric {
		return listener, nil
	}
	certificate, err := h.service.certificate()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	sum := sha1.Sum(certificate.Certificate[0]) //nolint:gosec // see the import
	h.thumbprint = strings.ToUpper(hex.EncodeToString(sum[:]))
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}), nil
}

func (s *Service) certificate() (*tls.Certificate, error) {
	switch {
	case s.cfg.TLS == nil:
		return nil, errors.New("managed identities: Service Fabric needs a server certificate, and there is none")
	case s.cfg.TLS.GetCertificate != nil:
		return s.cfg.TLS.GetCertificate(nil)
	case len(s.cfg.TLS.Certificates) > 0:
		return &s.cfg.TLS.Certificates[0], nil
	}
	return nil, errors.New("managed identities: the TLS configuration has no certificate")
}

// The limits of a host's listener.
const (
	headerTime  = 5 * time.Second
	requestTime = 15 * time.Second
	answerTime  = 2 * time.Minute // faults may delay answers
	idleTime    = 2 * time.Minute
	headerBytes = 32 << 10
)

// run serves in a goroutine that stop waits for.
func (h *Endpoint) run(listener net.Listener) {
	h.http = &http.Server{
		Handler:           h.service.cfg.Wrap(http.HandlerFunc(h.serve)),
		ConnContext:       ConnContext,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		// Even OPTIONS * has to come in by the door.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(h.service.log.With("surface", "host").Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(h.served)
		if err := h.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			h.service.log.Error("serve a host", "error", err)
		}
	}()
}

// Assign replaces the host's identities. The first is the one that a caller gets who
// names none.
func (h *Endpoint) Assign(identities []Identity) { h.identities.Store(&identities) }

func (h *Endpoint) assigned() []Identity {
	if identities := h.identities.Load(); identities != nil {
		return *identities
	}
	return nil
}

// Close takes the identities from the host: from now on nothing gets a token by it.
func (h *Endpoint) Close() error { return h.close() }

func (h *Endpoint) stop() error {
	h.service.remove(h)
	err := h.http.Close()
	<-h.served
	if h.challenges != nil {
		err = errors.Join(err, h.challenges.close())
	}
	return err
}

// URL is where the host's tokens are, as its shape's clients want it: the URL to ask,
// or the root that they put a path behind.
func (h *Endpoint) URL() string {
	root := "http://" + h.address
	switch h.kind {
	case directory.PlatformAppService, directory.PlatformAzureML:
		return root + appServicePath
	case directory.PlatformArc:
		return root + metadataTokenPath
	case directory.PlatformCloudShell:
		return root + cloudShellPath
	case directory.PlatformServiceFabric:
		return "https://" + h.address + serviceFabricPath
	default:
		return root
	}
}

// Secret is what a caller has to send along, in the header of its shape. Shapes without
// one have none.
func (h *Endpoint) Secret() string {
	if !h.kind.HasSecret() {
		return ""
	}
	return h.secret
}

// Thumbprint is the SHA-1 of the certificate of a Service Fabric host, in hexadecimal.
func (h *Endpoint) Thumbprint() string { return h.thumbprint }

// Environment returns the variables by which client libraries find the host. Anything they
// might take for another host must not be set besides.
func (h *Endpoint) Environment() map[string]string {
	endpoint, client := h.URL(), ""
	if identities := h.assigned(); len(identities) > 0 {
		client = string(identities[0].App)
	}
	const only = "AZURE_TOKEN_CREDENTIALS" // spares DefaultAzureCredential what it would try first
	switch h.kind {
	case directory.PlatformAppService:
		return map[string]string{
			"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": h.secret, only: "ManagedIdentityCredential",
			"MSI_ENDPOINT": endpoint, "MSI_SECRET": h.secret,
		}
	case directory.PlatformAzureML:
		return map[string]string{"MSI_ENDPOINT": endpoint, "MSI_SECRET": h.secret, "DEFAULT_IDENTITY_CLIENT_ID": client, only: "ManagedIdentityCredential"}
	case directory.PlatformCloudShell:
		return map[string]string{"MSI_ENDPOINT": endpoint, only: "ManagedIdentityCredential"}
	case directory.PlatformIMDS:
		return map[string]string{
			"AZURE_POD_IDENTITY_AUTHORITY_HOST": endpoint, "MSAL_MANAGED_IDENTITY_ENDPOINT": endpoint + metadataTokenPath,
			only: "ManagedIdentityCredential",
		}
	case directory.PlatformArc:
		return map[string]string{"IDENTITY_ENDPOINT": endpoint, "IMDS_ENDPOINT": "http://" + h.address, only: "ManagedIdentityCredential"}
	case directory.PlatformServiceFabric:
		return map[string]string{
			"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": h.secret, "IDENTITY_SERVER_THUMBPRINT": h.thumbprint,
			only: "ManagedIdentityCredential",
		}
	case directory.PlatformCLI:
		return map[string]string{"AZD_AUTH_ENDPOINT": endpoint, "AZD_AUTH_KEY": h.secret}
	}
	return nil
}
