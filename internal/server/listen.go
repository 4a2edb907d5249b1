package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/authority"
	documents "github.com/rolecall-auth/rolecall/internal/authority/discovery"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/machine"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/pki"
)

// ErrListen says that a surface's port is taken or not ours to take.
var ErrListen = errors.New("cannot listen on a port")

// bindAll takes the surfaces' sockets. It comes before anything is changed, because it is
// what fails most.
func (s *Server) bindAll(ctx context.Context) error {
	for _, plan := range surfacePlans() {
		if err := s.bind(ctx, plan); err != nil {
			return err
		}
	}
	return nil
}

// build makes what answers on the surfaces.
func (s *Server) build(ctx context.Context) error {
	if err := s.openCA(); err != nil {
		return err
	}
	admin, err := s.listenAdmin(ctx)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, s.newAdmin(admin))
	if err := s.wrapFaults(); err != nil {
		return err
	}
	for i, plan := range surfacePlans() {
		on := s.surfaces[i].http
		if plan.tls && (!plan.fronted || !s.plain()) {
			on.TLSConfig = s.tlsConfig()
			if s.cfg.MutualTLS && plan.name == authoritySurface {
				on.TLSConfig.ClientAuth = tls.RequestClientCert // which of them count, the directory says
			}
		}
		answering, err := plan.build(s, on)
		if err != nil {
			return err
		}
		on.Handler = answering.handler()
		s.surfaces[i].count(s.connectionsOf(plan.name), &s.stopping)
	}
	return nil
}

// connectionsOf is what a surface's connections count among.
func (s *Server) connectionsOf(name string) *connections {
	if name == opsSurface {
		return newConnections(name, opsConnections, s.log)
	}
	if s.connections == nil {
		limit := s.cfg.MaxConnections
		if limit == 0 {
			limit = mostConnections(machine.Files(), machine.Memory())
		}
		s.connections = newConnections("all surfaces but ops", limit, s.log)
		s.connections.onCount = s.cfg.OnConnections
	}
	return s.connections
}

// bind takes the socket of a surface and notes where it is.
func (s *Server) bind(ctx context.Context, plan surfacePlan) error {
	address, scheme, name := "127.0.0.1", "http", "127.0.0.1"
	if plan.public && s.cfg.Listen != "" {
		address = strings.Trim(s.cfg.Listen, "[]")
	}
	if plan.tls {
		scheme, name = "https", s.cfg.hosts()[0]
	}
	number := 0
	if s.cfg.Port != 0 {
		number = s.cfg.Port + plan.offset
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(number)))
	if err != nil {
		return cannotListen(plan, number, err)
	}
	s.surfaces = append(s.surfaces, newSurface(plan.name, listener, s.log))
	*plan.endpoint(&s.endpoints) = originURL(scheme, name, port(listener))
	if plan.fronted && s.cfg.PublicURL != "" {
		*plan.endpoint(&s.endpoints) = s.cfg.PublicURL
	}
	return nil
}

// cannotListen says why a surface did not get its port.
func cannotListen(plan surfacePlan, number int, cause error) error {
	e := &refusedError{
		what: fmt.Sprintf("the surface %s cannot listen on its port: %v", plan.name, cause), cause: errors.Join(ErrListen, cause),
		fix: "choose another base port with --port, or 0 for free ones",
	}
	if errors.Is(cause, fs.ErrPermission) && number > 0 && number < firstUnprivileged {
		e.fix = fmt.Sprintf("ports below %d need a right: `sudo setcap cap_net_bind_service=+ep $(command -v rolecall)` gives it to this program, "+
			"`sudo sysctl net.ipv4.ip_unprivileged_port_start=%d` to every program of this machine; or choose another base port with --port", firstUnprivileged, number)
	}
	return e
}

// firstUnprivileged is the first port that systems let every program listen on.
const firstUnprivileged = 1024

// address is where a surface listens.
func (s *Server) address(name string) net.Addr {
	for _, surface := range s.surfaces {
		if surface.name == name {
			return surface.listener.Addr()
		}
	}
	return nil
}

