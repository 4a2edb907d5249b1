package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// adminFile is the socket by which commands of the folder's owner speak to the server.
const adminFile = "admin.sock"

// longestSocket is how long the path of a socket may be on every system.
const longestSocket = 100

// listenAdmin makes the folder's socket. Where the folder's path is too long for one, the
// socket is elsewhere and a link leads there.
func (s *Server) listenAdmin(ctx context.Context) (net.Listener, error) {
	path := filepath.Join(s.cfg.Dir, adminFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a server that crashed
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	if len(path) > longestSocket {
		folder, err := os.MkdirTemp("", "rolecall-")
		if err != nil {
			return nil, fmt.Errorf("make the admin socket: %w", err)
		}
		s.adminFolder = folder
		target := filepath.Join(folder, adminFile)
		if err := os.Symlink(target, path); err != nil {
			return nil, fmt.Errorf("make the admin socket: %w", err)
		}
		path = target
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	// The folder is closed to other users already; this is for its copies.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close the admin socket to other users: %w", err), listener.Close())
	}
	return listener, nil
}

// removeAdmin takes away what listenAdmin made.
func (s *Server) removeAdmin() error {
	if s.adminFolder == "" {
		return nil
	}
	return errors.Join(os.Remove(filepath.Join(s.cfg.Dir, adminFile)), os.RemoveAll(s.adminFolder))
}

// peerKey is the context key of the user at the other end of the admin socket.
type peerKey struct{}

// newAdmin serves the socket. Bindings last as long as their connection, so nothing limits
// how long an answer takes; they end when the server stops.
func (s *Server) newAdmin(listener net.Listener) *surface {
	admin := newSurface("admin", listener, nil, s.log)
	stopping, stop := context.WithCancel(context.Background())
	admin.http.ReadTimeout, admin.http.WriteTimeout = 0, 0
	admin.http.BaseContext = func(net.Listener) context.Context { return stopping }
	admin.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		uid, err := peerUser(conn)
		if err != nil {
			s.log.WarnContext(ctx, "admin socket: who is there?", "error", err)
			uid = nobody
		}
		return context.WithValue(ctx, peerKey{}, uid)
	}
	admin.http.RegisterOnShutdown(stop)
	mux := http.NewServeMux()
	mux.Handle("POST /bindings", serve(readBody[BindRequest], s.openBinding, s.hold))
	mux.Handle("POST /sync", serve(sequenceOf, s.sync, writeJSON))
	mux.Handle("GET /host", serve(hostOf, s.hostLine, writeJSON))
	admin.http.Handler = ownerOnly(mux)
	return admin
}

// Users that no process has.
const (
	anyone = -1 // the system does not tell
	nobody = -2
)

// ownerOnly refuses users other than the server's own and root.
func ownerOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, _ := r.Context().Value(peerKey{}).(int); uid != anyone && uid != os.Getuid() && uid != 0 {
			refuse(w, errOtherUser)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// openBinding makes a binding for the user at the other end.
func (s *Server) openBinding(ctx context.Context, req BindRequest) (*bound, error) {
	owner, _ := ctx.Value(peerKey{}).(int)
	bound, err := s.bindTo(ctx, req, owner)
	if err != nil {
		return nil, err
	}
	bound.via = req.Via
	return bound, nil
}

// hold keeps a binding until its connection or the server ends. The answer is a line now,
// and another whenever something of the binding changes.
func (s *Server) hold(ctx context.Context, w http.ResponseWriter, bound *bound) {
	defer bound.close()
	s.log.LogAttrs(ctx, slog.LevelInfo, "bound", slog.String("as", bound.line.Name), slog.String("via", bound.via), slog.String("endpoint", bound.line.Endpoint))
	defer s.log.LogAttrs(ctx, slog.LevelInfo, "unbound", slog.String("as", bound.line.Name), slog.String("via", bound.via))
	w.Header().Set("Content-Type", "application/x-ndjson")
	bound.stream(ctx, w)
}

// A bound is a binding as the server has it.
type bound struct {
	line  Line
	via   string
	next  func(context.Context) (Line, time.Duration, error) // nil: the line stays as it is
	renew time.Duration                                      // until next
	close func()
}

// bindTo assigns identities to the process of a user.
func (s *Server) bindTo(ctx context.Context, req BindRequest, owner int) (*bound, error) {
	if _, err := s.data.Directory.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "follow the change feed", "error", err)
	}
	tenant, err := s.tenantOf(ctx, req.Tenant)
	if err != nil {
		return nil, err
	}
	user, err := s.userNamed(ctx, tenant, req.As)
	if err != nil {
		return nil, err
	}
	if user != nil {
		return s.bindUser(ctx, tenant, user, req, owner)
	}
	clients, err := s.find(ctx, tenant, req)
	if err != nil {
		return nil, err
	}
	if req.Via == ViaWorkload {
		return s.startWorkload(ctx, tenant, clients[0])
	}
	identities := make([]managedidentity.Identity, len(clients))
	for i, client := range clients {
		if client.Application != nil && managedidentity.Shape(req.Via) != managedidentity.CLI {
			return nil, fmt.Errorf("%q is an application, and %s is for managed identities: use --via secret, certificate, workload or cli, or create a managed identity", client.Principal.Name, req.Via)
		}
		identities[i] = managedidentity.IdentityOf(client.Principal)
	}
	return s.openHost(ctx, newLine(tenant.ID, clients[0]), managedidentity.HostConfig{
		Tenant: tenant.ID, Identities: identities, Shape: managedidentity.Shape(req.Via), Owner: owner, ArcFolder: req.ArcFolder,
	})
}

