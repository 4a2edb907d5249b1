package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/wallclock"
)

// makeBinding makes a binding for the user at the other end.
func (s *Server) makeBinding(ctx context.Context, req BindRequest) (*openBinding, error) {
	owner, _ := ctx.Value(peerKey{}).(int)
	b, err := s.bindTo(ctx, req, owner)
	if err != nil {
		return nil, err
	}
	b.via = req.Via
	return b, nil
}

// hold keeps a binding until its connection or the server ends. The answer is a
// line with its state, and another line whenever that changes.
func (s *Server) hold(ctx context.Context, w http.ResponseWriter, b *openBinding) {
	defer b.close()
	s.log.LogAttrs(ctx, slog.LevelInfo, "bound", slog.String("as", b.state.Name), slog.String("via", b.via), slog.String("endpoint", b.state.Endpoint))
	defer s.log.LogAttrs(ctx, slog.LevelInfo, "unbound", slog.String("as", b.state.Name), slog.String("via", b.via))
	w.Header().Set("Content-Type", "application/x-ndjson")
	b.stream(ctx, w)
}

// An openBinding is a binding as the server has it.
type openBinding struct {
	state BindingState
	via   string
	next  func(context.Context) (BindingState, time.Duration, error) // nil: the state does not change
	renew time.Duration                                              // until next
	now   func() time.Time
	close func()
}

// bindTo assigns identities to the process of a user.
func (s *Server) bindTo(ctx context.Context, req BindRequest, owner int) (*openBinding, error) {
	if _, err := s.data.Directory.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "follow the change feed", "error", err)
	}
	names, err := s.public.named(req.Cloud)
	if err != nil {
		return nil, err
	}
	tenant, err := s.tenantOf(ctx, req.Tenant)
	if err != nil {
		return nil, err
	}
	instances, user, err := s.find(ctx, tenant, req)
	if err != nil {
		return nil, err
	}
	if user != nil {
		return s.bindUser(ctx, tenant, user, req, names.origin, owner)
	}
	if req.Via == ViaWorkload {
		return s.startWorkload(ctx, names.authority, tenant, instances[0])
	}
	identities := make([]managedidentity.Identity, len(instances))
	for i, client := range instances {
		if client.Application != nil && directory.Platform(req.Via) != directory.PlatformCLI {
			return nil, refused("use --via secret, certificate, workload or cli, or create a managed identity", "%q is an application, and %s is for managed identities", client.Principal.Called(), req.Via)
		}
		identities[i] = managedidentity.IdentityOf(client.Principal)
	}
	return s.openHost(ctx, newState(tenant.ID, instances[0]), managedidentity.EndpointConfig{
		Tenant: tenant.ID, Identities: identities, Platform: directory.Platform(req.Via), DefaultIdentity: req.DefaultIdentity,
		Owner: owner, ArcFolder: req.ArcFolder, Origin: names.origin,
	})
}

// bindUser lets the process of a user have az and azd signed in as a user of the tenant.
func (s *Server) bindUser(ctx context.Context, tenant *directory.Tenant, user *directory.User, req BindRequest, at origin.Origin, owner int) (*openBinding, error) {
	switch {
	case directory.Platform(req.Via) != directory.PlatformCLI:
		return nil, refused("use --via cli", "%q is a user, and %s is for applications or managed identities", user.PrincipalName, req.Via)
	case len(req.Also) > 0:
		return nil, refused("leave out --also", "%q is a user, who can have no further identities", user.PrincipalName)
	case !user.Enabled:
		return nil, refused("enable the account first", "the user %q is disabled", user.PrincipalName)
	}
	return s.openHost(ctx, BindingState{Tenant: tenant.ID, Name: user.PrincipalName, ClientID: launch.AzureCLI, ObjectID: user.ID}, managedidentity.EndpointConfig{
		Tenant: tenant.ID, Identities: []managedidentity.Identity{{App: launch.AzureCLI}}, User: user.ID, Platform: directory.PlatformCLI, Owner: owner, Origin: at,
	})
}