// wrapFaults makes the faults that were asked for, which the surfaces' handlers are wrapped in.
func (s *Server) wrapFaults() error {
	front := s.address(authoritySurface)
	if len(s.cfg.Faults) > 0 && !loopback.IsAddr(front) {
		return refused("leave out --fault or --listen", "faults are for this machine only, and the server listens on %s", front)
	}
	var err error
	if s.faults, err = fault.New(s.cfg.Faults...); err != nil {
		return err
	}
	s.faults.Log = s.log
	return nil
}

// ownClient reaches the server's own authority, whatever its name resolves to here.
func (s *Server) ownClient() *http.Client {
	front := s.address(authoritySurface).String()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", front)
	}
	transport := &http.Transport{DialContext: dial, IdleConnTimeout: time.Minute}
	switch {
	case s.plain():
		transport.DialTLSContext = dial // the URL is https, and TLS ends before this listener
	case s.certificate != nil:
		transport.TLSClientConfig = s.certificate.ClientConfig()
	default:
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.ca.Pool()}
	}
	return &http.Client{Transport: transport}
}

// openCA opens the certificate authority and writes the bundle that clients trust.
func (s *Server) openCA() error {
	var err error
	s.ca, err = pki.Open(pki.Config{Dir: s.cfg.Dir, Hosts: s.cfg.Hosts, Now: s.cfg.Now})
	if err != nil {
		return err
	}
	s.endpoints.V1Issuer = s.cfg.V1Issuer
	s.endpoints.CABundle, err = filepath.Abs(filepath.Join(s.cfg.Dir, BundleFile))
	if err != nil {
		return err
	}
	if s.cfg.TLSCert != "" {
		s.certificate, err = pki.OpenFiles(pki.FilesConfig{
			Certificate: s.cfg.TLSCert, Key: s.cfg.TLSKey, Hosts: s.certified(), Now: s.cfg.Now, Log: s.log,
		})
		if err != nil {
			return err
		}
	}
	return s.ca.Bundle(s.endpoints.CABundle)
}

// certified are the names that a certificate of the operator's own must be good for. Behind
// a proxy that is the proxy's business.
func (s *Server) certified() []string {
	if s.cfg.PublicURL != "" {
		return nil
	}
	return s.cfg.hosts()
}

// plain reports whether TLS ends before the authority's listener.
func (s *Server) plain() bool { return s.cfg.PublicURL != "" && s.cfg.TLSCert == "" }

// tlsConfig is what the public surfaces identify themselves by.
func (s *Server) tlsConfig() *tls.Config {
	if s.certificate != nil {
		return s.certificate.ServerConfig()
	}
	return s.ca.TLSConfig()
}