// bindUser lets the process of a user have az and azd signed in as a user of the tenant.
func (s *Server) bindUser(ctx context.Context, tenant *directory.Tenant, user *directory.User, req BindRequest, owner int) (*bound, error) {
	switch {
	case managedidentity.Shape(req.Via) != managedidentity.CLI:
		return nil, fmt.Errorf("%q is a user, and %s is for applications or managed identities: use --via cli", user.PrincipalName, req.Via)
	case len(req.Also) > 0:
		return nil, fmt.Errorf("%q is a user, beside whom there are no further identities", user.PrincipalName)
	case !user.Enabled:
		return nil, fmt.Errorf("the user %q is disabled: enable the account first", user.PrincipalName)
	}
	return s.openHost(ctx, Line{Tenant: tenant.ID, Name: user.PrincipalName, ClientID: AzureCLI, ObjectID: user.ID}, managedidentity.HostConfig{
		Tenant: tenant.ID, Identities: []managedidentity.Identity{{App: AzureCLI}}, User: user.ID, Shape: managedidentity.CLI, Owner: owner,
	})
}

// openHost opens a host for a binding and adds to its line where that is.
func (s *Server) openHost(ctx context.Context, line Line, cfg managedidentity.HostConfig) (*bound, error) {
	host, err := s.identities.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	line.setHost(host)
	return &bound{line: line, close: func() {
		if err := host.Close(); err != nil {
			s.log.Error("end a binding", "error", err)
		}
	}}, nil
}

// find looks up which identities are to be bound.
func (s *Server) find(ctx context.Context, tenant *directory.Tenant, req BindRequest) ([]*directory.Instance, error) {
	clients := make([]*directory.Instance, 0, 1+len(req.Also))
	for _, name := range append([]string{req.As}, req.Also...) {
		client, err := s.clientNamed(ctx, tenant, name)
		if errors.Is(err, directory.ErrNotFound) || err == nil && client.Principal == nil {
			return nil, fmt.Errorf("there is no managed identity, application or user %q in the tenant %s: %w", name, tenant.Name, directory.ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		if !client.Principal.Enabled {
			return nil, fmt.Errorf("%q is disabled: enable its service principal first", client.Principal.Name)
		}
		clients = append(clients, client)
	}
	return clients, nil
}

func (s *Server) clientNamed(ctx context.Context, tenant *directory.Tenant, name string) (*directory.Instance, error) {
	client, err := s.data.Directory.Identity(ctx, tenant.ID, name)
	if errors.Is(err, directory.ErrNotFound) {
		client, err = s.data.Directory.Named(ctx, tenant.ID, name)
	}
	return client, err
}

// userNamed finds a user, or nobody when the name is none, or that of an application or
// managed identity.
func (s *Server) userNamed(ctx context.Context, tenant *directory.Tenant, name string) (*directory.User, error) {
	if _, err := s.clientNamed(ctx, tenant, name); !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	user, err := s.data.Directory.User(ctx, tenant.ID, name)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	return user, err
}

// tenantOf finds a tenant, or the only one when none is named.
func (s *Server) tenantOf(ctx context.Context, ref string) (*directory.Tenant, error) {
	if ref != "" {
		tenant, err := s.data.Directory.Tenant(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("tenant %q: %w", ref, err)
		}
		return tenant, nil
	}
	tenants, err := s.data.Directory.Tenants(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(tenants) != 1:
		return nil, fmt.Errorf("there are %d tenants: name one", len(tenants))
	}
	return tenants[0], nil
}

// startWorkload lets a process present assertions of the tenant's workload issuer.
func (s *Server) startWorkload(ctx context.Context, tenant *directory.Tenant, client *directory.Instance) (*bound, error) {
	workload, err := s.authority.StartWorkload(ctx, tenant.ID, client.Principal.AppID)
	if err != nil {
		return nil, err
	}
	next := func(ctx context.Context) (Line, time.Duration, error) {
		assertion, err := workload.Assertion(ctx)
		if err != nil {
			return Line{}, 0, err
		}
		line := newLine(tenant.ID, client)
		line.Assertion, line.Expires = assertion.Token, assertion.Expires
		return line, assertion.Expires.Sub(assertion.Issued) / 2, nil
	}
	line, renew, err := next(ctx)
	if err != nil {
		workload.Close()
		return nil, err
	}
	return &bound{line: line, next: next, renew: renew, close: workload.Close}, nil
}

func newLine(tenant directory.TenantID, client *directory.Instance) Line {
	return Line{
		Tenant: tenant, Name: client.Principal.Name, ClientID: client.Principal.AppID,
		ObjectID: client.Principal.ID, ResourceID: client.Principal.ResourceID,
	}
}

// setHost says where a host is.
func (l *Line) setHost(host *managedidentity.Host) {
	l.Endpoint, l.Header, l.Thumbprint, l.Environment = host.Endpoint(), host.Secret(), host.Thumbprint(), host.Environment()
}

// renewRetry is how long after a failure a new line is tried again.
const renewRetry = 10 * time.Second

// stream writes the lines of a binding until its context ends.
func (b *bound) stream(ctx context.Context, w http.ResponseWriter) {
	flush := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	line, renew := b.line, b.renew
	for {
		if lines.Encode(line) != nil || flush.Flush() != nil {
			return // the process is gone
		}
		if b.next == nil {
			<-ctx.Done()
			return
		}
		for err := error(nil); ; renew = renewRetry {
			select {
			case <-ctx.Done():
				return
			case <-time.After(renew):
			}
			if line, renew, err = b.next(ctx); err == nil {
				break
			}
		}
	}
}