// openHost opens a host for a binding and adds to its state where that is.
func (s *Server) openHost(ctx context.Context, state BindingState, cfg managedidentity.EndpointConfig) (*openBinding, error) {
	host, err := s.identities.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	state.setHost(host)
	return &openBinding{state: state, close: func() {
		if err := host.Close(); err != nil {
			s.log.Error("end a binding", "error", err)
		}
	}}, nil
}

// find looks up which identities are to be bound, or the one user.
func (s *Server) find(ctx context.Context, tenant *directory.Tenant, req BindRequest) ([]*directory.Instance, *directory.User, error) {
	var instances []*directory.Instance
	for i, name := range append([]string{req.As}, req.Also...) {
		instance, err := s.data.Directory.Named(ctx, tenant.ID, name)
		if errors.Is(err, directory.ErrNotFound) && i == 0 {
			user, err := s.data.Directory.User(ctx, tenant.ID, name)
			if !errors.Is(err, directory.ErrNotFound) {
				return nil, user, err
			}
		}
		switch {
		case errors.Is(err, directory.ErrNotFound) || err == nil && instance.Principal == nil:
			return nil, nil, &refusedError{
				what:  fmt.Sprintf("there is no managed identity, application or user %q in the tenant %s", name, tenant.Name),
				fix:   "check the name, or create one with `rolecall apply -f rolecall.yaml`",
				cause: directory.ErrNotFound,
			}
		case err != nil:
			return nil, nil, err
		case !instance.Principal.Enabled:
			return nil, nil, refused("enable its service principal first", "%q is disabled", instance.Principal.Called())
		}
		instances = append(instances, instance)
	}
	return instances, nil, nil
}

// tenantOf finds a tenant, or the only one when none is named.
func (s *Server) tenantOf(ctx context.Context, ref string) (*directory.Tenant, error) {
	if ref != "" {
		return s.data.Directory.View(ctx).Tenants().Find(ref)
	}
	tenants, err := s.data.Directory.Tenants(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(tenants) != 1:
		return nil, refused("name one of them", "there are %d tenants", len(tenants))
	}
	return tenants[0], nil
}

// startWorkload lets a process present assertions of the tenant's workload issuer.
func (s *Server) startWorkload(ctx context.Context, from *authority.Authority, tenant *directory.Tenant, client *directory.Instance) (*openBinding, error) {
	workload, err := from.StartWorkload(ctx, tenant.ID, client.Principal.AppID)
	if err != nil {
		return nil, err
	}
	next := func(ctx context.Context) (BindingState, time.Duration, error) {
		assertion, err := workload.Assertion(ctx)
		if err != nil {
			return BindingState{}, 0, err
		}
		state := newState(tenant.ID, client)
		state.Assertion, state.Expires = assertion.Token, assertion.Expires
		return state, assertion.Expires.Sub(assertion.Issued) / 2, nil
	}
	state, renew, err := next(ctx)
	if err != nil {
		workload.Close()
		return nil, err
	}
	now := s.cfg.Now
	if now == nil {
		now = time.Now
	}
	return &openBinding{state: state, next: next, renew: renew, now: now, close: workload.Close}, nil
}

func newState(tenant directory.TenantID, client *directory.Instance) BindingState {
	return BindingState{
		Tenant: tenant, Name: client.Principal.Called(), ClientID: client.Principal.AppID,
		ObjectID: client.Principal.ID, ResourceID: client.Principal.ResourceID,
	}
}

// setHost says where a host is.
func (s *BindingState) setHost(host *managedidentity.Endpoint) {
	s.Endpoint, s.Header, s.Thumbprint, s.Environment = host.URL(), host.Secret(), host.Thumbprint(), host.Environment()
}

// renewRetry is how long after a failure renewing is tried again.
const renewRetry = 10 * time.Second

// stream writes the states of a binding, one a line, until its context ends.
func (b *openBinding) stream(ctx context.Context, w http.ResponseWriter) {
	flush := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	state, renew := b.state, b.renew
	for {
		if lines.Encode(state) != nil || flush.Flush() != nil {
			return // the process is gone
		}
		if b.next == nil {
			<-ctx.Done()
			return
		}
		for err := error(nil); ; renew = renewRetry {
			if !wallclock.Wait(ctx, b.now, renew) {
				return
			}
			if state, renew, err = b.next(ctx); err == nil {
				break
			}
		}
	}
}
