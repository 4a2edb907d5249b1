package lending

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/pki"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A binding is an identity endpoint of this process.
type binding struct {
	state   server.BindingState
	done    chan struct{}
	updates chan server.BindingState
	close   func() error
}

func (b *binding) State() server.BindingState          { return b.state }
func (b *binding) Updates() <-chan server.BindingState { return b.updates }
func (b *binding) Done() <-chan struct{}               { return b.done }
func (b *binding) Err() error                          { return nil }
func (b *binding) Close() error                        { return b.close() }

// An assigned principal, by its client id. It does not change while the endpoint is there: the
// server itself decides on each token.
type assigned map[directory.AppID]*directory.Instance

// Instance implements managedidentity.Directory.
func (a assigned) Instance(_ context.Context, _ directory.TenantID, app directory.AppID) (*directory.Instance, error) {
	if found, ok := a[app]; ok {
		return found, nil
	}
	return nil, directory.ErrNotFound
}

// Bind opens an identity endpoint of this process, for this machine's user alone.
func (s *Server) Bind(ctx context.Context, req server.BindRequest) (runas.Binding, error) {
	switch {
	case req.Via == server.ViaWorkload:
		return nil, refused("leave out --via, or give secret, certificate, app-service or imds",
			"the tokens of workloads are signed by a server on this machine, and %s is elsewhere", s.cfg.Name)
	case req.Cloud != "":
		return nil, refused("leave out --public-names", "the server %s answers under its own name alone", s.cfg.Name)
	}
	actor, err := s.FindActor(ctx, req.Tenant, req.As)
	if err != nil {
		return nil, err
	}
	if actor.User != nil {
		state := server.BindingState{Tenant: s.cfg.Tenant.ID, Name: actor.User.PrincipalName, ClientID: launch.AzureCLI, ObjectID: actor.User.ID}
		return s.open(ctx, state, assigned{launch.AzureCLI: actor.Instance}, managedidentity.EndpointConfig{
			Identities: []managedidentity.Identity{{App: launch.AzureCLI}}, User: actor.User.ID, Platform: directory.PlatformCLI,
		})
	}
	who := assigned{}
	var identities []managedidentity.Identity
	var first *directory.ServicePrincipal
	for i, ref := range append([]string{req.As}, req.Also...) {
		instance, err := s.identity(ctx, ref)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = instance.Principal
		}
		who[instance.Principal.AppID] = instance
		identities = append(identities, managedidentity.IdentityOf(instance.Principal))
	}
	state := server.BindingState{Tenant: s.cfg.Tenant.ID, Name: first.Called(), ClientID: first.AppID, ObjectID: first.ID, ResourceID: first.ResourceID}
	return s.open(ctx, state, who, managedidentity.EndpointConfig{
		Identities: identities, Platform: directory.Platform(req.Via), DefaultIdentity: req.DefaultIdentity, ArcFolder: req.ArcFolder,
	})
}

// open serves an endpoint until the binding is closed.
func (s *Server) open(ctx context.Context, state server.BindingState, who assigned, cfg managedidentity.EndpointConfig) (*binding, error) {
	at := managedidentity.Config{
		Directory: who, Minter: &minter{server: s, who: who}, ArcFolder: s.cfg.ArcFolder, Now: s.cfg.Now, Log: s.cfg.Log,
	}
	if cfg.Platform == directory.PlatformServiceFabric { // its clients know the certificate by its thumbprint
		ca, err := pki.Temporary([]string{"localhost"}, s.cfg.Now)
		if err != nil {
			return nil, err
		}
		at.TLS = ca.TLSConfig()
	}
	service, err := managedidentity.New(at)
	if err != nil {
		return nil, err
	}
	cfg.Tenant, cfg.Owner = s.cfg.Tenant.ID, os.Getuid()
	endpoint, err := service.Open(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, service.Close())
	}
	state.Endpoint, state.Header = endpoint.URL(), endpoint.Secret()
	state.Thumbprint, state.Environment = endpoint.Thumbprint(), endpoint.Environment()
	b := &binding{state: state, done: make(chan struct{}), updates: make(chan server.BindingState)}
	b.close = sync.OnceValue(func() error {
		defer close(b.done)
		defer close(b.updates)
		return service.Close()
	})
	return b, nil
}
