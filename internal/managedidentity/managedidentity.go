package managedidentity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Minter issues tokens for identities; an authority is one.
type Minter interface {
	Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error)
	// Fingerprint returns what a token would say now: a cached one with the same
	// fingerprint is as good as a new one.
	Fingerprint(ctx context.Context, req issuance.MintRequest) (string, error)
}

// A Directory says who an identity is now; directory.Directory is one.
type Directory interface {
	Instance(ctx context.Context, tenant directory.TenantID, app directory.AppID) (*directory.Instance, error)
}

// Config says what a Service works with.
type Config struct {
	Directory Directory // required
	Minter    Minter    // required
	// Refused is told of each refusal that the minter did not give, as a sign-in row. Nil:
	// nobody is told.
	Refused func(context.Context, directory.SignIn)
	// TLS has the server certificate of Service Fabric endpoints. Nil means that there are
	// none.
	TLS *tls.Config
	// ArcFolder is where Azure Arc's clients look for challenge files. Empty means the
	// one folder that they accept on this system.
	ArcFolder string
	// PlatformCache gives out a cached token for as long as Azure does, which may be a day,
	// whatever happens to the identity's roles meanwhile. Without it a cached token is
	// replaced as soon as a new one would say something else.
	PlatformCache bool
	// Wrap wraps the handlers, to inject faults. Nil means that nothing does.
	Wrap func(http.Handler) http.Handler
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means discard
}

// A Service opens endpoints and gives them tokens. It is safe for concurrent use.
type Service struct {
	cfg    Config
	tokens *cache
	log    *slog.Logger

	mu        sync.Mutex
	endpoints map[*Endpoint]struct{}          // guarded by mu
	bySecret  map[[sha256.Size]byte]*Endpoint // guarded by mu; those that the common surface serves
	closed    bool                            // guarded by mu
}

// New checks the configuration and returns a service without endpoints. It starts nothing.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Directory == nil:
		return nil, errors.New("managedidentity: Directory is missing")
	case cfg.Minter == nil:
		return nil, errors.New("managedidentity: Minter is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ArcFolder == "" {
		cfg.ArcFolder = arcFolder()
	}
	if cfg.Refused == nil {
		cfg.Refused = func(context.Context, directory.SignIn) {}
	}
	if cfg.Wrap == nil {
		cfg.Wrap = func(next http.Handler) http.Handler { return next }
	}
	return &Service{
		cfg: cfg, log: cfg.Log, tokens: newCache(cfg),
		endpoints: map[*Endpoint]struct{}{}, bySecret: map[[sha256.Size]byte]*Endpoint{},
	}, nil
}

// Handler serves the endpoints that a secret header identifies, all of them on one listener. The
// server's ConnContext must be [ConnContext] for endpoints that belong to a user.
func (s *Service) Handler() http.Handler {
	return s.cfg.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.endpointOf(r).serve(w, r)
	}))
}

// endpointOf finds the endpoint by the secret of a request. A request without a known secret
// gets an endpoint without identities.
func (s *Service) endpointOf(r *http.Request) *Endpoint {
	secret := r.Header.Get(identityHeader)
	if secret == "" {
		secret = r.Header.Get(secretHeader)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.bySecret[sha256.Sum256([]byte(secret))]; ok && secret != "" {
		return e
	}
	if isMetadataPath(r.URL.Path) {
		return &Endpoint{service: s, platform: imds{}, kind: directory.PlatformIMDS, owner: anyUser}
	}
	return &Endpoint{service: s, platform: appService{}, kind: directory.PlatformAppService, secret: rand.Text(), owner: anyUser}
}

// Close closes all endpoints.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	endpoints := make([]*Endpoint, 0, len(s.endpoints))
	for e := range s.endpoints {
		endpoints = append(endpoints, e)
	}
	s.mu.Unlock()
	var errs []error
	for _, e := range endpoints {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// errClosed says that the service opens no more endpoints.
var errClosed = errors.New("managed identities: the service is closing")

func (s *Service) add(e *Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.endpoints[e] = struct{}{}
	if e.kind == directory.PlatformAppService || e.kind == directory.PlatformAzureML {
		s.bySecret[sha256.Sum256([]byte(e.secret))] = e
	}
	return nil
}

func (s *Service) remove(e *Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.endpoints, e)
	delete(s.bySecret, sha256.Sum256([]byte(e.secret)))
}

// newSecret returns 256 random bits as text.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