// noteCA says that clients must get a new file, if so. A first start has nobody to tell.
func (s *Server) noteCA(ctx context.Context) {
	if change := s.ca.Changed(); change != "" {
		s.log.WarnContext(ctx, "the certificate authority was issued again: clients that have a copy of its file need the new one",
			"why", change, "ca", s.ca.Path(), "bundle", s.endpoints.CABundle)
	}
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

func (s *Server) buildAuthority(*http.Server) (answering, error) {
	fetcher, err := s.fetcher()
	if err != nil {
		return answering{}, err
	}
	s.authority, err = authority.New(authority.Config{
		BaseURL: s.endpoints.Authority, Aliases: s.aliases(), Directory: s.data.Directory, Keys: s.data.Keys, Fetch: fetcher,
		Places:   s.places(),
		Services: documents.Services{Graph: s.endpoints.Graph, ResourceManager: s.endpoints.ResourceManager},
		V1Issuer: s.cfg.V1Issuer, Age: fault.Age, AllowPassword: s.cfg.AllowPasswords, MutualTLS: s.cfg.MutualTLS, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	return answering{byDefault: s.front(s.faults.Authority(s.authority.Handler()))}, nil
}

// buildIdentities makes the surface that managed identities have in common, and what opens
// the directory's hosts.
func (s *Server) buildIdentities(on *http.Server) (answering, error) {
	var err error
	s.identities, err = managedidentity.New(managedidentity.Config{
		Directory: s.data.Directory, Minter: s.authority, Refused: s.authority.NoteRefusal, TLS: s.ca.TLSConfig(), ArcFolder: s.cfg.ArcFolder,
		PlatformCache: s.cfg.PlatformCache, Wrap: s.faults.Identity, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	allowed, err := parseAddresses(s.cfg.AllowHosts)
	if err != nil {
		return answering{}, err
	}
	s.hosts = &hosts{
		service: s.identities, directory: s.data.Directory, key: s.data.hostKey, allowed: allowed, faulty: len(s.cfg.Faults) > 0, log: s.log,
		folder: s.cfg.Dir, bundle: s.endpoints.CABundle, now: s.cfg.Now, entries: make(map[entryKey]*hostEntry),
	}
	on.DisableGeneralOptionsHandler, on.ConnContext = true, managedidentity.ConnContext
	return answering{byDefault: s.identities.Handler()}, nil
}

// places are the URLs at which this server answers in place of services of Microsoft's: its
// own, and the names of the clouds that are no identifiers by themselves.
func (s *Server) places() map[string]directory.AppID {
	places := map[string]directory.AppID{s.endpoints.Graph: graph.AppID, s.endpoints.ResourceManager: directory.ResourceManagerAppID}
	for _, cloud := range origin.Clouds() {
		for _, host := range cloud.GraphHosts() {
			if url := "https://" + host; url != graph.Resource {
				places[url] = graph.AppID
			}
		}
	}
	return places
}

func (s *Server) buildGraph(*http.Server) (answering, error) {
	var err error
	s.graph, err = graph.New(graph.Config{
		Authority: s.endpoints.Authority, URL: s.endpoints.Graph, Directory: s.data.Directory,
		HTTPClient: s.ownClient(), Minter: s.authority, Explainer: s.explainer(), Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	return answering{byDefault: s.proxies.identify(s.graph.Handler())}, nil
}

// explainer explains what this server issued and answered, under its own names and Microsoft's.
func (s *Server) explainer() *explain.Explainer {
	return &explain.Explainer{
		Directory: s.data.Directory, Keys: s.data.Keys, Origin: s.authority.Origin(), Now: s.cfg.Now,
		Under: func(at origin.Origin) (http.Handler, error) {
			if at.Cloud() == "" {
				return s.authority.Handler(), nil
			}
			n, err := s.public.of(at.Cloud())
			if err != nil {
				return nil, err
			}
			return n.authority.Handler(), nil
		},
		SignIns: func(ctx context.Context, f directory.SignInFilter) ([]directory.SignIn, error) {
			if err := s.authority.Flush(ctx); err != nil {
				return nil, err
			}
			return s.data.Directory.SignIns(ctx, f)
		},
	}
}

func (s *Server) buildManager(*http.Server) (answering, error) {
	var err error
	s.manager, err = arm.New(arm.Config{
		Cloud: arm.Cloud{
			Name: "Rolecall", Login: s.endpoints.Authority, Manager: s.endpoints.ResourceManager,
			Graph: s.endpoints.Graph,
		},
		Directory: s.data.Directory, HTTPClient: s.ownClient(), Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	return answering{byDefault: s.proxies.identify(s.manager.Handler())}, nil
}

func (s *Server) buildOps(*http.Server) (answering, error) {
	return answering{byDefault: s.ops()}, nil
}

// fetcher is the one client that goes out, for the keys of federated issuers. It trusts the
// folder's own authority too, so that an issuer may live behind it.
func (s *Server) fetcher() (*fetch.Client, error) {
	cfg := fetch.Config{Allow: s.cfg.AllowIssuers, RootCAs: s.roots}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return fetch.New(cfg), nil
}

func (s *Server) roots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil { // a system that keeps none
		roots = x509.NewCertPool()
	}
	roots.AddCert(s.ca.Certificate())
	return roots
}
